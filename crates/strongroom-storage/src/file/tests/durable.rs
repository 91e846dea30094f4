//! What is fsynced, in which order, and what happens when that fails.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

use super::*;
use crate::Durability;

/// What was fsynced: files, and paths of folders.
type Syncs = Mutex<Vec<String>>;

/// Notes the fsync of `file` in `syncs`.
fn note(syncs: &Syncs, file: &File) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let metadata = file.metadata()?;
    let name = if metadata.is_dir() {
        std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?.display().to_string()
    } else {
        file_name(&metadata)
    };
    syncs.lock().expect("not poisoned").push(name);
    file.sync_all()
}

/// What was noted since the last time, folders relative to that of the bench.
fn noted(syncs: &Syncs, bench: &Bench) -> Vec<String> {
    let folder = bench.folder.path().canonicalize().expect("canonical").display().to_string();
    let taken: Vec<_> = syncs.lock().expect("not poisoned").drain(..).collect();
    taken.into_iter().map(|name| name.strip_prefix(&folder).map_or(name.clone(), str::to_string)).collect()
}

/// Inode numbers come back, so the time of birth tells files apart, too.
fn file_name(metadata: &std::fs::Metadata) -> String {
    format!("file {} {:?}", metadata.ino(), metadata.created().ok())
}

fn file_sync(bench: &Bench, location: &str) -> String {
    file_name(&std::fs::metadata(bench.storage.root().join(location)).expect("metadata"))
}

#[tokio::test]
async fn the_file_then_its_new_folders_then_its_entry_are_made_durable() {
    static SYNCS: Syncs = Mutex::new(Vec::new());
    for (way, config) in ways() {
        let bench = Bench::with(FileConfig { sync: |file| note(&SYNCS, file), ..config });
        bench.store("warm", "up").await;
        noted(&SYNCS, &bench);
        bench.store("a/b/c", "1").await;
        let syncs = noted(&SYNCS, &bench);
        assert_eq!(syncs.first().expect("some"), &file_sync(&bench, "a/b/c"), "{way}");
        assert_eq!(&syncs[syncs.len() - 3..], ["/root/a", "/root", "/root/a/b"], "{way}");
        bench.store("a/b/d", "1").await;
        assert_eq!(noted(&SYNCS, &bench), [file_sync(&bench, "a/b/d"), "/root/a/b".into()], "{way}");
    }
}

#[tokio::test]
async fn folders_that_another_process_made_are_made_durable_once() {
    static SYNCS: Syncs = Mutex::new(Vec::new());
    let bench = Bench::with(FileConfig { sync: |file| note(&SYNCS, file), ..FileConfig::default() });
    std::fs::create_dir_all(bench.storage.root().join("a/b")).expect("folders");
    bench.store("a/b/c", "1").await;
    let expected = [&file_sync(&bench, "a/b/c"), "/root/a", "/root", "", "/root/a/b"];
    assert_eq!(noted(&SYNCS, &bench), expected);
    bench.store("a/c", "1").await;
    assert_eq!(noted(&SYNCS, &bench), [&file_sync(&bench, "a/c"), "/root/a"]);
    // Somebody removes the folder, and somebody makes it again.
    std::fs::remove_dir_all(bench.storage.root().join("a/b")).expect("remove");
    std::fs::create_dir(bench.storage.root().join("a/b")).expect("a folder");
    bench.store("a/b/c", "1").await;
    assert_eq!(noted(&SYNCS, &bench), [&file_sync(&bench, "a/b/c"), "/root/a", "/root/a/b"]);
}

#[tokio::test]
async fn what_another_process_has_stored_is_made_durable_by_the_entries_of_its_folders() {
    static SYNCS: Syncs = Mutex::new(Vec::new());
    let bench = Bench::with(FileConfig { sync: |file| note(&SYNCS, file), ..FileConfig::default() });
    for location in ["a/b/1", "a/b/2", "a/3"] {
        let path = bench.storage.root().join(location);
        std::fs::create_dir_all(path.parent().expect("one")).expect("folders");
        std::fs::write(path, "1").expect("a file");
    }
    bench.storage.make_durable(&["a/b/1", "a/b/2", "a/3"].map(at)).await.expect("make durable");
    let first = noted(&SYNCS, &bench);
    assert_eq!(first, ["/root", "", "/root/a", "/root/a", "/root/a/b"]);
    // The folders are known by now, their entries may have changed.
    bench.storage.make_durable(&["a/b/1"].map(at)).await.expect("make durable");
    assert_eq!(noted(&SYNCS, &bench), ["/root/a/b"]);
    let gone = bench.storage.make_durable(&["a/c/1"].map(at)).await;
    check_kind(gone, ErrorKind::Missing, "a/c/1");
}

