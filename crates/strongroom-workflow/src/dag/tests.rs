mod again;

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use serde_json::{Value, json};
use strongroom_content::{ContentConfig, ContentStorage, OpenOptions};
use strongroom_storage::{ByteRange, ErrorKind, ExternalStorage, FileStorage, MemoryStorage};
use strongroom_testkit::{Fault, FaultyStorage};
use tempfile::TempDir;

use super::*;
use crate::context::UnitContext;
use crate::handle::Handle;
use crate::unit::UnitError;

struct Bench {
    folder: TempDir,
    shared: FaultyStorage,
    permanent: FaultyStorage,
    storages: Storages,
    options: RunOptions,
}

impl Bench {
    fn new() -> Self {
        Self::over([(); 2].map(|()| -> Arc<dyn ExternalStorage> { Arc::new(MemoryStorage::new()) }))
    }

    /// Where batches are atomic.
    async fn on_content() -> Self {
        let store = async || -> Arc<dyn ExternalStorage> {
            let backend = Arc::new(MemoryStorage::new());
            let store = ContentStorage::create(backend, ContentConfig::default(), OpenOptions::default()).await;
            store.expect("a store").into()
        };
        Self::over([store().await, store().await])
    }

    fn over(storages: [Arc<dyn ExternalStorage>; 2]) -> Self {
        let [shared, permanent] = storages.map(FaultyStorage::new);
        let storages = Storages::new(Arc::new(shared.clone()), Arc::new(permanent.clone()));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = RunOptions::new(folder.path());
        Self { folder, shared, permanent, storages, options }
    }

    async fn run(&self, dag: &Dag) -> DagResult {
        let result = run_dag(dag, &self.storages, &self.options).await.expect("a legal DAG");
        let litter: Vec<_> = fs::read_dir(self.folder.path()).expect("there").collect();
        assert!(self.options.keep_scratch || litter.is_empty(), "{litter:?}");
        result
    }

    /// What is in shared storage, and in permanent storage but remembered results.
    async fn listings(&self) -> [Vec<String>; 2] {
        let [shared, mut permanent] = [listing(&**self.shared.inner()).await, listing(&**self.permanent.inner()).await];
        permanent.retain(|location| !location.contains(".results/"));
        [shared, permanent]
    }
}

async fn listing(storage: &dyn ExternalStorage) -> Vec<String> {
    let mut all: Vec<Location> = storage.iter_contents("").try_collect().await.expect("listed");
    all.sort();
    all.iter().map(ToString::to_string).collect()
}

/// Registers a file with content.
fn output(manager: &crate::StorageManager, name: &str, content: &str) -> Result<Handle, UnitError> {
    let handle = manager.register(name)?;
    fs::write(manager.scratch_dir().join(name), content)?;
    Ok(handle)
}

/// A unit that puts its name, and what the units before it gave, into a file in shared storage.
fn chain(name: &str, after: &[&str], runs: &Arc<Mutex<Vec<String>>>) -> Unit {
    let (own, runs) = (name.to_string(), runs.clone());
    let unit = Unit::new(name, move |context| {
        runs.lock().expect("no panic").push(own.clone());
        let mut text = own.clone();
        for before in context.results.keys() {
            text += &String::from_utf8(context.load(&context.result(before)?)?.to_vec())?;
        }
        output(&context.permanent, "copy.txt", &text)?;
        Ok(json!(output(&context.shared, "text.txt", &text)?))
    });
    after.iter().fold(unit, |unit, name| unit.after(*name))
}

fn ran(runs: &Mutex<Vec<String>>) -> Vec<String> {
    std::mem::take(&mut runs.lock().expect("no panic"))
}

