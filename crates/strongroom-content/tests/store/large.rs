//! Namespaces with so many names that their runs are built piece by piece.

use std::sync::Arc;

use futures::TryStreamExt;
use strongroom_content::{ContentStorage, PutOptions};
use strongroom_storage::{ByteRange, ErrorKind, ExternalStorage};
use strongroom_testkit::RecordingStorage;

use crate::lagging::LaggingStorage;
use crate::support::{
    Backend, assert_no_problems, at, bucket, commits, create, files, load, memory, noise, open, put, small_chunks,
    verify,
};

const NAMES: u64 = 12_000;

/// A store with one commit of many names, whose run is larger than what is built before it is sent.
async fn large(backend: &Backend) -> ContentStorage {
    let store = create(backend, small_chunks()).await;
    let mut batch = store.batch();
    for n in 0..NAMES {
        batch.put(at(&format!("a/{n:05}")), noise(n, 100), PutOptions::default());
    }
    batch.commit().await.expect("commit");
    let size = backend.metadata(&files(backend, "names/a/").await[0]).await.expect("metadata").size;
    assert!(size > 3 << 19, "{size}");
    store
}

#[tokio::test]
async fn a_large_run_is_merged_anew_after_a_lost_answer() {
    for operations_later in [0, 2, 4] {
        let backend = memory();
        large(&backend).await;
        let lagging = LaggingStorage::new(&backend);
        let store = open(&(Arc::new(lagging.clone()) as Backend)).await;
        lagging.lose_next_version(operations_later);
        put(&store, "a/new", "1".into(), PutOptions::default()).await.expect("put");
        lagging.deliver().await;
        assert_eq!(commits(&backend).await["a"], 2);
        let fresh = open(&backend).await;
        let names: Vec<_> = fresh.objects("a/").try_collect().await.expect("list");
        assert_eq!(names.len() as u64, NAMES + 1);
        assert_eq!(load(&fresh, "a/new").await.expect("load"), "1");
        assert_no_problems(&verify(&backend, true).await, "merged");
    }
}

#[tokio::test]
async fn a_large_run_that_is_damaged_is_not_merged_and_stays_what_it_was() {
    let backend = memory();
    large(&backend).await;
    let run = files(&backend, "names/a/").await.remove(0);
    let mut bytes = backend.load_bytes(&run, ByteRange::All).await.expect("load").to_vec();
    let middle = bytes.len() / 4 * 3;
    bytes[middle] ^= 1;
    backend.store_bytes(&run, bytes.into()).await.expect("damage it");
    let store = open(&backend).await;
    let error = put(&store, "a/new", "1".into(), PutOptions::default()).await.expect_err("damaged");
    assert_eq!((error.kind(), error.may_have_happened()), (ErrorKind::Corrupt, false), "{error:?}");
    assert!(error.to_string().contains(run.as_str()), "{error}");
    assert_eq!(files(&backend, "names/a/").await, [run]);
    assert_eq!(load(&open(&backend).await, "a/00000").await.expect("load"), noise(0, 100));
}

#[tokio::test]
async fn a_damaged_filter_makes_no_name_look_absent() {
    let backend = memory();
    large(&backend).await;
    let run = files(&backend, "names/a/").await.remove(0);
    let whole = backend.load_bytes(&run, ByteRange::All).await.expect("load");
    // The filter, of ten bits for each name, stands before the footer of 56 bytes.
    let filter = whole.len() - 56 - NAMES as usize * 10 / 8..whole.len() - 56;
    for position in [filter.start, filter.start + 5000, filter.end - 1] {
        let mut bytes = whole.to_vec();
        bytes[position] ^= 0xff;
        backend.store_bytes(&run, bytes.into()).await.expect("damage it");
        let store = open(&backend).await;
        for name in ["a/00000", "a/not"] {
            let error = store.exists(&at(name)).await.expect_err("damaged");
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
        let error = store.exists_all(&[at("a/00000")]).await.expect_err("damaged");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(verify(&backend, false).await.problems[0].file, run);
    }
}

#[tokio::test]
async fn new_names_are_put_without_reading_the_blocks_where_they_would_be() {
    let backend = memory();
    large(&backend).await;
    let store = open(&backend).await;
    put(&store, "a/one", "1".into(), PutOptions::default()).await.expect("put");
    let recording = RecordingStorage::new(bucket(&backend));
    let cold = open(&(Arc::new(recording.clone()) as Backend)).await;
    cold.exists(&at("a/00000")).await.expect("look");
    recording.take();
    let mut batch = cold.batch();
    for n in 0..100 {
        batch.put(at(&format!("a/{:05}-new", n * 97)), "new", PutOptions::default());
    }
    batch.commit().await.expect("commit");
    let lines = recording.lines();
    let blocks = lines.iter().filter(|line| line.starts_with("load names/")).count();
    // For a hundred names that are new, few blocks are read: one of 120 seems to be there.
    assert!(blocks <= 6, "{lines:#?}");
}

#[tokio::test]
async fn a_listing_by_prefix_reads_the_blocks_that_it_needs_and_no_other_namespace() {
    let backend = memory();
    let store = large(&backend).await;
    put(&store, "b/x", "1".into(), PutOptions::default()).await.expect("put");
    put(&store, "a/z/x", "1".into(), PutOptions::default()).await.expect("put");
    let recording = RecordingStorage::new(bucket(&backend));
    let cold = open(&(Arc::new(recording.clone()) as Backend)).await;
    recording.take();
    let names: Vec<_> = cold.objects("a/0500").try_collect().await.expect("list");
    assert_eq!(names.len(), 10);
    let lines = recording.lines();
    let loads: Vec<&String> = lines.iter().filter(|line| line.starts_with("load")).collect();
    // The directory and one block, or two where they meet.
    assert!((2..=3).contains(&loads.len()), "{lines:#?}");
    assert!(loads.iter().all(|line| line.contains("names/a/@/")), "{lines:#?}");
    assert!(lines.iter().all(|line| !line.contains("names/b") && !line.contains("packs/")), "{lines:#?}");
}

#[tokio::test]
async fn many_names_that_lie_together_are_looked_up_by_few_requests_each_block_once() {
    let backend = memory();
    large(&backend).await;
    let recording = RecordingStorage::new(bucket(&backend));
    let cold = open(&(Arc::new(recording.clone()) as Backend)).await;
    recording.take();
    // In no order, and every other one is not there.
    let locations: Vec<_> = (0..NAMES)
        .map(|n| n * 7919 % NAMES)
        .map(|n| if n % 2 == 0 { at(&format!("a/{n:05}")) } else { at(&format!("a/{n:05}-not")) })
        .collect();
    let found = cold.exists_all(&locations).await.expect("look");
    let expected: Vec<bool> = locations.iter().map(|location| !location.as_str().ends_with("not")).collect();
    assert!(found == expected);
    // The head by a listing and a question, the directory, and the blocks, of which 64 are read at once.
    let requests = recording.take().len();
    assert!((4..=10).contains(&requests), "{requests}");
    let again = cold.exists_all(&locations).await.expect("look");
    assert!(again == expected);
    // The blocks are kept.
    assert_eq!(recording.take().len(), 1);
}
