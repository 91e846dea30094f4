//! Versions that a writer published late, after what had come there before was superseded and collected.

use std::time::Duration;

use strongroom_content::{CollectOptions, PutOptions};
use strongroom_storage::{ByteRange, ErrorKind};

use crate::support::{assert_no_problems, at, create, load, memory, namespace, noise, open, put, small_chunks, verify};

#[tokio::test]
async fn a_version_that_a_stalled_writer_published_late_is_not_in_the_log_and_the_next_collection_takes_it() {
    let (backend, other) = (memory(), memory());
    let store = create(&backend, small_chunks()).await;
    for name in ["a/x", "a/y", "a/z"] {
        put(&store, name, name.into(), PutOptions::default()).await.expect("put");
    }
    put(&create(&other, small_chunks()).await, "a/late", "late".into(), PutOptions::default()).await.expect("put");
    let first = at("names/a/@/ffffffffff");
    backend.delete(&first).await.expect("collected");
    let late = other.load_bytes(&first, ByteRange::All).await.expect("load");
    backend.store_bytes(&first, late).await.expect("published");
    let store = open(&backend).await;
    let log = store.log(&namespace("a"), None).await.expect("log");
    assert_eq!(log.iter().map(|commit| commit.version.get()).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(store.log(&namespace("a"), Some(1)).await.expect("log"), log[..1]);
    assert_eq!(load(&store, "a/late").await.map_err(|error| error.kind()), Err(ErrorKind::Missing));
    assert_no_problems(&verify(&backend, true).await, "with a late version");
    let options = CollectOptions::default().with_offline(true).with_grace(Duration::ZERO);
    store.collect(options).await.expect("collect");
    assert!(!backend.exists(&first).await.expect("look"));
}

/// It stands between two versions that are kept, and what the version had put that stood there is still needed.
#[tokio::test]
async fn content_of_a_collected_version_stays_when_another_was_published_late_in_its_place() {
    let (backend, other) = (memory(), memory());
    let (store, stalled) = (create(&backend, small_chunks()).await, create(&other, small_chunks()).await);
    for n in 1..=7 {
        put(&store, &format!("a/{n}"), noise(n, 2000), PutOptions::default()).await.expect("put");
        put(&stalled, &format!("a/late-{n}"), "late".into(), PutOptions::default()).await.expect("put");
    }
    let fifth = at("names/a/@/fffffffffb");
    backend.delete(&fifth).await.expect("collected");
    let late = other.load_bytes(&fifth, ByteRange::All).await.expect("load");
    backend.store_bytes(&fifth, late).await.expect("published");
    let options = CollectOptions::default().with_offline(true).with_grace(Duration::ZERO).with_keep_last(4);
    for _ in 0..2 {
        open(&backend).await.collect(options.clone()).await.expect("collect");
    }
    let store = open(&backend).await;
    for n in 1..=7 {
        assert_eq!(load(&store, &format!("a/{n}")).await.expect("it has its name"), noise(n, 2000));
    }
}
