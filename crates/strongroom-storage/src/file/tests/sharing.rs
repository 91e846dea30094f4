//! The root folder's own permissions say with whom it is shared.

use super::users::{ANN, BOB, EVE, Machine, PROJECT, User};
use super::*;

/// The permissions of a file, its folder, and the folder of temporary files, made with this umask below a root with that mode.
#[track_caller]
fn check_made(root_mode: u32, umask: &'static str, [file, folder, temporary]: [u32; 3]) {
    for machine in Machine::each(ANN, root_mode) {
        let user = User { umask, ..ANN };
        // The second one to store it needs a name to rename.
        assert_eq!(machine.run(user, &["store a/b 1", "store a/b 2"]), ["stored"; 2]);
        let made = ["a/b", "a", TEMPORARY_FOLDER].map(|path| machine.permissions(path).0);
        assert_eq!(made, [file, folder, temporary], "{root_mode:o} {umask}");
    }
}

#[test]
fn a_root_that_is_shared_with_its_group_says_so_for_all_that_is_put_there() {
    if is_root() {
        check_made(0o2770, "077", [0o660, 0o2770, 0o2770]);
        check_made(0o2770, "027", [0o660, 0o2770, 0o2770]);
    }
}

#[test]
fn a_root_that_everybody_may_read_says_so_for_all_that_is_put_there() {
    if is_root() {
        check_made(0o2775, "077", [0o664, 0o2775, 0o2775]);
        check_made(0o2777, "077", [0o664, 0o2775, 0o2777]);
    }
}

#[test]
fn a_root_that_says_less_leaves_it_to_the_umask() {
    if is_root() {
        check_made(0o770, "077", [0o600, 0o700, 0o770]);
        check_made(0o2750, "077", [0o600, 0o2700, 0o2750]);
        check_made(0o2755, "022", [0o644, 0o2755, 0o2755]);
    }
}

#[tokio::test]
async fn a_root_that_another_process_makes_later_says_it_too() {
    for (way, config) in ways() {
        let bench = Bench::with(config);
        std::fs::create_dir(bench.storage.root()).expect(way);
        set_mode(bench.storage.root(), 0o2770);
        bench.store("a/b", "content").await;
        assert_eq!(mode(bench.storage.root().join("a")) & 0o2770, 0o2770, "{way}");
        assert_eq!(mode(bench.storage.root().join("a/b")) & 0o660, 0o660, "{way}");
    }
}

#[tokio::test]
async fn what_is_shared_is_so_for_this_storage_and_for_later_ones() {
    for (sharing, root_mode) in [(Sharing::Group, 0o2770), (Sharing::All, 0o2775)] {
        let bench = Bench::new();
        bench.store("before", "it is shared").await;
        bench.storage.share(sharing).await.expect("ours");
        assert_eq!(mode(bench.storage.root()), root_mode);
        for (name, storage) in [("a", &bench.storage), ("b", &FileStorage::new(bench.storage.root()))] {
            storage.store_bytes(&at(&format!("{name}/file")), "content".into()).await.expect(name);
            assert_eq!(mode(bench.storage.root().join(name)) & root_mode, root_mode, "{sharing:?}");
            assert_eq!(mode(bench.storage.root().join(name).join("file")) & 0o660, 0o660, "{sharing:?}");
        }
        assert_eq!(bench.tree(), names(&["before", "a", "a/file", "b", "b/file"]));
    }
}

#[tokio::test]
async fn a_root_that_is_missing_is_made_to_be_shared() {
    let bench = Bench::new();
    bench.storage.share(Sharing::Group).await.expect("ours");
    assert_eq!(mode(bench.storage.root()), 0o2770);
    bench.storage.share(Sharing::Group).await.expect("it is shared so");
    bench.storage.share(Sharing::All).await.expect("ours");
    assert_eq!(mode(bench.storage.root()), 0o2775);
    bench.storage.share(Sharing::Group).await.expect("ours");
    assert_eq!(mode(bench.storage.root()), 0o2770, "everybody else is shut out again");
}

#[tokio::test]
async fn a_file_is_not_shared_as_a_folder() {
    let bench = Bench::new();
    let path = bench.outside("root", "a file");
    let before = mode(&path);
    check_kind(bench.storage.share(Sharing::All).await, ErrorKind::Conflict, "root");
    assert_eq!(mode(&path), before);
}

#[test]
fn only_the_owner_shares_a_folder_and_others_are_told_who_that_is() {
    if !is_root() {
        return;
    }
    for machine in Machine::each(ANN, 0o2755) {
        let root = machine.bench.storage.root().display();
        let told = |change| {
            format!("denied: share {root}: it belongs to user {}, who has to share it (chmod {change})", ANN.id)
        };
        let done = machine.run(BOB, &["share group", "share all"]);
        assert_eq!(done, [told("g+rwxs,o-rwx"), told("g+rwxs,o+rx")]);
        assert_eq!(machine.permissions(""), (0o2755, PROJECT));
        assert_eq!(machine.run(ANN, &["share all"]), ["shared"]);
        assert_eq!(machine.permissions(""), (0o2775, PROJECT));
        assert_eq!(machine.run(BOB, &["share all"]), ["shared"], "it is shared so already");
    }
}

#[test]
fn a_folder_is_not_shared_with_a_group_of_others() {
    if !is_root() {
        return;
    }
    for machine in Machine::each(EVE, 0o755) {
        let done = machine.run(EVE, &["share group"]);
        assert!(done[0].starts_with("denied: ") && done[0].contains("its group is 2000"), "{done:?}");
        assert_eq!(machine.permissions(""), (0o755, PROJECT), "it is as it was");
    }
}
