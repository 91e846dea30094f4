use std::sync::Arc;

use futures::TryStreamExt;
use strongroom_storage::{ExternalStorage, MemoryStorage};
use strongroom_testkit::{Fault, FaultyStorage};
use tempfile::TempDir;

use super::*;

struct Bench {
    folder: TempDir,
    shared: Arc<dyn ExternalStorage>,
    permanent: FaultyStorage,
    storages: Storages,
}

impl Bench {
    fn new() -> Self {
        let shared: Arc<dyn ExternalStorage> = Arc::new(MemoryStorage::new());
        let permanent = FaultyStorage::new(Arc::new(MemoryStorage::new()));
        let storages = Storages::new(shared.clone(), Arc::new(permanent.clone()));
        Self { folder: tempfile::tempdir().expect("a temporary folder"), shared, permanent, storages }
    }

    async fn context(&self) -> UnitContext {
        let unit = Namespace::new("dag", "unit").expect("labels");
        UnitContext::create(&unit, &self.storages, self.folder.path()).await.expect("a context")
    }

    /// What is in shared and in permanent storage.
    async fn listings(&self) -> [Vec<String>; 2] {
        [listing(&*self.shared).await, listing(&**self.permanent.inner()).await]
    }

    fn folders(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.folder.path().join("dag")) else { return Vec::new() };
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

async fn listing(storage: &dyn ExternalStorage) -> Vec<String> {
    let mut all: Vec<Location> = storage.iter_contents("").try_collect().await.expect("listed");
    all.sort();
    all.iter().map(ToString::to_string).collect()
}

fn output(manager: &StorageManager, name: &str, content: &str) -> Handle {
    fs::write(manager.scratch_dir().join(name), content).expect("written");
    manager.register(name).expect("legal")
}

#[tokio::test]
async fn handles_say_which_storage_they_belong_to_and_the_context_opens_both() {
    let bench = Bench::new();
    let context = bench.context().await;
    let shared = output(&context.shared, "a.txt", "for the others");
    let permanent = output(&context.permanent, "b.txt", "for ever");
    let json = serde_json::to_string(&[&shared, &permanent]).expect("JSON");
    context.publish().await.expect("published");
    let later = bench.context().await;
    let read: Vec<Handle> = serde_json::from_str(&json).expect("handles");
    assert_eq!(later.load(&read[0]).expect("loaded"), "for the others");
    assert_eq!(later.load(&read[1]).expect("loaded"), "for ever");
    assert_eq!(later.load_range(&read[1], 4..).expect("loaded"), "ever");
    let path = later.load_path(&read[0]).expect("a path");
    assert_eq!(fs::read_to_string(path.path()).expect("read"), "for the others");
    assert_eq!(bench.listings().await, [["dag/unit/a.txt"], ["dag/unit/b.txt"]]);
}

#[tokio::test]
async fn a_second_permanent_storage_and_one_that_has_moved_are_found_by_name() {
    let bench = Bench::new();
    let old = StorageName::new("lab-2").expect("name");
    let moved: Arc<dyn ExternalStorage> = Arc::new(MemoryStorage::new());
    let handle = Handle::new(old.clone(), Location::parse("dag/unit/a.txt").expect("location"));
    moved.store_bytes(handle.location(), "1".into()).await.expect("stored");
    assert!(bench.context().await.load(&handle).expect_err("unknown").to_string().contains("lab-2"));
    let bench = Bench { storages: bench.storages.clone().with(old, moved), ..bench };
    assert_eq!(bench.context().await.load(&handle).expect("loaded"), "1");
}

#[tokio::test]
async fn every_attempt_has_directories_and_a_number_of_its_own() {
    let bench = Bench::new();
    let first = bench.context().await;
    let second = bench.context().await;
    assert_eq!((first.number(), second.number()), (1, 2));
    assert_eq!(second.attempt(), "dag/unit.2");
    assert_ne!(first.scratch, second.scratch);
    assert_eq!(bench.folders(), ["unit.1", "unit.2"]);
    first.close().await.expect("removed");
    drop(second);
    assert_eq!(bench.folders(), [""; 0]);
}

#[tokio::test]
async fn attempts_of_a_later_run_do_not_replace_what_earlier_ones_kept() {
    let bench = Bench::new();
    for content in ["first", "second"] {
        let context = bench.context().await;
        output(&context.permanent, "a.txt", content);
        let (kept, errors) = context.keep_partial().await;
        assert!(errors.is_empty() && kept.shared.entries.is_empty(), "{errors:?}");
        context.close().await.expect("removed");
    }
    assert_eq!(bench.listings().await[1], ["dag/unit.1/a.txt", "dag/unit.2/a.txt"]);
}

#[tokio::test]
async fn kept_directories_stay_and_the_next_attempt_leaves_them_alone() {
    let bench = Bench::new();
    let context = bench.context().await.with_keep_scratch(true);
    fs::write(context.scratch.join("a.txt"), "1").expect("written");
    context.close().await.expect("nothing to do");
    drop(context);
    assert_eq!(bench.context().await.number(), 2);
    assert_eq!(bench.folders(), ["unit.1"]);
}

#[tokio::test]
async fn publishing_names_all_missing_files_of_both_storages_and_stores_nothing() {
    let bench = Bench::new();
    let context = bench.context().await;
    output(&context.shared, "there.txt", "1");
    context.shared.register("a.txt").expect("legal");
    context.permanent.register("b.txt").expect("legal");
    let error = context.publish().await.expect_err("missing");
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert!(error.to_string().ends_with("dag/unit/a.txt, dag/unit/b.txt"), "{error}");
    assert_eq!(bench.listings().await, [[""; 0], [""; 0]]);
}

#[tokio::test]
async fn when_permanent_storage_fails_nothing_stays_in_shared_under_the_units_name() {
    let bench = Bench::new();
    let context = bench.context().await;
    output(&context.shared, "a.txt", "1");
    output(&context.permanent, "b.txt", "2");
    bench.permanent.fail_all(Fault::Refused(ErrorKind::Unavailable), |operation| operation.is_write());
    assert_eq!(context.publish().await.expect_err("refused").kind(), ErrorKind::Unavailable);
    assert_eq!(bench.listings().await, [[""; 0], [""; 0]]);
    let (kept, errors) = context.keep_partial().await;
    assert_eq!((kept.shared.entries.len(), errors.len()), (1, 1), "the other storage is tried all the same");
    assert_eq!(bench.listings().await[0], ["dag/unit.1/a.txt"]);
}

#[tokio::test]
async fn captured_text_is_that_of_the_files_in_the_two_directories() {
    let bench = Bench::new();
    let context = bench.context().await;
    fs::write(context.stdout.join("engine.log"), "step 1\n").expect("written");
    fs::write(context.stderr.join("engine.log"), b"odd \xff byte").expect("written");
    fs::create_dir(context.stderr.join("deeper")).expect("made");
    let (stdout, stderr) = context.captured().await.expect("read");
    assert_eq!(stdout, Captured::from([("engine.log".into(), "step 1\n".into())]));
    assert_eq!(stderr, Captured::from([("engine.log".into(), "odd \u{fffd} byte".into())]));
}
