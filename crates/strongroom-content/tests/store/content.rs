//! Content: kept once, in the place that fits it, and read back by name, range and digest.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use proptest::prelude::*;
use strongroom_content::{Compression, ContentConfig, ContentStorage, Kept, Layout, PutOptions};
use strongroom_storage::{ByteRange, Error, ErrorKind, ExternalStorage, Source, StoreMode};
use strongroom_testkit::{Fault, FaultyStorage, Operation, RecordingStorage};

use crate::collector::all_content;
use crate::support::{
    Backend, assert_no_problems, at, create, files, layout, load, memory, namespace, noise, open, picture, put, remote,
    small_chunks, stored_bytes, verify,
};
use crate::traps::{all_sprung, trap, trapped};

async fn content_bytes(backend: &Backend) -> u64 {
    stored_bytes(backend, "packs/").await + stored_bytes(backend, "files/").await
}

async fn kept(store: &ContentStorage, location: &str) -> Kept {
    store.find(&at(location)).await.expect("find").kept()
}

async fn put_source(store: &ContentStorage, location: &str, source: Source, options: PutOptions) -> Result<(), Error> {
    let mut batch = store.batch();
    batch.put(at(location), source, options);
    batch.commit().await.map(drop)
}

/// The ways in which content comes, in pieces of odd sizes where it comes in pieces.
fn sources(bytes: &Bytes, folder: &tempfile::TempDir) -> Vec<Source> {
    let path = folder.path().join("source");
    std::fs::write(&path, bytes).expect("write");
    let pieces: Vec<_> = bytes.chunks(70_001).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    vec![Source::Bytes(bytes.clone()), Source::path(path), Source::stream(stream::iter(pieces))]
}

#[tokio::test]
async fn the_same_content_is_stored_once_whoever_stores_it_and_how_it_comes() {
    let folder = tempfile::tempdir().expect("a folder");
    for layouts in [Layout::Whole, Layout::Chunked] {
        for size in [300, 100_000, (1 << 20) + 5] {
            let backend = memory();
            let first = create(&backend, small_chunks().with_layout(layouts)).await;
            let bytes = noise(1, size);
            let mut batch = first.batch();
            batch.put(at("a/one"), bytes.clone(), PutOptions::default()).put(
                at("b/two"),
                bytes.clone(),
                PutOptions::default(),
            );
            batch.commit().await.expect("commit");
            let once = all_content(&backend).await;
            let stored = content_bytes(&backend).await;
            assert!(stored < size as u64 + 6000 + size as u64 / 50, "{stored} for {size}");
            for store in [first, open(&backend).await] {
                for (n, source) in sources(&bytes, &folder).into_iter().enumerate() {
                    put_source(&store, &format!("c/{n}"), source, PutOptions::default()).await.expect("put");
                    assert_eq!(all_content(&backend).await, once, "{layouts:?}, {size} bytes, source {n}");
                }
                store.delete_all(&["a/one", "b/two", "c/0", "c/1", "c/2"].map(at)).await.expect("delete");
                put(&store, "d/again", bytes.clone(), PutOptions::default()).await.expect("put");
                assert_eq!(all_content(&backend).await, once);
            }
            assert_no_problems(&verify(&backend, true).await, "once");
        }
    }
}

#[tokio::test]
async fn storing_an_object_again_unchanged_writes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    for layouts in [Layout::Whole, Layout::Chunked] {
        for size in [10, 300, 100_000, (1 << 20) + 5] {
            let backend = memory();
            create(&backend, small_chunks().with_layout(layouts)).await;
            let bytes = noise(1, size);
            put(&open(&backend).await, "a/b", bytes.clone(), PutOptions::default()).await.expect("put");
            let before = files(&backend, "").await;
            for source in sources(&bytes, &folder) {
                put_source(&open(&backend).await, "a/b", source, PutOptions::default()).await.expect("put");
                assert_eq!(files(&backend, "").await, before, "{layouts:?}, {size} bytes");
            }
        }
    }
}

#[tokio::test]
async fn each_size_is_kept_in_its_place() {
    const SMALL: usize = 1 << 20;
    for (backend, large) in [(memory(), Kept::Whole), (remote(&memory()), Kept::Chunked)] {
        let store = create(&backend, small_chunks()).await;
        for (size, expected) in
            [(0, Kept::Inline), (256, Kept::Inline), (257, Kept::Packed), (SMALL, Kept::Packed), (SMALL + 1, large)]
        {
            let name = format!("a/{size}");
            put(&store, &name, noise(7, size), PutOptions::default()).await.expect("put");
            assert_eq!(kept(&store, &name).await, expected, "{size} bytes");
            assert_eq!(load(&open(&backend).await, &name).await.expect("load"), noise(7, size));
        }
    }
}