#[tokio::test]
async fn units_run_in_dependency_order_and_load_what_those_before_them_stored() {
    let (bench, runs) = (Bench::new(), Arc::default());
    let dag = Dag::new("dag").with(chain("c", &["a", "b"], &runs)).with(chain("b", &["a"], &runs));
    let result = bench.run(&dag.with(chain("a", &[], &runs))).await;
    assert_eq!(ran(&runs), ["a", "b", "c"]);
    let result = result.into_result().expect("no failure");
    assert!(result.warnings.is_empty() && result.not_run.is_empty(), "{result:?}");
    let handle: Handle = result.value("c").expect("a handle");
    assert_eq!(handle.to_string(), "dag/c/text.txt");
    let copy = bench.permanent.load_bytes(&Location::parse("dag/c/copy.txt").expect("legal"), ByteRange::All).await;
    assert_eq!(copy.expect("loaded"), "caba");
}

#[tokio::test]
async fn shared_storage_is_cleared_at_the_end_of_the_dag_and_only_of_this_one() {
    let (bench, runs) = (Bench::new(), Arc::default());
    let others = ["dag-2/a/text.txt", "other"].map(|location| Location::parse(location).expect("legal"));
    for location in &others {
        bench.shared.store_bytes(location, "1".into()).await.expect("stored");
    }
    bench.run(&Dag::new("dag").with(chain("a", &[], &runs))).await;
    assert_eq!(bench.listings().await, [vec!["dag-2/a/text.txt", "other"], vec!["dag/a/copy.txt"]]);
}

#[tokio::test]
async fn shared_storage_is_left_when_it_is_to_be_kept_and_can_be_cleared_later() {
    let (mut bench, runs) = (Bench::new(), Arc::default());
    bench.options = bench.options.clone().with_keep_shared(true);
    bench.run(&Dag::new("dag").with(chain("a", &[], &runs))).await;
    assert_eq!(bench.listings().await[0], ["dag/a/text.txt"]);
    assert_eq!(clear_shared("dag", &bench.storages).await.expect("cleared"), 1);
    assert_eq!(bench.listings().await[0], [""; 0]);
    assert_eq!(clear_shared("dag", &bench.storages).await.expect("nothing to do"), 0);
}

#[tokio::test]
async fn storage_that_is_shared_and_permanent_is_never_cleared() {
    let runs = Arc::default();
    let root = tempfile::tempdir().expect("a temporary folder");
    let memory = MemoryStorage::new();
    let one: Arc<dyn ExternalStorage> = Arc::new(memory.clone());
    let files = || -> Arc<dyn ExternalStorage> { Arc::new(FileStorage::new(root.path())) };
    for storages in [
        Storages::new(one.clone(), one),
        Storages::new(Arc::new(memory.clone()), Arc::new(memory.clone())),
        Storages::new(files(), files()),
    ] {
        let permanent = storages.get(&StorageName::permanent()).expect("there").clone();
        let bench = Bench { storages, ..Bench::new() };
        bench.run(&Dag::new("dag").with(chain("a", &[], &runs))).await.into_result().expect("no failure");
        let left: Vec<_> = listing(&*permanent).await.into_iter().filter(|name| !name.contains(".results/")).collect();
        assert_eq!(left, ["dag/a/copy.txt", "dag/a/text.txt"]);
    }
}

#[tokio::test]
async fn a_label_that_means_everything_clears_nothing() {
    let bench = Bench::new();
    bench.shared.store_bytes(&Location::parse("a/b/c").expect("legal"), "1".into()).await.expect("stored");
    for label in ["", ".", "..", "a/b"] {
        assert_eq!(clear_shared(label, &bench.storages).await.expect_err(label).kind(), ErrorKind::Invalid);
    }
    assert_eq!(bench.listings().await[0], ["a/b/c"]);
}

