//! A storage with somebody in between, who sees each operation first and can spoil it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use strongroom_storage::{
    ByteRange, ByteStream, Capabilities, ContentNamer, Copied, DigestSet, Digests, Error, ErrorKind, ExternalStorage,
    ListOptions, Listing, LoadOptions, Loaded, LocalPath, Location, Metadata, NewFile, ObjectReader, Result, Source,
    StoreItem, StoreOptions, Stored, TargetFile,
};

use crate::operation::Operation;

/// Somebody between a caller and a storage.
///
/// Every method has a body that changes nothing.
#[async_trait]
pub trait Intercept: fmt::Debug + Send + Sync + 'static {
    /// Sees an operation before the storage does, and decides what becomes of it.
    ///
    /// A scheduler of interleavings waits in here until it is the operation's turn.
    ///
    /// # Errors
    /// Any; the storage then never sees the operation.
    async fn before(&self, operation: &Operation) -> Result<Outcome> {
        let _ = operation;
        Ok(Outcome::default())
    }

    /// Learns that an operation took effect, before the caller does.
    fn succeeded(&self, operation: &Operation, stored: &[Stored]) {
        let _ = (operation, stored);
    }

    /// What the storage says that it can do.
    fn capabilities(&self, inner: Capabilities) -> Capabilities {
        inner
    }

    /// How the storage is told to store.
    fn store_options(&self, given: &StoreOptions) -> StoreOptions {
        *given
    }
}

/// What becomes of an operation that the storage gets to see.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Outcome {
    /// The error that the caller gets although the operation took effect.
    pub lost_answer: Option<Error>,
    /// What happens to the bytes that are read.
    pub damage: Option<Damage>,
}

/// What happens in the middle of the bytes that are read. Where there are none, only `Broken` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// They end there.
    Cut,
    /// They end there with an error of this kind.
    Broken(ErrorKind),
    /// One byte has another value, and nothing shows it.
    Flipped,
}

/// A storage with an [`Intercept`] in front of it.
///
/// Each request is one [`Operation`]; the items of a batch that is not atomic are requests of their own. A clone is another
/// handle on the same storage with the same interceptor.
#[derive(Debug)]
pub struct Intercepted<I> {
    inner: Arc<dyn ExternalStorage>,
    interceptor: Arc<I>,
}

impl<I: Intercept> Intercepted<I> {
    /// `inner`, with `interceptor` in front of it.
    pub fn with_interceptor(inner: Arc<dyn ExternalStorage>, interceptor: I) -> Self {
        Self { inner, interceptor: Arc::new(interceptor) }
    }

    /// The storage behind.
    #[must_use]
    pub fn inner(&self) -> &Arc<dyn ExternalStorage> {
        &self.inner
    }

    /// Who is in front.
    #[must_use]
    pub fn interceptor(&self) -> &I {
        &self.interceptor
    }

    /// Does `work` as `operation`.
    async fn pass<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T>> + Send,
        stored: fn(&T) -> &[Stored],
    ) -> Result<T> {
        let outcome = self.interceptor.before(&operation).await?;
        let done = work.await?;
        self.interceptor.succeeded(&operation, stored(&done));
        outcome.lost_answer.map_or(Ok(done), Err)
    }
}

fn nothing<T>(_: &T) -> &[Stored] {
    &[]
}

impl<I> Clone for Intercepted<I> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), interceptor: Arc::clone(&self.interceptor) }
    }
}

impl<I> fmt::Display for Intercepted<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<I: Intercept> ExternalStorage for Intercepted<I> {
    fn capabilities(&self) -> Capabilities {
        self.interceptor.capabilities(self.inner.capabilities())
    }

    async fn store(&self, location: &Location, source: Source, options: &StoreOptions) -> Result<Stored> {
        let told = self.interceptor.store_options(options);
        self.pass(Operation::store(location, options), self.inner.store(location, source, &told), std::slice::from_ref)
            .await
    }

    async fn store_bytes(&self, location: &Location, bytes: Bytes) -> Result<Stored> {
        self.store(location, Source::Bytes(bytes), &StoreOptions::default()).await
    }

    async fn store_path(&self, location: &Location, path: &Path) -> Result<Stored> {
        self.store(location, Source::path(path), &StoreOptions::default()).await
    }

    async fn store_all(&self, items: Vec<StoreItem>, options: &StoreOptions) -> Result<Vec<Stored>> {
        if self.inner.capabilities().atomic_batches {
            let operation = Operation::StoreAll {
                locations: items.iter().map(|item| item.location.clone()).collect(),
                mode: options.mode,
                durability: options.durability,
            };
            let told = self.interceptor.store_options(options);
            return self.pass(operation, self.inner.store_all(items, &told), Vec::as_slice).await;
        }
        let mut stored = Vec::with_capacity(items.len());
        for item in items {
            stored.push(self.store(&item.location, item.source, options).await?);
        }
        Ok(stored)
    }

    async fn store_named(
        &self,
        source: Source,
        namer: Box<dyn ContentNamer>,
        options: &StoreOptions,
    ) -> Result<Stored> {
        let operation = Operation::StoreNamed { mode: options.mode, durability: options.durability };
        let told = self.interceptor.store_options(options);
        self.pass(operation, self.inner.store_named(source, namer, &told), std::slice::from_ref).await
    }

