//! Content in a local cache: read without a request, whatever becomes of the cache.

use std::sync::Arc;

use bytes::Bytes;
use strongroom_content::{ContentStorage, Layout, OpenOptions, PutOptions, VerifyOptions};
use strongroom_storage::{ByteRange, ExternalStorage, LoadOptions, ReadOnlyStorage};
use strongroom_testkit::RecordingStorage;

use crate::support::{
    Backend, at, bucket, create, files, layout, load, memory, noise, put, small_chunks, stored_bytes,
};

const PLENTY: u64 = 1 << 30;

/// What the store holds: many small objects, a large one in chunks, one whose list of chunks is long, and a whole file.
fn objects() -> Vec<(String, Bytes, PutOptions)> {
    let mut objects: Vec<_> = (0..300).map(|n| (format!("a/{n}"), noise(n, 3000), PutOptions::default())).collect();
    objects.push(("a/chunked".into(), noise(1000, 3_000_000), layout(Layout::Chunked)));
    objects.push(("a/whole".into(), noise(1001, 2_500_000), layout(Layout::Whole)));
    objects.push(("a/of-one-block".into(), noise(1002, 256 << 10), layout(Layout::Whole)));
    objects
}

async fn filled() -> Backend {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    let mut batch = store.batch();
    for (name, bytes, options) in objects() {
        batch.put(at(&name), bytes, options);
    }
    batch.commit().await.expect("commit");
    backend
}

/// A handle on a store that is far away, and what it asks for.
async fn open(backend: &Backend, cache: &Backend, bytes_max: u64) -> (RecordingStorage, ContentStorage) {
    let recording = RecordingStorage::new(bucket(backend));
    let options = OpenOptions::default().with_cache(cache.clone()).with_content_cache(bytes_max);
    let store = ContentStorage::open(Arc::new(recording.clone()), options).await.expect("open");
    (recording, store)
}

async fn read_all(store: &ContentStorage) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes, _) in objects() {
        let size = bytes.len() as u64;
        assert!(load(store, &name).await.expect(&name) == bytes, "{name}");
        for range in [ByteRange::Last(7), (size / 3..size / 2).into(), (size - 1..size).into()] {
            let expected = range.resolve(size, &name).expect("in it");
            let found = store.load_bytes(&at(&name), range).await.expect(&name);
            assert!(found == bytes[expected.start as usize..expected.end as usize], "{range} of {name}");
        }
        let path = folder.path().join("copy");
        store.load_path(&at(&name), &path, &LoadOptions::default()).await.expect(&name);
        assert!(std::fs::read(&path).expect("read") == bytes, "{name}");
    }
}

/// How many requests were for content.
fn content_requests(recording: &RecordingStorage) -> usize {
    recording.lines().iter().filter(|line| line.contains(" packs/") || line.contains(" files/")).count()
}

#[tokio::test]
async fn what_was_read_is_not_asked_for_again_by_any_process() {
    let (backend, cache) = (filled().await, memory());
    let (recording, first) = open(&backend, &cache, PLENTY).await;
    read_all(&first).await;
    let blocks = stored_bytes(&backend, "packs/").await.div_ceil(256 << 10) + 11;
    assert!(content_requests(&recording) as u64 <= blocks, "each block once at most: {:#?}", recording.lines());
    let (recording, second) = open(&backend, &cache, PLENTY).await;
    read_all(&second).await;
    assert_eq!(content_requests(&recording), 0, "{:#?}", recording.lines());
}

#[tokio::test]
async fn content_is_kept_only_where_a_bound_is_given_and_the_store_is_not_local() {
    let (backend, cache) = (filled().await, memory());
    let (_, store) = open(&backend, &cache, 0).await;
    read_all(&store).await;
    let options = OpenOptions::default().with_cache(cache.clone()).with_content_cache(PLENTY);
    read_all(&ContentStorage::open(backend.clone(), options).await.expect("open")).await;
    assert!(files(&cache, "").await.iter().all(|file| !file.as_str().contains("/content/")));
}

