//! A storage that refuses every write.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::digest::{DigestSet, Digests};
use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;
use crate::options::{
    ByteRange, ByteStream, Capabilities, Copied, ListOptions, Listing, LoadOptions, Loaded, LocalPath, Metadata,
    StoreItem, StoreOptions, Stored,
};
use crate::source::Source;
use crate::storage::{ContentNamer, ExternalStorage, ObjectReader};
use crate::target::TargetFile;

/// Another storage, to be read only: every write is [`ErrorKind::Denied`].
#[derive(Clone, Debug)]
pub struct ReadOnlyStorage {
    inner: Arc<dyn ExternalStorage>,
}

impl ReadOnlyStorage {
    /// `inner`, without its writes.
    pub fn new(inner: Arc<dyn ExternalStorage>) -> Self {
        Self { inner }
    }

    fn denied(&self, operation: &'static str, subject: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Denied, operation, subject, format!("{self} was opened read-only; open it for writing"))
    }
}

impl fmt::Display for ReadOnlyStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ExternalStorage for ReadOnlyStorage {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn store(&self, location: &Location, _: Source, _: &StoreOptions) -> Result<Stored> {
        Err(self.denied("store", location))
    }

    async fn store_bytes(&self, location: &Location, _: Bytes) -> Result<Stored> {
        Err(self.denied("store", location))
    }

    async fn store_path(&self, location: &Location, _: &Path) -> Result<Stored> {
        Err(self.denied("store", location))
    }

    async fn store_all(&self, items: Vec<StoreItem>, _: &StoreOptions) -> Result<Vec<Stored>> {
        match items.first() {
            Some(item) => Err(self.denied("store", &item.location)),
            None => Ok(Vec::new()),
        }
    }

    async fn store_named(&self, _: Source, _: Box<dyn ContentNamer>, _: &StoreOptions) -> Result<Stored> {
        Err(self.denied("store", "content"))
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        Err(self.denied("delete", location))
    }

    async fn delete_all(&self, locations: &[Location]) -> Result<()> {
        match locations.first() {
            Some(location) => Err(self.denied("delete", location)),
            None => Ok(()),
        }
    }

    async fn load(&self, location: &Location, range: ByteRange) -> Result<Loaded> {
        self.inner.load(location, range).await
    }

    async fn load_stream(&self, location: &Location) -> Result<ByteStream> {
        self.inner.load_stream(location).await
    }

    async fn load_bytes(&self, location: &Location, range: ByteRange) -> Result<Bytes> {
        self.inner.load_bytes(location, range).await
    }

    async fn reader(&self, location: &Location) -> Result<Option<Arc<dyn ObjectReader>>> {
        self.inner.reader(location).await
    }

    async fn load_into(&self, location: &Location, target: &TargetFile, digests: DigestSet) -> Result<Copied> {
        self.inner.load_into(location, target, digests).await
    }

    async fn load_path(&self, location: &Location, path: &Path, options: &LoadOptions) -> Result<Copied> {
        self.inner.load_path(location, path, options).await
    }

    async fn metadata(&self, location: &Location) -> Result<Metadata> {
        self.inner.metadata(location).await
    }

    async fn make_durable(&self, locations: &[Location]) -> Result<()> {
        self.inner.make_durable(locations).await
    }

    async fn available_bytes(&self) -> Result<Option<u64>> {
        self.inner.available_bytes().await
    }

    async fn exists(&self, location: &Location) -> Result<bool> {
        self.inner.exists(location).await
    }

    async fn digests(&self, location: &Location, set: DigestSet) -> Result<Digests> {
        self.inner.digests(location, set).await
    }

    async fn hexdigest(&self, location: &Location) -> Result<String> {
        self.inner.hexdigest(location).await
    }

    fn iter_contents(&self, prefix: &str) -> BoxStream<'static, Result<Location>> {
        self.inner.iter_contents(prefix)
    }

    async fn list(&self, options: &ListOptions) -> Result<Listing> {
        self.inner.list(options).await
    }

    async fn local_path(&self, location: &Location, name: Option<&str>) -> Result<LocalPath> {
        self.inner.local_path(location, name).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryStorage;

    struct Nameless;

    impl ContentNamer for Nameless {
        fn update(&mut self, _: &[u8]) {}

        fn location(&mut self) -> Result<Location> {
            Location::parse("named")
        }
    }

    #[tokio::test]
    async fn every_write_is_denied_and_changes_nothing() {
        let memory = MemoryStorage::new();
        let location = Location::parse("a").expect("a location");
        memory.store_bytes(&location, "1".into()).await.expect("store");
        let storage = ReadOnlyStorage::new(Arc::new(memory.clone()));
        let options = StoreOptions::default();
        let item = StoreItem::new(location.clone(), "2");
        let errors = [
            storage.store(&location, "2".into(), &options).await.err(),
            storage.store_bytes(&location, "2".into()).await.err(),
            storage.store_path(&location, Path::new("/nowhere")).await.err(),
            storage.store_all(vec![item], &options).await.err(),
            storage.store_named("2".into(), Box::new(Nameless), &options).await.err(),
            storage.delete(&location).await.err(),
            storage.delete_all(std::slice::from_ref(&location)).await.err(),
        ];
        for error in errors {
            assert_eq!(error.expect("a write").kind(), ErrorKind::Denied);
        }
        assert_eq!(memory.load_bytes(&location, ByteRange::All).await.expect("load"), "1");
        assert_eq!(memory.list(&ListOptions::default()).await.expect("list").objects.len(), 1);
    }

    #[tokio::test]
    async fn reads_are_those_of_the_inner_storage() {
        let memory = MemoryStorage::new();
        let location = Location::parse("a").expect("a location");
        memory.store_bytes(&location, "1".into()).await.expect("store");
        let storage = ReadOnlyStorage::new(Arc::new(memory));
        assert_eq!(storage.load_bytes(&location, ByteRange::All).await.expect("load"), "1");
        assert!(storage.exists(&location).await.expect("exists"));
        let error = storage.delete(&location).await.expect_err("read-only");
        assert_eq!(error.to_string(), "delete a: memory:// was opened read-only; open it for writing");
    }
}
