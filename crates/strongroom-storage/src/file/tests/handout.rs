//! Local paths: links that last as long as they are held, and what there is where none can be made.

use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};

use super::*;

fn handed_out(bench: &Bench, path: &LocalPath) -> bool {
    path.path().starts_with(bench.storage.root().join(TEMPORARY_FOLDER))
}

#[track_caller]
fn check_content(path: &LocalPath, content: &str) {
    assert_eq!(std::fs::read_to_string(path.path()).expect("the file is there"), content, "{path:?}");
}

/// The object's own file, and nothing beside it.
#[track_caller]
fn check_bare(bench: &Bench, path: &LocalPath, location: &str) {
    assert_eq!(path.path(), bench.storage.root().join(location));
    assert_eq!(bench.tree(), names(&[location]));
}

#[tokio::test]
async fn a_local_path_stays_when_the_object_is_replaced_or_deleted() {
    for (way, config) in ways().into_iter().take(2) {
        let bench = Bench::with(config);
        bench.store("a", "first").await;
        let first = bench.storage.local_path(&at("a"), None).await.expect(way);
        bench.store("a", "second").await;
        let second = bench.storage.local_path(&at("a"), None).await.expect(way);
        bench.storage.delete(&at("a")).await.expect(way);
        check_content(&first, "first");
        check_content(&second, "second");
        check_kind(bench.storage.local_path(&at("a"), None).await, ErrorKind::Missing, "a");
    }
}

#[tokio::test]
async fn a_local_path_has_the_name_that_was_wished_or_the_object_s() {
    let bench = Bench::new();
    bench.store("run/traj.xtc", "frames").await;
    let longest = "x".repeat(255);
    for (wish, name) in [(None, "traj.xtc"), (Some("other.dcd"), "other.dcd"), (Some(&longest[..]), &longest)] {
        let path = bench.storage.local_path(&at("run/traj.xtc"), wish).await.expect(name);
        assert_eq!(path.path().file_name(), Some(name.as_ref()));
        assert!(handed_out(&bench, &path));
        check_content(&path, "frames");
    }
}

#[tokio::test]
async fn a_local_path_that_is_dropped_is_gone_with_its_folder_and_the_object_stays() {
    let bench = Bench::new();
    bench.store("a", "content").await;
    let (one, other) = (bench.storage.local_path(&at("a"), None).await, bench.storage.local_path(&at("a"), None).await);
    let (one, other) = (one.expect("path"), other.expect("path"));
    // As programs do that keep an index of a file beside it.
    std::fs::write(one.path().with_extension("index"), "offsets").expect("write");
    drop(one);
    check_content(&other, "content");
    drop(other);
    assert_eq!(bench.tree(), names(&["a"]));
    assert_eq!(bench.load("a").await, "content");
}

#[tokio::test]
async fn a_name_that_is_no_single_segment_is_invalid() {
    let bench = Bench::new();
    bench.store("a", "content").await;
    for name in ["", ".", "..", "a/b", "./a", "/a", "a/", "a\0", &"x".repeat(256)] {
        check_kind(bench.storage.local_path(&at("a"), Some(name)).await, ErrorKind::Invalid, "name");
    }
    assert_eq!(bench.tree(), names(&["a"]));
}

#[tokio::test]
async fn without_links_the_object_s_own_file_is_handed_out() {
    let bench = Bench::with(FileConfig::default().without_unnamed_files(false));
    bench.store("a", "content").await;
    check_bare(&bench, &bench.storage.local_path(&at("a"), None).await.expect("path"), "a");
    check_bare(&bench, &bench.storage.local_path(&at("a"), Some("a")).await.expect("path"), "a");
}

#[tokio::test]
async fn without_links_another_name_is_that_of_a_symlink() {
    let bench = Bench::with(FileConfig::default().without_unnamed_files(false));
    bench.store("a", "content").await;
    let path = bench.storage.local_path(&at("a"), Some("b.dcd")).await.expect("path");
    assert!(path.path().ends_with("b.dcd") && path.path().is_symlink());
    check_content(&path, "content");
    drop(path);
    assert_eq!(bench.tree(), names(&["a"]));
    assert_eq!(bench.load("a").await, "content");
}

#[tokio::test]
async fn where_the_hidden_folder_can_not_be_made_the_object_s_own_file_is_handed_out() {
    let bench = Bench::new();
    bench.store("a", "content").await;
    // Root may write to any folder, but not to one below a file.
    bench.outside("root/.strongroom-tmp", "in the way");
    let path = bench.storage.local_path(&at("a"), Some("b.dcd")).await.expect("path");
    check_bare(&bench, &path, "a");
    check_content(&path, "content");
}

#[tokio::test]
async fn a_link_whose_answer_was_lost_is_handed_out() {
    let link = |path: &Path, folder: std::os::fd::BorrowedFd<'_>, name: &Path| {
        config::link(path, folder, name)?;
        Err(rustix::io::Errno::EXIST.into())
    };
    let bench = Bench::with(FileConfig { link, ..FileConfig::default() });
    bench.storage.root().metadata().expect_err("nothing is there yet");
    std::fs::create_dir(bench.storage.root()).expect("a folder");
    std::fs::write(bench.storage.root().join("a"), "content").expect("write");
    let path = bench.storage.local_path(&at("a"), None).await.expect("path");
    assert!(handed_out(&bench, &path));
    check_content(&path, "content");
}

