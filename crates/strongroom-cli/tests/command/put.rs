//! What goes in.

use crate::support::{Place, noise};

#[test]
fn put_prints_digest_and_location_as_b3sum_does() {
    let place = Place::new();
    place.write("a.txt", "hello");
    let digest = blake3::hash(b"hello").to_hex();
    assert_eq!(place.ok("put a.txt run/unit/a.txt"), format!("{digest}  run/unit/a.txt\n"));
}

#[test]
fn the_default_store_is_made_by_the_first_put_and_said() {
    let place = Place::new();
    place.write("a.txt", "hello");
    place.fails("ls", 4, "strongroom init");
    let first = place.run(["put", "a.txt"]);
    assert!(first.stderr.contains("made a store in ./.strongroom"), "{}", first.stderr);
    first.ok();
    assert_eq!(place.run(["put", "a.txt"]).ends(0, "").stderr, "");
    place.fails("-s elsewhere put a.txt", 4, "strongroom init");
}

#[test]
fn the_store_is_the_option_or_the_variable_or_the_default() {
    let place = Place::new();
    for (store, content) in [(".strongroom", "default"), ("named", "named"), ("variable", "variable")] {
        place.ok(&format!("-s {store} init"));
        assert_eq!(place.run_with(&format!("-s {store} put - a"), content.as_bytes()).code, Some(0));
    }
    let with = |arguments: &[&str]| {
        let output = place.command(arguments).env("STRONGROOM_STORE", "variable").output().expect("it runs");
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(place.ok("cat a"), "default");
    assert_eq!(with(&["cat", "a"]), "variable");
    assert_eq!(with(&["--store", "named", "cat", "a"]), "named");
    let url = format!("file://{}", place.path("named").display());
    assert_eq!(with(&["cat", "a", "-s", &url]), "named");
}

#[test]
fn what_has_no_location_has_its_own_name() {
    let place = Place::new();
    place.write("results/sub/a.txt", "a");
    place.write("results/b.txt", "b");
    place.ok("put results/b.txt");
    place.ok("put results");
    place.ok("put results/sub/../sub/..  up/");
    let mut locations = place.ls("");
    locations.sort();
    let expected = ["b.txt", "results/b.txt", "results/sub/a.txt", "up/results/b.txt", "up/results/sub/a.txt"];
    assert_eq!(locations, expected);
}

#[test]
fn a_location_that_ends_with_a_slash_is_a_folder() {
    let place = Place::new();
    place.write("a.txt", "a");
    place.ok("put a.txt run/unit/");
    assert_eq!(place.ls(""), ["run/unit/a.txt"]);
}

#[test]
fn stdin_is_stored_and_comes_back_on_stdout() {
    let place = Place::new();
    let content = noise(1, 5_000_000);
    let put = place.run_with("put - run/log", &content);
    assert_eq!(put.ok(), format!("{}  run/log\n", blake3::hash(&content).to_hex()));
    assert_eq!(place.run(["cat", "run/log"]).stdout, content);
    assert_eq!(place.run(["get", "run/log", "-"]).stdout, content);
    place.run_with("put - empty", b"").ok();
    assert_eq!(place.ok("cat empty"), "");
    place.run_with("put -", b"x").ends(2, "give a LOCATION");
}

#[test]
fn put_twice_stores_nothing_new() {
    let place = Place::new();
    for each in 0..50 {
        place.write(&format!("results/{each}"), noise(each, 5000));
    }
    place.write("results/large", noise(99, 3_000_000));
    place.ok("put results run/unit");
    let (before, log) = (place.one_json("du"), place.ok("log run/unit"));
    place.ok("put results run/unit");
    assert_eq!(place.one_json("du"), before);
    assert_eq!(place.ok("log run/unit"), log, "a put that changes nothing makes no version");
    place.ok("put results run/copy");
    let after = place.one_json("du");
    assert_eq!(after["unique_bytes"], before["unique_bytes"]);
    let grown = after["stored_bytes"].as_u64().expect("bytes") - before["stored_bytes"].as_u64().expect("bytes");
    assert!(grown < 20_000, "only names are new, but {grown} bytes were stored");
}

#[test]
fn a_folder_is_one_commit_of_its_namespace() {
    let place = Place::new();
    for name in ["a", "sub/b", "sub/deeper/c"] {
        place.write(&format!("results/{name}"), name);
    }
    place.run(["put", "results", "run/unit", "--message", "all of it"]).ok();
    let log = place.one_json("log run/unit");
    assert_eq!((&log["put"], &log["message"]), (&3.into(), &"all of it".into()));
    assert!(log["author"].as_str().expect("text").starts_with("tester@"), "{log}");
}

#[test]
fn new_refuses_to_replace() {
    let place = Place::new();
    place.write("a.txt", "first");
    place.ok("put --new a.txt run/unit/a");
    place.write("a.txt", "second");
    place.fails("put --new a.txt run/unit/a", 6, "there is an object at this location already");
    assert_eq!(place.ok("cat run/unit/a"), "first");
    place.ok("put a.txt run/unit/a");
    assert_eq!(place.ok("cat run/unit/a"), "second");
}

#[test]
fn layouts_and_digests_are_those_asked_for() {
    let place = Place::new();
    place.write("large", noise(1, 2_000_000));
    for layout in ["whole", "chunked"] {
        place.ok(&format!("put large {layout} --layout {layout} --digests md5,sha256"));
        let stat = place.one_json(&format!("stat {layout}"));
        assert_eq!(stat["kept"], layout);
        assert!(stat["md5"].is_string() && stat["sha256"].is_string(), "{stat}");
    }
}

#[test]
fn a_store_in_the_folder_is_left_out_of_itself() {
    let place = Place::new();
    place.write("a.txt", "a");
    place.run(["put", ".", "run/unit"]).ends(0, "left out ./.strongroom, which is the store itself");
    assert_eq!(place.ls(""), ["run/unit/a.txt"]);
    place.ok("-s another init");
    place.ok("put another run/another");
    assert!(place.ls("run/another/").contains(&"run/another/strongroom.json".to_string()));
}
