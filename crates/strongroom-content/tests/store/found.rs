//! What was found and is taken away: only that, never what somebody else put there meanwhile.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use strongroom_content::{Attributes, Batch, ContentStorage, ObjectRef, PutOptions, RepairOptions, Version};
use strongroom_storage::{DigestSet, Digests, Error, ErrorKind, ExternalStorage, StoreMode};
use strongroom_testkit::Operation;
use tokio::task::JoinSet;

use crate::collector::{all_content, end_sessions};
use crate::support::{
    Backend, assert_no_problems, at, commits, create, load, memory, namespace, noise, open, picture, put, small_chunks,
    verify,
};
use crate::traps::{all_sprung, looks_whether_its_session_stands, trap, trapped};

/// A store with `a/name` and `a/other`, and its handle.
async fn store() -> (Backend, ContentStorage) {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    put(&store, "a/name", noise(1, 1000), PutOptions::default()).await.expect("put");
    put(&store, "a/other", noise(2, 1000), PutOptions::default()).await.expect("put");
    (backend, store)
}

async fn find(store: &ContentStorage, location: &str) -> ObjectRef {
    store.find(&at(location)).await.expect("find")
}

#[track_caller]
fn assert_changed(result: Result<impl std::fmt::Debug, Error>, location: &str, what: &str) {
    let error = result.expect_err("it is another now");
    assert_eq!((error.kind(), error.subject()), (ErrorKind::Changed, location), "{error:?}");
    assert!(error.to_string().contains(what) && error.to_string().contains("look at what is there now"), "{error}");
    assert!(!error.may_have_happened(), "{error:?}");
}

/// An operation on the object found at `a/name`, with what is at `a/other`.
type OnFound = for<'a> fn(&'a mut Batch, &ObjectRef, ObjectRef) -> &'a mut Batch;

const ON_FOUND: [OnFound; 2] =
    [|batch, found, _| batch.remove_found(found), |batch, found, other| batch.replace_found(found, other)];

#[tokio::test]
async fn what_was_found_and_still_stands_is_removed_or_replaced() {
    for (n, on_found) in ON_FOUND.into_iter().enumerate() {
        let (backend, store) = store().await;
        let (found, other) = (find(&store, "a/name").await, find(&store, "a/other").await);
        // Whatever else happens in the namespace.
        put(&open(&backend).await, "a/more", "1".into(), PutOptions::default()).await.expect("put");
        let mut batch = store.batch();
        on_found(&mut batch, &found, other);
        batch.commit().await.expect("commit");
        let names = picture(&backend).await.remove("a").expect("the namespace");
        assert_eq!(names.get("a/name"), [None, Some(&noise(2, 1000))][n]);
        assert_eq!(commits(&backend).await["a"], 4);
    }
}

#[tokio::test]
async fn what_came_in_between_is_neither_removed_nor_replaced_and_nothing_else_is_done() {
    for on_found in ON_FOUND {
        let (backend, store) = store().await;
        let (found, other) = (find(&store, "a/name").await, find(&store, "a/other").await);
        put(&open(&backend).await, "a/name", noise(3, 1000), PutOptions::default()).await.expect("another handle");
        let before = picture(&backend).await;
        let mut batch = store.batch();
        batch.put(at("a/more"), "1", PutOptions::default());
        on_found(&mut batch, &found, other);
        assert_changed(batch.commit().await, "a/name", "replaced since it was found");
        assert_eq!(picture(&backend).await, before);
    }
}

#[tokio::test]
async fn what_was_removed_in_between_is_changed_too() {
    for on_found in ON_FOUND {
        let (backend, store) = store().await;
        let (found, other) = (find(&store, "a/name").await, find(&store, "a/other").await);
        open(&backend).await.delete(&at("a/name")).await.expect("another handle");
        let mut batch = store.batch();
        on_found(&mut batch, &found, other);
        assert_changed(batch.commit().await, "a/name", "removed since it was found");
        assert!(!picture(&backend).await["a"].contains_key("a/name"));
    }
}