#[tokio::test]
async fn what_takes_the_object_s_place_and_is_no_file_is_not_handed_out() {
    let link = |path: &Path, folder: std::os::fd::BorrowedFd<'_>, name: &Path| {
        std::fs::remove_file(path)?;
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o644.into(), 0)?;
        config::link(path, folder, name)
    };
    let bench = Bench::with(FileConfig { link, ..FileConfig::default() });
    std::fs::create_dir(bench.storage.root()).expect("a folder");
    let object = bench.storage.root().join("a");
    std::fs::write(&object, "content").expect("write");
    check_kind(bench.storage.local_path(&at("a"), None).await, ErrorKind::Missing, "a");
    assert!(std::fs::metadata(&object).expect("metadata").file_type().is_fifo());
    assert_eq!(bench.tree(), names(&["a"]));
}

#[tokio::test]
async fn an_object_that_is_deleted_while_it_is_linked_is_missing() {
    let link = |path: &Path, folder: std::os::fd::BorrowedFd<'_>, name: &Path| {
        std::fs::remove_file(path)?;
        config::link(path, folder, name)
    };
    let bench = Bench::with(FileConfig { link, ..FileConfig::default() });
    std::fs::create_dir(bench.storage.root()).expect("a folder");
    std::fs::write(bench.storage.root().join("a"), "content").expect("write");
    check_kind(bench.storage.local_path(&at("a"), Some("b")).await, ErrorKind::Missing, "a");
    assert_eq!(bench.tree(), names(&[]));
}

#[tokio::test]
async fn of_a_symlink_the_file_is_linked_that_it_leads_to() {
    let bench = Bench::new();
    bench.store("object", "content").await;
    symlink("object", bench.storage.root().join("link")).expect("symlink");
    let path = bench.storage.local_path(&at("link"), None).await.expect("path");
    assert!(!path.path().is_symlink() && path.path().ends_with("link"));
    bench.storage.delete(&at("link")).await.expect("delete");
    bench.storage.delete(&at("object")).await.expect("delete");
    check_content(&path, "content");
}

#[tokio::test]
async fn of_a_symlink_to_another_file_system_the_object_s_own_path_is_handed_out() {
    let bench = Bench::new();
    let shared_memory = Path::new("/dev/shm");
    let device = |path: &Path| std::fs::metadata(path).map(|found| found.dev()).ok();
    if device(shared_memory).is_none() || device(shared_memory) == device(bench.folder.path()) {
        assert!(std::env::var_os("CI").is_none(), "this test needs /dev/shm");
        eprintln!("skipped: /dev/shm is no other file system");
        return;
    }
    let elsewhere = tempfile::NamedTempFile::new_in(shared_memory).expect("a temporary file");
    std::fs::write(elsewhere.path(), "content").expect("write");
    std::fs::create_dir(bench.storage.root()).expect("a folder");
    symlink(elsewhere.path(), bench.storage.root().join("a")).expect("symlink");
    let path = bench.storage.local_path(&at("a"), None).await.expect("path");
    check_bare(&bench, &path, "a");
    check_content(&path, "content");
}

#[tokio::test]
async fn what_a_killed_holder_leaves_is_seen_by_nobody_and_in_nobody_s_way() {
    let bench = Bench::new();
    bench.store("a/b", "content").await;
    std::mem::forget(bench.storage.local_path(&at("a/b"), Some("traj.dcd")).await.expect("path"));
    for prefix in ["", ".", "traj", "a/", TEMPORARY_FOLDER] {
        let listing = bench.storage.list(&ListOptions::prefix(prefix)).await.expect("list");
        let expected = if prefix.is_empty() || prefix == "a/" { vec![at("a/b")] } else { vec![] };
        assert_eq!(listing.objects.into_iter().map(|object| object.location).collect::<Vec<_>>(), expected);
    }
    bench.store("a/b", "new").await;
    assert_eq!(bench.load("a/b").await, "new");
    check_content(&bench.storage.local_path(&at("a/b"), Some("traj.dcd")).await.expect("path"), "new");
    bench.storage.delete(&at("a/b")).await.expect("delete");
    bench.store("a", "in place of the folder").await;
}

#[tokio::test]
async fn a_consumed_source_that_is_handed_out_by_another_storage_is_copied() {
    let (bench, scratch) = (Bench::new(), Bench::new());
    scratch.store("a", "content").await;
    let held = scratch.storage.local_path(&at("a"), None).await.expect("path");
    let source = Source::consumed_path(scratch.storage.root().join("a"));
    bench.storage.store(&at("b"), source, &StoreOptions::default().with_read_only(true)).await.expect("store");
    let inode = |path: &Path| std::fs::metadata(path).expect("metadata").ino();
    assert_ne!(inode(held.path()), inode(&bench.storage.root().join("b")));
    assert_ne!(mode(held.path()) & 0o200, 0, "the file that is held is as it was");
}
