//! A store's folder behind a real web server, to be read by whoever knows its address.

mod nginx;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use strongroom_cloud::ObjectStorage;
use strongroom_content::{ContentConfig, ContentStorage, Layout, Namespace, OpenOptions, PutOptions, Version};
use strongroom_storage::{
    ByteRange, Digest, ErrorKind, ExternalStorage, FileStorage, ListOptions, LoadOptions, Location, Source,
    StoreOptions,
};

use ErrorKind::{Denied, Invalid, Missing, Unsupported};
use nginx::Nginx;

fn at(text: &str) -> Location {
    Location::parse(text).expect("a location")
}

/// Bytes that nothing compresses and that no other seed gives.
fn noise(seed: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into()
}

/// What the store has, kept in every way there is, under names that are not the same in a URL.
fn objects() -> Vec<(&'static str, Bytes, Layout)> {
    vec![
        ("run 7/unit#1/energies.csv", noise(1, 30), Layout::Auto),
        ("run 7/unit#1/100% of ä.dat", noise(2, 5000), Layout::Auto),
        ("run 7/unit#1/trajectory", noise(3, 20 << 20), Layout::Whole),
        ("run 7/unit#1/checkpoint", noise(4, 3 << 20), Layout::Chunked),
        ("?x=1&y/a+b", noise(5, 300), Layout::Auto),
        ("top", noise(6, 300), Layout::Auto),
    ]
}

async fn fill(folder: &Path) {
    let store =
        ContentStorage::create(Arc::new(FileStorage::new(folder)), ContentConfig::default(), OpenOptions::default());
    let store = store.await.expect("create");
    for (name, bytes, layout) in objects() {
        let mut batch = store.batch();
        batch.put(at(name), "of before", PutOptions::default());
        batch.commit().await.expect("commit");
        let mut batch = store.batch();
        batch.put(at(name), bytes, PutOptions::default().with_layout(layout));
        batch.commit().await.expect("commit");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_read_from_a_web_server() {
    let (folder, own) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let Some(server) = Nginx::serve(folder.path(), own.path()) else { return };
    fill(&folder.path().join("my store")).await;
    let web = ObjectStorage::open(&format!("{}/my%20store", server.url)).expect("a URL");
    let store = ContentStorage::open(Arc::new(web.clone()), OpenOptions::default()).await.expect("open");
    for (name, bytes, _) in objects() {
        assert!(store.load_bytes(&at(name), ByteRange::All).await.expect(name) == bytes, "{name}");
        let size = bytes.len() as u64;
        for range in [ByteRange::Last(9), (size / 3..size / 2).into(), (size - 1..).into(), (size..).into()] {
            let expected = range.resolve(size, &name).expect("in it");
            let found = store.load_bytes(&at(name), range).await.expect(name);
            assert!(found == bytes[expected.start as usize..expected.end as usize], "{range} of {name}");
        }
        let path = own.path().join("copy");
        store.load_path(&at(name), &path, &LoadOptions::default()).await.expect(name);
        assert!(std::fs::read(&path).expect("read") == bytes, "{name}");
        assert!(store.exists(&at(name)).await.expect("exists"));
    }
    assert!(!store.exists(&at("run 7/unit#1/nothing")).await.expect("exists"));
    let namespace = Namespace::parse("run 7/unit#1").expect("a namespace");
    let old = store.snapshot_at(&namespace, Version::new(1)).await.expect("an old version");
    let old = old.find(&at("run 7/unit#1/energies.csv")).await.expect("find");
    assert_eq!(old.load_bytes(ByteRange::All).await.expect("load"), "of before");
    let snapshot = store.snapshot(&namespace).await.expect("snapshot");
    let names: Vec<_> = snapshot.objects("").await.expect("list").try_collect().await.expect("list");
    assert_eq!(names.len(), 4);
    let requests = web.requests().expect("they are counted");
    assert_eq!((requests.writes, requests.deletes, requests.lists), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_more_than_single_files_is_refused() {
    let (folder, own) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let Some(server) = Nginx::serve(folder.path(), own.path()) else { return };
    fill(&folder.path().join("store")).await;
    let web = ObjectStorage::open(&format!("{}/store", server.url)).expect("a URL");
    let kinds = [
        web.store_bytes(&at("a"), "x".into()).await.map(drop),
        web.store(&at("a"), Source::from("x"), &StoreOptions::create()).await.map(drop),
        web.delete(&at("strongroom.json")).await,
        web.delete_all(&[at("strongroom.json")]).await,
        web.list(&ListOptions::prefix("")).await.map(drop),
        web.iter_contents("").try_collect::<Vec<_>>().await.map(drop),
        web.load_bytes(&at("nothing"), ByteRange::All).await.map(drop),
        web.load_bytes(&at("strongroom.json"), (1 << 40..1 << 41).into()).await.map(drop),
    ]
    .map(|refused| refused.expect_err("it is refused").kind());
    assert_eq!(kinds, [Denied, Denied, Denied, Denied, Unsupported, Unsupported, Missing, Invalid]);
    let store = ContentStorage::open(Arc::new(web), OpenOptions::default()).await.expect("open");
    let error = store.store_bytes(&at("a/b"), "x".into()).await.expect_err("it is refused");
    assert_eq!((error.kind(), error.may_have_happened()), (Denied, false), "{error}");
    let error = store.find_digest(&format!("b3:{}", Digest::of(&noise(2, 5000)))).await.expect_err("it is refused");
    assert_eq!(error.kind(), Unsupported, "{error}");
    let none = ObjectStorage::open(&format!("{}/nothing", server.url)).expect("a URL");
    let error = ContentStorage::open(Arc::new(none), OpenOptions::default()).await.expect_err("there is none");
    assert!(error.is_missing());
}
