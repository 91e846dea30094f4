//! Disks that are full, folders that are read-only, processes that are killed.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Place, needs_root, noise, run_without_rights, tree, walk};

/// A small file system in memory, unmounted with this value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf) -> Self {
        fs::create_dir_all(&path).expect("a folder");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&path).status();
        assert!(mount.expect("mount is there").success());
        Self(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        assert!(std::thread::panicking() || unmounted.expect("umount is there").success());
    }
}

#[test]
fn a_full_disk_loses_nothing_and_leaves_nothing() {
    if !needs_root("a full disk") {
        return;
    }
    let place = Place::new();
    let disk = SmallDisk::mount(place.path("disk"));
    place.ok("-s disk/store init");
    place.write("small", noise(1, 100_000));
    place.ok("-s disk/store put small run/unit/small");
    for (layout, name) in [("whole", "w"), ("chunked", "c")] {
        place.write("large", noise(2, 16_000_000));
        place.fails(&format!("-s disk/store put large run/unit/{name} --layout {layout}"), 1, "no space is left");
    }
    assert_eq!(place.run(["-s", "disk/store", "cat", "run/unit/small"]).stdout, noise(1, 100_000));
    assert_eq!(place.ok("-s disk/store ls"), "run/unit/small\n");
    place.ok("-s disk/store verify --data");
    place.write("small", noise(3, 100_000));
    place.ok("-s disk/store put small run/unit/again");

    place.ok("init");
    place.ok("put large");
    place.fails("get large disk/large", 1, "no space is left");
    let mut left = Vec::new();
    walk(&disk.0, &mut left);
    assert!(left.iter().all(|path| path.starts_with(disk.0.join("store"))), "{left:?}");
}

#[test]
fn a_store_that_is_read_only_can_be_read() {
    let place = Place::new();
    place.write("results/a", noise(1, 5_000));
    place.write("results/b", noise(2, 2_000_000));
    place.ok("put results run/unit");
    let store = place.path(".strongroom");
    close(&store, 0o555);
    fs::create_dir(place.path("open")).expect("new");
    fs::set_permissions(place.path("open"), fs::Permissions::from_mode(0o777)).expect("ours");
    let reading = "ls; cat run/unit/a; stat run/unit/b; verify --data; du; log run/unit; get run/unit open/back";
    for words in reading.split("; ") {
        run_without_rights(&place, words).ends(0, "");
    }
    assert_eq!(tree(&place.path("open/back")), tree(&place.path("results")));
    run_without_rights(&place, "put results run/other").ends(1, "permission denied");
    run_without_rights(&place, "rm run/unit/a").ends(1, "permission denied");
    close(&store, 0o755);
    assert_eq!(place.ls(""), ["run/unit/a", "run/unit/b"]);
}

/// Sets the permissions of a folder and all folders in it.
fn close(folder: &Path, mode: u32) {
    let mut all = vec![folder.to_path_buf()];
    walk(folder, &mut all);
    for path in all.iter().filter(|path| path.is_dir()) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
    }
}

#[test]
fn a_put_that_is_killed_leaves_a_sound_store() {
    let place = Place::new();
    place.write("first", "first");
    place.ok("put first run/unit/first");
    let before = place.store_files("gc");
    for each in 0..3000u64 {
        place.write(&format!("results/{}/{each}", each % 30), noise(each, 6_000));
    }
    let large = noise(1 << 40, 30_000_000);
    place.write("results/1/large", &large);
    let mut put = place.command(["put", "results", "run/unit"]).stdout(Stdio::null()).spawn().expect("it starts");
    // In its midst: it has begun to write and is not done.
    while place.store_files("gc") == before {
        assert!(put.try_wait().expect("ours").is_none(), "it ended before it was killed");
        std::thread::yield_now();
    }
    put.kill().expect("ours");
    assert_eq!(put.wait().expect("ours").signal(), Some(9), "it ended before it was killed");

    assert_eq!(place.ls(""), ["run/unit/first"], "nothing of it has a name");
    place.ok("verify --data");
    place.ok("put results run/unit/results");
    place.ok("get run/unit/results back");
    assert_eq!(tree(&place.path("back")), tree(&place.path("results")));
    place.ok("verify --data");
}

/// A put of stdin that has taken some of it and waits for more, as long as its stdin is there.
fn waiting_put(place: &Place) -> (Child, ChildStdin) {
    let mut put = (place.command(["put", "-", "run/unit/large"]).stdin(Stdio::piped()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = put.stdin.take().expect("piped");
    stdin.write_all(&noise(1, 5_000_000)).expect("it reads");
    (put, stdin)
}

#[test]
fn ctrl_c_stores_nothing() {
    let place = Place::new();
    place.write("first", "first");
    place.ok("put first run/unit/first");
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (mut put, _open) = waiting_put(&place);
        kill_process(Pid::from_child(&put), signal).expect("ours");
        assert_eq!(put.wait().expect("ours").code(), Some(code));
        let mut said = String::new();
        put.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
        assert_eq!(said, "");
    }
    assert_eq!(place.ls(""), ["run/unit/first"]);
    place.ok("verify --data");
}

#[test]
fn a_put_of_stdin_that_is_killed_stores_nothing() {
    let place = Place::new();
    place.ok("init");
    let (mut put, _open) = waiting_put(&place);
    put.kill().expect("ours");
    assert_eq!(put.wait().expect("ours").signal(), Some(9));
    assert!(place.ls("").is_empty());
    place.ok("verify --data");
    place.run_with("put - run/unit/large", &noise(1, 5_000_000)).ok();
}

#[test]
fn a_get_that_is_interrupted_leaves_no_part_of_a_file() {
    let place = Place::new();
    place.write("large", noise(1, 64 << 20));
    place.ok("put large run/unit/large");
    fs::create_dir(place.path("back")).expect("new");
    let entries = || fs::read_dir(place.path("back")).expect("there").count();
    let mut get = place.command(["get", "run/unit/large", "back"]).spawn().expect("it starts");
    while entries() == 0 {
        assert!(get.try_wait().expect("ours").is_none(), "it ended before it was interrupted");
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&get), Signal::INT).expect("ours");
    assert_eq!(get.wait().expect("ours").code(), Some(130), "it ended before it was interrupted");
    assert_eq!(entries(), 0);
}
