//! Stores on backends that a test can look into, and pictures of what they hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::BoxFuture;
use strongroom_content::{
    ChunkSizes, ContentConfig, ContentStorage, Layout, Namespace, OpenOptions, PutOptions, VerifyOptions, VerifyReport,
};
use strongroom_storage::{ByteRange, ExternalStorage, Location, MemoryStorage, Result};
use strongroom_testkit::{FarStorage, UnorderedStorage};

/// What a store is kept in.
pub type Backend = Arc<dyn ExternalStorage>;

pub fn at(text: &str) -> Location {
    Location::parse(text).expect("a location")
}

pub fn namespace(text: &str) -> Namespace {
    Namespace::parse(text).expect("a namespace")
}

/// Bytes that nothing compresses and that no other seed gives.
pub fn noise(seed: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into()
}

pub fn memory() -> Backend {
    Arc::new(MemoryStorage::new())
}

/// `backend`, far away, and its listings are not in order.
pub fn remote(backend: &Backend) -> Backend {
    Arc::new(UnorderedStorage::new(bucket(backend)))
}

/// `backend`, far away, and its listings are in order, as those of S3.
pub fn bucket(backend: &Backend) -> Backend {
    Arc::new(FarStorage::new(backend.clone()))
}

/// Chunks of some KiB, so that little content has many of them.
pub fn small_chunks() -> ContentConfig {
    let mut sizes = ChunkSizes::default();
    (sizes.minimum, sizes.average, sizes.maximum) = (1 << 10, 4 << 10, 16 << 10);
    ContentConfig::default().with_chunk_sizes(sizes)
}

pub fn layout(layout: Layout) -> PutOptions {
    PutOptions::default().with_layout(layout)
}

pub async fn create(backend: &Backend, config: ContentConfig) -> ContentStorage {
    ContentStorage::create(backend.clone(), config, OpenOptions::default()).await.expect("create the store")
}

/// A handle that knows nothing yet.
pub async fn open(backend: &Backend) -> ContentStorage {
    ContentStorage::open(backend.clone(), OpenOptions::default()).await.expect("open the store")
}

pub async fn put(store: &ContentStorage, location: &str, bytes: Bytes, options: PutOptions) -> Result<()> {
    let mut batch = store.batch();
    batch.put(at(location), bytes, options);
    batch.commit().await.map(drop)
}

pub async fn load(store: &ContentStorage, location: &str) -> Result<Bytes> {
    store.load_bytes(&at(location), ByteRange::All).await
}

/// The files of a store that begin with `prefix`.
pub async fn files(backend: &Backend, prefix: &str) -> Vec<Location> {
    let mut found: Vec<Location> = backend.iter_contents(prefix).try_collect().await.expect("list");
    found.sort();
    found
}

/// How many bytes the files have that begin with `prefix`.
pub async fn stored_bytes(backend: &Backend, prefix: &str) -> u64 {
    let mut sum = 0;
    for file in files(backend, prefix).await {
        sum += backend.metadata(&file).await.expect("metadata").size;
    }
    sum
}

/// A storage of its own with the same objects.
pub async fn copy(backend: &Backend) -> Backend {
    let image = memory();
    for file in files(backend, "").await {
        let bytes = backend.load_bytes(&file, ByteRange::All).await.expect("load");
        image.store_bytes(&file, bytes).await.expect("store");
    }
    image
}

/// What stands under names: by namespace, and the tags.
pub type Picture = BTreeMap<String, BTreeMap<String, Bytes>>;

/// What a handle that knows nothing yet finds.
pub async fn picture(backend: &Backend) -> Picture {
    let store = open(backend).await;
    let mut picture = Picture::new();
    let mut objects = store.objects("");
    while let Some(object) = objects.try_next().await.expect("list the objects") {
        let bytes = object.load(ByteRange::All).await.expect("open").into_bytes().await.expect("read");
        let group = Namespace::of(object.location()).to_string();
        picture.entry(group).or_default().insert(object.location().to_string(), bytes);
    }
    for tag in store.tags().await.expect("list the tags") {
        let (name, version) = (format!("{} of {}", tag.name, tag.namespace), tag.version.to_string());
        picture.entry("the tags".into()).or_default().insert(name, version.into());
    }
    picture
}

/// How many commits each namespace has.
pub async fn commits(backend: &Backend) -> BTreeMap<String, u64> {
    let store = open(backend).await;
    let mut commits = BTreeMap::new();
    for namespace in store.namespaces("").await.expect("list the namespaces") {
        let version = store.snapshot(&namespace).await.expect("snapshot").version();
        commits.insert(namespace.to_string(), version.get());
    }
    commits
}

pub async fn verify(backend: &Backend, data: bool) -> VerifyReport {
    open(backend).await.verify(VerifyOptions::default().with_data(data)).await.expect("verify")
}

#[track_caller]
pub fn assert_no_problems(report: &VerifyReport, when: &str) {
    assert!(report.is_sound(), "{when}: {:#?}", report.problems);
}

/// One piece of work with a store.
pub type Work = for<'a> fn(&'a ContentStorage) -> BoxFuture<'a, Result<()>>;

/// Work, and what was there before.
pub struct Step {
    pub name: &'static str,
    pub prepare: for<'a> fn(&'a Backend) -> BoxFuture<'a, ()>,
    pub work: Work,
}
