//! Large commits, whose runs are built and sent while the last of their content is still on its way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use strongroom_content::{Batch, ContentConfig, ContentStorage, PutOptions};
use strongroom_storage::{ErrorKind, Location};
use strongroom_testkit::{Fault, FaultyStorage, Operation};
use tokio::sync::Notify;

use crate::support::{Backend, assert_no_problems, at, commits, create, files, load, memory, noise, open, verify};
use crate::traps::{all_sprung, trap, trapped};

/// So many that the commit is a large one.
const NAMES: u64 = 10_000;

fn large_batch(store: &ContentStorage) -> Batch {
    let mut batch = store.batch();
    for n in 0..NAMES {
        batch.put(at(&format!("a/{n}")), noise(n, 300), PutOptions::default());
    }
    batch
}

fn stores(prefix: &'static str) -> impl Fn(&Operation) -> bool {
    move |operation| matches!(operation, Operation::Store { location, .. } if location.as_str().starts_with(prefix))
}

#[tokio::test]
async fn a_run_is_sent_while_content_is_on_its_way_and_not_seen_before_that_has_arrived() {
    let backend = memory();
    create(&backend, ContentConfig::default()).await;
    let storage = trapped(&backend);
    let (begun, seen) = (Arc::new(Notify::new()), Arc::new(Mutex::new(None::<Vec<Location>>)));
    trap(&storage, stores("names/"), 0, {
        let begun = begun.clone();
        async move { begun.notify_one() }
    });
    trap(&storage, stores("packs/"), 0, {
        let (backend, seen) = (backend.clone(), seen.clone());
        async move {
            begun.notified().await;
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
            *seen.lock().expect("no panic") = Some(files(&backend, "names/").await);
        }
    });
    let store = open(&(Arc::new(storage.clone()) as Backend)).await;
    let commit = large_batch(&store).commit();
    tokio::time::timeout(Duration::from_secs(60), commit).await.expect("both are under way at once").expect("commit");
    assert!(all_sprung(&storage));
    assert_eq!(*seen.lock().expect("no panic"), Some(Vec::new()), "a version that was seen before its content");
    assert_eq!(load(&open(&backend).await, "a/77").await.expect("load"), noise(77, 300));
}

#[tokio::test]
async fn a_large_commit_whose_content_did_not_arrive_is_not_made() {
    let backend = memory();
    create(&backend, ContentConfig::default()).await;
    let faulty = FaultyStorage::new(backend.clone());
    faulty.fail_nth_such(0, Fault::Refused(ErrorKind::Unavailable), stores("packs/"));
    let store = open(&(Arc::new(faulty.clone()) as Backend)).await;
    let error = large_batch(&store).commit().await.expect_err("its pack can't be stored");
    assert_eq!((faulty.struck(), error.kind(), error.may_have_happened()), (1, ErrorKind::Unavailable, false));
    assert!(error.to_string().contains("packs/"), "{error}");
    assert!(files(&backend, "names/").await.is_empty());

    large_batch(&store).commit().await.expect("again");
    assert_eq!(commits(&backend).await.into_iter().collect::<Vec<_>>(), [("a".into(), 1)]);
    assert_no_problems(&verify(&backend, true).await, "after the second try");
}
