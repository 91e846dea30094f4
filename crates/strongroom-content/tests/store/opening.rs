//! Making and opening stores: what is no store, or one of another time, is said to be so and left alone.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use strongroom_content::{
    ChunkSizes, CollectOptions, Compression, ContentConfig, ContentStorage, Layout, MirrorOptions, OpenOptions, Version,
};
use strongroom_storage::{ByteRange, Digest, DigestSet, ErrorKind, ExternalStorage, ReadOnlyStorage, StoreMode};
use strongroom_testkit::{Operation, RecordingStorage};

use crate::support::{
    Backend, assert_no_problems, at, create, files, load, memory, namespace, noise, open, small_chunks, verify,
};
use crate::traps::trapped;

#[tokio::test]
async fn a_folder_that_is_no_store_is_said_to_be_none_and_left_alone() {
    let backend = memory();
    backend.store_bytes(&at("holiday.jpg"), "not ours".into()).await.expect("store");
    let error = ContentStorage::open(backend.clone(), OpenOptions::default()).await.expect_err("no store");
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert!(error.to_string().contains("make one with `strongroom init`"), "{error}");
    assert_eq!(files(&backend, "").await, [at("holiday.jpg")]);
}

#[tokio::test]
async fn a_store_of_another_time_is_refused_and_left_alone() {
    let backend = memory();
    create(&backend, small_chunks()).await;
    let file = at("strongroom.json");
    let text = backend.load_bytes(&file, ByteRange::All).await.expect("load");
    let text = String::from_utf8(text.into()).expect("text");
    for (from, to, kind, says) in [
        ("\"format\": \"1\"", "\"format\": \"2\"", ErrorKind::Unsupported, "format \"2\""),
        ("\"format\"", "\"form\"", ErrorKind::Unsupported, "format is not given"),
        ("\"required_features\": []", "\"required_features\": [\"mirrors\"]", ErrorKind::Unsupported, "\"mirrors\""),
        ("\"digests\": []", "\"digests\": [\"crc7\"]", ErrorKind::Unsupported, "\"crc7\""),
        ("\"auto\"", "\"sideways\"", ErrorKind::Corrupt, "damaged"),
        ("129600", "0", ErrorKind::Corrupt, "damaged"),
        ("129600", "129601", ErrorKind::Corrupt, "damaged"),
        ("4096", "4097", ErrorKind::Corrupt, "damaged"),
        ("{", "[", ErrorKind::Corrupt, "damaged"),
    ] {
        assert!(text.contains(from), "{from} is not in {text}");
        let changed = text.replacen(from, to, 1);
        // But for one, somebody meant it.
        let changed = if to == "129601" { changed } else { sealed(&changed) };
        backend.store_bytes(&file, changed.into()).await.expect("store");
        let before = files(&backend, "").await;
        for result in [
            ContentStorage::open(backend.clone(), OpenOptions::default()).await,
            ContentStorage::create(backend.clone(), small_chunks(), OpenOptions::default()).await,
        ] {
            let error = result.expect_err(to);
            assert_eq!(error.kind(), kind, "{error:?}");
            assert!(error.to_string().contains(says), "{error}");
        }
        assert_eq!(files(&backend, "").await, before);
    }
    // What a later program adds without requiring it is passed over.
    let colored = sealed(&text.replacen('{', "{\"color\": \"blue\",", 1));
    backend.store_bytes(&file, colored.into()).await.expect("store");
    open(&backend).await.store_bytes(&at("a/b"), "1".into()).await.expect("store");
}

#[tokio::test]
async fn a_store_that_wants_writers_who_know_more_is_only_read() {
    let (backend, other) = (memory(), memory());
    let store = create(&backend, small_chunks()).await;
    store.store_bytes(&at("a/b"), "1".into()).await.expect("store");
    let source = create(&other, small_chunks()).await;
    let file = at("strongroom.json");
    let text = backend.load_bytes(&file, ByteRange::All).await.expect("load");
    let text = String::from_utf8(text.into()).expect("text");
    let asking = text.replacen("\"required_to_write\": []", "\"required_to_write\": [\"pins\"]", 1);
    assert_ne!(asking, text);
    backend.store_bytes(&file, sealed(&asking).into()).await.expect("store");
    let before = files(&backend, "").await;
    let store = open(&backend).await;
    assert_eq!(load(&store, "a/b").await.expect("load"), "1");
    assert_no_problems(&verify(&backend, true).await, "it is sound");
    store.collect(CollectOptions::default().with_dry_run(true)).await.expect("it only looks");
    let offline = CollectOptions::default().with_offline(true);
    for refused in [
        store.store_bytes(&at("a/c"), "2".into()).await.map(drop),
        store.delete(&at("a/b")).await,
        store.tag(&namespace("a"), Version::new(1), "t", StoreMode::Create).await.map(drop),
        store.collect(offline).await.map(drop),
        store.mirror_from(&source, MirrorOptions::default()).await.map(drop),
    ] {
        let error = refused.expect_err("it does not know pins");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
        assert!(error.to_string().contains("pins"), "{error}");
    }
    assert_eq!(files(&backend, "").await, before);
}