#[tokio::test]
async fn a_failed_unit_publishes_nothing_under_its_name_and_its_own_error_is_reported() {
    let bench = Bench::new();
    let unit = Unit::new("a", |context| {
        output(&context.permanent, "half.txt", "ha")?;
        output(&context.shared, "half.txt", "ha")?;
        context.permanent.register("never.txt")?;
        fs::write(context.stderr.join("log"), "about to fail")?;
        let number: u32 = "seven".parse()?;
        Ok(json!(number))
    });
    let result = bench.run(&Dag::new("dag").with(unit).with(Unit::new("b", |_| Ok(Value::Null)).after("a"))).await;
    assert_eq!(result.not_run, ["b"]);
    let failure = result.into_result().expect_err("it fails");
    assert_eq!(failure.error, "invalid digit found in string");
    assert_eq!(failure.attempt, "dag/a.1");
    assert_eq!(failure.notes, ["dag/a/never.txt was registered, but never written"]);
    assert_eq!(failure.permanent.entries[0].handle.to_string(), "dag/a.1/half.txt");
    assert_eq!(failure.stderr["log"], "about to fail");
    assert_eq!(bench.listings().await, [vec![], vec!["dag/a.1/half.txt"]]);
}

#[tokio::test]
async fn a_unit_that_never_wrote_what_it_registered_has_failed() {
    let bench = Bench::new();
    let unit = Unit::new("a", |context| {
        output(&context.permanent, "a.txt", "1")?;
        Ok(json!(context.permanent.register("never.txt")?))
    });
    let failure = bench.run(&Dag::new("dag").with(unit)).await.into_result().expect_err("it fails");
    assert!(failure.error.contains("never written: dag/a/never.txt"), "{failure}");
    assert_eq!(bench.listings().await[1], ["dag/a.1/a.txt"]);
}

#[tokio::test]
async fn partial_files_are_not_kept_when_they_are_not_wanted() {
    let mut bench = Bench::new();
    bench.options = bench.options.clone().with_keep_partial(false);
    let unit = Unit::new("a", |context| {
        output(&context.permanent, "half.txt", "ha")?;
        Err("no".into())
    });
    bench.run(&Dag::new("dag").with(unit)).await.into_result().expect_err("it fails");
    assert_eq!(bench.listings().await, [[""; 0], [""; 0]]);
}

#[tokio::test]
async fn a_failed_unit_is_tried_again_and_only_the_success_publishes() {
    let mut bench = Bench::new();
    bench.options = bench.options.clone().with_retries(2);
    let tries = AtomicUsize::new(0);
    let unit = Unit::new("a", move |context| {
        let number = tries.fetch_add(1, Ordering::Relaxed);
        output(&context.permanent, "a.txt", &format!("try {number}"))?;
        if number < 2 { Err(format!("failed {number}").into()) } else { Ok(json!(context.number())) }
    });
    let result = bench.run(&Dag::new("dag").with(unit)).await.into_result().expect("the third works");
    assert_eq!(result.value::<u32>("a").expect("a number"), 3);
    let errors: Vec<_> = result.units[0].earlier.iter().map(|failure| failure.to_string()).collect();
    assert_eq!(errors, ["run dag/a.1: failed 0", "run dag/a.2: failed 1"]);
    assert_eq!(bench.listings().await[1], ["dag/a.1/a.txt", "dag/a.2/a.txt", "dag/a/a.txt"]);
}

#[tokio::test]
async fn after_the_last_retry_the_dag_stops_and_what_was_done_is_in_the_result() {
    let (mut bench, runs) = (Bench::new(), Arc::default());
    bench.options = bench.options.clone().with_retries(1).with_parallel(1);
    let dag = Dag::new("dag")
        .with(chain("a", &[], &runs))
        .with(Unit::new("b", |_| Err("no".into())).after("a"))
        .with(chain("c", &["a"], &runs))
        .with(chain("d", &["b"], &runs));
    let result = bench.run(&dag).await;
    assert_eq!(ran(&runs), ["a"]);
    assert_eq!(result.not_run, ["c", "d"]);
    assert!(result.get("a").expect("it ran").outcome.is_ok());
    let failed = result.get("b").expect("it ran");
    assert_eq!((failed.earlier.len(), failed.outcome.is_err()), (1, true));
    assert!(result.value::<Value>("b").expect_err("it failed").to_string().contains("run dag/b.2: no"));
    assert_eq!(bench.listings().await[0], [""; 0], "shared storage is cleared after a failure too");
}

