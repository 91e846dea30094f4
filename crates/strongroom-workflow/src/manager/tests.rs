mod load;

use std::fmt;
use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use strongroom_content::{ContentConfig, ContentStorage, OpenOptions};
use strongroom_storage::{Digest, ErrorKind, ExternalStorage, FileStorage, Location, MemoryStorage, blocking};
use strongroom_testkit::{Intercept, Intercepted, Operation, Outcome, RecordingStorage};
use tempfile::TempDir;

use super::*;

/// A manager for `dag/unit` over one kind of storage.
struct Bench {
    scratch: TempDir,
    storage: Arc<dyn ExternalStorage>,
    manager: StorageManager,
}

impl Bench {
    fn new(storage: Arc<dyn ExternalStorage>) -> Self {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let namespace = Namespace::new("dag", "unit").expect("labels");
        let manager = StorageManager::new(scratch.path(), storage.clone(), namespace);
        Self { scratch, storage, manager }
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.scratch.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, content).expect("written");
    }

    /// Registers a file with content.
    fn output(&self, name: &str, content: &str) -> Handle {
        self.write(name, content);
        self.manager.register(name).expect(name)
    }

    async fn store(&self, location: &str, content: &'static str) {
        self.storage.store_bytes(&at(location), content.into()).await.expect(location);
    }

    async fn listing(&self) -> Vec<String> {
        let mut all: Vec<Location> = self.storage.iter_contents("").try_collect().await.expect("listed");
        all.sort();
        all.iter().map(ToString::to_string).collect()
    }
}

fn at(location: &str) -> Location {
    Location::parse(location).expect(location)
}

async fn on_every_storage(check: impl AsyncFn(Bench)) {
    check(Bench::new(Arc::new(MemoryStorage::new()))).await;
    let root = tempfile::tempdir().expect("a temporary folder");
    check(Bench::new(Arc::new(FileStorage::new(root.path())))).await;
    let backend = Arc::new(MemoryStorage::new());
    let content = ContentStorage::create(backend, ContentConfig::default(), OpenOptions::default()).await;
    check(Bench::new(Arc::new(content.expect("a store")))).await;
}

#[track_caller]
fn refused<T: fmt::Debug>(result: Result<T>, kind: ErrorKind, parts: &[&str]) {
    let error = result.expect_err("an error");
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "{part:?} is not in: {error}");
    }
}

#[tokio::test]
async fn registering_twice_keeps_one_entry_and_gives_the_same_handle() {
    let bench = Bench::new(Arc::new(MemoryStorage::new()));
    let first = bench.manager.register("a.txt").expect("legal");
    assert_eq!(bench.manager.register("a.txt").expect("legal"), first);
    assert_eq!(bench.manager.registered(), [at("a.txt")]);
    assert_eq!(first.to_string(), "dag/unit/a.txt");
    assert_eq!(*first.storage(), StorageName::permanent());
}

#[tokio::test]
async fn the_manager_contains_plain_names_and_not_handles() {
    let bench = Bench::new(Arc::new(MemoryStorage::new()));
    let handle = bench.manager.register("sub/a.txt").expect("legal");
    assert!(bench.manager.contains("sub/a.txt"));
    assert!(bench.manager.contains("sub//a.txt"));
    assert!(bench.manager.contains(bench.scratch.path().join("sub/a.txt")));
    assert!(!bench.manager.contains(handle.to_string()));
    assert!(!bench.manager.contains("b.txt"));
    assert!(!bench.manager.contains("../esc"));
}

#[tokio::test]
async fn names_that_leave_scratch_are_refused() {
    let bench = Bench::new(Arc::new(MemoryStorage::new()));
    let inside = bench.scratch.path().join("../esc");
    for bad in ["../esc", "a/../../esc", "/etc/passwd", "", ".", "a\0b", inside.to_str().expect("UTF-8")] {
        refused(bench.manager.register(bad), ErrorKind::Invalid, &[]);
        refused(bench.manager.transfer_file(bad).await, ErrorKind::Invalid, &[]);
    }
    refused(
        bench.manager.register("/etc/passwd"),
        ErrorKind::Invalid,
        &["/etc/passwd", "outside the scratch directory"],
    );
    refused(bench.manager.register(bench.scratch.path()), ErrorKind::Invalid, &["empty"]);
    assert!(bench.manager.registered().is_empty());
}