#[tokio::test]
async fn what_comes_between_the_look_and_the_creation_of_the_version_is_seen() {
    for on_found in ON_FOUND {
        let (backend, _) = store().await;
        let storage = trapped(&backend);
        let store = open(&(Arc::new(storage.clone()) as Backend)).await;
        let (found, other) = (find(&store, "a/name").await, find(&store, "a/other").await);
        let rival = backend.clone();
        let creates_a_version = |operation: &Operation| matches!(operation, Operation::Store { location, .. } if location.as_str().starts_with("names/"));
        trap(&storage, creates_a_version, 0, async move {
            put(&open(&rival).await, "a/name", noise(3, 1000), PutOptions::default()).await.expect("another handle");
        });
        let mut batch = store.batch();
        on_found(&mut batch, &found, other);
        assert_changed(batch.commit().await, "a/name", "replaced since it was found");
        assert!(all_sprung(&storage));
        assert_eq!(load(&open(&backend).await, "a/name").await.expect("load"), noise(3, 1000));
    }
}

#[tokio::test]
async fn an_equal_object_that_was_put_in_between_is_another() {
    let (backend, store) = store().await;
    let found = find(&store, "a/name").await;
    let rival = open(&backend).await;
    rival.delete(&at("a/name")).await.expect("delete");
    put(&rival, "a/name", noise(1, 1000), PutOptions::default()).await.expect("put");
    let mut batch = store.batch();
    batch.remove_found(&found);
    assert_changed(batch.commit().await, "a/name", "replaced since it was found");
}

