//! The words of storage calls: how to store, what was stored, what is there.

mod listing;
mod load;
mod loaded;
mod range;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use futures::stream::BoxStream;

use crate::digest::{DigestSet, Digests};
use crate::error::Result;
use crate::location::Location;
use crate::source::Source;

pub use listing::{ListOptions, ListedObject, Listing};
pub use load::{Copied, LoadOptions};
pub use loaded::Loaded;
pub use range::ByteRange;

/// Bytes that come in pieces; an error is the last item.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// What to do when there is an object at the location already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreMode {
    /// Replace it, atomically.
    #[default]
    Overwrite,
    /// Fail with [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists). Of any number of racing writers exactly one succeeds.
    Create,
}

/// What must be true before a store returns `Ok`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A crash of the process or the machine loses nothing.
    #[default]
    Synced,
    /// A crash of the machine may lose the object or damage it; a crash of the process loses nothing.
    Relaxed,
}

/// How to store.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct StoreOptions {
    /// What to do when there is an object already; by default it is replaced.
    pub mode: StoreMode,
    /// What must be true before the call returns; by default the object is durable.
    pub durability: Durability,
    /// Which digests of the content to compute on the way; none by default.
    pub digests: DigestSet,
    /// Whether nobody is meant to write to the object's own file, where it is one. It can be replaced and deleted all the same.
    pub read_only: bool,
}

impl StoreOptions {
    /// The options for an object that must be new.
    #[must_use]
    pub fn create() -> Self {
        Self { mode: StoreMode::Create, ..Self::default() }
    }

    /// The same options with another mode.
    #[must_use]
    pub fn with_mode(self, mode: StoreMode) -> Self {
        Self { mode, ..self }
    }

    /// The same options with another durability.
    #[must_use]
    pub fn with_durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// The same options with other digests.
    #[must_use]
    pub fn with_digests(self, digests: DigestSet) -> Self {
        Self { digests, ..self }
    }

    /// The same options for an object's own file that nobody is meant to write to, or that may be written to.
    #[must_use]
    pub fn with_read_only(self, read_only: bool) -> Self {
        Self { read_only, ..self }
    }
}

/// One object of a batch.
#[derive(Debug)]
pub struct StoreItem {
    /// Where it goes.
    pub location: Location,
    /// Its content.
    pub source: Source,
}

impl StoreItem {
    /// `source`, to be stored at `location`.
    pub fn new(location: Location, source: impl Into<Source>) -> Self {
        Self { location, source: source.into() }
    }
}

/// What a store did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// Where the object is.
    pub location: Location,
    /// Its size, in bytes.
    pub size: u64,
    /// The digests that were asked for, and any others that were free.
    pub digests: Digests,
}

impl Stored {
    /// An object of `size` bytes at `location`.
    #[must_use]
    pub fn new(location: Location, size: u64, digests: Digests) -> Self {
        Self { location, size, digests }
    }

    /// What a backend that holds all of `content` returns for it.
    #[must_use]
    pub fn of(location: &Location, content: &[u8], options: &StoreOptions) -> Self {
        Self::new(location.clone(), content.len() as u64, Digests::of(content, options.digests))
    }
}

/// What is known of an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// Its size, in bytes.
    pub size: u64,
    /// When it was stored, where the backend knows.
    pub modified: Option<SystemTime>,
    /// The digests that the backend has on record.
    pub digests: Digests,
}

impl Metadata {
    /// An object of `size` bytes of which nothing else is known.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self { size, modified: None, digests: Digests::default() }
    }

    /// The same with a modification time.
    #[must_use]
    pub fn with_modified(self, modified: Option<SystemTime>) -> Self {
        Self { modified, ..self }
    }

    /// The same with digests.
    #[must_use]
    pub fn with_digests(self, digests: Digests) -> Self {
        Self { digests, ..self }
    }
}

/// What a backend can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// [`StoreMode::Create`] has exactly one winner (promise 4).
    pub create_if_absent: bool,
    /// [`list`](crate::ExternalStorage::list) with a limit costs one request, and names come in byte order.
    pub ordered_listing: bool,
    /// What was stored or deleted before, by whomever, is seen by every listing and look-up that begins later (promise 3). Where not,
    /// that holds for those who use the same machine; others may see for a while what was there before.
    pub consistent_listing: bool,
    /// `a` and `a/b` can both be objects. Where not, the second is [`ErrorKind::Conflict`](crate::ErrorKind::Conflict).
    pub nested_locations: bool,
    /// [`store_all`](crate::ExternalStorage::store_all) and [`delete_all`](crate::ExternalStorage::delete_all) do all or
    /// nothing for locations of one namespace.
    pub atomic_batches: bool,
    /// Objects can be had as local files by [`local_path`](crate::ExternalStorage::local_path), at least some of them.
    pub local_paths: bool,
    /// Requests cost little, so large objects are best kept as files of their own.
    pub local: bool,
}

impl Capabilities {
    /// Those of a simple remote backend: conditional creation and nested locations, nothing else.
    #[must_use]
    pub const fn basic() -> Self {
        Self {
            create_if_absent: true,
            ordered_listing: false,
            consistent_listing: true,
            nested_locations: true,
            atomic_batches: false,
            local_paths: false,
            local: false,
        }
    }

    /// Whether it is as with S3: a request is dear, but one listing says in order what is there.
    #[must_use]
    pub const fn is_bucket(self) -> bool {
        self.ordered_listing && self.consistent_listing && !self.local
    }
}

/// A real local file with an object's content as it was when this was handed out, not to be written to.
///
/// Where the storage can make a link for it, it has the name that was wished and stays until this value is dropped, also if the
/// object is replaced or deleted; then it goes, with everything that a program put into the same folder. Elsewhere it is the
/// object's own file, which goes when the object is replaced or deleted. Each storage says where it can.
pub struct LocalPath {
    path: PathBuf,
    _guard: Box<dyn Send + Sync>,
}

impl LocalPath {
    /// The file at `path`, which stays as long as `guard` lives.
    pub fn new(path: PathBuf, guard: impl Send + Sync + 'static) -> Self {
        Self { path, _guard: Box::new(guard) }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for LocalPath {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for LocalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalPath").field(&self.path).finish()
    }
}
