//! What tasks of one handle store at the same time: together, and each as if it were alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::channel::oneshot;
use futures::future::{Either, join_all, select};
use futures::{FutureExt, stream};
use strongroom_content::{ContentStorage, Layout, PutOptions};
use strongroom_storage::{ErrorKind, ExternalStorage, Source, StoreMode};

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

/// Lets the first request that begins so wait until `work` can't go on without it.
async fn held_up<T>(storage: &TrappedStorage, beginning: &'static str, work: impl Future<Output = T>) -> T {
    let (go_on, waits) = oneshot::channel::<()>();
    trap(storage, move |operation| operation.to_string().starts_with(beginning), 0, async move {
        waits.await.expect("it goes on");
    });
    let mut work = Box::pin(work);
    for _ in 0..500 {
        assert!(futures::poll!(&mut work).is_pending(), "nothing was held up");
        tokio::task::yield_now().await;
    }
    go_on.send(()).expect("somebody waits");
    work.await
}

#[tokio::test]
async fn single_puts_that_come_while_one_is_published_share_the_next_version() {
    let (backend, storage, store) = store_behind_traps().await;
    let puts = (0..40).map(|n| {
        let store = store.clone();
        async move { put(&store, &format!("a/{n}"), noise(n, 2000), PutOptions::default()).await }
    });
    for result in held_up(&storage, "create names/", join_all(puts)).await {
        result.expect("put");
    }
    let puts: Vec<u32> = store.log(&namespace("a"), None).await.expect("log").iter().map(|commit| commit.put).collect();
    assert!(puts.len() <= 3, "{puts:?}");
    let fresh = open(&backend).await;
    for n in 0..40 {
        assert_eq!(load(&fresh, &format!("a/{n}")).await.expect("load"), noise(n, 2000));
    }
    assert_eq!(files(&backend, "gc/").await, []);
    assert_no_problems(&verify(&backend, true).await, "together");
}

#[tokio::test]
async fn what_is_stored_while_a_pack_is_under_way_shares_the_next_one() {
    let (backend, storage, store) = store_behind_traps().await;
    let locations: Vec<String> = (0..32).map(|n| format!("a/unit-{n}/x")).collect();
    let puts = locations
        .iter()
        .enumerate()
        .map(|(n, location)| put(&store, location, noise(n as u64, 2000), PutOptions::default()));
    for result in held_up(&storage, "create packs/", join_all(puts)).await {
        result.expect("put");
    }
    assert_eq!(files(&backend, "packs/").await.len(), 2);
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

/// What is before it in the queue is under way when the caller goes away.
#[tokio::test]
async fn a_commit_that_was_given_up_in_the_queue_is_not_made_with_the_next_one() {
    let (backend, storage, store) = store_behind_traps().await;
    put(&store, "a/kept", noise(0, 500), PutOptions::default()).await.expect("put");
    let (reached, publishing) = oneshot::channel::<()>();
    let (go_on, waits) = oneshot::channel::<()>();
    trap(&storage, |operation| operation.to_string().starts_with("create names/"), 0, async move {
        reached.send(()).expect("the test waits");
        waits.await.expect("it goes on");
    });
    let first = put(&store, "a/first", noise(1, 500), PutOptions::default()).boxed();
    let Either::Right((_, first)) = select(first, publishing).await else { panic!("it waits in the trap") };
    let kept = [at("a/kept")];
    let mut removal = Box::pin(store.delete_all(&kept));
    for _ in 0..200 {
        assert!(futures::poll!(&mut removal).is_pending());
        tokio::task::yield_now().await;
    }
    drop(removal);
    go_on.send(()).expect("somebody waits");
    first.await.expect("put");
    put(&open(&backend).await, "a/kept", noise(2, 500), PutOptions::default()).await.expect("somebody else's put");
    put(&store, "a/next", noise(3, 500), PutOptions::default()).await.expect("put");
    assert_eq!(load(&store, "a/kept").await.expect("it was not removed"), noise(2, 500));
    assert_eq!(versions(&store, "a").await, 4);
}

/// Who has added to a pack that is being stored, and is busy with something else, keeps nobody waiting.
#[tokio::test]
async fn a_task_that_is_busy_keeps_nobody_else_from_storing() {
    let (backend, _, store) = store_behind_traps().await;
    let (more, rest) = oneshot::channel::<()>();
    let slow = Source::stream(stream::once(async move {
        rest.await.expect("the test sends it");
        Ok(noise(9, 3 << 20))
    }));
    let mut batch = store.batch();
    batch.put(at("slow/small"), noise(1, 2000), PutOptions::default());
    batch.put(at("slow/large"), slow, PutOptions::default().with_layout(Layout::Chunked));
    let mut busy = batch.commit().boxed();
    for _ in 0..200 {
        assert!(futures::poll!(&mut busy).is_pending());
        tokio::task::yield_now().await;
    }
    for n in 0..3 {
        // The first has the same content, so it relies on the same pack.
        put(&store, &format!("a/{n}"), noise(1 + n, 2000), PutOptions::default()).await.expect("put");
    }
    more.send(()).expect("somebody waits");
    busy.await.expect("commit");
    assert_eq!(load(&open(&backend).await, "slow/small").await.expect("load"), noise(1, 2000));
    assert_no_problems(&verify(&backend, true).await, "busy");
}
