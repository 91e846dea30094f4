//! What tasks of one handle store at the same time: together, and each as if it were alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use strongroom_content::{ContentStorage, PutOptions};
use strongroom_storage::{ErrorKind, ExternalStorage, StoreMode};

use crate::collector::end_sessions;
use crate::support::{
    Backend, assert_no_problems, at, create, files, load, memory, namespace, noise, open, put, small_chunks, verify,
};
use crate::traps::{TrappedStorage, all_sprung, looks_whether_its_session_stands, trap, trapped};

/// A handle whose tasks get their turns at every request.
async fn store_behind_traps() -> (Backend, TrappedStorage, ContentStorage) {
    let backend = memory();
    create(&backend, small_chunks()).await;
    let storage = trapped(&backend);
    let store = open(&(Arc::new(storage.clone()) as Backend)).await;
    (backend, storage, store)
}

async fn versions(store: &ContentStorage, text: &str) -> usize {
    store.log(&namespace(text), None).await.expect("log").len()
}

#[tokio::test]
async fn many_single_puts_share_packs_and_versions_and_all_are_there() {
    let (backend, _, store) = store_behind_traps().await;
    let puts = (0..64u64).map(|n| {
        let store = store.clone();
        async move {
            for round in 0..4 {
                let location = format!("a/{n}-{round}");
                put(&store, &location, noise(n * 10 + round, 2000), PutOptions::default()).await.expect("put");
                assert_eq!(load(&store, &location).await.expect("load"), noise(n * 10 + round, 2000));
            }
        }
    });
    join_all(puts).await;
    assert!(versions(&store, "a").await < 64, "{} versions", versions(&store, "a").await);
    assert!(files(&backend, "packs/").await.len() < 64);
    let fresh = open(&backend).await;
    for n in 0..64 {
        for round in 0..4 {
            assert_eq!(load(&fresh, &format!("a/{n}-{round}")).await.expect("load"), noise(n * 10 + round, 2000));
        }
    }
    assert_eq!(files(&backend, "gc/").await, []);
    assert_no_problems(&verify(&backend, true).await, "together");
}

#[tokio::test]
async fn puts_into_many_namespaces_share_packs() {
    let (backend, _, store) = store_behind_traps().await;
    let locations: Vec<String> = (0..32).map(|n| format!("a/unit-{n}/x")).collect();
    let puts = locations
        .iter()
        .enumerate()
        .map(|(n, location)| put(&store, location, noise(n as u64, 2000), PutOptions::default()));
    for result in join_all(puts).await {
        result.expect("put");
    }
    assert!(files(&backend, "packs/").await.len() <= 3);
    assert_no_problems(&verify(&backend, true).await, "together");
}

#[tokio::test]
async fn one_that_is_refused_leaves_the_others_of_its_version_alone() {
    let (backend, _, store) = store_behind_traps().await;
    put(&store, "a/taken", noise(0, 500), PutOptions::default()).await.expect("put");
    let new = PutOptions::default().with_mode(StoreMode::Create);
    let puts = ["a/1", "a/taken", "a/2", "a/taken", "a/3"];
    let results = join_all(puts.map(|location| put(&store, location, noise(1, 500), new.clone()))).await;
    let kinds: Vec<Option<ErrorKind>> =
        results.iter().map(|result| result.as_ref().err().map(strongroom_storage::Error::kind)).collect();
    let refused = Some(ErrorKind::AlreadyExists);
    assert_eq!(kinds, [None, refused, None, refused, None]);
    assert!(versions(&store, "a").await <= 4);
    assert_eq!(load(&open(&backend).await, "a/taken").await.expect("load"), noise(0, 500));
}

#[tokio::test]
async fn of_several_that_create_the_same_name_exactly_one_does() {
    let (backend, _, store) = store_behind_traps().await;
    let new = PutOptions::default().with_mode(StoreMode::Create);
    let results = join_all((0..16).map(|n| put(&store, "a/one", noise(n, 500), new.clone()))).await;
    let winners: Vec<u64> = (0..16).filter(|n| results[*n as usize].is_ok()).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(load(&open(&backend).await, "a/one").await.expect("load"), noise(winners[0], 500));
}

#[tokio::test]
async fn what_replaces_the_same_name_is_in_the_history_one_by_one() {
    let (_, _, store) = store_behind_traps().await;
    let results = join_all((0..5).map(|n| put(&store, "a/one", noise(n, 500), PutOptions::default()))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(versions(&store, "a").await, 5);
    let mut seen = BTreeSet::new();
    for version in 1..=5 {
        let snapshot =
            store.snapshot_at(&namespace("a"), strongroom_content::Version::new(version)).await.expect("there");
        seen.insert(snapshot.find(&at("a/one")).await.expect("there").digest());
    }
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn a_commit_with_a_message_has_a_version_of_its_own() {
    let (_, _, store) = store_behind_traps().await;
    let commits = (0..6).map(|n| {
        let mut batch = store.batch().with_message(format!("number {n}"));
        batch.put(at(&format!("a/{n}")), noise(n, 500), PutOptions::default());
        batch.commit()
    });
    assert!(join_all(commits).await.iter().all(Result::is_ok));
    let log = store.log(&namespace("a"), None).await.expect("log");
    let messages: BTreeSet<&str> = log.iter().map(|commit| commit.message.as_str()).collect();
    assert_eq!((log.len(), messages.len()), (6, 6));
}

#[tokio::test]
async fn a_version_of_several_whose_session_was_ended_is_made_again_by_each() {
    let (backend, storage, store) = store_behind_traps().await;
    let collector = backend.clone();
    trap(&storage, looks_whether_its_session_stands, 0, async move { end_sessions(&collector).await });
    let puts = (0..8).map(|n| {
        let store = store.clone();
        async move { put(&store, &format!("a/{n}"), noise(n, 700), PutOptions::default()).await }
    });
    for result in join_all(puts).await {
        result.expect("made again");
    }
    assert!(all_sprung(&storage));
    let fresh = open(&backend).await;
    for n in 0..8 {
        assert_eq!(load(&fresh, &format!("a/{n}")).await.expect("load"), noise(n, 700));
    }
    assert_no_problems(&verify(&backend, true).await, "made again");
    assert!(store.exists(&at("a/7")).await.expect("exists"));
}
