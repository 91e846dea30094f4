//! What scripts read.

use serde_json::Value;

use crate::support::{Place, noise, objects};

#[test]
fn every_verb_prints_an_object_a_line() {
    let place = Place::new();
    place.write("results/a", noise(1, 2_000));
    place.write("results/new\nline", "x");
    let digest = format!("b3:{}", blake3::hash(&noise(1, 2_000)).to_hex());
    let has = |words: &str, lines: usize, key: &str| {
        let objects = place.json(words);
        assert_eq!(objects.len(), lines, "{words}: {objects:?}");
        for object in &objects {
            assert!(!object[key].is_null(), "{words}: {object}");
        }
        objects
    };
    has("init", 1, "id");
    let put = has("put results run/unit", 2, "location");
    assert_eq!(
        (&put[0]["digest"], &put[0]["size"], &put[0]["version"]),
        (&digest.clone().into(), &2000.into(), &1.into())
    );
    assert_eq!(put[1]["location"], "run/unit/new\nline");
    has("ls", 2, "stored_at");
    has("stat run/unit/a", 1, "kept");
    has("exists run/unit/a", 1, "exists");
    let got = has("get run/unit back", 2, "path");
    assert!(got.iter().any(|object| object["path"] == "back/a"), "{got:?}");
    has("get run/unit/a again", 1, "path");
    has("cp run/unit/a run/unit/b", 1, "from");
    has("mv run/unit/b run/unit/c", 1, "from");
    has("tag run/unit first", 1, "version");
    has("tag --list", 1, "tag");
    has("restore run/unit/a --at 1", 1, "from");
    has("log run/unit", 3, "commit");
    has("diff run/unit@1", 1, "change");
    has("digest --md5 run/unit/a", 1, "md5");
    has("du", 1, "stored_bytes");
    has("sync -n .strongroom .strongroom", 1, "namespaces");
    has("repair", 1, "left");
    has("rebuild -n", 1, "named");
    has("verify", 1, "problems");
    has("rm run/unit/c", 1, "removed");
    has("tag --delete run/unit first", 1, "deleted");
    has("completions bash", 1, "script");
}

#[test]
fn errors_are_objects_on_stderr() {
    let place = Place::new();
    place.run_with("put - run/unit/a", b"1").ok();
    for (words, code, kind) in [
        ("cat nosuch", 4, "missing"),
        ("cat ../a", 2, "invalid"),
        ("ls --at 9", 4, "missing"),
        ("cat", 2, "invalid"),
        ("nosuch", 2, "invalid"),
        ("-s nosuch ls", 4, "missing"),
        ("-s s3://bucket?x ls", 2, "invalid"),
        ("cp --new run/unit/a run/unit/a", 6, "already-exists"),
    ] {
        let ran = place.run(words.split_whitespace().chain(["--json"]));
        assert_eq!((ran.code, &ran.stdout[..]), (Some(code), &b""[..]), "{words}: {}", ran.stderr);
        let errors = objects(&ran.stderr);
        assert_eq!(errors.len(), 1, "{words}: {}", ran.stderr);
        let error = &errors[0]["error"];
        assert_eq!(error["kind"], kind, "{words}: {error}");
        for key in ["operation", "subject", "message"] {
            assert!(error[key].as_str().is_some_and(|text| !text.is_empty()), "{words}: {error}");
        }
        assert!(error["causes"].is_array(), "{words}: {error}");
    }
}

#[test]
fn causes_are_named() {
    let place = Place::new();
    place.run_with("put - a", b"1").ok();
    let ran = place.run(["--json", "put", "nosuch"]).ends(4, "nosuch");
    let error: Value = serde_json::from_str(&ran.stderr).expect("JSON");
    assert!(error["error"]["causes"][0].as_str().expect("text").contains("No such file"), "{error}");
    place.fails("put nosuch", 4, "because: No such file");
}

#[test]
fn notes_are_objects_too_and_quiet_takes_them_away() {
    let place = Place::new();
    place.write("a", "1");
    let ran = place.run(["put", "a", "--json"]).ends(0, "");
    assert!(objects(&ran.stderr)[0]["note"].as_str().expect("text").contains("made a store"), "{}", ran.stderr);
    let other = Place::new();
    other.write("folder/a", "1");
    assert_eq!(other.run(["--quiet", "put", "folder"]).ends(0, "").stderr, "");
    assert_eq!(other.run(["-q", "get", "folder", "back"]).ends(0, "").stderr, "");
}

#[test]
fn what_is_partly_done_says_what_was() {
    let place = Place::new();
    place.run_with("put - run/unit/a", b"1").ok();
    let ran = place.run(["stat", "run/unit/a", "nosuch", "--json"]).ends(3, "missing");
    assert_eq!(objects(std::str::from_utf8(&ran.stdout).expect("text"))[0]["location"], "run/unit/a");
}
