//! What comes out.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use crate::support::{Place, noise, tree};

/// A folder with everything that is kept of files.
fn results(place: &Place) {
    let times = [UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789), UNIX_EPOCH - Duration::new(5, 1)];
    for (index, (name, length)) in
        [("empty", 0), ("inline", 100), ("sub/packed", 70_000), ("sub/deep/er/whole", 2_500_000)]
            .into_iter()
            .enumerate()
    {
        let path = place.write(&format!("results/{name}"), noise(index as u64, length));
        fs::File::options().write(true).open(path).expect("ours").set_modified(times[index % 2]).expect("settable");
    }
    let program = place.write("results/sub/run.sh", "#!/bin/sh\n");
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).expect("ours");
    place.write("results/spaces and ünïcode\nlines\\", "odd");
    symlink("run.sh", place.path("results/sub/relative")).expect("a link");
    symlink("/nowhere/at all", place.path("results/dangling")).expect("a link");
}

#[test]
fn a_tree_comes_back_as_it_was() {
    let place = Place::new();
    results(&place);
    place.ok("put results run/unit");
    place.run(["get", "run/unit", "back"]).ends(0, "restored 8 files");
    assert_eq!(tree(&place.path("back")), tree(&place.path("results")));
    place.ok("get run/unit");
    assert_eq!(tree(&place.path("unit")), tree(&place.path("results")), "without DEST, in a folder of its own name");
    place.ok("get . all");
    assert_eq!(tree(&place.path("all/run/unit")), tree(&place.path("results")));
    place.ok("get run/unit/sub/ part");
    assert_eq!(tree(&place.path("part")), tree(&place.path("results/sub")));
}

#[test]
fn many_folders_come_back() {
    let place = Place::new();
    for each in 0..300 {
        place.write(&format!("results/{each}/{}/file", each % 7), format!("{each}"));
    }
    place.ok("put results run/unit");
    place.ok("get run/unit back");
    assert_eq!(tree(&place.path("back")), tree(&place.path("results")));
}

#[test]
fn an_object_becomes_the_file_that_dest_names() {
    let place = Place::new();
    place.write("a.txt", "hello");
    place.ok("put a.txt run/unit/a.txt");
    fs::create_dir(place.path("folder")).expect("new");
    fs::remove_file(place.path("a.txt")).expect("ours");
    for (dest, file) in [
        ("", "a.txt"),
        ("folder", "folder/a.txt"),
        ("made/", "made/a.txt"),
        ("deep/er/name", "deep/er/name"),
        ("a.txt", "a.txt"),
    ] {
        place.ok(&format!("get run/unit/a.txt {dest}"));
        assert_eq!(place.read(file), b"hello", "{dest}");
    }
    let digest = blake3::hash(b"hello").to_hex();
    place.ok(&format!("get b3:{} found", &digest[..12]));
    assert_eq!(place.read("found"), b"hello");
}

#[test]
fn a_link_and_a_device_that_dest_names_are_written_through() {
    let place = Place::new();
    place.write("a.txt", "hello");
    place.ok("put a.txt");
    place.write("target", "old");
    symlink("target", place.path("link")).expect("a link");
    place.ok("get a.txt link");
    assert!(place.path("link").is_symlink());
    assert_eq!(place.read("target"), b"hello");
    place.ok("get a.txt /dev/null");
    assert_eq!(place.ok("get a.txt /dev/stdout"), "hello");
}

#[test]
fn files_are_replaced_and_folders_are_not() {
    let place = Place::new();
    place.write("results/a", "new");
    place.write("results/b", "new");
    place.ok("put results run/unit");
    place.write("back/a", "old");
    place.write("back/b/kept", "old");
    place.fails("get run/unit back", 3, "back/b: there is a folder of this name");
    assert_eq!(place.read("back/a"), b"new");
    assert_eq!(place.read("back/b/kept"), b"old");
    place.fails("get run/unit back/a", 6, "this is a file");
    place.fails("get run/unit/a back/a/below", 6, "");
}

#[test]
fn what_can_not_be_both_file_and_folder_is_a_conflict() {
    let place = Place::new();
    place.write("x", "x");
    place.ok("put x run/unit/a");
    place.ok("put x run/unit/a/b");
    place.fails("get run/unit back", 3, "run/unit/a/b: \"a\" is an object too");
    assert_eq!(tree(&place.path("back")).len(), 1);
    assert_eq!(place.read("back/a"), b"x");
    place.ok("get run/unit/a/ apart");
    assert_eq!(place.read("apart/b"), b"x");
}

#[test]
fn nothing_is_written_through_links_below_dest() {
    let place = Place::new();
    place.write("results/sub/a", "new");
    place.write("results/b", "new");
    place.ok("put results run/unit");
    fs::create_dir(place.path("outside")).expect("new");
    place.write("target", "old");
    fs::create_dir(place.path("back")).expect("new");
    symlink("../outside", place.path("back/sub")).expect("a link");
    symlink("../target", place.path("back/b")).expect("a link");
    place.fails("get run/unit back", 3, "back/sub: this is a symbolic link");
    assert_eq!(fs::read_dir(place.path("outside")).expect("there").count(), 0);
    assert_eq!(place.read("target"), b"old");
    assert!(!place.path("back/b").is_symlink(), "a link in the place of a file is replaced by the file");
}