#[tokio::test]
async fn a_panic_is_a_failure_with_its_text() {
    let bench = Bench::new();
    let unit = Unit::new("a", |context| {
        output(&context.permanent, "a.txt", "1")?;
        panic!("step {} blew up", 17)
    });
    let failure = bench.run(&Dag::new("dag").with(unit)).await.into_result().expect_err("it fails");
    assert_eq!(failure.error, "panicked: step 17 blew up");
}

#[tokio::test]
async fn units_that_do_not_need_each_other_run_at_the_same_time_up_to_the_limit() {
    // Each of two units waits for the other: with a limit of one they would never end.
    let mut bench = Bench::new();
    bench.options = bench.options.clone().with_parallel(2);
    let ([to_a, to_b], [from_b, from_a]) = {
        let ((to_a, from_b), (to_b, from_a)) = (mpsc::channel(), mpsc::channel());
        ([to_a, to_b], [Mutex::new(from_b), Mutex::new(from_a)])
    };
    let meet = |to: mpsc::Sender<()>, from: Mutex<mpsc::Receiver<()>>| {
        move |_: &UnitContext| {
            to.send(())?;
            from.lock().expect("no panic").recv()?;
            Ok(Value::Null)
        }
    };
    let dag = Dag::new("dag").with(Unit::new("a", meet(to_b, from_b))).with(Unit::new("b", meet(to_a, from_a)));
    bench.run(&dag).await.into_result().expect("they met");
}