#[tokio::test]
async fn a_cache_that_is_damaged_costs_time_and_is_mended() {
    let (backend, cache) = (filled().await, memory());
    read_all(&open(&backend, &cache, PLENTY).await.1).await;
    let flip = |bytes: Bytes| bytes.iter().map(|byte| byte ^ 1).collect::<Vec<u8>>();
    let cut = |bytes: Bytes| bytes[..bytes.len() / 2].to_vec();
    let empty = |_: Bytes| Vec::new();
    let longer = |bytes: Bytes| [&bytes[..], &bytes[..]].concat();
    let damages: [&dyn Fn(Bytes) -> Vec<u8>; 4] = [&flip, &cut, &empty, &longer];
    for (number, damage) in damages.into_iter().enumerate() {
        let kept = files(&cache, "").await.into_iter().filter(|file| file.as_str().contains("/content/"));
        for block in kept.collect::<Vec<_>>() {
            let bytes = cache.load_bytes(&block, ByteRange::All).await.expect("load");
            cache.store_bytes(&block, damage(bytes).into()).await.expect("damage");
        }
        read_all(&open(&backend, &cache, PLENTY).await.1).await;
        let (recording, store) = open(&backend, &cache, PLENTY).await;
        read_all(&store).await;
        assert_eq!(content_requests(&recording), 0, "damage {number}: {:#?}", recording.lines());
    }
}

#[tokio::test]
async fn a_cache_may_vanish_at_any_time_and_need_not_be_writable() {
    let (backend, cache) = (filled().await, memory());
    let (_, store) = open(&backend, &cache, PLENTY).await;
    for _ in 0..2 {
        read_all(&store).await;
        cache.delete_all(&files(&cache, "").await).await.expect("delete");
    }
    let read_only: Backend = Arc::new(ReadOnlyStorage::new(cache.clone()));
    read_all(&open(&backend, &read_only, PLENTY).await.1).await;
    assert!(files(&cache, "").await.is_empty());
}

#[tokio::test]
async fn no_more_is_kept_than_may_be() {
    const MAX: u64 = 2 << 20;
    let (backend, cache) = (filled().await, memory());
    for _ in 0..3 {
        let (_, store) = open(&backend, &cache, MAX).await;
        read_all(&store).await;
        let mut kept = 0;
        for file in files(&cache, "").await.iter().filter(|file| file.as_str().contains("/content/")) {
            kept += cache.metadata(file).await.expect("metadata").size;
        }
        assert!((MAX / 2..=MAX + (256 << 10)).contains(&kept), "{kept} bytes");
    }
}

#[tokio::test]
async fn what_the_cache_has_hides_no_damage_of_the_store() {
    let (backend, cache) = (filled().await, memory());
    read_all(&open(&backend, &cache, PLENTY).await.1).await;
    let content = [files(&backend, "files/").await, files(&backend, "packs/").await].concat();
    backend.delete_all(&content).await.expect("delete");
    let deleted: Vec<_> = content.iter().map(ToString::to_string).collect();
    let (_, store) = open(&backend, &cache, PLENTY).await;
    read_all(&store).await;
    for data in [false, true] {
        let report = store.verify(VerifyOptions::default().with_data(data)).await.expect("verify");
        let mut lost: Vec<_> = report.problems.iter().map(|problem| problem.file.to_string()).collect();
        lost.sort();
        assert_eq!(lost, deleted, "data: {data}");
        let affected: usize = report.problems.iter().map(|problem| problem.affected.len()).sum();
        assert_eq!(affected, objects().len());
    }
    // Nobody relies on what is not there any more.
    put(&store, "b/again", noise(5, 3000), PutOptions::default()).await.expect("put");
    assert_eq!(files(&backend, "packs/").await.len(), 1);
}