#[tokio::test]
async fn what_was_found_at_an_earlier_version_counts_while_it_still_stands() {
    let (_, store) = store().await;
    let first = store.snapshot_at(&namespace("a"), Version::new(1)).await.expect("snapshot");
    let found = first.find(&at("a/name")).await.expect("find");
    let other = find(&store, "a/other").await;
    let mut batch = store.batch();
    batch.replace_found(&found, other);
    batch.commit().await.expect("it is the same since version 1");
    let mut batch = store.batch();
    batch.remove_found(&found);
    assert_changed(batch.commit().await, "a/name", "replaced since it was found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_racing_commits_that_replace_one_found_object_one_succeeds() {
    const HANDLES: u64 = 8;
    let (backend, store) = store().await;
    let racing: Backend = Arc::new(trapped(&backend));
    for round in 0..5 {
        for n in 0..HANDLES / 2 {
            let name = format!("b/{round}.{n}");
            put(&store, &name, noise(100 + round * HANDLES + n, 1000), PutOptions::default()).await.expect("put");
        }
        let mut tasks = JoinSet::new();
        let found = find(&store, "a/name").await;
        for n in 0..HANDLES {
            let (racing, found) = (racing.clone(), found.clone());
            tasks.spawn(async move {
                let store = open(&racing).await;
                let mut batch = store.batch();
                // Two of them want the same.
                let object = find(&store, &format!("b/{round}.{}", n / 2)).await;
                batch.replace_found(&found, object);
                batch.commit().await.map(drop).map_err(|error| error.kind())
            });
        }
        let mut results = tasks.join_all().await;
        results.sort_by_key(Result::is_err);
        assert_eq!(results[0], Ok(()));
        assert!(results[1..].iter().all(|result| *result == Err(ErrorKind::Changed)), "{results:?}");
    }
    assert_eq!(commits(&backend).await["a"], 2 + 5);
}

#[tokio::test]
async fn a_replacement_that_changes_nothing_makes_no_version_but_looks() {
    let (backend, store) = store().await;
    let found = find(&store, "a/name").await;
    let mut batch = store.batch();
    batch.replace_found(&found, found.clone());
    let receipt = batch.commit().await.expect("commit");
    assert_eq!(receipt.versions[&namespace("a")].get(), 2);
    store.delete(&at("a/name")).await.expect("delete");
    let mut batch = store.batch();
    batch.replace_found(&found, found.clone());
    assert_changed(batch.commit().await, "a/name", "removed since it was found");
    assert_eq!(commits(&backend).await["a"], 3);
}

#[tokio::test]
async fn digests_are_added_to_what_was_found_and_it_keeps_its_attributes() {
    let (backend, store) = store().await;
    let mut attributes = Attributes::default()
        .with_modified(Some(UNIX_EPOCH + Duration::from_secs(1_700_000_000)))
        .with_executable(true);
    attributes.set("lab.kelvin", "300").expect("a user's key");
    let options = PutOptions::default().with_attributes(attributes.clone());
    put(&store, "a/name", noise(4, 1000), options).await.expect("put");
    let digests = Digests::of(&noise(4, 1000), DigestSet::ALL);
    let found = find(&store, "a/name").await;
    let mut batch = store.batch();
    batch.replace_found(&found, found.clone().with_digests(&digests));
    batch.commit().await.expect("commit");
    let object = find(&open(&backend).await, "a/name").await;
    assert_eq!(object.digests(), digests);
    let house = ["md5", "sha256"];
    let rest: Vec<_> = object.attributes().iter().filter(|(key, _)| !house.contains(key)).collect();
    assert_eq!(rest, attributes.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_move_between_namespaces_removes_only_what_it_copied() {
    let (backend, store) = store().await;
    let found = [find(&store, "a/name").await, find(&store, "a/other").await];
    let mut copies = store.batch();
    let mut removals = store.batch();
    for object in &found {
        let name = object.location().file_name().to_string();
        copies.link(at(&format!("b/{name}")), object.clone(), StoreMode::Create);
        removals.remove_found(object);
    }
    copies.commit().await.expect("commit");
    put(&open(&backend).await, "a/other", "newer".into(), PutOptions::default()).await.expect("another handle");
    assert_changed(removals.commit().await, "a/other", "replaced since it was found");
    let picture = picture(&backend).await;
    assert_eq!(picture["a"].len(), 2, "of one namespace all is removed or nothing");
    assert_eq!(picture["a"]["a/other"], "newer");
    assert_eq!(picture["b"]["b/other"], noise(2, 1000));
}

#[tokio::test]
async fn what_changed_in_one_namespace_is_seen_before_another_is_committed() {
    let (backend, store) = store().await;
    let found = find(&store, "a/name").await;
    put(&open(&backend).await, "a/name", "newer".into(), PutOptions::default()).await.expect("another handle");
    let before = picture(&backend).await;
    let mut batch = store.batch();
    batch.put(at("A/first"), "1", PutOptions::default()).remove_found(&found);
    assert_changed(batch.commit().await, "a/name", "replaced since it was found");
    assert_eq!(picture(&backend).await, before);
}

#[tokio::test]
async fn what_is_done_besides_at_a_found_objects_location_does_not_make_it_less_found() {
    let besides: [fn(&mut Batch) -> &mut Batch; 3] = [
        |batch| batch.put(at("a/name"), "1", PutOptions::default()),
        |batch| batch.remove(at("a/name")),
        |batch| batch.remove_if_present(at("a/name")),
    ];
    for found_first in [true, false] {
        for replaced in [true, false] {
            for beside in besides {
                let (backend, store) = store().await;
                let found = find(&store, "a/name").await;
                if replaced {
                    put(&store, "a/name", "newer".into(), PutOptions::default()).await.expect("put");
                }
                let mut batch = store.batch();
                if found_first {
                    batch.remove_found(&found);
                }
                beside(&mut batch);
                if !found_first {
                    batch.remove_found(&found);
                }
                let result = batch.commit().await;
                let left = picture(&backend).await["a"].get("a/name").cloned();
                if replaced {
                    assert_changed(result, "a/name", "replaced since it was found");
                    assert_eq!(left.as_deref(), Some(&b"newer"[..]));
                } else {
                    result.expect("commit");
                    assert_ne!(left, Some(noise(1, 1000)));
                }
            }
        }
    }
}

#[tokio::test]
async fn two_expectations_that_can_not_both_be_met_are_refused() {
    let (backend, store) = store().await;
    let earlier = find(&store, "a/name").await;
    put(&store, "a/name", "newer".into(), PutOptions::default()).await.expect("put");
    let later = find(&store, "a/name").await;
    let before = picture(&backend).await;
    let mut batch = store.batch();
    batch.remove_found(&earlier).remove_found(&later);
    assert_changed(batch.commit().await, "a/name", "replaced since it was found");
    let mut batch = store.batch();
    batch.put(at("a/name"), "1", PutOptions::default().with_mode(StoreMode::Create)).remove_found(&later);
    assert_eq!(batch.commit().await.expect_err("taken").kind(), ErrorKind::AlreadyExists);
    assert_eq!(picture(&backend).await, before);
    let mut batch = store.batch();
    batch.remove_found(&later).remove_found(&later);
    batch.commit().await.expect("twice the same is once");
}

#[tokio::test]
async fn what_has_no_name_in_this_store_can_not_be_taken_away() {
    let (_, store) = store().await;
    let (_, elsewhere) = self::store().await;
    let by_digest = store.find_digest(&find(&store, "a/name").await.digest().to_string()).await.expect("find");
    let named = find(&store, "a/name").await;
    for found in [find(&elsewhere, "a/name").await, by_digest] {
        for on_found in ON_FOUND {
            let mut batch = store.batch();
            on_found(&mut batch, &found, named.clone());
            assert_eq!(batch.commit().await.expect_err("refused").kind(), ErrorKind::Invalid);
        }
    }
    let mut batch = store.batch();
    batch.replace_found(&named, find(&elsewhere, "a/name").await);
    assert_eq!(batch.commit().await.expect_err("refused").kind(), ErrorKind::Invalid);
}

/// The name's version is then our own.
#[tokio::test]
async fn a_replacement_whose_session_was_ended_is_made_again() {
    let (backend, _) = store().await;
    let storage = trapped(&backend);
    let store = open(&(Arc::new(storage.clone()) as Backend)).await;
    let (name, other) = (find(&store, "a/name").await, find(&store, "a/other").await);
    let collector = backend.clone();
    trap(&storage, looks_whether_its_session_stands, 0, async move { end_sessions(&collector).await });
    let mut batch = store.batch();
    batch.replace_found(&name, other.clone()).remove_found(&other);
    batch.commit().await.expect("commit");
    assert!(all_sprung(&storage));
    assert_eq!(commits(&backend).await["a"], 4, "made twice");
    let picture = picture(&backend).await;
    assert_eq!((picture["a"].len(), &picture["a"]["a/name"]), (1, &noise(2, 1000)));
    assert_no_problems(&verify(&backend, true).await, "made again");
}

#[tokio::test]
async fn a_replacement_that_can_not_be_relied_on_is_not_acknowledged_and_a_repair_gives_the_name_back() {
    let (backend, _) = store().await;
    let storage = trapped(&backend);
    let store = open(&(Arc::new(storage.clone()) as Backend)).await;
    put(&store, "a/name", "inline".into(), PutOptions::default()).await.expect("put");
    put(&store, "a/third", "third".into(), PutOptions::default()).await.expect("put");
    let (name, third) = (find(&store, "a/name").await, find(&store, "a/third").await);
    let other = find(&store, "a/other").await;
    store.delete(&at("a/other")).await.expect("delete");
    let collector = backend.clone();
    trap(&storage, looks_whether_its_session_stands, 0, async move {
        end_sessions(&collector).await;
        collector.delete_all(&all_content(&collector).await).await.expect("delete");
    });
    let mut batch = store.batch();
    batch.replace_found(&name, other).remove_found(&third);
    let error = batch.commit().await.expect_err("it is gone");
    assert_eq!((error.kind(), error.may_have_happened()), (ErrorKind::Unavailable, true), "{error:?}");
    assert!(error.to_string().contains("repair --drop-lost"), "{error}");
    assert!(all_sprung(&storage));
    assert_eq!(load(&store, "a/name").await.map_err(|error| error.kind()), Err(ErrorKind::Corrupt));
    let report = store.repair(RepairOptions::default().with_drop_lost(true)).await.expect("repair");
    assert!(report.dropped.iter().any(|dropped| dropped.location == at("a/name")), "{report:?}");
    assert_eq!(load(&open(&backend).await, "a/name").await.expect("it has what it had"), "inline");
}
