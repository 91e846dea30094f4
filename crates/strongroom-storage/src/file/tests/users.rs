//! Several users on one folder. The other users are processes that run the steps they are given; only root can start those.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use futures::TryStreamExt;

use super::*;
use crate::blocking;

pub(super) const PROJECT: u32 = 2000;

/// A user with a group of their own, and perhaps in the project's.
#[derive(Clone, Copy)]
pub(super) struct User {
    pub(super) id: u32,
    pub(super) in_project: bool,
    pub(super) umask: &'static str,
}

pub(super) const ANN: User = User { id: 61_001, in_project: true, umask: "077" };
pub(super) const BOB: User = User { id: 61_002, in_project: true, umask: "022" };
pub(super) const EVE: User = User { id: 61_003, in_project: false, umask: "022" };

/// A folder on a machine with several users.
pub(super) struct Machine {
    pub(super) bench: Bench,
    test: PathBuf,
    unnamed: bool,
}

impl Machine {
    /// One per way of making temporary files, with a root of these permissions that belongs to `owner` and the project.
    pub(super) fn each(owner: User, root_mode: u32) -> impl Iterator<Item = Self> {
        [true, false].into_iter().map(move |unnamed| {
            let bench = Bench::new();
            set_mode(bench.folder.path(), 0o755);
            std::fs::create_dir(bench.storage.root()).expect("a folder");
            chown(bench.storage.root(), Some(owner.id), Some(PROJECT)).expect("chown");
            set_mode(bench.storage.root(), root_mode);
            let test = bench.folder.path().join("test");
            let ours = std::env::current_exe().expect("this test");
            // Copied by another process: a file that is open for writing anywhere can't be executed.
            run("cp", &[ours.to_str().expect("UTF-8"), test.to_str().expect("UTF-8")]);
            set_mode(&test, 0o755);
            Self { bench, test, unnamed }
        })
    }

    /// What a user's `steps` come to, one line each.
    #[track_caller]
    pub(super) fn run(&self, user: User, steps: &[&str]) -> Vec<String> {
        let groups = if user.in_project { format!("--groups={PROJECT}") } else { "--clear-groups".into() };
        let mut command = Command::new("setpriv");
        command
            .args([format!("--reuid={}", user.id), format!("--regid={}", user.id), groups])
            .arg(&self.test)
            .args(["--exact", "--ignored", "--nocapture", "file::tests::users::the_steps_of_another_user"])
            .env("STRONGROOM_TEST_ROOT", self.bench.storage.root())
            .env("STRONGROOM_TEST_UNNAMED", self.unnamed.to_string())
            .env("STRONGROOM_TEST_UMASK", user.umask)
            .env("STRONGROOM_TEST_STEPS", steps.join("\n"))
            .current_dir("/");
        let output = output(&mut command);
        let text = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<_> =
            text.lines().filter_map(|line| line.split_once("=> ")).map(|(_, line)| line.into()).collect();
        let complete = output.status.success() && lines.len() == steps.len();
        assert!(complete, "{text}{}", String::from_utf8_lossy(&output.stderr));
        lines
    }

    /// The permissions and group of what is at `path` below the root.
    pub(super) fn permissions(&self, path: &str) -> (u32, u32) {
        let found = std::fs::metadata(self.bench.storage.root().join(path)).expect(path);
        (found.permissions().mode() & 0o7777, found.gid())
    }
}