#[tokio::test]
async fn an_explicit_layout_is_kept_and_changes_what_was_kept_otherwise() {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    for (size, whole, chunked) in [
        (0, Kept::Whole, Kept::Inline),
        (100, Kept::Whole, Kept::Inline),
        (500, Kept::Whole, Kept::Packed),
        (200_000, Kept::Whole, Kept::Chunked),
        ((1 << 20) + 1, Kept::Whole, Kept::Chunked),
    ] {
        let name = format!("a/{size}");
        for (layouts, expected) in [(Layout::Chunked, chunked), (Layout::Whole, whole), (Layout::Chunked, chunked)] {
            put(&store, &name, noise(7, size), layout(layouts)).await.expect("put");
            assert_eq!(kept(&store, &name).await, expected, "{size} bytes, {layouts:?}");
            assert_eq!(load(&open(&backend).await, &name).await.expect("load"), noise(7, size));
        }
    }
    assert_no_problems(&verify(&backend, true).await, "layouts");
}

#[tokio::test]
async fn without_a_layout_large_content_stays_as_it_is_kept() {
    let bytes = noise(7, (1 << 20) + 1);
    for (policy, other, expected) in
        [(Layout::Whole, Layout::Chunked, Kept::Chunked), (Layout::Chunked, Layout::Whole, Kept::Whole)]
    {
        let backend = memory();
        let store = create(&backend, small_chunks().with_layout(policy)).await;
        put(&store, "a/b", bytes.clone(), layout(other)).await.expect("put");
        let content = all_content(&backend).await;
        put(&store, "a/c", bytes.clone(), PutOptions::default()).await.expect("put");
        assert_eq!(kept(&store, "a/c").await, expected);
        assert_eq!(all_content(&backend).await, content, "{policy:?}");
    }
}

#[tokio::test]
async fn an_insertion_at_the_front_of_a_chunked_object_stores_little() {
    let backend = memory();
    let store = create(&backend, ContentConfig::default().with_layout(Layout::Chunked)).await;
    let bytes = noise(5, 8 << 20);
    put(&store, "a/b", bytes.clone(), PutOptions::default()).await.expect("put");
    let before = content_bytes(&backend).await;
    let mut edited = vec![1];
    edited.extend_from_slice(&bytes);
    put(&store, "a/b", edited.clone().into(), PutOptions::default()).await.expect("put");
    let new = content_bytes(&backend).await - before;
    assert!(new < (8 << 20) / 4, "{new} bytes are new");
    assert!(load(&store, "a/b").await.expect("load") == edited);
}

#[tokio::test]
async fn an_upload_that_was_interrupted_goes_on_where_it_was() {
    let bytes = [noise(1, 33 << 20), noise(2, 33 << 20)];
    let backend = memory();
    create(&backend, ContentConfig::default().with_layout(Layout::Chunked)).await;
    for n in [2, 1, 0] {
        let faulty = FaultyStorage::new(backend.clone());
        let stores_pack = |operation: &Operation| operation.to_string().starts_with("create packs/");
        faulty.fail_nth_such(n, Fault::Refused(ErrorKind::Unavailable), stores_pack);
        let store = open(&(Arc::new(faulty.clone()) as Backend)).await;
        let mut batch = store.batch();
        for (n, bytes) in bytes.iter().enumerate() {
            batch.put(at(&format!("a/{n}")), bytes.clone(), PutOptions::default());
        }
        let result = batch.commit().await;
        if n == 2 {
            assert_eq!(result.expect_err("one pack failed").kind(), ErrorKind::Unavailable);
            assert_eq!(picture(&backend).await.len(), 0);
            assert_eq!(files(&backend, "packs/").await.len(), 2, "of three");
        } else {
            result.expect("one pack is left to be stored, and then none");
            assert_eq!(faulty.struck(), 0);
        }
    }
    assert!(content_bytes(&backend).await < (67 << 20), "nothing is stored twice");
    for (n, bytes) in bytes.iter().enumerate() {
        assert!(load(&open(&backend).await, &format!("a/{n}")).await.expect("load") == *bytes);
    }
    assert_no_problems(&verify(&backend, true).await, "resumed");
}

