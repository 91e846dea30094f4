//! A storage whose service replaces what is there already, for whoever is the only one who writes to it.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use strongroom_storage::{
    ByteRange, Capabilities, Error, ExternalStorage, ListOptions, Listing, Loaded, Location, Metadata, Result, Source,
    StoreMode, StoreOptions, Stored,
};

/// Creates only what is not there, by looking first: within one process it keeps promise 4, and nobody else may write meanwhile.
#[derive(Debug)]
pub(crate) struct SoleWriter {
    inner: Arc<dyn ExternalStorage>,
    /// One of them is held while something is looked for and created, the same for the same location.
    turns: [tokio::sync::Mutex<()>; TURNS],
}

/// So many locations are created at once.
const TURNS: usize = 64;

impl SoleWriter {
    pub(crate) fn new(inner: Arc<dyn ExternalStorage>) -> Self {
        Self { inner, turns: std::array::from_fn(|_| tokio::sync::Mutex::new(())) }
    }
}

impl fmt::Display for SoleWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

/// What is not here is done by these.
#[async_trait]
impl ExternalStorage for SoleWriter {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        capabilities.create_if_absent = true;
        capabilities
    }

    async fn store(&self, location: &Location, source: Source, options: &StoreOptions) -> Result<Stored> {
        if options.mode != StoreMode::Create {
            return self.inner.store(location, source, options).await;
        }
        let mut hasher = DefaultHasher::new();
        location.hash(&mut hasher);
        let _turn = self.turns[hasher.finish() as usize % TURNS].lock().await;
        if self.inner.exists(location).await? {
            return Err(Error::already_exists("store", location));
        }
        self.inner.store(location, source, &options.with_mode(StoreMode::Overwrite)).await
    }

    async fn load(&self, location: &Location, range: ByteRange) -> Result<Loaded> {
        self.inner.load(location, range).await
    }

    async fn metadata(&self, location: &Location) -> Result<Metadata> {
        self.inner.metadata(location).await
    }

    async fn exists(&self, location: &Location) -> Result<bool> {
        self.inner.exists(location).await
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        self.inner.delete(location).await
    }

    async fn delete_all(&self, locations: &[Location]) -> Result<()> {
        self.inner.delete_all(locations).await
    }

    fn iter_contents(&self, prefix: &str) -> BoxStream<'static, Result<Location>> {
        self.inner.iter_contents(prefix)
    }

    async fn list(&self, options: &ListOptions) -> Result<Listing> {
        self.inner.list(options).await
    }
}
