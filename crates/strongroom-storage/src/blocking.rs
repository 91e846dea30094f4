//! The blocking face: every storage, for callers without `async`.

mod reader;
mod runtime;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, ReadyChunks};
use futures::{FutureExt, StreamExt};

pub use reader::Reader;
pub use runtime::{spawn, wait, wait_here};

use crate::digest::{DigestSet, Digests};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::options::{
    ByteRange, Capabilities, Copied, ListOptions, Listing, LoadOptions, LocalPath, Metadata, StoreItem, StoreOptions,
    Stored,
};
use crate::source::Source;
use crate::storage::{ContentNamer, ExternalStorage};

/// How much is taken from a reader at a time, in bytes.
const READ_SIZE_BYTES: usize = 1 << 20;

/// How many locations are taken from a listing at a time, if they are there.
const LOCATIONS_AT_ONCE: usize = 1024;

/// A storage whose calls wait for their answers, with the words of [`ExternalStorage`].
///
/// ```
/// # use std::io::Read;
/// # use std::sync::Arc;
/// use strongroom_storage::{ByteRange, Location, MemoryStorage, blocking};
///
/// let storage = blocking::Storage::new(Arc::new(MemoryStorage::new()));
/// let location = Location::parse("dag/unit/energy.csv")?;
/// storage.store_bytes(&location, "step,energy")?;
/// let mut text = String::new();
/// storage.load(&location, ByteRange::All)?.read_to_string(&mut text)?;
/// assert_eq!(text, "step,energy");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Storage {
    inner: Arc<dyn ExternalStorage>,
}

impl Storage {
    /// The blocking face of `inner`.
    pub fn new(inner: Arc<dyn ExternalStorage>) -> Self {
        Self { inner }
    }

    /// The storage itself.
    #[must_use]
    pub fn inner(&self) -> &Arc<dyn ExternalStorage> {
        &self.inner
    }

    /// What this storage can do.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    /// Stores `source` at `location`, atomically.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::store`].
    pub fn store(&self, location: &Location, source: impl Into<Source>, options: &StoreOptions) -> Result<Stored> {
        wait(self.inner.store(location, source.into(), options))
    }

    /// Stores bytes, durably, replacing what is there.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::store_bytes`].
    pub fn store_bytes(&self, location: &Location, bytes: impl Into<Bytes>) -> Result<Stored> {
        wait(self.inner.store_bytes(location, bytes.into()))
    }

    /// Stores a copy of a local file, durably, replacing what is there.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::store_path`].
    pub fn store_path(&self, location: &Location, path: impl AsRef<Path>) -> Result<Stored> {
        wait(self.inner.store_path(location, path.as_ref()))
    }

    /// Stores several objects, in the order given.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::store_all`].
    pub fn store_all(&self, items: Vec<StoreItem>, options: &StoreOptions) -> Result<Vec<Stored>> {
        wait(self.inner.store_all(items, options))
    }

    /// Stores `source`, durably, at a location that depends on its content.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::store_named`].
    pub fn store_named(
        &self,
        source: impl Into<Source>,
        namer: Box<dyn ContentNamer>,
        options: &StoreOptions,
    ) -> Result<Stored> {
        wait(self.inner.store_named(source.into(), namer, options))
    }

    /// Opens the bytes `range` of the object at `location`.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::load`]; what goes wrong later is an error of the reader.
    pub fn load(&self, location: &Location, range: impl Into<ByteRange>) -> Result<Reader> {
        wait(self.inner.load(location, range.into())).map(Reader::new)
    }

    /// Bytes of the object at `location`, in one piece.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::load`].
    pub fn load_bytes(&self, location: &Location, range: impl Into<ByteRange>) -> Result<Bytes> {
        wait(self.inner.load_bytes(location, range.into()))
    }

    /// Writes the object at `location` to the local file `path`: all of it, or what was there stays.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::load_path`].
    pub fn load_path(&self, location: &Location, path: impl AsRef<Path>, options: &LoadOptions) -> Result<Copied> {
        wait(self.inner.load_path(location, path.as_ref(), options))
    }

    /// What is known of the object at `location` without reading it.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::metadata`].
    pub fn metadata(&self, location: &Location) -> Result<Metadata> {
        wait(self.inner.metadata(location))
    }

    /// Whether there is an object at `location`.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::exists`].
    pub fn exists(&self, location: &Location) -> Result<bool> {
        wait(self.inner.exists(location))
    }

    /// Digests of the object at `location`.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::digests`].
    pub fn digests(&self, location: &Location, set: DigestSet) -> Result<Digests> {
        wait(self.inner.digests(location, set))
    }

    /// The MD5 of the object at `location`, in hexadecimal.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::hexdigest`].
    pub fn hexdigest(&self, location: &Location) -> Result<String> {
        wait(self.inner.hexdigest(location))
    }

    /// Removes the object at `location`.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::delete`].
    pub fn delete(&self, location: &Location) -> Result<()> {
        wait(self.inner.delete(location))
    }

    /// Removes several objects; those that are not there are passed over.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::delete_all`].
    pub fn delete_all(&self, locations: &[Location]) -> Result<()> {
        wait(self.inner.delete_all(locations))
    }

    /// The locations that begin with the string `prefix`, each once, in no particular order.
    #[must_use]
    pub fn iter_contents(&self, prefix: &str) -> Locations {
        let stream = wait(async { self.inner.iter_contents(prefix) });
        Locations { stream: stream.ready_chunks(LOCATIONS_AT_ONCE), ready: VecDeque::new() }
    }

    /// A page of the listing, in byte order.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::list`].
    pub fn list(&self, options: &ListOptions) -> Result<Listing> {
        wait(self.inner.list(options))
    }

    /// A local file with the content of the object at `location`, called `name` where that is possible, not to be written to.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::local_path`].
    pub fn local_path(&self, location: &Location, name: Option<&str>) -> Result<LocalPath> {
        wait(self.inner.local_path(location, name))
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

/// The locations of a listing, one by one.
pub struct Locations {
    stream: ReadyChunks<BoxStream<'static, Result<Location>>>,
    ready: VecDeque<Result<Location>>,
}

impl Iterator for Locations {
    type Item = Result<Location>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() {
            self.ready = wait(self.stream.next())?.into();
        }
        self.ready.pop_front()
    }
}

impl fmt::Debug for Locations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locations").field("ready", &self.ready.len()).finish_non_exhaustive()
    }
}

impl Source {
    /// All that `reader` gives, as a source. It is read on a thread where it may block; an error fails the store.
    pub fn reader(reader: impl Read + Send + 'static) -> Self {
        Self::stream(stream::try_unfold(reader, |mut reader| {
            crate::unblock(move || {
                let mut buffer = Vec::with_capacity(READ_SIZE_BYTES);
                // Whole pieces: a pipe gives little at a time.
                match (&mut reader).take(READ_SIZE_BYTES as u64).read_to_end(&mut buffer) {
                    Ok(0) => Ok(None),
                    Ok(_) => Ok(Some((Bytes::from(buffer), reader))),
                    Err(error) => Err(Error::from_io("read", "the source", error)),
                }
            })
            .boxed()
        }))
    }
}
