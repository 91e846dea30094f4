//! Bringing what one store has into another.

use crate::support::{Place, noise};

#[test]
fn a_second_store_comes_to_have_what_the_first_has_and_then_nothing_is_done() {
    let place = Place::new();
    place.write("data/large", noise(1, 2_000_000));
    place.write("data/sub/small", noise(2, 20_000));
    place.ok("put data run/unit");
    place.fails("sync .strongroom backup", 4, "make one with `strongroom --store backup init`");
    place.ok("--store backup init");
    assert_eq!(place.ok("sync -n .strongroom backup"), "+  run/unit/large\n+  run/unit/sub/small\n");
    place.run("sync .strongroom backup".split(' ')).ends(0, "2 names put and 0 names removed in 1 namespace");
    place.run("sync .strongroom backup".split(' ')).ends(0, "nothing differs: 2 objects compared");
    place.ok("--store backup get run/unit back");
    assert_eq!(place.read("back/large"), noise(1, 2_000_000));
    assert_eq!(place.read("back/sub/small"), noise(2, 20_000));
    assert!(place.ok("--store backup log run/unit").contains("sync: version 1 of store"));

    place.ok("rm run/unit/large");
    assert_eq!(place.ok("sync .strongroom backup"), "", "without --delete it stays");
    assert_eq!(place.ok("sync --delete .strongroom backup other/"), "");
    let report = place.one_json("sync --delete .strongroom backup run/ -m why");
    assert_eq!(report["namespaces"][0]["removed"], serde_json::json!(["run/unit/large"]));
    assert_eq!((&report["bytes_read"], &report["namespaces"][0]["version"]), (&0.into(), &2.into()));
    assert!(place.ok("--store backup log run/unit").contains("why"));
}

#[test]
fn what_is_damaged_in_the_source_is_left_out_and_told() {
    let place = Place::new();
    place.run_with("put - a/bad", &noise(1, 2_000_000)).ok();
    place.run_with("put - a/good", &noise(2, 3000)).ok();
    place.ok("--store backup init");
    std::fs::remove_file(&place.store_files("files")[0]).expect("remove");
    let ran = place.run("sync .strongroom backup".split(' ')).ends(5, "1 name put");
    assert!(String::from_utf8_lossy(&ran.stdout).contains("affects  a/bad"), "{ran:?}");
    assert_eq!(place.ok("--store backup ls"), "a/good\n");
}

#[test]
fn a_mirror_has_the_same_versions_and_tags_and_is_not_written_to() {
    let place = Place::new();
    for seed in [1, 2] {
        place.run_with("put - a/log", &noise(seed, 3000)).ok();
    }
    place.ok("tag a@1 first");
    place.ok("--store mirror init");
    place.fails("sync --mirror --delete .strongroom mirror", 2, "--delete");
    place.run("sync --mirror -n .strongroom mirror".split(' ')).ends(0, "5 files of the store would be copied");
    place.run("sync --mirror .strongroom mirror".split(' ')).ends(0, "5 files of the store copied");
    assert_eq!(place.ok("--store mirror log a"), place.ok("log a"));
    assert_eq!(place.ok("--store mirror tag --list"), place.ok("tag --list"));
    place.ok("--store mirror verify --data");
    place.fails("--store mirror gc", 1, "it is a mirror");
    place.fails("sync .strongroom mirror", 2, "it is a mirror");
    assert_eq!(place.one_json("sync --mirror .strongroom mirror")["runs"], serde_json::json!([]));

    place.run_with("--store mirror put - a/log", b"written").ok();
    place.fails("sync --mirror .strongroom mirror", 6, "somebody has written to one of them");
    place.ok("--store other init");
    place.run_with("--store other put - a/log", b"written").ok();
    place.fails("sync --mirror .strongroom other", 2, "neither empty nor a mirror");
}
