//! Stores that lost bytes: what is damaged is said, never printed, and the rest is readable.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::{Place, noise, objects, tree};

const LARGE: usize = 3_000_000;

/// What is done to a file of the store.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Flipped,
    Cut,
    Lost,
}

/// A file in a pack of its own, one kept whole, and one in another namespace, with its own pack.
fn place() -> Place {
    let place = Place::new();
    place.write("small", noise(1, 5_000));
    place.ok("put small run/unit/small");
    place.write("large", noise(2, LARGE));
    place.ok("put large run/unit/large");
    place.write("other", noise(3, 5_000));
    place.ok("put other other/unit/other");
    place
}

fn damage(path: &Path, how: Damage) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("ours");
    let mut bytes = fs::read(path).expect("readable");
    match how {
        Damage::Flipped => {
            // Among the content: a pack of random bytes is little else.
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).expect("ours");
        }
        Damage::Cut => fs::write(path, &bytes[..bytes.len() / 2]).expect("ours"),
        Damage::Lost => fs::remove_file(path).expect("ours"),
    }
}

fn only_with(place: &Place, below: &str, content: &[u8]) -> PathBuf {
    let has = |path: &PathBuf| {
        let bytes = fs::read(path).expect("readable");
        bytes.windows(64).any(|window| window == &content[..64])
    };
    let mut files: Vec<PathBuf> = place.store_files(below).into_iter().filter(has).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[track_caller]
fn check(place: &Place, how: Damage, damaged: &str, sound: &[(&str, Vec<u8>)]) {
    let ran = place.run(["verify", "--data", "--json"]);
    assert_eq!(ran.code, Some(5), "{how:?}: {}", ran.stderr);
    let report = objects(std::str::from_utf8(&ran.stdout).expect("text")).remove(0);
    let problems = report["problems"].as_array().expect("a list");
    let affects =
        |problem: &serde_json::Value| problem["affected"].as_array().is_some_and(|list| list.contains(&damaged.into()));
    assert!(problems.iter().any(affects), "{how:?}: {report}");
    place.fails("verify --data", 5, "problem");
    let printed = place.run(["cat", damaged]).ends(5, damaged);
    assert!(printed.stderr.contains("strongroom verify"), "{}", printed.stderr);
    let content = if damaged.ends_with("large") { noise(2, LARGE) } else { noise(1, 5_000) };
    assert!(content.starts_with(&printed.stdout), "{how:?}: what was printed is not what was stored");
    place.run(["get", damaged, "back/file"]).ends(5, damaged);
    assert!(tree(&place.path("back")).is_empty(), "{how:?}: a part of it was left there");
    for (location, content) in sound {
        let ran = place.run(["cat", location]);
        assert!(ran.code == Some(0) && ran.stdout == *content, "{how:?} {location}: {}", ran.stderr);
    }
    let folder = place.run(["get", ".", "all"]).ends(3, damaged);
    assert!(folder.stderr.contains("verify"), "{}", folder.stderr);
    assert_eq!(place.read("all/other/unit/other"), noise(3, 5_000));
}

#[test]
fn damage_to_a_pack_stays_in_it() {
    for how in [Damage::Flipped, Damage::Cut, Damage::Lost] {
        let place = place();
        damage(&only_with(&place, "packs", &noise(1, 64)), how);
        let sound = [("run/unit/large", noise(2, LARGE)), ("other/unit/other", noise(3, 5_000))];
        check(&place, how, "run/unit/small", &sound);
    }
}

#[test]
fn damage_to_a_whole_file_stays_in_it() {
    for how in [Damage::Flipped, Damage::Cut, Damage::Lost] {
        let place = place();
        damage(&only_with(&place, "files", &noise(2, 64)), how);
        let sound = [("run/unit/small", noise(1, 5_000)), ("other/unit/other", noise(3, 5_000))];
        check(&place, how, "run/unit/large", &sound);
    }
}

#[test]
fn damage_to_a_history_stays_in_it() {
    for how in [Damage::Flipped, Damage::Cut] {
        let place = place();
        for path in place.store_files("names/run/unit") {
            damage(&path, how);
        }
        place.fails("verify", 5, "problem");
        for call in ["cat run/unit/small", "ls run", "stat run/unit/small", "log run/unit"] {
            place.fails(call, 5, "");
        }
        assert_eq!(place.run(["cat", "other/unit/other"]).stdout, noise(3, 5_000));
        let digest = blake3::hash(&noise(1, 5_000)).to_hex();
        assert_eq!(place.run(["cat", &format!("b3:{digest}")]).stdout, noise(1, 5_000), "content needs no names");
    }
}

#[test]
fn a_tagged_version_that_is_lost_is_found_missing() {
    let place = Place::new();
    place.run_with("put - run/unit/a", b"1").ok();
    place.ok("tag run/unit first");
    let first = place.store_files("names/run/unit");
    place.run_with("put - run/unit/a", b"2").ok();
    place.ok("verify");
    damage(&first[0], Damage::Lost);
    let ran = place.fails("verify", 5, "1 problem");
    assert!(String::from_utf8_lossy(&ran.stdout).contains("tag first needs it"));
    assert_eq!(place.ok("cat run/unit/a"), "2");
}
