//! A storage that takes names that differ in case for the same, as the file systems of some machines do.

use std::fmt;

use async_trait::async_trait;
use futures::stream::BoxStream;
use strongroom_storage::{
    ByteRange, Capabilities, ExternalStorage, Loaded, Location, MemoryStorage, Metadata, Result, Source, StoreOptions,
    Stored,
};

#[derive(Debug, Default)]
pub struct FoldingStorage {
    inner: MemoryStorage,
}

fn folded(location: &Location) -> Result<Location> {
    Location::parse(&location.as_str().to_lowercase())
}

impl fmt::Display for FoldingStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("folding")
    }
}

#[async_trait]
impl ExternalStorage for FoldingStorage {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn store(&self, location: &Location, source: Source, options: &StoreOptions) -> Result<Stored> {
        self.inner.store(&folded(location)?, source, options).await
    }

    async fn load(&self, location: &Location, range: ByteRange) -> Result<Loaded> {
        self.inner.load(&folded(location)?, range).await
    }

    async fn metadata(&self, location: &Location) -> Result<Metadata> {
        self.inner.metadata(&folded(location)?).await
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        self.inner.delete(&folded(location)?).await
    }

    fn iter_contents(&self, prefix: &str) -> BoxStream<'static, Result<Location>> {
        self.inner.iter_contents(&prefix.to_lowercase())
    }
}