#[tokio::test]
async fn relaxed_stores_wait_for_nothing_and_are_not_taken_for_durable_folders() {
    static SYNCS: Syncs = Mutex::new(Vec::new());
    let bench = Bench::with(FileConfig { sync: |file| note(&SYNCS, file), ..FileConfig::default() });
    std::fs::create_dir(bench.storage.root()).expect("a folder");
    let relaxed = StoreOptions::default().with_durability(Durability::Relaxed);
    bench.storage.store(&at("a/b"), "1".into(), &relaxed).await.expect("store");
    assert_eq!(noted(&SYNCS, &bench), [""; 0]);
    bench.store("a/c", "1").await;
    assert_eq!(noted(&SYNCS, &bench), [&file_sync(&bench, "a/c"), "/root", "", "/root/a"]);
}

#[tokio::test]
async fn after_a_failed_fsync_of_the_file_nothing_is_stored_and_the_next_try_writes_a_new_one() {
    static SYNCS: Syncs = Mutex::new(Vec::new());
    static FAILS: AtomicBool = AtomicBool::new(true);
    fn sync(file: &File) -> io::Result<()> {
        note(&SYNCS, file)?;
        match file.metadata()?.is_file() && FAILS.load(Ordering::Relaxed) {
            true => Err(Errno::IO.into()),
            false => Ok(()),
        }
    }
    for (way, config) in ways() {
        let bench = Bench::with(FileConfig { sync, ..config });
        for options in [StoreOptions::create(), StoreOptions::default()] {
            let stored = bench.storage.store(&at("new/a"), "1".into(), &options).await;
            let error = check_kind(stored, ErrorKind::Unavailable, "new/a");
            assert!(!error.may_have_happened());
            assert_eq!(bench.tree(), names(&[]), "{way}");
        }
        FAILS.store(false, Ordering::Relaxed);
        bench.store("new/a", "2").await;
        FAILS.store(true, Ordering::Relaxed);
        let mut files: Vec<_> = noted(&SYNCS, &bench).into_iter().filter(|name| name.starts_with("file")).collect();
        let count = files.len();
        files.sort_unstable();
        files.dedup();
        assert!(count >= 3 && files.len() == count, "{way}: a file was fsynced again: {files:?}");
    }
}

#[tokio::test]
async fn after_a_failed_fsync_of_the_folder_the_outcome_is_unknown_and_the_next_try_writes_a_new_file() {
    static SYNCS: Syncs = Mutex::new(Vec::new());
    static FAILS: AtomicBool = AtomicBool::new(false);
    fn sync(file: &File) -> io::Result<()> {
        note(&SYNCS, file)?;
        match file.metadata()?.is_dir() && FAILS.load(Ordering::Relaxed) {
            true => Err(Errno::IO.into()),
            false => Ok(()),
        }
    }
    for (way, config) in ways() {
        let bench = Bench::with(FileConfig { sync, ..config });
        bench.store("a", "1").await;
        FAILS.store(true, Ordering::Relaxed);
        let stored = bench.storage.store_bytes(&at("a"), "2".into()).await;
        FAILS.store(false, Ordering::Relaxed);
        assert!(check_kind(stored, ErrorKind::Unavailable, "root").may_have_happened());
        let first = file_sync(&bench, "a");
        noted(&SYNCS, &bench);
        bench.store("a", "2").await;
        let syncs = noted(&SYNCS, &bench);
        assert!(!syncs.contains(&first), "{way}: {syncs:?}");
        assert_eq!(syncs, [file_sync(&bench, "a"), "/root".into()], "{way}");
        // Nothing is published into a folder that is not durable.
        FAILS.store(true, Ordering::Relaxed);
        let stored = bench.storage.store_bytes(&at("b/c"), "2".into()).await;
        FAILS.store(false, Ordering::Relaxed);
        assert!(!check_kind(stored, ErrorKind::Unavailable, "b").may_have_happened());
        assert!(!bench.storage.exists(&at("b/c")).await.expect("exists"), "{way}");
    }
}

#[tokio::test]
async fn a_file_system_that_does_not_fsync_folders_will_do() {
    fn sync(file: &File) -> io::Result<()> {
        match file.metadata()?.is_dir() {
            true => Err(Errno::INVAL.into()),
            false => file.sync_all(),
        }
    }
    let bench = Bench::with(FileConfig { sync, ..FileConfig::default() });
    bench.store("a/b", "1").await;
    assert_eq!(bench.load("a/b").await, "1");
}
