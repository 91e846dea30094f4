//! The words of storage calls: how to store, what was stored, what is there.

use std::fmt;
use std::io::{Read, Seek, SeekFrom};
use std::ops::{Range, RangeFrom, RangeFull};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};

use crate::digest::{DigestSet, Digests};
use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;
use crate::source::Source;

/// Bytes that come in pieces; an error is the last item.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// What to do when there is an object at the location already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreMode {
    /// Replace it, atomically.
    #[default]
    Overwrite,
    /// Fail with [`ErrorKind::AlreadyExists`]. Of any number of racing writers exactly one succeeds.
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

/// Which bytes of an object; in bytes from its start. An end beyond the object's end means its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByteRange {
    /// All of it.
    #[default]
    All,
    /// From a first byte to before an end.
    Span {
        /// The first byte.
        start: u64,
        /// The byte after the last one.
        end: u64,
    },
    /// From this byte to the end.
    From(u64),
    /// This many bytes at the end, or all if there are fewer.
    Last(u64),
}

impl ByteRange {
    /// The bytes of an object of `size` bytes that are meant.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the range begins behind the object's end, or ends before it begins.
    pub fn resolve(self, size: u64, location: &impl fmt::Display) -> Result<Range<u64>> {
        let range = match self {
            Self::All => 0..size,
            Self::Span { start, end } => start..end.min(size),
            Self::From(start) => start..size,
            Self::Last(length) => size.saturating_sub(length)..size,
        };
        let backwards = matches!(self, Self::Span { start, end } if end < start);
        if backwards || range.start > size {
            return Err(Error::new(
                ErrorKind::Invalid,
                "load",
                location,
                format!("the range {self} is not in the object, which has {size} bytes"),
            ));
        }
        Ok(range)
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str(".."),
            Self::Span { start, end } => write!(f, "{start}..{end}"),
            Self::From(start) => write!(f, "{start}.."),
            Self::Last(length) => write!(f, "-{length}"),
        }
    }
}

impl From<RangeFull> for ByteRange {
    fn from(_: RangeFull) -> Self {
        Self::All
    }
}

impl From<Range<u64>> for ByteRange {
    fn from(range: Range<u64>) -> Self {
        Self::Span { start: range.start, end: range.end }
    }
}

impl From<RangeFrom<u64>> for ByteRange {
    fn from(range: RangeFrom<u64>) -> Self {
        Self::From(range.start)
    }
}

/// An object that is being read.
///
/// The stream gives exactly the bytes of `range`, or ends with an error.
pub struct Loaded {
    /// The size of the whole object, in bytes.
    pub size: u64,
    /// Which of its bytes the stream gives.
    pub range: Range<u64>,
    stream: ByteStream,
}

impl Loaded {
    /// The bytes `range` of an object of `size` bytes at `location`, read from `stream`.
    ///
    /// A stream that ends early, or gives too much, becomes one that ends with [`ErrorKind::Corrupt`].
    pub fn new(
        location: &Location,
        size: u64,
        range: Range<u64>,
        stream: impl Stream<Item = Result<Bytes>> + Send + 'static,
    ) -> Self {
        let stream =
            Exact { left: range.end - range.start, failed: false, location: location.clone(), inner: stream.boxed() };
        Self { size, range, stream: stream.boxed() }
    }

    /// The bytes `range` of `content`, which is the whole object.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the range is not in the object.
    pub fn slice(location: &Location, content: &Bytes, range: ByteRange) -> Result<Self> {
        let size = content.len() as u64;
        let range = range.resolve(size, location)?;
        let part = content.slice(to_usize(range.start)..to_usize(range.end));
        let items = (!part.is_empty()).then_some(Ok(part));
        Ok(Self { size, range, stream: futures::stream::iter(items).boxed() })
    }

    /// The bytes `range` of the object `name` that `reader` holds from its start to its end; they are read now, and this blocks.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the range is not in the object; that of reading.
    pub fn read(name: impl fmt::Display, range: ByteRange, reader: &mut (impl Read + Seek)) -> Result<Self> {
        let failed = |error| Error::from_io("load", &name, error);
        let size = reader.seek(SeekFrom::End(0)).map_err(failed)?;
        let range = range.resolve(size, &name)?;
        let mut part = vec![0; to_usize(range.end - range.start)];
        reader.seek(SeekFrom::Start(range.start)).and_then(|_| reader.read_exact(&mut part)).map_err(failed)?;
        Ok(Self { size, range, stream: futures::stream::iter([Ok(part.into())]).boxed() })
    }

