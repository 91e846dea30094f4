//! Files that are no plain files, or not ours.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::{Place, run_without_rights};

fn fifo(place: &Place, name: &str) {
    mknodat(CWD, place.path(name), FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a FIFO");
}

#[test]
fn a_fifo_is_refused_and_not_waited_for() {
    let place = Place::new();
    place.write("results/good", "1");
    fifo(&place, "results/fifo");
    place.fails("put results/fifo x", 2, "this is a FIFO");
    let ran = place.fails("put results run/unit", 2, "results/fifo: this is a FIFO");
    assert!(ran.stderr.contains("nothing was stored"), "{}", ran.stderr);
    assert!(place.ls("").is_empty());
}

#[test]
fn everything_that_can_not_be_stored_is_listed() {
    let place = Place::new();
    place.write("results/good", "1");
    fifo(&place, "results/fifo");
    let _listener = UnixListener::bind(place.path("results/socket")).expect("a socket");
    let ran = place.fails("put results run/unit", 2, "results/fifo");
    assert!(ran.stderr.contains("results/socket: this is a socket"), "{}", ran.stderr);
    place.fails("put /dev/null x", 2, "this is a device");
}

#[test]
fn a_file_that_may_not_be_read_is_named_before_anything_is_stored() {
    let place = Place::new();
    place.write("results/good", "1");
    let closed = place.write("results/closed", "2");
    let folder = place.path("results/folder");
    place.write("results/folder/inside", "3");
    place.ok("-s store init");
    for path in [place.path("store"), place.path("store/gc"), place.path("store/names")] {
        fs::create_dir_all(&path).expect("ours");
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("ours");
    }
    fs::set_permissions(closed, fs::Permissions::from_mode(0o000)).expect("ours");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o000)).expect("ours");
    let ran = run_without_rights(&place, "-s store put results run/unit").ends(1, "results/closed: permission denied");
    assert!(ran.stderr.contains("results/folder: permission denied"), "{}", ran.stderr);
    assert_eq!(place.ok("-s store ls"), "");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("ours");
}

#[test]
fn links_are_stored_as_links_or_refused() {
    let place = Place::new();
    place.write("outside/secret", "secret");
    place.write("results/good", "1");
    symlink("../outside/secret", place.path("results/file")).expect("a link");
    symlink("../outside", place.path("results/folder")).expect("a link");
    symlink("folder", place.path("results/loop")).expect("a link");
    let ran = place.fails("put results run/unit --symlinks refuse", 2, "results/file: this is a symbolic link");
    assert!(ran.stderr.contains("results/folder") && !ran.stderr.contains("secret: "), "{}", ran.stderr);
    assert!(place.ls("").is_empty());
    place.ok("put results run/unit");
    assert_eq!(place.ls("").len(), 4, "folders behind links are not gone into");
    assert_eq!(place.ok("cat run/unit/file"), "../outside/secret");
    assert_eq!(place.one_json("stat run/unit/file")["symlink"], true);
}

#[test]
fn a_link_that_is_named_is_followed() {
    let place = Place::new();
    place.write("results/a", "1");
    symlink("results", place.path("folder")).expect("a link");
    symlink("results/a", place.path("file")).expect("a link");
    place.ok("put file x");
    place.ok("put folder y");
    assert_eq!(place.ok("cat x y/a"), "11");
    assert_eq!(place.one_json("stat x")["symlink"], false);
    symlink("nowhere", place.path("dangling")).expect("a link");
    place.fails("put dangling x", 4, "no such file");
}