#[tokio::test]
async fn what_compresses_is_stored_smaller_and_reads_back() {
    let text = Bytes::from("0.123 4.567 8.910\n".repeat(10_000));
    for (compression, smaller) in [(Compression::Auto, true), (Compression::Zstd, true), (Compression::None, false)] {
        let backend = memory();
        let config = small_chunks().with_layout(Layout::Chunked).with_compression(compression);
        let store = create(&backend, config).await;
        put(&store, "a/small", text.clone(), PutOptions::default()).await.expect("put");
        put(&store, "a/chunked", text.slice(1..), layout(Layout::Chunked)).await.expect("put");
        let stored = content_bytes(&backend).await;
        assert_eq!(stored < text.len() as u64 / 2, smaller, "{compression:?}: {stored}");
        let fresh = open(&backend).await;
        assert_eq!(load(&fresh, "a/small").await.expect("load"), text);
        assert_eq!(load(&fresh, "a/chunked").await.expect("load"), text.slice(1..));
        assert_no_problems(&verify(&backend, true).await, "compressed");
    }
}

/// Objects of all kinds whose sizes are around the edges of what they are made of.
async fn objects_to_read() -> (Backend, Vec<(String, Bytes)>) {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    let mut objects = Vec::new();
    let mut batch = store.batch();
    for (layouts, sizes) in [
        (Layout::Auto, vec![0, 1, 256, 257, 5000]),
        (Layout::Chunked, vec![1023, 60_000, 300_000]),
        (Layout::Whole, vec![0, 1, 5000, 1 << 20, (1 << 20) + 1, (2 << 20) + 1000]),
    ] {
        for size in sizes {
            let name = format!("a/{layouts:?}.{size}");
            let bytes = noise(size as u64, size);
            batch.put(at(&name), bytes.clone(), layout(layouts));
            objects.push((name, bytes));
        }
    }
    batch.commit().await.expect("commit");
    (backend, objects)
}

#[test]
fn any_range_of_any_object_is_that_part_of_its_bytes() {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("a runtime");
    let (backend, objects) = runtime.block_on(objects_to_read());
    let store = runtime.block_on(open(&backend));
    let range = prop_oneof![
        Just(ByteRange::All),
        (0u64..3 << 20, 0u64..3 << 20).prop_map(|(start, end)| ByteRange::Span { start, end }),
        (0u64..7000, 0u64..7000).prop_map(|(start, end)| ByteRange::Span { start, end }),
        (0u64..3 << 20).prop_map(ByteRange::From),
        (0u64..3 << 20).prop_map(ByteRange::Last),
    ];
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(index in 0..objects.len(), range in range)| {
        let (name, bytes) = &objects[index];
        let found = runtime.block_on(store.load_bytes(&at(name), range));
        match range.resolve(bytes.len() as u64, name) {
            Ok(part) => {
                let expected = bytes.slice(part.start as usize..part.end as usize);
                prop_assert!(found.expect("load") == expected, "{name} {range}");
            }
            Err(_) => prop_assert_eq!(found.map_err(|error| error.kind()), Err(ErrorKind::Invalid)),
        }
    });
}

#[tokio::test]
async fn an_object_of_equal_chunks_keeps_one_of_them_and_reads_back() {
    let backend = memory();
    let store = create(&backend, small_chunks().with_compression(Compression::None)).await;
    let bytes = Bytes::from(vec![7; 500_000]);
    put(&store, "a/even", bytes.clone(), layout(Layout::Chunked)).await.expect("put");
    assert!(content_bytes(&backend).await < 50_000);
    let fresh = open(&backend).await;
    assert!(load(&fresh, "a/even").await.expect("load") == bytes);
    let part = fresh.load_bytes(&at("a/even"), (16_000..200_001).into()).await.expect("load");
    assert!(part == bytes.slice(16_000..200_001));
    assert_no_problems(&verify(&backend, true).await, "even");
}