    async fn load(&self, location: &Location, range: ByteRange) -> Result<Loaded> {
        let operation = Operation::Load { location: location.clone(), range };
        let outcome = self.interceptor.before(&operation).await?;
        let loaded = self.inner.load(location, range).await?;
        self.interceptor.succeeded(&operation, &[]);
        match (outcome.lost_answer, outcome.damage) {
            (Some(error), _) => Err(error),
            (None, Some(damage)) => Ok(damaged(location, loaded, damage)),
            (None, None) => Ok(loaded),
        }
    }

    async fn load_stream(&self, location: &Location) -> Result<ByteStream> {
        Ok(self.load(location, ByteRange::All).await?.into_stream())
    }

    async fn load_bytes(&self, location: &Location, range: ByteRange) -> Result<Bytes> {
        self.load(location, range).await?.into_bytes().await
    }

    async fn load_into(&self, location: &Location, target: &TargetFile, digests: DigestSet) -> Result<Copied> {
        self.load(location, ByteRange::All).await?.into_file(target, digests).await
    }

    async fn load_path(&self, location: &Location, path: &Path, options: &LoadOptions) -> Result<Copied> {
        let file = NewFile::create(path).await?;
        let copied = self.load_into(location, file.target(), options.needed_digests()).await?;
        options.check(location, &copied)?;
        file.publish(options).await?;
        Ok(copied)
    }

    /// None: every read is a request of its own, so that the interceptor sees it.
    async fn reader(&self, _: &Location) -> Result<Option<Arc<dyn ObjectReader>>> {
        Ok(None)
    }

    async fn metadata(&self, location: &Location) -> Result<Metadata> {
        self.pass(Operation::Metadata { location: location.clone() }, self.inner.metadata(location), nothing).await
    }

    async fn exists(&self, location: &Location) -> Result<bool> {
        self.pass(Operation::Exists { location: location.clone() }, self.inner.exists(location), nothing).await
    }

    /// Not about an object, so nobody comes between.
    async fn available_bytes(&self) -> Result<Option<u64>> {
        self.inner.available_bytes().await
    }

    async fn make_durable(&self, locations: &[Location]) -> Result<()> {
        let operation = Operation::MakeDurable { locations: locations.to_vec() };
        self.pass(operation, self.inner.make_durable(locations), nothing).await
    }

    async fn digests(&self, location: &Location, set: DigestSet) -> Result<Digests> {
        self.pass(Operation::Digests { location: location.clone() }, self.inner.digests(location, set), nothing).await
    }

    async fn hexdigest(&self, location: &Location) -> Result<String> {
        self.pass(Operation::Digests { location: location.clone() }, self.inner.hexdigest(location), nothing).await
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        self.pass(Operation::Delete { location: location.clone() }, self.inner.delete(location), nothing).await
    }

    async fn delete_all(&self, locations: &[Location]) -> Result<()> {
        if self.inner.capabilities().atomic_batches {
            let operation = Operation::DeleteAll { locations: locations.to_vec() };
            return self.pass(operation, self.inner.delete_all(locations), nothing).await;
        }
        for location in locations {
            match self.delete(location).await {
                Err(error) if !error.is_missing() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn iter_contents(&self, prefix: &str) -> BoxStream<'static, Result<Location>> {
        let storage = self.clone();
        let operation = Operation::Iterate { prefix: prefix.to_string() };
        stream::once(async move {
            let outcome = storage.interceptor.before(&operation).await?;
            if let Some(error) = outcome.lost_answer {
                return Err(error);
            }
            storage.interceptor.succeeded(&operation, &[]);
            Ok(storage.inner.iter_contents(&operation.subject()))
        })
        .try_flatten()
        .boxed()
    }

    async fn list(&self, options: &ListOptions) -> Result<Listing> {
        self.pass(Operation::list(options), self.inner.list(options), nothing).await
    }

    async fn local_path(&self, location: &Location, name: Option<&str>) -> Result<LocalPath> {
        let operation = Operation::LocalPath { location: location.clone() };
        self.pass(operation, self.inner.local_path(location, name), nothing).await
    }
}

fn damaged(location: &Location, loaded: Loaded, damage: Damage) -> Loaded {
    let (size, range) = (loaded.size, loaded.range.clone());
    let middle = (range.end - range.start) / 2;
    let mut position = 0;
    let pieces = loaded.into_stream().map_ok(move |bytes| {
        let start = position;
        position += bytes.len() as u64;
        (start, bytes)
    });
    let first_half = |pieces: BoxStream<'static, Result<(u64, Bytes)>>| {
        pieces
            .try_take_while(move |(start, _)| std::future::ready(Ok(*start < middle)))
            .map_ok(move |(start, bytes)| {
                let left = usize::try_from(middle - start).map_or(bytes.len(), |left| left.min(bytes.len()));
                bytes.slice(..left)
            })
            .boxed()
    };
    let stream = match damage {
        Damage::Cut => first_half(pieces.boxed()),
        Damage::Broken(kind) => {
            let error = Error::new(kind, "load", location, "the connection broke in the middle, as the test wants it");
            first_half(pieces.boxed()).chain(stream::iter([Err(error)])).boxed()
        }
        Damage::Flipped => pieces
            .map_ok(move |(start, bytes)| match middle.checked_sub(start).map(usize::try_from) {
                Some(Ok(index)) if index < bytes.len() => {
                    let mut bytes = Vec::from(bytes);
                    bytes[index] ^= 0x10;
                    Bytes::from(bytes)
                }
                _ => bytes,
            })
            .boxed(),
    };
    Loaded::new(location, size, range, stream)
}
