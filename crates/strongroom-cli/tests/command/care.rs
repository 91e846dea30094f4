//! Making stores, checking them, digests.

use crate::support::{Place, Ran, noise};

#[test]
fn init_can_be_said_twice() {
    let place = Place::new();
    let made = place.one_json("init");
    let found = place.one_json("init --layout chunked");
    assert_eq!((&made["made"], &found["made"]), (&true.into(), &false.into()));
    assert_eq!(made["id"], found["id"]);
    place.run(["init"]).ends(0, "there is a store in ./.strongroom already");
}

#[test]
fn a_store_is_as_it_was_made() {
    let place = Place::new();
    place.ok("init --layout chunked --digests md5,sha256 --compression none --grace 7d");
    place.write("large", noise(1, 2_000_000));
    place.ok("put large");
    let stat = place.one_json("stat large");
    assert_eq!(stat["kept"], "chunked");
    assert!(stat["md5"].is_string() && stat["sha256"].is_string(), "{stat}");
    let description = String::from_utf8(place.read(".strongroom/strongroom.json")).expect("text");
    assert!(description.contains("\"grace_seconds\": 604800"), "{description}");
    assert!(description.contains("\"compression\": \"none\""), "{description}");
    place.fails("-s other init --grace soon", 2, "--grace");
    place.fails("-s other init --digests crc32", 2, "crc32");
}

#[test]
fn a_sound_store_verifies() {
    let place = Place::new();
    place.write("results/large", noise(1, 2_000_000));
    place.write("results/small", noise(2, 2_000));
    place.ok("put results run/unit");
    place.run(["verify"]).ends(0, "sound: 2 objects in 1 namespace");
    let report = place.one_json("verify --data");
    assert_eq!((&report["sound"], &report["objects"]), (&true.into(), &2.into()));
    assert!(report["bytes_read"].as_u64().expect("bytes") >= 2_002_000, "{report}");
}

#[test]
fn digests_are_those_of_the_standard_tools() {
    let place = Place::new();
    place.run_with("put - run/unit/hello", b"hello world\n").ok();
    let blake3 = "dc5a4edb8240b018124052c330270696f96771a63b45250a5c17d3000e823355  run/unit/hello\n";
    let md5 = "6f5902ac237024bdd0c176cb93063dc4  run/unit/hello\n";
    let sha256 = "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447  run/unit/hello\n";
    assert_eq!(place.ok("digest run/unit/hello"), blake3);
    assert_eq!(place.ok("digest --md5 run/unit/hello"), md5);
    assert_eq!(place.ok("digest --sha256 --md5 --blake3 run/unit/hello"), format!("{blake3}{md5}{sha256}"));
    let by_digest = place.ok("digest --md5 b3:dc5a4edb");
    assert!(by_digest.starts_with("6f5902ac237024bdd0c176cb93063dc4  b3:dc5a4edb"), "{by_digest}");
}

#[test]
fn digests_that_are_added_stay() {
    let place = Place::new();
    place.run_with("put - run/unit/hello", b"hello world\n").ok();
    place.ok("digest --md5 run/unit/hello");
    assert!(place.one_json("stat run/unit/hello")["md5"].is_null());
    place.ok("digest --md5 --add run/unit/hello");
    assert_eq!(place.one_json("stat run/unit/hello")["md5"], "6f5902ac237024bdd0c176cb93063dc4");
    let versions = place.ok("log run/unit");
    place.ok("digest --md5 --add run/unit/hello");
    assert_eq!(place.ok("log run/unit"), versions, "what is on record is not put there again");
    place.fails("digest --md5 --add b3:dc5a4edb", 2, "name a location");
    place.fails("digest nosuch run/unit/hello", 3, "find nosuch");
}

#[test]
fn what_is_no_store_is_said_to_be_none() {
    let place = Place::new();
    place.write("folder/file", "x");
    for words in ["-s folder ls", "-s nosuch ls", "-s folder/file ls", "-s folder verify", "-s folder put folder x"] {
        place.fails(words, 4, "this is not a strongroom store");
    }
    place.fails("-s folder/file init", 6, "folder/file");
    place.fails("-s s3://key:secret@bucket/prefix ls", 2, "credentials don't belong into a URL");
    place.fails("-s nosuch://x ls", 2, "the scheme is unknown");
}