/// A description with the checksum that it should have, if it is one.
fn sealed(description: &str) -> String {
    let Ok(mut fields) = serde_json::from_str::<serde_json::Value>(description) else { return description.into() };
    let Some(checksum) = fields.as_object_mut().and_then(|fields| fields.remove("checksum")) else {
        return description.into();
    };
    fields.sort_all_objects();
    let digest = Digest::of(fields.to_string().as_bytes()).to_string();
    description.replace(checksum.as_str().expect("text"), &digest)
}

#[tokio::test]
async fn a_store_is_made_once_and_its_own_configuration_holds() {
    let backend = memory();
    let config = small_chunks()
        .with_layout(Layout::Chunked)
        .with_compression(Compression::None)
        .with_digests(DigestSet::MD5)
        .with_grace(Duration::from_secs(7200))
        .with_lease(Duration::from_secs(600));
    let first = create(&backend, config.clone()).await;
    let again = create(&backend, ContentConfig::default()).await;
    assert_eq!(first.id(), again.id());
    for store in [first, again, open(&backend).await] {
        assert_eq!(store.config(), config);
    }
}

#[tokio::test]
async fn makers_who_race_agree_on_one_store() {
    let backend = memory();
    let racing: Backend = Arc::new(trapped(&backend));
    let stores = join_all((0..8).map(|_| create(&racing, ContentConfig::default()))).await;
    for (n, store) in stores.iter().enumerate() {
        assert_eq!(store.id(), stores[0].id());
        store.store_bytes(&at(&format!("a/{n}")), noise(n as u64, 500)).await.expect("store");
    }
    for n in 0..8 {
        assert_eq!(load(&stores[0], &format!("a/{n}")).await.expect("load"), noise(n, 500));
    }
    assert_eq!(files(&backend, "gc/").await, []);
}

#[tokio::test]
async fn a_configuration_that_can_not_be_is_refused() {
    let sizes = |minimum, average, maximum| {
        let mut sizes = ChunkSizes::default();
        (sizes.minimum, sizes.average, sizes.maximum) = (minimum, average, maximum);
        ContentConfig::default().with_chunk_sizes(sizes)
    };
    for config in [
        sizes(0, 1 << 20, 4 << 20),
        sizes(1 << 21, 1 << 20, 4 << 20),
        sizes(1 << 18, 1 << 20, 1 << 19),
        sizes(1 << 18, 1_000_000, 4 << 20),
        sizes(1 << 18, 1 << 25, 1 << 26),
        sizes(1 << 18, 1 << 20, u32::MAX),
        ContentConfig::default().with_grace(Duration::ZERO),
        ContentConfig::default().with_lease(Duration::from_millis(999)),
    ] {
        let backend = memory();
        let result = ContentStorage::create(backend.clone(), config.clone(), OpenOptions::default()).await;
        assert_eq!(result.expect_err("it can't be").kind(), ErrorKind::Invalid, "{config:?}");
        assert_eq!(files(&backend, "").await, []);
    }
}

#[tokio::test]
async fn opening_and_reading_write_nothing() {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    store.store_bytes(&at("a/b"), noise(1, 1000)).await.expect("store");
    let recording = RecordingStorage::new(backend.clone());
    let reader = open(&(Arc::new(recording.clone()) as Backend)).await;
    assert_eq!(recording.lines(), ["load strongroom.json"]);
    load(&reader, "a/b").await.expect("load");
    load(&reader, "a/c").await.expect_err("there is none");
    reader.find_digest("b3:0").await.map(drop).unwrap_or_default();
    reader.usage().await.expect("usage");
    reader.verify(Default::default()).await.expect("verify");
    assert_eq!(recording.count(Operation::is_write), 0);

    let read_only = open(&(Arc::new(ReadOnlyStorage::new(backend)) as Backend)).await;
    assert_eq!(load(&read_only, "a/b").await.expect("load"), noise(1, 1000));
    let error = read_only.store_bytes(&at("a/c"), "1".into()).await.expect_err("read-only");
    assert_eq!(error.kind(), ErrorKind::Denied);
}
