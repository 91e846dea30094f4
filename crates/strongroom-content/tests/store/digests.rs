//! Digests: computed, kept, and found by.

use std::sync::Arc;

use strongroom_content::{Layout, PutOptions};
use strongroom_storage::{
    ByteRange, Digest, DigestSet, Digests, ErrorKind, ExternalStorage, FileStorage, Source, StoreMode, StoreOptions,
};
use strongroom_testkit::{Operation, RecordingStorage};

use crate::support::{Backend, at, create, files, layout, load, memory, noise, open, put, small_chunks};

#[tokio::test]
async fn digests_that_are_asked_for_are_right_recorded_and_stay() {
    let backend = memory();
    let config = small_chunks().with_digests(DigestSet::MD5);
    let store = create(&backend, config).await;
    let every = StoreOptions::default().with_digests(DigestSet::ALL);
    for (size, layouts) in
        [(10, Layout::Auto), (70_000, Layout::Auto), (70_000, Layout::Chunked), (2 << 20, Layout::Whole)]
    {
        let name = format!("a/{size}.{layouts:?}");
        let bytes = noise(size as u64, size);
        let expected = Digests::of(&bytes, DigestSet::ALL);
        put(&store, &name, bytes.clone(), layout(layouts)).await.expect("put");
        let mut policy = expected.clone();
        policy.sha256 = None;
        assert_eq!(store.metadata(&at(&name)).await.expect("metadata").digests, policy);
        let stored = store.store(&at(&name), bytes.clone().into(), &every).await.expect("store");
        assert_eq!(stored.digests, expected);
        // Without being asked again, the store forgets nothing that it knows of the same content.
        put(&store, &name, bytes.clone(), layout(layouts)).await.expect("put");
        let recording = RecordingStorage::new(backend.clone());
        let fresh = open(&(Arc::new(recording.clone()) as Backend)).await;
        assert_eq!(fresh.digests(&at(&name), DigestSet::ALL).await.expect("digests"), expected);
        assert_eq!(fresh.hexdigest(&at(&name)).await.expect("hexdigest"), expected.md5.expect("md5").to_string());
        let content = |operation: &Operation| {
            operation.locations().iter().any(|location| !location.as_str().starts_with("names/"))
        };
        let lines = recording.operations();
        assert!(lines.iter().skip(1).all(|operation| !content(operation)), "they are on record: {lines:?}");
    }
    put(&store, "a/10.Auto", "other".into(), PutOptions::default()).await.expect("put");
    let digests = store.metadata(&at("a/10.Auto")).await.expect("metadata").digests;
    assert_eq!(digests.sha256, None, "that was of other content");
}

#[tokio::test]
async fn digests_of_large_content_are_right_however_it_comes_and_also_if_it_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let local: Backend = Arc::new(FileStorage::new(folder.path().join("store")));
    let path = folder.path().join("source");
    let content = noise(1, (9 << 20) + 77);
    std::fs::write(&path, &content).expect("write");
    let expected = Digests::of(&content, DigestSet::ALL);
    for backend in [memory(), local] {
        for layouts in [Layout::Whole, Layout::Chunked] {
            for round in ["new", "again"] {
                let pieces = || futures::stream::iter([Ok(content.slice(..5)), Ok(content.slice(5..))]);
                for source in [Source::stream(pieces()), Source::path(&path), Source::bytes(content.clone())] {
                    let store =
                        if round == "new" { create(&backend, small_chunks()).await } else { open(&backend).await };
                    let when = format!("{layouts:?} {source:?} {round}");
                    let mut batch = store.batch();
                    batch.put(at("a/b"), source, layout(layouts).with_digests(DigestSet::ALL));
                    let committed = batch.commit().await.expect(&when);
                    assert_eq!(committed.stored[0].digests, expected, "{when}");
                    assert!(load(&store, "a/b").await.expect(&when) == content, "{when}");
                    if round == "new" {
                        let mut batch = store.batch();
                        batch.remove(at("a/b"));
                        batch.commit().await.expect("removed");
                        for file in [files(&backend, "packs/").await, files(&backend, "files/").await].concat() {
                            backend.delete(&file).await.expect("deleted");
                        }
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn any_object_is_found_by_its_digest_or_enough_of_it() {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    let objects = [(10, Layout::Auto), (3000, Layout::Auto), (90_000, Layout::Chunked), (40_000, Layout::Whole)];
    for (size, layouts) in objects {
        put(&store, &format!("a/{size}"), noise(1, size), layout(layouts)).await.expect("put");
    }
    for (size, _) in objects {
        let digest = Digest::of(&noise(1, size)).to_string();
        for text in [format!("b3:{digest}"), digest.clone(), format!("b3:{}", &digest[..20]), digest[..9].to_string()] {
            let object = open(&backend).await.find_digest(&text).await.expect("find");
            assert_eq!((object.digest().to_string(), object.size()), (digest.clone(), size as u64));
            let bytes = object.load(ByteRange::All).await.expect("open").into_bytes().await.expect("read");
            assert!(bytes == noise(1, size), "{size} bytes by {text}");
            assert!(!object.is_named());
            let mut batch = store.batch();
            batch.link(at(&format!("b/{size}")), object, StoreMode::Overwrite);
            batch.commit().await.expect("link");
            assert!(load(&store, &format!("b/{size}")).await.expect("load") == noise(1, size));
        }
    }
    let fresh = open(&backend).await;
    let kind = |text: &'static str| {
        let fresh = &fresh;
        async move { fresh.find_digest(text).await.map(drop).map_err(|error| error.kind()) }
    };
    assert_eq!(kind("b3:").await, Err(ErrorKind::Invalid));
    assert_eq!(kind("b3:xyz").await, Err(ErrorKind::Invalid));
    assert_eq!(kind("b3:0123456789abcdef").await, Err(ErrorKind::Missing));
    // 17 objects can not all differ in their first digit.
    for n in 0..17 {
        put(&store, &format!("c/{n}"), noise(n, if n % 2 == 0 { 9 } else { 900 }), PutOptions::default())
            .await
            .expect("put");
    }
    let mut ambiguous = 0;
    for digit in 0..16 {
        if let Err(error) = open(&backend).await.find_digest(&format!("b3:{digit:x}")).await
            && error.kind() == ErrorKind::Invalid
        {
            assert!(error.to_string().contains("digests begin so: b3:"), "{error}");
            ambiguous += 1;
        }
    }
    assert!(ambiguous > 0);
}