#[tokio::test]
async fn never_more_units_run_at_once_than_the_limit_says() {
    let mut bench = Bench::new();
    bench.options = bench.options.clone().with_parallel(2);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut dag = Dag::new("dag");
    for number in 0..8 {
        let (now, most) = (now.clone(), most.clone());
        dag = dag.with(Unit::new(number.to_string(), move |_| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::yield_now();
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(Value::Null)
        }));
    }
    bench.run(&dag).await.into_result().expect("no failure");
    assert!(most.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn when_storage_fails_every_error_is_told_and_scratch_is_removed() {
    let bench = Bench::new();
    for storage in [&bench.shared, &bench.permanent] {
        storage.fail_all(Fault::Refused(ErrorKind::Unavailable), |operation| operation.is_write());
    }
    let unit = Unit::new("a", |context| {
        output(&context.permanent, "p.txt", "1")?;
        output(&context.shared, "s.txt", "1")?;
        Ok(Value::Null)
    });
    let failure = bench.run(&Dag::new("dag").with(unit)).await.into_result().expect_err("it fails");
    assert!(failure.error.contains("dag/a/s.txt"), "{failure}");
    assert_eq!(failure.notes.len(), 2, "{failure}");
    assert!(failure.notes[1].contains("dag/a.1/p.txt"), "{failure}");
}

#[tokio::test]
async fn whichever_request_fails_a_failed_unit_has_nothing_under_its_name_and_a_good_one_everything() {
    let unit = || {
        Unit::new("a", |context| {
            output(&context.permanent, "1.txt", "1")?;
            output(&context.permanent, "2.txt", "2")?;
            output(&context.shared, "3.txt", "3")?;
            output(&context.shared, "4.txt", "4")?;
            Ok(Value::Null)
        })
    };
    let faults = [Fault::Refused(ErrorKind::Unavailable), Fault::AnswerLost(ErrorKind::Unavailable)];
    for (fault, on_content) in faults.into_iter().flat_map(|fault| [(fault, false), (fault, true)]) {
        for shared in [false, true] {
            for n in 0.. {
                let mut bench = if on_content { Bench::on_content().await } else { Bench::new() };
                bench.options = bench.options.clone().with_keep_shared(true);
                let faulty = if shared { &bench.shared } else { &bench.permanent };
                faulty.fail_nth(n, fault);
                let result = bench.run(&Dag::new("dag").with(unit())).await;
                if faulty.struck() == 0 {
                    assert!(n >= 3, "it takes more requests than that");
                    break;
                }
                faulty.heal();
                let own =
                    bench.listings().await.map(|names| names.iter().filter(|name| name.starts_with("dag/a/")).count());
                let expected = if result.units[0].outcome.is_ok() { 2 } else { 0 };
                assert_eq!(own, [expected; 2], "request {n}, {fault:?}, {on_content}, {shared}: {result:?}");
            }
        }
    }
}

#[tokio::test]
async fn captured_output_is_in_the_result_and_scratch_stays_when_it_is_to_be_kept() {
    let mut bench = Bench::new();
    bench.options = bench.options.clone().with_keep_scratch(true);
    let unit = Unit::new("a", |context| {
        fs::write(context.stdout.join("engine"), "hello")?;
        Ok(json!(context.scratch))
    });
    let result = bench.run(&Dag::new("dag").with(unit)).await;
    let success = result.get("a").expect("it ran").outcome.as_ref().expect("no failure");
    assert_eq!(success.stdout["engine"], "hello");
    assert!(success.stderr.is_empty());
    assert!(result.value::<std::path::PathBuf>("a").expect("a path").is_dir());
}

#[tokio::test]
async fn a_result_of_a_dag_is_saved_and_read_back() {
    let (bench, runs) = (Bench::new(), Arc::default());
    let dag = Dag::new("dag").with(chain("a", &[], &runs)).with(Unit::new("b", |_| Err("no".into())).after("a"));
    let result = bench.run(&dag).await;
    let json = serde_json::to_string(&result).expect("JSON");
    assert_eq!(serde_json::from_str::<DagResult>(&json).expect("a result"), result);
}

#[test]
fn a_run_that_is_dropped_publishes_nothing_and_its_directories_go_when_the_work_ends() {
    let bench = Bench::new();
    let ((begun, has_begun), (go_on, may_go_on)) = (mpsc::channel::<()>(), mpsc::channel::<()>());
    let (may_go_on, begun) = (Mutex::new(may_go_on), Mutex::new(Some(begun)));
    let unit = Unit::new("a", move |context| {
        output(&context.permanent, "a.txt", "1")?;
        drop(begun.lock().expect("no panic").take());
        let _ = may_go_on.lock().expect("no panic").recv();
        Ok(Value::Null)
    });
    let dag = Dag::new("dag").with(unit);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let begun = unblock(move || Ok(has_begun.recv().is_ok()));
        let run = std::pin::pin!(run_dag(&dag, &bench.storages, &bench.options));
        futures::future::select(std::pin::pin!(begun), run).await;
    });
    let folder = bench.folder.path().join("dag/a.1");
    assert!(folder.is_dir(), "the work is under way");
    drop(go_on);
    drop(runtime); // waits for the work
    assert!(!folder.exists());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    assert_eq!(runtime.block_on(bench.listings()), [[""; 0], [""; 0]]);
}

#[tokio::test]
async fn storages_without_shared_or_permanent_are_refused() {
    let bench = Bench::new();
    let storages = Storages::default().with(StorageName::permanent(), Arc::new(MemoryStorage::new()));
    let error = run_dag(&Dag::new("dag"), &storages, &bench.options).await.expect_err("no shared storage");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("shared"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_dag_can_be_run_by_a_task_of_its_own() {
    let bench = Bench::new();
    let (storages, options) = (bench.storages.clone(), bench.options.clone());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let dag = Dag::new("dag").with(Unit::new("a", |_| Ok(json!(7))));
        run_dag(&dag, &storages, &options).await
    });
    let result = tasks.join_next().await.expect("one").expect("no panic").expect("it runs");
    assert_eq!(result.value::<i64>("a").expect("a value"), 7);
}
