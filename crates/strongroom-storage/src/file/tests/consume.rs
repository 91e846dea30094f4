//! Consumed sources: moved where that gives the same object as a copy, copied elsewhere.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::{AtomicU64, Ordering};

use super::sources::Meddler;
use super::*;
use crate::{DigestSet, StoreMode};

fn inode(path: impl AsRef<Path>) -> u64 {
    std::fs::metadata(path).expect("metadata").ino()
}

/// A file with the permissions of a temporary one.
fn private(bench: &Bench, content: impl AsRef<[u8]>) -> PathBuf {
    let path = bench.outside("source", content);
    set_mode(&path, 0o600);
    path
}

#[tokio::test]
async fn a_consumed_source_becomes_the_object_with_the_permissions_of_one() {
    for (way, config) in ways() {
        for mode_ in [StoreMode::Create, StoreMode::Overwrite, StoreMode::Overwrite] {
            let bench = Bench::with(config.clone());
            bench.store("other", "other").await;
            let path = private(&bench, "content");
            let source_inode = inode(&path);
            let options = StoreOptions::default().with_mode(mode_).with_digests(DigestSet::ALL);
            let stored = bench.storage.store(&at("a/b"), Source::consumed_path(&path), &options).await.expect(way);
            assert_eq!(stored, Stored::of(&at("a/b"), b"content", &options));
            let object = bench.storage.root().join("a/b");
            assert_eq!(inode(&object), source_inode, "{way}");
            assert_eq!(mode(&object), mode(bench.storage.root().join("other")), "{way}");
            assert!(!path.exists(), "{way}");
            assert_eq!(bench.tree(), names(&["a", "a/b", "other"]), "{way}");
        }
    }
}

#[tokio::test]
async fn a_namer_sees_the_consumed_source() {
    let bench = Bench::new();
    let path = private(&bench, vec![1; 3 << 20]);
    let source_inode = inode(&path);
    let seen = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let namer = Box::new(Meddler(Some({
        let seen = seen.clone();
        move || seen.store(true, Ordering::Relaxed)
    })));
    let stored = bench.storage.store_named(Source::consumed_path(path), namer, &StoreOptions::create()).await;
    assert_eq!(stored.expect("store").size, 3 << 20);
    assert_eq!(inode(bench.storage.root().join("new/named")), source_inode);
    assert!(seen.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_source_that_has_another_name_is_copied() {
    let bench = Bench::new();
    let path = private(&bench, "content");
    let other = bench.folder.path().join("other");
    std::fs::hard_link(&path, &other).expect("link");
    bench.storage.store(&at("a"), Source::consumed_path(&path), &StoreOptions::default()).await.expect("store");
    std::fs::write(&other, "changed").expect("write");
    assert_eq!(bench.load("a").await, "content");
    assert_eq!(mode(&other), 0o600);
}

#[tokio::test]
async fn a_symlink_is_not_moved() {
    let bench = Bench::new();
    let path = private(&bench, "content");
    let link = bench.folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).expect("symlink");
    bench.storage.store(&at("a"), Source::consumed_path(&link), &StoreOptions::default()).await.expect("store");
    assert!(!bench.storage.root().join("a").is_symlink());
    assert_eq!(bench.load("a").await, "content");
    assert_eq!(std::fs::read(&path).expect("read"), b"content");
}

#[tokio::test]
async fn a_source_on_another_file_system_is_copied() {
    let bench = Bench::new();
    bench.store("other", "other").await;
    let shared_memory = Path::new("/dev/shm");
    if !shared_memory.is_dir() || inode_device(shared_memory) == inode_device(bench.folder.path()) {
        assert!(std::env::var_os("CI").is_none(), "this test needs /dev/shm");
        eprintln!("skipped: /dev/shm is no other file system");
        return;
    }
    let elsewhere = tempfile::tempdir_in(shared_memory).expect("a temporary folder");
    let path = elsewhere.path().join("source");
    std::fs::write(&path, "content").expect("write");
    let options = StoreOptions::create().with_digests(DigestSet::ALL);
    let stored = bench.storage.store(&at("a"), Source::consumed_path(&path), &options).await.expect("store");
    assert_eq!(stored, Stored::of(&at("a"), b"content", &options));
    assert_eq!(bench.load("a").await, "content");
    assert_eq!(mode(bench.storage.root().join("a")), mode(bench.storage.root().join("other")));
}

fn inode_device(path: &Path) -> u64 {
    std::fs::metadata(path).expect("metadata").dev()
}

#[tokio::test]
async fn a_source_that_was_not_stored_is_still_there_as_it_was() {
    for (way, config) in ways() {
        let bench = Bench::with(config);
        bench.store("a/b", "before").await;
        let path = private(&bench, "content");
        for (location, kind) in
            [("a/b", ErrorKind::AlreadyExists), ("a", ErrorKind::Conflict), ("a/b/c", ErrorKind::Conflict)]
        {
            let source = Source::consumed_path(&path);
            check_kind(bench.storage.store(&at(location), source, &StoreOptions::create()).await, kind, "a");
            assert_eq!(std::fs::read(&path).expect(way), b"content");
            assert_eq!(mode(&path), 0o600, "{way}");
        }
        assert_eq!(bench.load("a/b").await, "before", "{way}");
        assert_eq!(bench.tree(), names(&["a", "a/b"]), "{way}");
    }
}

#[tokio::test]
async fn a_source_of_another_group_is_copied_so_that_the_object_has_the_group_of_its_folder() {
    if !is_root() {
        return;
    }
    let bench = Bench::new();
    std::fs::create_dir(bench.storage.root()).expect("a folder");
    std::os::unix::fs::chown(bench.storage.root(), None, Some(2000)).expect("chown");
    std::fs::set_permissions(bench.storage.root(), std::fs::Permissions::from_mode(0o2770)).expect("chmod");
    let path = private(&bench, "content");
    bench.storage.store(&at("a/b"), Source::consumed_path(&path), &StoreOptions::create()).await.expect("store");
    let object = std::fs::metadata(bench.storage.root().join("a/b")).expect("metadata");
    assert_eq!((object.gid(), object.mode() & 0o7777), (2000, 0o664));
}

#[tokio::test]
async fn a_consumed_source_whose_fsync_failed_is_copied_the_next_time() {
    static SOURCE: AtomicU64 = AtomicU64::new(0);
    static SYNCS_OF_SOURCE: AtomicU64 = AtomicU64::new(0);
    fn sync(file: &std::fs::File) -> std::io::Result<()> {
        if file.metadata()?.ino() == SOURCE.load(Ordering::Relaxed) {
            SYNCS_OF_SOURCE.fetch_add(1, Ordering::Relaxed);
            return Err(rustix::io::Errno::IO.into());
        }
        file.sync_all()
    }
    let bench = Bench::with(FileConfig { sync, ..FileConfig::default() });
    bench.store("other", "other").await;
    let path = private(&bench, "content");
    SOURCE.store(inode(&path), Ordering::Relaxed);
    let store = async || {
        let source = Source::consumed_path(&path);
        bench.storage.store(&at("a"), source, &StoreOptions::default()).await
    };
    let error = check_kind(store().await, ErrorKind::Unavailable, "device");
    assert!(!error.may_have_happened());
    assert_eq!(bench.tree(), names(&["other"]));
    assert_eq!(mode(&path), 0o600);
    store().await.expect("the copy is durable");
    assert_eq!(bench.load("a").await, "content");
    assert_eq!(SYNCS_OF_SOURCE.load(Ordering::Relaxed), 1);
}