    /// The bytes, in pieces.
    #[must_use]
    pub fn into_stream(self) -> ByteStream {
        self.stream
    }

    /// The bytes, in one piece.
    ///
    /// # Errors
    /// That of the stream.
    pub async fn into_bytes(self) -> Result<Bytes> {
        Source::Stream(self.stream).into_bytes().await
    }
}

/// An object that is held in memory can't be longer than `usize`.
fn to_usize(offset: u64) -> usize {
    usize::try_from(offset).expect("an offset in a slice fits usize")
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("size", &self.size).field("range", &self.range).finish_non_exhaustive()
    }
}

/// Turns a stream that ends early into one that ends with an error.
struct Exact {
    left: u64,
    failed: bool,
    location: Location,
    inner: ByteStream,
}

impl Stream for Exact {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.failed {
            return Poll::Ready(None);
        }
        let item = match std::task::ready!(self.inner.poll_next_unpin(context)) {
            Some(Ok(bytes)) => match self.left.checked_sub(bytes.len() as u64) {
                Some(left) => {
                    self.left = left;
                    return Poll::Ready(Some(Ok(bytes)));
                }
                None => Err("it has more bytes than it had when it was opened".to_string()),
            },
            Some(Err(error)) => {
                self.failed = true;
                return Poll::Ready(Some(Err(error)));
            }
            None if self.left == 0 => return Poll::Ready(None),
            None => Err(format!("it ended {} bytes early", self.left)),
        };
        self.failed = true;
        Poll::Ready(Some(item.map_err(|detail| Error::new(ErrorKind::Corrupt, "load", &self.location, detail))))
    }
}

/// Which objects to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ListOptions {
    /// Only names that begin with this string.
    pub prefix: String,
    /// Fold names with the same beginning up to the next `/` after the prefix into one of [`Listing::prefixes`].
    pub delimited: bool,
    /// Only names that come after this one in byte order.
    pub start_after: Option<String>,
    /// At most this many names and prefixes together.
    pub limit: Option<usize>,
}

impl ListOptions {
    /// All names that begin with `prefix`.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..Self::default() }
    }

    /// What stands directly below `prefix`, which ends with `/` or is empty.
    pub fn directory(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), delimited: true, ..Self::default() }
    }

    /// The same with at most `limit` results.
    #[must_use]
    pub fn with_limit(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// The same with only what comes after `name`.
    #[must_use]
    pub fn with_start_after(self, name: impl Into<String>) -> Self {
        Self { start_after: Some(name.into()), ..self }
    }
}

/// One object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedObject {
    /// Where it is.
    pub location: Location,
    /// Its size in bytes, where the backend's listing says it.
    pub size: Option<u64>,
}

impl ListedObject {
    /// The object at `location`.
    #[must_use]
    pub fn new(location: Location, size: Option<u64>) -> Self {
        Self { location, size }
    }
}

/// What a listing found, in byte order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// The objects.
    pub objects: Vec<ListedObject>,
    /// With [`ListOptions::delimited`]: the common beginnings, each ending with `/`.
    pub prefixes: Vec<String>,
}

/// What a backend can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// [`StoreMode::Create`] has exactly one winner (promise 4).
    pub create_if_absent: bool,
    /// [`list`](crate::ExternalStorage::list) with a limit costs one request, and names come in byte order.
    pub ordered_listing: bool,
    /// `a` and `a/b` can both be objects. Where not, the second is [`ErrorKind::Conflict`].
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
            nested_locations: true,
            atomic_batches: false,
            local_paths: false,
            local: false,
        }
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

/// Shows every piece of a stream to `each`.
pub(crate) async fn drain(mut stream: ByteStream, mut each: impl FnMut(&[u8]) + Send) -> Result<()> {
    while let Some(bytes) = stream.try_next().await? {
        each(&bytes);
    }
    Ok(())
}
