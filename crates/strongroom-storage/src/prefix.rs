//! A part of a storage, used as if it were a whole one.

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use crate::digest::{DigestSet, Digests};
use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;
use crate::options::{
    ByteRange, ByteStream, Capabilities, Copied, ListOptions, ListedObject, Listing, LoadOptions, Loaded, LocalPath,
    Metadata, StoreItem, StoreOptions, Stored,
};
use crate::source::Source;
use crate::storage::{ContentNamer, ExternalStorage, ObjectReader, PieceVisitor};
use crate::target::TargetFile;

/// What is below one location of another storage.
///
/// A location that is too long together with the prefix is [`ErrorKind::Invalid`].
///
/// ```
/// # use std::sync::Arc;
/// # use strongroom_storage::{ExternalStorage, Location, MemoryStorage, PrefixStorage};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> strongroom_storage::Result<()> {
/// let whole = MemoryStorage::new();
/// let part = PrefixStorage::new(Arc::new(whole.clone()), Location::parse("campaign/7")?);
/// part.store_bytes(&Location::parse("a.txt")?, "1".into()).await?;
/// assert!(whole.exists(&Location::parse("campaign/7/a.txt")?).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PrefixStorage {
    inner: Arc<dyn ExternalStorage>,
    prefix: Location,
}

impl PrefixStorage {
    /// What is below `prefix` in `inner`.
    pub fn new(inner: Arc<dyn ExternalStorage>, prefix: Location) -> Self {
        Self { inner, prefix }
    }

    /// Where the inner storage keeps the object at `location`.
    fn inward(&self, operation: &'static str, location: &Location) -> Result<Location> {
        self.prefix.join(location.as_str()).map_err(|error| {
            let detail = format!("it is too long below {}; shorten it", self.prefix);
            Error::new(ErrorKind::Invalid, operation, location, detail).with_source(error)
        })
    }

    fn outward(&self, location: &Location) -> Result<Location> {
        match below(&self.prefix, location.as_str()) {
            Some(rest) => Location::parse(rest),
            None => Err(self.stray(location)),
        }
    }

    fn outward_stored(&self, stored: Stored) -> Result<Stored> {
        Ok(Stored { location: self.outward(&stored.location)?, ..stored })
    }

    fn stray(&self, name: impl fmt::Display) -> Error {
        let detail = format!("{} listed it below {}", self.inner, self.prefix);
        Error::new(ErrorKind::Internal, "list", name, detail)
    }

    /// The error, speaking of the location as it is called here.
    fn renamed(&self) -> impl Fn(Error) -> Error + use<> {
        let prefix = self.prefix.clone();
        move |error| match below(&prefix, error.subject()).map(str::to_string) {
            Some(subject) => {
                let operation = error.operation();
                error.in_operation(operation, subject)
            }
            None => error,
        }
    }

    fn inward_prefix(&self, prefix: &str) -> String {
        format!("{}/{prefix}", self.prefix)
    }
}

/// What follows `prefix/` in `name`.
fn below<'a>(prefix: &Location, name: &'a str) -> Option<&'a str> {
    name.strip_prefix(prefix.as_str())?.strip_prefix('/')
}

impl fmt::Display for PrefixStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner.to_string();
        let separator = if inner.ends_with('/') { "" } else { "/" };
        write!(f, "{inner}{separator}{}", self.prefix)
    }
}

/// A namer whose names are below a prefix.
struct PrefixNamer {
    inner: Box<dyn ContentNamer>,
    storage: PrefixStorage,
}

impl ContentNamer for PrefixNamer {
    fn update(&mut self, bytes: &[u8]) {
        self.inner.update(bytes);
    }

    fn location(&mut self) -> Result<Location> {
        self.storage.inward("store", &self.inner.location()?)
    }
}

/// A reader whose errors speak of the location as it is called here.
#[derive(Debug)]
struct PrefixReader {
    inner: Arc<dyn ObjectReader>,
    storage: PrefixStorage,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ObjectReader for PrefixReader {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        self.inner.read(range).await.map_err(self.storage.renamed())
    }