#[tokio::test]
async fn an_absolute_path_in_scratch_is_made_relative() {
    on_every_storage(async |bench| {
        bench.write("x.pdb", "ATOM");
        let handle = bench.manager.register(bench.scratch.path().join("x.pdb")).expect("inside");
        assert_eq!(handle.to_string(), "dag/unit/x.pdb");
        bench.manager.transfer().await.expect("transferred");
        assert_eq!(bench.listing().await, ["dag/unit/x.pdb"]);
    })
    .await;
}

#[tokio::test]
async fn handle_and_listing_agree_on_a_name_with_two_slashes() {
    on_every_storage(async |bench| {
        bench.write("a/b.txt", "1");
        let handle = bench.manager.register("a//b.txt").expect("legal");
        bench.manager.transfer().await.expect("transferred");
        assert_eq!(bench.listing().await, [handle.to_string()]);
        let spelled = Handle::new(StorageName::permanent(), at("dag//unit/./a//b.txt"));
        assert_eq!(bench.manager.load(&spelled).await.expect("loaded"), "1");
    })
    .await;
}

#[tokio::test]
async fn nothing_registered_means_nothing_stored() {
    on_every_storage(async |bench| {
        bench.write("a.txt", "1");
        assert_eq!(bench.manager.transfer().await.expect("transferred"), Receipt::default());
        assert!(bench.listing().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_transfer_stores_every_registered_file_and_the_receipt_says_what() {
    on_every_storage(async |bench| {
        bench.output("b.txt", "bb");
        bench.output("sub/a.txt", "a");
        bench.write("scrap.tmp", "no");
        let receipt = bench.manager.transfer().await.expect("transferred");
        assert_eq!(bench.listing().await, ["dag/unit/b.txt", "dag/unit/sub/a.txt"]);
        let names: Vec<_> = receipt.entries.iter().map(|entry| (entry.name.as_str(), entry.size)).collect();
        assert_eq!(names, [("b.txt", 2), ("sub/a.txt", 1)]);
        assert_eq!(receipt.get("b.txt").expect("there").blake3, Digest::of(b"bb"));
        assert_eq!(receipt.get("b.txt").expect("there").handle, bench.manager.register("b.txt").expect("legal"));
        assert_eq!(bench.manager.registered().len(), 2, "the registry is kept");
    })
    .await;
}

#[tokio::test]
async fn a_receipt_is_saved_and_read_back() {
    on_every_storage(async |bench| {
        bench.output("a.txt", "1");
        let receipt = bench.manager.transfer().await.expect("transferred");
        let json = serde_json::to_vec(&receipt).expect("JSON");
        bench.storage.store_bytes(&at("receipts/unit.json"), json.into()).await.expect("stored");
        let saved = bench.storage.load_bytes(&at("receipts/unit.json"), ByteRange::All).await.expect("loaded");
        let read: Receipt = serde_json::from_slice(&saved).expect("a receipt");
        assert_eq!(read, receipt);
        bench.manager.verify(&read).await.expect("as it was");
    })
    .await;
}

#[tokio::test]
async fn a_registered_directory_is_transferred_with_all_files_in_it() {
    on_every_storage(async |bench| {
        bench.write("frames/0.dat", "0");
        bench.write("frames/deep/1.dat", "1");
        bench.write("target.dat", "2");
        fs::create_dir(bench.scratch.path().join("frames/empty")).expect("made");
        #[cfg(unix)]
        std::os::unix::fs::symlink("../target.dat", bench.scratch.path().join("frames/link.dat")).expect("linked");
        #[cfg(not(unix))]
        bench.write("frames/link.dat", "2");
        let handle = bench.manager.register("frames").expect("legal");
        bench.manager.register("frames/0.dat").expect("legal");
        let receipt = bench.manager.transfer().await.expect("transferred");
        let names: Vec<_> = receipt.entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["frames/0.dat", "frames/deep/1.dat", "frames/link.dat"]);
        let file = handle.join("deep/1.dat").expect("legal");
        assert_eq!(bench.manager.load(&file).await.expect("loaded"), "1");
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_symlink_to_a_directory_is_refused_by_name() {
    let bench = Bench::new(Arc::new(MemoryStorage::new()));
    bench.write("frames/0.dat", "0");
    std::os::unix::fs::symlink(".", bench.scratch.path().join("frames/loop")).expect("linked");
    bench.manager.register("frames").expect("legal");
    refused(bench.manager.transfer().await, ErrorKind::Invalid, &["frames/loop", "symlink"]);
    assert!(bench.listing().await.is_empty());
}

#[tokio::test]
async fn a_registered_file_that_is_missing_fails_the_transfer_before_anything_is_stored() {
    on_every_storage(async |bench| {
        bench.output("a.txt", "1");
        bench.manager.register("z.txt").expect("legal");
        refused(bench.manager.transfer().await, ErrorKind::Missing, &["dag/unit/z.txt"]);
        assert_eq!(bench.manager.missing().await.expect("looked"), [at("z.txt")]);
        assert!(bench.listing().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn on_file_storage_a_transferred_file_is_a_real_file_under_the_units_name() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let bench = Bench::new(Arc::new(FileStorage::new(root.path())));
    let handle = bench.output("sub/a.txt", "1");
    bench.manager.transfer().await.expect("transferred");
    let path = root.path().join("dag/unit/sub/a.txt");
    assert_eq!(fs::read(&path).expect("read"), b"1");
    let loaded = bench.manager.load_path(&handle).await.expect("a path");
    assert!(loaded.path().starts_with(root.path()), "it is not loaded to scratch");
    bench.manager.storage().delete(&at("dag/unit/sub/a.txt")).await.expect("deleted");
    assert_eq!(fs::read(loaded.path()).expect("it is there as long as it is held"), b"1");
}

#[tokio::test]
async fn one_file_can_be_transferred_without_being_registered() {
    on_every_storage(async |bench| {
        bench.write("a.txt", "1");
        let receipt = bench.manager.transfer_file("a.txt").await.expect("transferred");
        assert_eq!(receipt.entries[0].handle.to_string(), "dag/unit/a.txt");
        assert!(!bench.manager.contains("a.txt"));
        refused(bench.manager.transfer_file("b.txt").await, ErrorKind::Missing, &["dag/unit/b.txt"]);
    })
    .await;
}

#[tokio::test]
async fn a_second_transfer_replaces_what_is_there() {
    on_every_storage(async |bench| {
        let handle = bench.output("a.txt", "1");
        bench.manager.transfer().await.expect("transferred");
        bench.write("a.txt", "22");
        bench.manager.transfer().await.expect("transferred");
        assert_eq!(bench.manager.load(&handle).await.expect("loaded"), "22");
    })
    .await;
}

#[tokio::test]
async fn a_transfer_that_must_be_new_can_be_repeated_with_the_same_content() {
    on_every_storage(async |bench| {
        bench.output("a.txt", "1");
        let first = bench.manager.transfer_with(&StoreOptions::create()).await.expect("new");
        assert_eq!(bench.manager.transfer_with(&StoreOptions::create()).await.expect("the same"), first);
        bench.output("b.txt", "2");
        let both = bench.manager.transfer_with(&StoreOptions::create()).await.expect("one is new");
        assert_eq!(both.entries.len(), 2);
        assert_eq!(bench.listing().await, ["dag/unit/a.txt", "dag/unit/b.txt"]);
    })
    .await;
}

#[tokio::test]
async fn a_transfer_that_must_be_new_names_both_digests_of_other_content_and_stores_nothing() {
    on_every_storage(async |bench| {
        bench.store("dag/unit/b.txt", "old").await;
        bench.output("a.txt", "1");
        bench.output("b.txt", "new");
        let digests = [Digest::of(b"old").to_string(), Digest::of(b"new").to_string()];
        let result = bench.manager.transfer_with(&StoreOptions::create()).await;
        refused(result, ErrorKind::AlreadyExists, &["dag/unit/b.txt", &digests[0], &digests[1]]);
        assert_eq!(bench.listing().await, ["dag/unit/b.txt"]);
    })
    .await;
}

#[tokio::test]
async fn partial_outputs_go_under_the_name_of_the_attempt_and_replace_nothing() {
    on_every_storage(async |bench| {
        bench.output("a.txt", "half");
        bench.manager.register("never.txt").expect("legal");
        let receipt = bench.manager.transfer_partial(2).await.expect("kept");
        assert_eq!(receipt.entries[0].handle.to_string(), "dag/unit.2/a.txt");
        assert_eq!(bench.listing().await, ["dag/unit.2/a.txt"]);
        bench.write("a.txt", "other");
        refused(bench.manager.transfer_partial(2).await, ErrorKind::AlreadyExists, &["dag/unit.2/a.txt"]);
    })
    .await;
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_transferred_is_changed_and_nothing_is_published() {
    let (memory, scratch) = (MemoryStorage::new(), tempfile::tempdir().expect("a temporary folder"));
    let victim = scratch.path().join("b.txt");
    let storage = meddled(&memory, "b.txt", move || fs::write(&victim, "longer than it was").expect("written"));
    let manager = StorageManager::new(scratch.path(), storage, Namespace::new("dag", "unit").expect("labels"));
    for name in ["a.txt", "b.txt"] {
        fs::write(scratch.path().join(name), "short").expect("written");
        manager.register(name).expect("legal");
    }
    refused(manager.transfer().await, ErrorKind::Changed, &["b.txt"]);
    let left: Vec<Location> = memory.iter_contents("").try_collect().await.expect("listed");
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_failed_transfer_leaves_what_was_there_before() {
    let (memory, scratch) = (MemoryStorage::new(), tempfile::tempdir().expect("a temporary folder"));
    memory.store_bytes(&at("dag/unit/a.txt"), "before".into()).await.expect("stored");
    let victim = scratch.path().join("c.txt");
    let storage = meddled(&memory, "c.txt", move || fs::remove_file(&victim).expect("removed"));
    let manager = StorageManager::new(scratch.path(), storage, Namespace::new("dag", "unit").expect("labels"));
    for name in ["a.txt", "b.txt", "c.txt"] {
        fs::write(scratch.path().join(name), "new").expect("written");
        manager.register(name).expect("legal");
    }
    refused(manager.transfer().await, ErrorKind::Missing, &["c.txt"]);
    let left: Vec<Location> = memory.iter_contents("").try_collect().await.expect("listed");
    assert_eq!(left, [at("dag/unit/a.txt")]);
}

#[tokio::test]
async fn racing_transfers_of_the_same_new_content_all_succeed() {
    let (memory, scratch) = (MemoryStorage::new(), tempfile::tempdir().expect("a temporary folder"));
    let rival = memory.clone();
    // The rival stores b.txt after this transfer has stored a.txt and before it stores b.txt.
    let storage = meddled(&memory, "b.txt", move || {
        let _ = blocking::wait(rival.store(&at("dag/unit/b.txt"), "same".into(), &StoreOptions::create()));
    });
    let manager = StorageManager::new(scratch.path(), storage, Namespace::new("dag", "unit").expect("labels"));
    for name in ["a.txt", "b.txt", "c.txt"] {
        fs::write(scratch.path().join(name), "same").expect("written");
        manager.register(name).expect("legal");
    }
    let receipt = manager.transfer_with(&StoreOptions::create()).await.expect("the same");
    assert_eq!(receipt.entries.len(), 3);
}

#[tokio::test]
async fn a_transfer_is_one_batch() {
    let (memory, scratch) = (MemoryStorage::new(), tempfile::tempdir().expect("a temporary folder"));
    let recording = RecordingStorage::new(Arc::new(memory));
    let storage = Arc::new(recording.clone());
    let manager = StorageManager::new(scratch.path(), storage, Namespace::new("dag", "unit").expect("labels"));
    for name in ["b.txt", "a.txt"] {
        fs::write(scratch.path().join(name), name).expect("written");
        manager.register(name).expect("legal");
    }
    manager.transfer().await.expect("transferred");
    let lines = recording.lines();
    assert_eq!(lines, ["iterate dag/unit/", "store dag/unit/a.txt", "store dag/unit/b.txt"], "sorted");
}

/// Does something just before an object of this name is stored.
struct Meddler<F> {
    name: &'static str,
    meddle: F,
}

fn meddled(
    memory: &MemoryStorage,
    name: &'static str,
    meddle: impl Fn() + Send + Sync + 'static,
) -> Arc<dyn ExternalStorage> {
    Arc::new(Intercepted::with_interceptor(Arc::new(memory.clone()), Meddler { name, meddle }))
}

impl<F> fmt::Debug for Meddler<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meddler")
    }
}

#[async_trait]
impl<F: Fn() + Send + Sync + 'static> Intercept for Meddler<F> {
    async fn before(&self, operation: &Operation) -> Result<Outcome> {
        match operation {
            Operation::Store { location, .. } if location.file_name() == self.name => (self.meddle)(),
            _ => {}
        }
        Ok(Outcome::default())
    }
}