#[test]
fn a_link_that_was_stored_leads_nothing_out_of_dest() {
    let place = Place::new();
    fs::create_dir(place.path("outside")).expect("new");
    fs::create_dir(place.path("results")).expect("new");
    symlink("../outside", place.path("results/way")).expect("a link");
    place.write("evil", "evil");
    place.ok("put results run/unit");
    place.ok("put evil run/unit/way/evil");
    place.fails("get run/unit back", 3, "can't be both");
    place.ok("get run/unit/way");
    place.fails("get run/unit/way/", 6, "way: this is a symbolic link");
    assert!(place.path("way").is_symlink());
    assert_eq!(fs::read_dir(place.path("outside")).expect("there").count(), 0);
}

#[test]
fn links_are_followed_only_where_dest_names_them() {
    let place = Place::new();
    place.write("results/a", "new");
    place.ok("put results run/unit");
    place.write("target", "old");
    place.write("elsewhere/kept", "old");
    symlink("target", place.path("a")).expect("a link");
    symlink("elsewhere", place.path("unit")).expect("a link");
    place.ok("get run/unit/a");
    assert_eq!((place.read("a"), place.read("target")), (b"new".to_vec(), b"old".to_vec()));
    place.fails("get run/unit", 6, "unit: this is a symbolic link");
    place.ok("get run/unit unit");
    assert_eq!(place.read("elsewhere/a"), b"new");
}

#[test]
fn ranges_and_versions_are_those_asked_for() {
    let place = Place::new();
    for content in ["0123456789", "abcdefghij"] {
        place.run_with("put - run/unit/a", content.as_bytes()).ok();
    }
    place.ok("tag run/unit@1 first");
    for (range, expected) in
        [("2..5", "cde"), ("2-5", "cdef"), ("7-", "hij"), ("..2", "ab"), ("-3", "hij"), ("4..4", "")]
    {
        assert_eq!(place.ok(&format!("cat run/unit/a --range {range}")), expected, "{range}");
    }
    place.ok("get run/unit/a part --range 2..4 --at first");
    assert_eq!(place.read("part"), b"23");
    assert_eq!(place.ok("cat run/unit/a --at 1"), "0123456789");
    place.ok("get run/unit back --at 1");
    assert_eq!(place.read("back/a"), b"0123456789");
    place.fails("cat run/unit/a --range 11..12", 2, "the object, which has 10 bytes");
    place.fails("cat run/unit/a --range x", 2, "is no range");
    place.fails("cat run/unit/a --at 7", 4, "no version 7");
    place.fails("cat run/unit/a --at nosuch", 4, "no such tag");
    place.fails("get run/unit back --range 0..1", 2, "a folder of some");
    place.fails("get run/unit -", 2, "stdout");
    place.fails("get . back --at 1", 2, "one namespace");
}

#[test]
fn what_is_not_there_is_not_found() {
    let place = Place::new();
    place.write("a", "a");
    place.ok("put a run/unit/a");
    place.fails("get run/unti", 4, "nothing at this location nor below it");
    place.fails("cat run/unit", 4, "`strongroom ls run/unit/` lists them");
    place.fails("get b3:00000000", 4, "no content with this digest");
    place.fails("cat b3:00000000 --at 1", 2, "leave out --at");
    assert_eq!(fs::read_dir(place.path("")).expect("there").count(), 2, "nothing was made");
}

#[test]
fn cat_goes_on_behind_what_fails() {
    let place = Place::new();
    place.write("a", "a");
    place.ok("put a");
    let ran = place.fails("cat a nosuch a", 3, "find nosuch");
    assert_eq!(ran.stdout, b"aa");
}

#[test]
fn a_digest_that_means_several_is_refused_with_them() {
    let place = Place::new();
    for each in 0..200 {
        place.write(&format!("results/{each}"), noise(each, 300));
    }
    place.ok("put results run/unit");
    let ran = place.fails("cat b3:0", 2, "give more digits");
    assert!(ran.stderr.matches("b3:0").count() > 2, "{}", ran.stderr);
}

#[test]
fn new_files_have_the_permissions_of_the_umask() {
    let place = Place::new();
    results(&place);
    place.ok("put results run/unit");
    let script = format!("umask 027 && {} get run/unit back", crate::support::STRONGROOM);
    let status = Command::new("sh").args(["-c", &script]).current_dir(place.path("")).status().expect("a shell");
    assert!(status.success());
    let mode = |name: &str| fs::metadata(place.path(name)).expect("restored").permissions().mode() & 0o777;
    assert_eq!((mode("back/empty"), mode("back/sub/run.sh"), mode("back/sub")), (0o640, 0o750, 0o750));
}