    async fn visit(&self, range: Range<u64>, visit: PieceVisitor) -> Result<()> {
        self.inner.visit(range, visit).await.map_err(self.storage.renamed())
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ExternalStorage for PrefixStorage {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn store(&self, location: &Location, source: Source, options: &StoreOptions) -> Result<Stored> {
        let inward = self.inward("store", location)?;
        self.outward_stored(self.inner.store(&inward, source, options).await.map_err(self.renamed())?)
    }

    async fn store_bytes(&self, location: &Location, bytes: Bytes) -> Result<Stored> {
        let inward = self.inward("store", location)?;
        self.outward_stored(self.inner.store_bytes(&inward, bytes).await.map_err(self.renamed())?)
    }

    async fn store_path(&self, location: &Location, path: &Path) -> Result<Stored> {
        let inward = self.inward("store", location)?;
        self.outward_stored(self.inner.store_path(&inward, path).await.map_err(self.renamed())?)
    }

    async fn store_all(&self, items: Vec<StoreItem>, options: &StoreOptions) -> Result<Vec<Stored>> {
        let inward = items
            .into_iter()
            .map(|item| Ok(StoreItem { location: self.inward("store", &item.location)?, source: item.source }))
            .collect::<Result<_>>()?;
        let stored = self.inner.store_all(inward, options).await.map_err(self.renamed())?;
        stored.into_iter().map(|stored| self.outward_stored(stored)).collect()
    }

    async fn store_named(
        &self,
        source: Source,
        namer: Box<dyn ContentNamer>,
        options: &StoreOptions,
    ) -> Result<Stored> {
        let namer = Box::new(PrefixNamer { inner: namer, storage: self.clone() });
        self.outward_stored(self.inner.store_named(source, namer, options).await.map_err(self.renamed())?)
    }

    async fn load(&self, location: &Location, range: ByteRange) -> Result<Loaded> {
        let inward = self.inward("load", location)?;
        let loaded = self.inner.load(&inward, range).await.map_err(self.renamed())?;
        let (size, range) = (loaded.size, loaded.range.clone());
        Ok(Loaded::new(location, size, range, loaded.into_stream().map_err(self.renamed())))
    }

    async fn load_stream(&self, location: &Location) -> Result<ByteStream> {
        let inward = self.inward("load", location)?;
        let stream = self.inner.load_stream(&inward).await.map_err(self.renamed())?;
        Ok(stream.map_err(self.renamed()).boxed())
    }

    async fn load_bytes(&self, location: &Location, range: ByteRange) -> Result<Bytes> {
        let inward = self.inward("load", location)?;
        self.inner.load_bytes(&inward, range).await.map_err(self.renamed())
    }

    async fn reader(&self, location: &Location) -> Result<Option<Arc<dyn ObjectReader>>> {
        let inward = self.inward("load", location)?;
        let inner = self.inner.reader(&inward).await.map_err(self.renamed())?;
        Ok(inner.map(|inner| Arc::new(PrefixReader { inner, storage: self.clone() }) as Arc<dyn ObjectReader>))
    }

    async fn load_into(&self, location: &Location, target: &TargetFile, digests: DigestSet) -> Result<Copied> {
        let inward = self.inward("load", location)?;
        self.inner.load_into(&inward, target, digests).await.map_err(self.renamed())
    }

    async fn load_path(&self, location: &Location, path: &Path, options: &LoadOptions) -> Result<Copied> {
        let inward = self.inward("load", location)?;
        self.inner.load_path(&inward, path, options).await.map_err(self.renamed())
    }

    async fn metadata(&self, location: &Location) -> Result<Metadata> {
        let inward = self.inward("metadata", location)?;
        self.inner.metadata(&inward).await.map_err(self.renamed())
    }

    async fn available_bytes(&self) -> Result<Option<u64>> {
        self.inner.available_bytes().await
    }

    async fn exists(&self, location: &Location) -> Result<bool> {
        let inward = self.inward("exists", location)?;
        self.inner.exists(&inward).await.map_err(self.renamed())
    }

    async fn make_durable(&self, locations: &[Location]) -> Result<()> {
        let inward: Vec<_> = locations.iter().map(|location| self.inward("store", location)).collect::<Result<_>>()?;
        self.inner.make_durable(&inward).await.map_err(self.renamed())
    }

    async fn digests(&self, location: &Location, set: DigestSet) -> Result<Digests> {
        let inward = self.inward("digests", location)?;
        self.inner.digests(&inward, set).await.map_err(self.renamed())
    }

    async fn hexdigest(&self, location: &Location) -> Result<String> {
        let inward = self.inward("hexdigest", location)?;
        self.inner.hexdigest(&inward).await.map_err(self.renamed())
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        let inward = self.inward("delete", location)?;
        self.inner.delete(&inward).await.map_err(self.renamed())
    }

    async fn delete_all(&self, locations: &[Location]) -> Result<()> {
        let inward: Vec<_> = locations.iter().map(|location| self.inward("delete", location)).collect::<Result<_>>()?;
        self.inner.delete_all(&inward).await.map_err(self.renamed())
    }

    fn iter_contents(&self, prefix: &str) -> BoxStream<'static, Result<Location>> {
        let storage = self.clone();
        self.inner
            .iter_contents(&self.inward_prefix(prefix))
            .map(move |item| storage.outward(&item.map_err(storage.renamed())?))
            .boxed()
    }

    async fn list(&self, options: &ListOptions) -> Result<Listing> {
        let inward = ListOptions {
            prefix: self.inward_prefix(&options.prefix),
            delimited: options.delimited,
            start_after: options.start_after.as_deref().map(|after| self.inward_prefix(after)),
            limit: options.limit,
        };
        let listing = self.inner.list(&inward).await.map_err(self.renamed())?;
        let object = |object: ListedObject| Ok(ListedObject::new(self.outward(&object.location)?, object.size));
        let prefix = |prefix: String| match below(&self.prefix, &prefix) {
            Some(rest) => Ok(rest.to_string()),
            None => Err(self.stray(&prefix)),
        };
        Ok(Listing {
            objects: listing.objects.into_iter().map(object).collect::<Result<_>>()?,
            prefixes: listing.prefixes.into_iter().map(prefix).collect::<Result<_>>()?,
        })
    }

    async fn local_path(&self, location: &Location, name: Option<&str>) -> Result<LocalPath> {
        let inward = self.inward("path", location)?;
        self.inner.local_path(&inward, name).await.map_err(self.renamed())
    }
}
