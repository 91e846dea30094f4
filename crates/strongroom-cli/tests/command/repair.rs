//! Mending a store from another, and dropping what is lost.

use std::fs;

use crate::support::{Place, noise};

#[test]
fn a_file_that_was_lost_comes_back_from_a_synchronized_store() {
    let place = Place::new();
    place.run_with("put - a/large", &noise(1, 2_000_000)).ok();
    place.run_with("put - a/small", &noise(2, 3000)).ok();
    place.run(["repair"]).ends(0, "sound: nothing to repair");
    place.ok("--store backup init");
    place.ok("sync .strongroom backup");
    fs::remove_file(&place.store_files("files")[0]).expect("lose");

    place.fails("repair --from nowhere", 4, "make one with `strongroom --store nowhere init`");
    place.run(["repair"]).ends(5, "--from");
    place.run(["repair", "--from", "backup", "--dry-run"]).ends(5, "nothing was written");
    place.run(["repair", "--from", "backup"]).ends(0, "1 object mended");
    place.ok("get a/large back");
    assert_eq!(place.read("back"), noise(1, 2_000_000));
    place.run(["verify", "--data"]).ends(0, "sound");
    let report = place.one_json("repair");
    assert_eq!((&report["sound"], &report["mended"]), (&true.into(), &0.into()));
}

#[test]
fn what_is_lost_for_good_is_dropped_if_that_is_asked_for_and_printed() {
    let place = Place::new();
    for (name, seed) in [("a/replaced", 1), ("a/new", 2), ("a/replaced", 3)] {
        place.run_with(&format!("put - {name}"), &noise(seed, 1_500_000)).ok();
    }
    for seed in [2, 3] {
        let digest = blake3::hash(&noise(seed, 1_500_000)).to_hex().to_string();
        let files = place.store_files("files");
        let file = files.iter().find(|file| file.to_string_lossy().contains(&digest)).expect("its file");
        fs::remove_file(file).expect("lose");
    }
    let lines = "removed, version 2 is lost  a/new\nrestored as of 1, version 3 is lost  a/replaced\n";
    let planned = place.run(["repair", "--drop-lost", "-n"]).ends(5, "2 problems");
    assert!(String::from_utf8_lossy(&planned.stdout).starts_with(lines), "{planned:?}");
    assert_eq!(place.ls("a/").len(), 2);
    assert_eq!(place.ok("repair --drop-lost"), lines);
    assert_eq!(place.ls("a/"), ["a/replaced"]);
    place.ok("get a/replaced back");
    assert_eq!(place.read("back"), noise(1, 1_500_000));
    place.run(["verify", "--data"]).ends(0, "sound");
}