#[tokio::test]
async fn a_small_range_of_a_large_object_reads_little() {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    put(&store, "a/chunked", noise(1, 300_000), layout(Layout::Chunked)).await.expect("put");
    put(&store, "a/whole", noise(2, 3 << 20), layout(Layout::Whole)).await.expect("put");
    let recording = RecordingStorage::new(backend);
    let store = open(&(Arc::new(recording.clone()) as Backend)).await;
    store.find(&at("a/whole")).await.expect("find");
    for (name, limit) in [("a/chunked", 32 << 10), ("a/whole", 1 << 20)] {
        recording.take();
        store.load_bytes(&at(name), (200_000..200_010).into()).await.expect("load");
        for operation in recording.operations() {
            if let Operation::Load { location, range } = operation {
                let ByteRange::Span { start, end } = range else { panic!("{location} {range}") };
                assert!(end - start <= limit, "{location} {range}");
            }
        }
    }
}

#[tokio::test]
async fn a_source_that_changes_vanishes_or_is_no_file_stores_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    for layouts in [Layout::Whole, Layout::Chunked] {
        let backend = memory();
        create(&backend, small_chunks()).await;
        let storage = trapped(&backend);
        let store = open(&(Arc::new(storage.clone()) as Backend)).await;
        let path = folder.path().join("growing");
        std::fs::write(&path, noise(1, 3 << 20)).expect("write");
        let growing = path.clone();
        // After it was looked at, while what comes before it in its batch is stored.
        trap(&storage, |operation| operation.to_string().starts_with("create by content"), 0, async move {
            std::fs::write(growing, noise(2, 3 << 20)).expect("write");
        });
        let changing = Source::path(&path);
        let vanished = Source::path(folder.path().join("none"));
        let no_file = Source::path(folder.path());
        for (source, kind) in
            [(changing, ErrorKind::Changed), (vanished, ErrorKind::Missing), (no_file, ErrorKind::Invalid)]
        {
            let mut batch = store.batch();
            batch.put(at("a/before"), noise(3, 500_000), layout(Layout::Whole)).put(at("a/b"), source, layout(layouts));
            let error = batch.commit().await.expect_err("no source");
            assert_eq!(error.kind(), kind, "{error:?}");
            assert!(error.subject().starts_with(folder.path().to_str().expect("text")), "{error}");
        }
        assert!(all_sprung(&storage));
        assert_eq!(picture(&backend).await.len(), 0);
        assert_eq!(files(&backend, "gc/").await, []);
        assert_eq!(files(&backend, "files/").await.len(), 1, "what came before it, under no name");
        put_source(&store, "a/b", Source::path(&path), layout(layouts)).await.expect("it rests now");
        assert!(load(&store, "a/b").await.expect("load") == noise(2, 3 << 20));
    }
}

#[tokio::test]
async fn a_stream_that_fails_stores_nothing_of_its_batch() {
    for layouts in [Layout::Auto, Layout::Whole, Layout::Chunked] {
        for pieces in [0, 1, 12] {
            let backend = memory();
            let store = create(&backend, small_chunks()).await;
            let good = stream::iter(0..pieces).map(|n| Ok(noise(n, 200_000)));
            let bad = stream::iter([Err(Error::new(ErrorKind::Denied, "read", "the sensor", "it is switched off"))]);
            let mut batch = store.batch();
            batch
                .put(at("a/before"), noise(1, 1000), PutOptions::default())
                .put(at("a/stream"), Source::stream(good.chain(bad)), layout(layouts))
                .put(at("b/after"), "1", PutOptions::default());
            let error = batch.commit().await.expect_err("it fails");
            assert_eq!((error.kind(), error.may_have_happened()), (ErrorKind::Denied, false), "{error:?}");
            assert_eq!(picture(&backend).await.len(), 0);
            assert_no_problems(&verify(&backend, true).await, "failed");
        }
    }
}

#[tokio::test]
async fn an_object_of_another_store_can_not_be_linked() {
    let (one, other) = (memory(), memory());
    let store = create(&one, small_chunks()).await;
    put(&store, "a/b", noise(1, 500), PutOptions::default()).await.expect("put");
    let other = create(&other, small_chunks()).await;
    let mut batch = other.batch();
    batch.link(at("a/b"), store.find(&at("a/b")).await.expect("find"), StoreMode::Overwrite);
    let error = batch.commit().await.expect_err("its content is elsewhere");
    assert_eq!((error.kind(), error.subject()), (ErrorKind::Invalid, "a/b"));
    // Another handle on the same store is no other store.
    let mut batch = open(&one).await.batch();
    batch.link(at("a/c"), store.find(&at("a/b")).await.expect("find"), StoreMode::Overwrite);
    batch.commit().await.expect("commit");
    assert_eq!(store.snapshot(&namespace("a")).await.expect("snapshot").version().get(), 2);
}