/// Whether nothing answers where machines of a cloud ask for their role, or something that knows of none.
#[test]
fn who_has_no_credentials_for_a_bucket_is_told_where_they_go() {
    let place = Place::new();
    let mut command = place.command("-s s3://bucket/prefix ls".split(' '));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    let ran = Ran::new(command.output().expect("the command starts"), "without credentials".into());
    ran.ends(
        1,
        "there are no credentials; set the environment variables of the service's own tools, such as AWS_ACCESS_KEY_ID",
    );
}

#[test]
fn a_store_of_another_format_is_left_alone() {
    let place = Place::new();
    place.run_with("put - a", b"1").ok();
    let description = String::from_utf8(place.read(".strongroom/strongroom.json")).expect("text");
    let format = r#""format": "1""#;
    assert!(description.contains(format), "{description}");
    // Nobody may write to it, but another file can take its place.
    std::fs::remove_file(place.path(".strongroom/strongroom.json")).expect("ours");
    place.write(".strongroom/strongroom.json", description.replace(format, r#""format": "9""#));
    place.fails("cat a", 1, "the store has format \"9\"");
    place.run_with("put - b", b"1").ends(1, "use a strongroom that knows it");
    place.write(".strongroom/strongroom.json", &description[..description.len() / 2]);
    place.fails("cat a", 5, "it is damaged");
}

#[test]
fn digests_are_computed_once_and_the_cache_of_them_can_go_or_be_left_out() {
    let place = Place::new();
    place.write("large", noise(1, 2_000_000));
    place.ok("put large");
    let digest = |cache: &str| {
        let output =
            place.command(["digest", "--md5", "large"]).env("STRONGROOM_CACHE", cache).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let expected = digest("off");
    assert_eq!(digest("cache"), expected);
    assert!(place.path("cache").is_dir());
    // Of content that is gone it is known still.
    std::fs::rename(place.path(".strongroom/files"), place.path("elsewhere")).expect("move");
    assert_eq!(digest("cache"), expected);
    std::fs::rename(place.path("elsewhere"), place.path(".strongroom/files")).expect("move back");
    std::fs::remove_dir_all(place.path("cache")).expect("delete");
    assert_eq!(digest("cache"), expected);
    // A place where nothing can be kept is none.
    place.write("file", "no folder");
    assert_eq!(digest("file/cache"), expected);
    assert!(place.ok("--help").contains("STRONGROOM_CACHE"));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "files of that age are made")]
fn verification_skips_what_it_is_told_to_and_takes_its_time() {
    let place = Place::new();
    let cached = |words: &str| {
        let mut command = place.command(words.split(' '));
        command.env("STRONGROOM_CACHE", place.path("cache"));
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{words}: {output:?}");
        (String::from_utf8(output.stdout).expect("text"), String::from_utf8(output.stderr).expect("text"))
    };
    for n in 0..3 {
        place.write(&format!("results/{n}"), noise(n, 2_000_000));
    }
    cached("put results run/unit");
    // What was stored within the second in which it was read is read again.
    let aged = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    for file in place.store_files("files").into_iter().chain(place.store_files("packs")) {
        std::fs::File::open(file).expect("open").set_modified(aged).expect("it is ours");
    }
    let report = |words: &str| {
        let (stdout, _) = cached(words);
        let report: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
        (report["bytes_read"].as_u64().expect("bytes"), report["bytes_skipped"].as_u64().expect("bytes"))
    };
    assert_eq!(report("verify --data --older-than 7d --rate 6M --json"), (6_000_000, 0));
    assert_eq!(report("verify --data --older-than 7d --json"), (0, 6_000_000));
    assert!(cached("verify --data --older-than 7d").1.contains("not long ago"));
    assert_eq!(report("verify --data --older-than 0s --json"), (6_000_000, 0));
    assert_eq!(report("verify --data --json"), (6_000_000, 0));
    place.fails("verify --older-than 7d", 2, "--data");
    place.fails("verify --data --rate fast", 2, "like 100M");
}
