//! A wrapper asks the storage behind it once, in the same words, so that what is faster there stays faster.

use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use strongroom_storage::{
    ByteRange, ContentNamer, DigestSet, ExternalStorage, ListOptions, Location, MemoryStorage, PrefixStorage,
    ReadOnlyStorage, Result, StoreItem, StoreOptions,
};
use strongroom_testkit::RecordingStorage;

fn at(text: &str) -> Location {
    Location::parse(text).expect("a location")
}

struct Named(Location);

impl ContentNamer for Named {
    fn update(&mut self, _: &[u8]) {}

    fn location(&mut self) -> Result<Location> {
        Ok(self.0.clone())
    }
}

/// Asks everything that changes nothing.
async fn read(storage: &dyn ExternalStorage) {
    storage.load_bytes(&at("a"), ByteRange::Last(1)).await.expect("load");
    storage.load(&at("a"), (1..3).into()).await.expect("load");
    drop(storage.load_stream(&at("a")).await.expect("load"));
    storage.metadata(&at("a")).await.expect("metadata");
    storage.exists(&at("b")).await.expect("exists");
    storage.digests(&at("a"), DigestSet::MD5).await.expect("digests");
    storage.hexdigest(&at("a")).await.expect("hexdigest");
    storage.iter_contents("a").try_collect::<Vec<_>>().await.expect("list");
    storage.list(&ListOptions::directory("c/").with_start_after("c/d").with_limit(2)).await.expect("list");
    storage.local_path(&at("a"), None).await.expect_err("memory");
}

#[tokio::test]
async fn a_prefix_storage_passes_every_request_on() {
    let recording = Arc::new(RecordingStorage::new(Arc::new(MemoryStorage::new())));
    let storage = PrefixStorage::new(recording.clone(), at("p"));
    let options = StoreOptions::create();
    storage.store(&at("a"), "1234".into(), &options).await.expect("store");
    storage.store_bytes(&at("b"), "1".into()).await.expect("store");
    storage.store_path(&at("b"), Path::new("absent")).await.expect_err("there is no such file");
    storage.store_all(vec![StoreItem::new(at("c/d"), "1")], &options).await.expect("store");
    storage.store_named("1".into(), Box::new(Named(at("e"))), &options).await.expect("store");
    storage.delete(&at("b")).await.expect("delete");
    storage.delete_all(&[at("e")]).await.expect("delete");
    let writes =
        ["create p/a", "store p/b", "store p/b", "create p/c/d", "create by content", "delete p/b", "delete p/e"];
    assert_eq!(recording.lines(), writes);
    recording.take();

    read(&storage).await;
    let reads = [
        "load p/a -1",
        "load p/a 1..3",
        "load p/a",
        "metadata p/a",
        "exists p/b",
        "digests p/a",
        "digests p/a",
        "iterate p/a",
        "list p/c/ delimited after p/c/d limit 2",
        "path p/a",
    ];
    assert_eq!(recording.lines(), reads);
}

#[tokio::test]
async fn a_read_only_storage_passes_reads_on_and_no_write() {
    let recording = Arc::new(RecordingStorage::new(Arc::new(MemoryStorage::new())));
    recording.store_bytes(&at("a"), "1234".into()).await.expect("store");
    recording.take();
    let storage = ReadOnlyStorage::new(recording.clone());
    storage.store_bytes(&at("b"), "1".into()).await.expect_err("read-only");
    storage.delete(&at("a")).await.expect_err("read-only");
    assert_eq!(recording.lines(), [""; 0]);

    read(&storage).await;
    let reads = [
        "load a -1",
        "load a 1..3",
        "load a",
        "metadata a",
        "exists b",
        "digests a",
        "digests a",
        "iterate a",
        "list c/ delimited after c/d limit 2",
        "path a",
    ];
    assert_eq!(recording.lines(), reads);
}