#[test]
#[ignore = "a process of its own, started by the tests beside it"]
fn the_steps_of_another_user() {
    let setting = |name: &str| std::env::var(format!("STRONGROOM_TEST_{name}")).expect(name);
    let umask = u32::from_str_radix(&setting("UMASK"), 8).expect("octal");
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
    let config = FileConfig { unnamed_files: setting("UNNAMED") == "true", ..FileConfig::default() };
    let storage = Arc::new(FileStorage::with_config(setting("ROOT"), config));
    let blocking = blocking::Storage::new(storage.clone());
    for step in setting("STEPS").lines() {
        let mut words = step.split(' ');
        let (verb, name, content) = (words.next(), words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let location = || at(name);
        let done = match verb.expect("a verb") {
            "store" => blocking.store_bytes(&location(), content.to_string()).map(|_| "stored".to_string()),
            "create" => {
                let stored = blocking.store(&location(), Source::bytes(content.to_string()), &StoreOptions::create());
                stored.map(|_| "stored".to_string())
            }
            "path" => blocking.store_path(&location(), content).map(|_| "stored".to_string()),
            "load" => {
                let loaded = blocking.load_bytes(&location(), ByteRange::All);
                loaded.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            }
            "share" => {
                let sharing = if name == "group" { Sharing::Group } else { Sharing::All };
                blocking::wait(storage.share(sharing)).map(|()| "shared".to_string())
            }
            "create-read-only" => {
                let options = StoreOptions::create().with_read_only(true);
                blocking.store(&location(), Source::bytes(content.to_string()), &options).map(|_| "stored".to_string())
            }
            "hand-out" => blocking.local_path(&location(), Some(content)).map(|path| {
                let read = std::fs::read_to_string(path.path()).expect("the file can be read");
                let linked = std::fs::symlink_metadata(path.path()).expect("it is there").nlink() == 2;
                let name = path.path().file_name().expect("a name").display();
                format!("{} {name} {read}", if linked { "a link" } else { "no link" })
            }),
            "delete" => blocking.delete(&location()).map(|()| "deleted".to_string()),
            "exists" => blocking.exists(&location()).map(|exists| exists.to_string()),
            "list" => blocking::wait(storage.iter_contents(name).try_collect::<Vec<_>>()).map(|mut found| {
                found.sort_unstable();
                found.iter().map(Location::as_str).collect::<Vec<_>>().join(" ")
            }),
            other => panic!("{other} is no verb"),
        };
        // The test's own line may not have ended.
        println!("=> {}", done.unwrap_or_else(|error| format!("{}: {error}", error.kind())));
    }
}

#[test]
fn users_of_one_group_replace_and_delete_each_others_objects() {
    if !is_root() {
        return;
    }
    for root_mode in [0o2770, 0o2775] {
        for machine in Machine::each(ANN, root_mode) {
            assert_eq!(machine.run(ANN, &["store a/b/c ann", "store d ann", "store d ann2"]), ["stored"; 3]);
            let steps = [
                "load a/b/c",
                "store a/b/c bob",
                "create a/b/d bob",
                "store a/e bob",
                "store d bob",
                "create d bob",
                "delete d",
                "list a/",
            ];
            let done = machine.run(BOB, &steps);
            assert_eq!(done[..5], ["ann", "stored", "stored", "stored", "stored"]);
            assert!(done[5].starts_with("already-exists"), "{done:?}");
            assert_eq!(done[6..], ["deleted", "a/b/c a/b/d a/e"]);
            let steps = ["load a/b/c", "load a/b/d", "store a/b/d ann", "delete a/e", "list", "store a/e ann"];
            let done = machine.run(ANN, &steps);
            assert_eq!(done, ["bob", "bob", "stored", "deleted", "a/b/c a/b/d", "stored"]);
            // Whoever is the first to store it says who may read it.
            assert_eq!(machine.permissions("a/b/d"), (0o664, PROJECT));
            let first = if root_mode == 0o2770 { 0o660 } else { 0o664 };
            assert_eq!(machine.permissions("a/b/c"), (first, PROJECT));
            for folder in ["a", "a/b"] {
                assert_eq!(machine.permissions(folder), (root_mode, PROJECT));
            }
        }
    }
}

#[test]
fn who_may_write_to_the_root_can_store_there_although_another_user_was_first() {
    if !is_root() {
        return;
    }
    // With and without groups that are handed on.
    for root_mode in [0o770, 0o2770, 0o777] {
        for machine in Machine::each(ANN, root_mode) {
            assert_eq!(machine.run(ANN, &["store ann 1", "store ann 2"]), ["stored"; 2]);
            assert_eq!(machine.run(BOB, &["store bob 1", "store bob 2", "load bob"]), ["stored", "stored", "2"]);
        }
    }
}

#[test]
fn who_can_not_write_can_read_everything() {
    if !is_root() {
        return;
    }
    for (root_mode, file) in [(0o755, 0o644), (0o2775, 0o664)] {
        for machine in Machine::each(BOB, root_mode) {
            assert_eq!(machine.run(BOB, &["store a/b bob", "store a/b bob2", "create c bob"]), ["stored"; 3]);
            let steps = ["load a/b", "load c", "exists a/b", "exists a/x", "list", "list a/"];
            assert_eq!(machine.run(EVE, &steps), ["bob2", "bob", "true", "false", "a/b c", "a/b"]);
            let steps = ["store a/b eve", "create a/d eve", "store new/d eve", "store e eve"];
            let root = machine.bench.storage.root().display();
            let names = if machine.unnamed { ["/a", "/a", "", ""] } else { ["/.strongroom-tmp"; 4] };
            for (line, name) in machine.run(EVE, &steps).iter().zip(names) {
                assert_eq!(line, &format!("denied: store {root}{name}: permission denied"));
            }
            let line = format!("denied: delete {root}/a/b: permission denied");
            assert_eq!(machine.run(EVE, &["delete a/b"]), [line]);
            assert_eq!(machine.run(EVE, &["load a/b"]), ["bob2"]);
            assert_eq!((machine.permissions("a/b").0, machine.permissions("c").0), (file, file));
        }
    }
}

#[test]
fn a_folder_that_may_not_be_read_is_an_error_only_to_who_asks_for_it() {
    if !is_root() {
        return;
    }
    for machine in Machine::each(BOB, 0o755) {
        machine.run(BOB, &["store secret/a bob", "store open/a bob"]);
        set_mode(machine.bench.storage.root().join("secret"), 0o700);
        let steps = ["list open/", "list o", "load open/a", "list secret/", "list", "load secret/a", "exists secret/a"];
        let done = machine.run(EVE, &steps);
        assert_eq!(done[..3], ["open/a", "open/a", "bob"]);
        for line in &done[3..] {
            assert!(line.starts_with("denied: ") && line.contains("secret"), "{line}");
        }
    }
}

#[test]
fn a_source_that_may_not_be_read_is_denied_and_leaves_nothing() {
    if !is_root() {
        return;
    }
    for machine in Machine::each(EVE, 0o755) {
        let path = machine.bench.outside("source", "secret");
        set_mode(&path, 0o600);
        let done = machine.run(EVE, &[&format!("path new/a {}", path.display())]);
        assert!(done[0].starts_with("denied: ") && done[0].contains("source"), "{done:?}");
        assert_eq!(machine.bench.tree(), names(&[]));
    }
}

#[test]
fn who_may_not_write_to_the_root_is_handed_the_object_s_own_file() {
    if !is_root() {
        return;
    }
    for machine in Machine::each(BOB, 0o755) {
        machine.run(BOB, &["store a/b bob", "store a/b bob2"]);
        assert_eq!(machine.run(EVE, &["hand-out a/b c.dcd"]), ["no link b bob2"]);
        assert_eq!(machine.run(BOB, &["hand-out a/b c.dcd"]), ["a link c.dcd bob2"]);
        assert_eq!(machine.bench.tree(), names(&["a", "a/b"]));
    }
}

#[test]
fn a_colleague_s_read_only_file_is_handed_out_under_the_name_that_was_wished() {
    if !is_root() {
        return;
    }
    let protected = std::fs::read_to_string("/proc/sys/fs/protected_hardlinks").is_ok_and(|text| text.trim() == "1");
    for machine in Machine::each(ANN, 0o2770) {
        assert_eq!(machine.run(ANN, &["create-read-only a ann", "create b ann"]), ["stored"; 2]);
        assert_eq!(machine.permissions("a"), (0o440, PROJECT));
        let done = machine.run(BOB, &["hand-out a c.dcd", "hand-out b c.dcd", "hand-out a a"]);
        let kind = if protected { "no link" } else { "a link" };
        assert_eq!(done, [format!("{kind} c.dcd ann"), "a link c.dcd ann".into(), format!("{kind} a ann")]);
        assert_eq!(machine.run(ANN, &["hand-out a c.dcd"]), ["a link c.dcd ann"]);
        assert_eq!(machine.run(BOB, &["delete a", "exists a"]), ["deleted", "false"]);
        assert_eq!(machine.bench.tree(), names(&["b"]));
    }
}
