//! The names log: dense versions, whole batches, every version as it was, the head found however the backend lists.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use strongroom_content::{ContentStorage, Difference, OpenOptions, PutOptions, Version};
use strongroom_storage::{ByteRange, ErrorKind, ExternalStorage, StoreMode};
use strongroom_testkit::{Operation, RecordingStorage, TestHost};
use tokio::task::JoinSet;

use crate::folding::FoldingStorage;
use crate::lagging::LaggingStorage;
use crate::support::{
    Backend, assert_no_problems, at, commits, create, files, load, memory, namespace, noise, open, picture, put,
    remote, small_chunks, verify,
};
use crate::traps::trapped;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_commits_of_many_handles_are_all_made_once_and_never_seen_by_half() {
    const HANDLES: u64 = 8;
    const COMMITS: u64 = 20;
    let backend = memory();
    create(&backend, small_chunks()).await;
    let racing: Backend = Arc::new(trapped(&backend));
    let mut tasks = JoinSet::new();
    for handle in 0..HANDLES {
        let racing = racing.clone();
        tasks.spawn(async move {
            let store = open(&racing).await;
            for n in 0..COMMITS {
                let value = noise(handle * 1000 + n, 100);
                let mut batch = store.batch();
                batch
                    .put(at("a/pair.1"), value.clone(), PutOptions::default())
                    .put(at("a/pair.2"), value.clone(), PutOptions::default())
                    .put(at(&format!("a/{handle}.{n}")), value, PutOptions::default().with_mode(StoreMode::Create));
                batch.commit().await.expect("commit");
            }
        });
    }
    for _ in 0..2 {
        let racing = racing.clone();
        tasks.spawn(async move {
            let store = open(&racing).await;
            let mut last = Version::default();
            while last.get() < HANDLES * COMMITS {
                let snapshot = store.snapshot(&namespace("a")).await.expect("snapshot");
                assert!(snapshot.version() >= last, "time goes forward");
                last = snapshot.version();
                let objects: Vec<_> = snapshot.objects("").await.expect("list").try_collect().await.expect("list");
                let of = |name: &str| objects.iter().find(|object| object.location().as_str() == name);
                assert_eq!(of("a/pair.1").map(|o| o.digest()), of("a/pair.2").map(|o| o.digest()));
                assert_eq!(objects.len() as u64, if last.get() == 0 { 0 } else { last.get() + 2 });
                tokio::task::yield_now().await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a task");
    }
    assert_eq!(commits(&backend).await["a"], HANDLES * COMMITS);
    assert_eq!(files(&backend, "names/a/@/").await.len() as u64, HANDLES * COMMITS, "no version is left out");
    let store = open(&backend).await;
    for handle in 0..HANDLES {
        for n in 0..COMMITS {
            let bytes = load(&store, &format!("a/{handle}.{n}")).await.expect("acknowledged");
            assert_eq!(bytes, noise(handle * 1000 + n, 100));
        }
    }
    let log = store.log(&namespace("a"), None).await.expect("log");
    let mut ids: Vec<_> = log.iter().map(|commit| commit.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len() as u64, HANDLES * COMMITS);
    assert_eq!(files(&backend, "gc/").await, []);
    assert_no_problems(&verify(&backend, true).await, "raced");
}

type Model = BTreeMap<String, u64>;

/// Commits at random to `many` until its state is some 200 KiB; returns what each version has.
async fn random_history(store: &ContentStorage, versions: u64) -> Vec<Model> {
    let mut history = vec![Model::new()];
    let mut dice = noise(42, 1 << 20).into_iter();
    let mut roll = |sides: u64| {
        let [a, b] = [dice.next().expect("enough"), dice.next().expect("enough")];
        (u64::from(a) << 8 | u64::from(b)) % sides
    };
    for version in 1..=versions {
        let mut model = history.last().expect("one").clone();
        let mut batch = store.batch().with_message(format!("commit {version}"));
        let mut touched = BTreeMap::new();
        for _ in 0..=roll(40) {
            let name = format!("many/{:03}.{}", roll(400), roll(2));
            touched.insert(name, (roll(4) > 0).then(|| version * 1000 + roll(1000)));
        }
        for (name, value) in touched {
            match value {
                Some(seed) => {
                    batch.put(at(&name), noise(seed, 250), PutOptions::default());
                    model.insert(name, seed);
                }
                None => {
                    batch.remove_if_present(at(&name));
                    model.remove(&name);
                }
            }
        }
        let receipt = batch.commit().await.expect("commit");
        let made = receipt.versions[&namespace("many")].get();
        if made == history.len() as u64 {
            history.push(model);
        } else {
            assert_eq!(Some(&model), history.last(), "nothing changed");
        }
    }
    history
}

async fn check_version(store: &ContentStorage, version: usize, model: &Model) {
    let snapshot = store.snapshot_at(&namespace("many"), Version::new(version as u64)).await.expect("snapshot");
    let mut objects = snapshot.objects("").await.expect("list");
    let mut expected = model.iter();
    while let Some(object) = objects.try_next().await.expect("list") {
        let (name, seed) = expected.next().expect("no more than there should be");
        assert_eq!(object.location().as_str(), name, "version {version}");
        let bytes = object.load(ByteRange::All).await.expect("open").into_bytes().await.expect("read");
        assert!(bytes == noise(*seed, 250), "{name} at version {version}");
    }
    assert_eq!(expected.next(), None, "version {version}");
    for name in ["many/007.0", "many/133.1", "many/399.0"] {
        let missing = snapshot.find(&at(name)).await.map_err(|error| error.kind()).err();
        let expected = (!model.contains_key(name)).then_some(ErrorKind::Missing);
        assert_eq!(missing, expected, "{name} at version {version}");
    }
    let some: Vec<_> = snapshot.objects("13").await.expect("list").try_collect().await.expect("list");
    assert_eq!(some.len(), model.range("many/13".to_string().."many/14".to_string()).count());
}

#[tokio::test]
async fn every_version_of_a_large_namespace_stays_as_it_was() {
    for backend in [memory(), remote(&memory())] {
        let recording = RecordingStorage::new(backend.clone());
        let store = create(&(Arc::new(recording.clone()) as Backend), small_chunks()).await;
        let history = random_history(&store, 70).await;
        let fresh = open(&backend).await;
        for (version, model) in history.iter().enumerate() {
            check_version(&fresh, version, model).await;
        }
        check_version(&store, history.len() - 1, history.last().expect("one")).await;
        let newest = fresh.snapshot(&namespace("many")).await.expect("snapshot");
        assert_eq!(newest.version().get(), history.len() as u64 - 1);

        let log = fresh.log(&namespace("many"), None).await.expect("log");
        assert_eq!(log.len(), history.len() - 1);
        assert!(log.is_sorted_by(|a, b| a.version > b.version));
        assert_eq!(log[0].message, format!("commit {}", 70));
        for (earlier, later) in [(0, 1), (3, 4), (17, 50), (50, 17), (0, history.len() - 1)] {
            let [before, after] = [earlier, later].map(|version| {
                let fresh = &fresh;
                async move { fresh.snapshot_at(&namespace("many"), Version::new(version as u64)).await }
            });
            let differences = before.await.expect("one").diff(&after.await.expect("other")).await.expect("diff");
            let mut patched = history[earlier].clone();
            for difference in differences {
                let name = difference.object().location().to_string();
                let known = history[earlier].get(&name);
                let wanted = history[later].get(&name);
                match difference {
                    Difference::Added(_) => assert!(known.is_none() && wanted.is_some()),
                    Difference::Removed(_) => assert!(known.is_some() && wanted.is_none()),
                    Difference::Changed { .. } => assert!(known != wanted && known.is_some() && wanted.is_some()),
                    _ => panic!("no other kind"),
                }
                match wanted {
                    Some(seed) => patched.insert(name, *seed),
                    None => patched.remove(&name),
                };
            }
            assert_eq!(patched, history[later]);
        }
        // Most commits write little: the state is read from several runs.
        let mut sizes = Vec::new();
        for file in files(&backend, "names/many/@/").await {
            sizes.push(backend.metadata(&file).await.expect("metadata").size);
        }
        assert!(sizes.iter().filter(|size| **size < 16 << 10).count() > history.len() / 3, "{sizes:?}");
        assert!(sizes.iter().any(|size| *size > 64 << 10), "{sizes:?}");
    }
}

#[tokio::test]
async fn the_head_is_found_when_all_other_versions_were_pruned() {
    for value in [3usize, 250] {
        let backend = memory();
        let host = Arc::new(TestHost::new(1));
        create(&backend, small_chunks()).await;
        let options = OpenOptions::default().with_host(host.clone());
        let cached = ContentStorage::open(backend.clone(), options).await.expect("open");
        for head in 1..=40u64 {
            let store = open(&backend).await;
            let mut batch = store.batch();
            for n in 0..if head == 1 { 300 } else { 2 } {
                batch.put(at(&format!("a/{n}.{head}")), noise(head * 1000 + n, value), PutOptions::default());
            }
            batch.commit().await.expect("commit");
            // A handle that knows an earlier head looks anew before what follows that can be gone.
            host.advance(Duration::from_secs(18 * 3600));
            if head % 5 == 0 {
                assert_eq!(cached.snapshot(&namespace("a")).await.expect("snapshot").version().get(), head);
            }
            let mut live = vec![head];
            while let Some(version) = live.last().map(|v| v & (v - 1)).filter(|version| *version > 0) {
                live.push(version);
            }
            for file in files(&backend, "names/a/@/").await {
                let version = (1 << 40) - u64::from_str_radix(file.file_name(), 16).expect("hexadecimal");
                if !live.contains(&version) {
                    backend.delete(&file).await.expect("prune");
                }
            }
            for backend in [backend.clone(), remote(&backend)] {
                let snapshot = open(&backend).await.snapshot(&namespace("a")).await.expect("snapshot");
                assert_eq!(snapshot.version().get(), head);
                for n in 0..2 {
                    snapshot.find(&at(&format!("a/{n}.{head}"))).await.expect("the newest");
                    snapshot.find(&at(&format!("a/{n}.1"))).await.expect("the oldest");
                }
            }
            assert_no_problems(&verify(&backend, false).await, "pruned");
        }
        assert_eq!(picture(&backend).await["a"].len(), 300 + 39 * 2);
    }
}

#[tokio::test]
async fn a_remote_backend_is_asked_forty_times_for_a_head_and_once_for_whether_it_moved() {
    let recording = RecordingStorage::new(remote(&memory()));
    let backend: Backend = Arc::new(recording.clone());
    let store = create(&backend, small_chunks()).await;
    for n in 0..5 {
        put(&store, &format!("a/{n}"), "1".into(), PutOptions::default()).await.expect("put");
    }
    let fresh = open(&backend).await;
    recording.take();
    load(&fresh, "a/0").await.expect("load");
    let asked = |operation: &Operation| matches!(operation, Operation::Exists { .. });
    assert_eq!((recording.count(asked), recording.operations().len()), (41, 42));
    recording.take();
    load(&fresh, "a/1").await.expect("load");
    assert_eq!((recording.count(asked), recording.operations().len()), (1, 1));
}

#[tokio::test]
async fn a_snapshot_stays_whatever_is_committed_afterwards() {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    put(&store, "a/b", "1".into(), PutOptions::default()).await.expect("put");
    put(&store, "a/c", "1".into(), PutOptions::default()).await.expect("put");
    let snapshot = store.snapshot(&namespace("a")).await.expect("snapshot");
    put(&open(&backend).await, "a/b", "2".into(), PutOptions::default()).await.expect("put");
    store.delete(&at("a/c")).await.expect("delete");
    for name in ["a/b", "a/c"] {
        let bytes = snapshot.find(&at(name)).await.expect("find").load(ByteRange::All).await.expect("open");
        assert_eq!(bytes.into_bytes().await.expect("read"), "1");
    }
    assert_eq!(store.snapshot(&namespace("a")).await.expect("snapshot").version().get(), 4);
}

#[tokio::test]
async fn a_namespace_whose_names_were_all_removed_goes_on() {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    for round in 0..3 {
        put(&store, "a/b", noise(round, 1000), PutOptions::default()).await.expect("put");
        assert_eq!(load(&open(&backend).await, "a/b").await.expect("load"), noise(round, 1000));
        store.delete(&at("a/b")).await.expect("delete");
        assert_eq!(picture(&backend).await.len(), 0);
        assert_eq!(open(&backend).await.find(&at("a/b")).await.expect_err("removed").kind(), ErrorKind::Missing);
    }
    assert_eq!(commits(&backend).await["a"], 6);
    assert_no_problems(&verify(&backend, true).await, "empty");
}

/// The answer to the creation of a version is lost, and the creation takes effect only when its writer has looked and found
/// nothing.
#[tokio::test]
async fn a_commit_that_takes_effect_after_its_answer_was_lost_is_made_once() {
    for mode in [StoreMode::Create, StoreMode::Overwrite] {
        for operations_later in 0..6 {
            let backend = memory();
            create(&backend, small_chunks()).await;
            let lagging = LaggingStorage::new(&backend);
            let store = open(&(Arc::new(lagging.clone()) as Backend)).await;
            put(&store, "a/old", "1".into(), PutOptions::default()).await.expect("put");
            lagging.lose_next_version(operations_later);
            let mut batch = store.batch();
            batch.put(at("a/new"), "2", PutOptions::default().with_mode(mode)).remove(at("a/old"));
            batch.commit().await.unwrap_or_else(|error| panic!("{operations_later} later: {error:?}"));
            lagging.deliver().await;
            assert_eq!(commits(&backend).await["a"], 2);
            assert_eq!(picture(&backend).await["a"].len(), 1);
            assert_eq!(load(&open(&backend).await, "a/new").await.expect("load"), "2");
            assert_no_problems(&verify(&backend, true).await, "late");
        }
    }
}

#[tokio::test]
async fn an_error_after_a_lost_answer_admits_that_it_may_have_happened() {
    let backend = memory();
    create(&backend, small_chunks()).await;
    let lagging = LaggingStorage::new(&backend);
    let store = open(&(Arc::new(lagging.clone()) as Backend)).await;
    lagging.lose_next_version(usize::MAX);
    lagging.refuse_versions_afterwards();
    let error = store.store_bytes(&at("a/new"), "1".into()).await.expect_err("refused");
    assert!(error.may_have_happened(), "{error:?}");
    lagging.deliver().await;
    assert_eq!(load(&open(&backend).await, "a/new").await.expect("load"), "1");
}

#[tokio::test]
async fn namespaces_of_any_name_are_listed_and_found() {
    store_and_find_odd_names(memory()).await;
}

#[tokio::test]
async fn names_that_differ_in_case_stay_apart_where_the_backend_folds_case() {
    store_and_find_odd_names(Arc::new(FoldingStorage::default())).await;
}

async fn store_and_find_odd_names(backend: Backend) {
    let store = create(&backend, small_chunks()).await;
    let long = "ä".repeat(120);
    let names = [
        "root file".to_string(),
        "@/at".into(),
        "@tags/at".into(),
        "%41/percent".into(),
        "A/capital".into(),
        "a/small".into(),
        "a/B/x".into(),
        "a/b/X".into(),
        "Ä/x".into(),
        "a/b".into(),
        "a/b/c".into(),
        "a/@/x".into(),
        "con:fig/\u{1f980}/x".into(),
        format!("{long}/x"),
        format!("{long}/{long}1/x"),
        format!("{long}/{long}2/deep/er/x"),
        format!("short/{long}/x"),
        "~/x".into(),
    ];
    let mut batch = store.batch();
    for (n, name) in names.iter().enumerate() {
        batch.put(at(name), noise(n as u64, 20), PutOptions::default());
    }
    batch.commit().await.expect("commit");
    for name in &names {
        for end in (0..=name.len()).filter(|end| name.is_char_boundary(*end)).step_by(7).chain([name.len()]) {
            let prefix = &name[..end];
            let mut listed: Vec<String> = open(&backend)
                .await
                .iter_contents(prefix)
                .map_ok(|location| location.to_string())
                .try_collect()
                .await
                .expect("list");
            let mut expected: Vec<String> = names.iter().filter(|name| name.starts_with(prefix)).cloned().collect();
            listed.sort();
            expected.sort();
            assert_eq!(listed, expected, "{prefix:?}");
        }
    }
    assert_eq!(picture(&backend).await.values().map(BTreeMap::len).sum::<usize>(), names.len());
    assert_no_problems(&verify(&backend, true).await, "odd names");
}
