//! The trait that every backend implements, and its promises.

use std::fmt::{Debug, Display};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;

use crate::buffer::ReadBuffer;
use crate::digest::{DigestSet, Digests, Hasher};
use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;
use crate::options::{
    ByteRange, ByteStream, Capabilities, Copied, ListOptions, ListedObject, Listing, LoadOptions, Loaded, LocalPath,
    Metadata, StoreItem, StoreOptions, Stored,
};
use crate::source::{Source, SourceFile};
use crate::target::{NewFile, TargetFile};
use crate::unblock;

/// A flat map from location to bytes.
///
/// Used as `Arc<dyn ExternalStorage>`. A backend writes the four methods without a body; the others are written once, in terms
/// of those, and a backend overrides the ones that it can do better.
///
/// # Promises
/// The conformance suite of `strongroom-testkit` has a test named for each.
///
/// 1. *Atomic.* A reader sees the whole object or none, also while it is overwritten.
/// 2. *Durable.* When a store returns `Ok`, a crash of the process or the machine loses nothing, unless
///    [`Durability::Relaxed`](crate::Durability::Relaxed) was asked for.
/// 3. *Visible.* After that, every handle on the same place sees it, by reading and by listing.
/// 4. *Create-if-absent.* With [`StoreMode::Create`](crate::StoreMode::Create), of any number of racing writers exactly one
///    succeeds; the others get [`ErrorKind::AlreadyExists`]. A backend that can't says so in its [`Capabilities`].
/// 5. *Honest.* What is read is what was stored, or an error; a stream that ends early is an error, never a short success.
/// 6. *Missing* is one kind of error everywhere: `load`, `delete`, `hexdigest`, `metadata`. `exists` says `false`.
/// 7. *Contained.* No location leaves the backend's root; what could is refused when the [`Location`] is made.
/// 8. *Prefix.* The prefix of `iter_contents` is a string prefix (`foo` matches `foo.txt` and `foo_dir/a`). The order is
///    unspecified, and each object appears once.
/// 9. *Cancel-safe.* Dropping a future at any await leaves no half object and no litter that a listing shows.
/// 10. *Range.* A bounded read transfers only that range.
#[async_trait]
pub trait ExternalStorage: Debug + Display + Send + Sync + 'static {
    /// Stores `source` at `location`, atomically.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if it was to be new and is not; [`ErrorKind::Conflict`] if the location can't be used
    /// beside another object; [`ErrorKind::Changed`] if a local source changed meanwhile; [`ErrorKind::Missing`] or
    /// [`ErrorKind::Invalid`] if a local source is absent or no file; [`ErrorKind::Denied`], [`ErrorKind::Unavailable`].
    /// After an error nothing was stored, unless [`Error::may_have_happened`] says otherwise.
    async fn store(&self, location: &Location, source: Source, options: &StoreOptions) -> Result<Stored>;

    /// Opens the bytes `range` of the object at `location`.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is no object; [`ErrorKind::Invalid`] if the range begins behind its end;
    /// [`ErrorKind::Corrupt`], here or in the stream, if its bytes are not those that were stored.
    async fn load(&self, location: &Location, range: ByteRange) -> Result<Loaded>;

    /// Removes the object at `location`.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is no object.
    async fn delete(&self, location: &Location) -> Result<()>;

    /// The locations that begin with the string `prefix`, each once, in no particular order.
    ///
    /// Any string is a legal prefix; one that no location can begin with matches nothing. Objects that come or go meanwhile
    /// may be listed or not.
    fn iter_contents(&self, prefix: &str) -> BoxStream<'static, Result<Location>>;

    /// What this backend can do; by default [`Capabilities::basic`], that is to keep all promises and nothing more.
    fn capabilities(&self) -> Capabilities {
        Capabilities::basic()
    }

    /// What is known of the object at `location` without reading it.
    ///
    /// The provided method opens it, and knows its size.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is no object.
    async fn metadata(&self, location: &Location) -> Result<Metadata> {
        Ok(Metadata::new(self.load(location, (0..0).into()).await?.size))
    }

    /// Stores bytes, durably, replacing what is there.
    ///
    /// # Errors
    /// Those of [`store`](Self::store).
    async fn store_bytes(&self, location: &Location, bytes: Bytes) -> Result<Stored> {
        self.store(location, Source::Bytes(bytes), &StoreOptions::default()).await
    }

    /// Stores a copy of a local file, durably, replacing what is there.
    ///
    /// # Errors
    /// Those of [`store`](Self::store).
    async fn store_path(&self, location: &Location, path: &Path) -> Result<Stored> {
        self.store(location, Source::path(path), &StoreOptions::default()).await
    }

    /// The bytes of the object at `location`, in pieces.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    async fn load_stream(&self, location: &Location) -> Result<ByteStream> {
        Ok(self.load(location, ByteRange::All).await?.into_stream())
    }

    /// Bytes of the object at `location`, in one piece.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    async fn load_bytes(&self, location: &Location, range: ByteRange) -> Result<Bytes> {
        self.load(location, range).await?.into_bytes().await
    }

    /// Whether there is an object at `location`.
    ///
    /// # Errors
    /// Those of [`metadata`](Self::metadata) but `Missing`: an object that can't be looked at is not absent.
    async fn exists(&self, location: &Location) -> Result<bool> {
        match self.metadata(location).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_missing() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes durable that the objects at `locations` are there. The caller has seen them; somebody else may have stored them a moment
    /// ago, and not have come so far.
    ///
    /// Where nothing is seen before it is durable, there is nothing to do, as here.
    ///
    /// # Errors
    /// `Missing` if it is noticed that they are gone; those of the operating system.
    async fn make_durable(&self, locations: &[Location]) -> Result<()> {
        let _ = locations;
        Ok(())
    }

    /// For how many bytes there is room; `None` where nobody knows, or there is no end to it. Others may take it at any time.
    ///
    /// # Errors
    /// Those of the operating system.
    async fn available_bytes(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Writes the object at `location` into `target`, from its start, as fast as the backend can. After an error, or when the
    /// future is dropped, the file may hold anything.
    ///
    /// Errors of reading come with the operation `load`, those of the target with `write`.
    ///
    /// # Errors
    /// Those of [`load`](Self::load), and those of writing.
    async fn load_into(&self, location: &Location, target: &TargetFile, digests: DigestSet) -> Result<Copied> {
        self.load(location, ByteRange::All).await?.into_file(target, digests).await
    }

    /// Writes the object at `location` to the local file `path`, in a folder that is there.
    ///
    /// Who looks at `path` sees all of the content or what was there before. After an error, or when the future is dropped, it
    /// is what it was, and there is no litter; work that has begun may end later. A symlink is replaced, not followed. The file
    /// has the permissions of any new file.
    ///
    /// # Errors
    /// Those of [`load`](Self::load); [`ErrorKind::Changed`] if the content is not what was expected;
    /// [`ErrorKind::AlreadyExists`] if there was to be no file and is one; [`ErrorKind::Conflict`] if there is a folder;
    /// [`ErrorKind::Invalid`] if there is no folder for it; those of writing.
    async fn load_path(&self, location: &Location, path: &Path, options: &LoadOptions) -> Result<Copied> {
        let file = NewFile::create(path).await?;
        let copied = self.load_into(location, file.target(), options.needed_digests()).await?;
        options.check(location, &copied)?;
        file.publish(options).await?;
        Ok(copied)
    }

    /// Digests of the object at `location`: those on record, and by reading it those in `set` that are not.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    async fn digests(&self, location: &Location, set: DigestSet) -> Result<Digests> {
        let known = self.metadata(location).await?.digests;
        let wanted = set.without(&known);
        if wanted.is_empty() {
            return Ok(known);
        }
        let stream = self.load_stream(location).await?;
        Ok(known.or(Hasher::new(wanted).read(stream).await?.finish()))
    }

    /// The MD5 of the object at `location`, in hexadecimal.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    async fn hexdigest(&self, location: &Location) -> Result<String> {
        match self.digests(location, DigestSet::MD5).await?.md5 {
            Some(md5) => Ok(md5.to_string()),
            None => Err(Error::new(ErrorKind::Internal, "hexdigest", location, "the backend computed no MD5")),
        }
    }

    /// Opens the object at `location` for many reads, if that is faster than [`load`](Self::load) each time.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is no object.
    async fn reader(&self, location: &Location) -> Result<Option<Arc<dyn ObjectReader>>> {
        let _ = location;
        Ok(None)
    }

    /// A page of the listing, in byte order. The size is given where it costs nothing.
    ///
    /// The provided method lists everything under the prefix and sorts it.
    ///
    /// # Errors
    /// Those of listing.
    async fn list(&self, options: &ListOptions) -> Result<Listing> {
        let names: Vec<Location> = self.iter_contents(&options.prefix).try_collect().await?;
        Ok(Listing::of_all(names.into_iter().map(|location| ListedObject::new(location, None)), options))
    }

    /// Stores several objects, in the order given.
    ///
    /// With [`Capabilities::atomic_batches`], those of one namespace appear together or not at all. Otherwise the first
    /// failure ends the batch, and what was stored before it stays.
    ///
    /// # Errors
    /// Those of [`store`](Self::store).
    async fn store_all(&self, items: Vec<StoreItem>, options: &StoreOptions) -> Result<Vec<Stored>> {
        let mut stored = Vec::with_capacity(items.len());
        for item in items {
            stored.push(self.store(&item.location, item.source, options).await?);
        }
        Ok(stored)
    }

    /// Removes several objects; those that are not there are passed over.
    ///
    /// # Errors
    /// Those of [`delete`](Self::delete) but `Missing`.
    async fn delete_all(&self, locations: &[Location]) -> Result<()> {
        for location in locations {
            match self.delete(location).await {
                Err(error) if !error.is_missing() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Stores `source`, durably, at a location that depends on its content.
    ///
    /// `namer` sees every byte once, in order, and then says the location. The provided method reads a local file twice (and
    /// makes sure that it is the same both times) and takes a stream into memory.
    ///
    /// # Errors
    /// Those of [`store`](Self::store), and those of `namer`.
    async fn store_named(
        &self,
        source: Source,
        mut namer: Box<dyn ContentNamer>,
        options: &StoreOptions,
    ) -> Result<Stored> {
        let source = match source {
            Source::Path(mut path_source) => {
                let opened = path_source.clone();
                let (named, identity) = unblock(move || {
                    let mut file = SourceFile::open(&opened)?;
                    let mut buffer = ReadBuffer::new(256 << 10);
                    loop {
                        match file.read(&mut buffer)? {
                            0 => return Ok((namer, file.finish()?)),
                            length => namer.update(&buffer[..length]),
                        }
                    }
                })
                .await?;
                namer = named;
                path_source.expected = Some(identity);
                Source::Path(path_source)
            }
            other => {
                let bytes = other.into_bytes().await?;
                namer.update(&bytes);
                Source::Bytes(bytes)
            }
        };
        let location = namer.location()?;
        self.store(&location, source, options).await
    }

    /// A local file with the content of the object at `location`, not to be written to. [`LocalPath`] says how long it lasts.
    ///
    /// Where that is possible it is called `name` (for programs that go by a file's extension), or else like the last segment
    /// of `location`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if this object is not kept as a local file; [`ErrorKind::Missing`] if there is no object;
    /// [`ErrorKind::Invalid`] if `name` is not a single segment of a location.
    async fn local_path(&self, location: &Location, name: Option<&str>) -> Result<LocalPath> {
        let _ = name;
        Err(Error::new(
            ErrorKind::Unsupported,
            "path",
            location,
            "this storage keeps no local files; load it to a file of yours",
        ))
    }
}

/// An object that stays open: every read is of the version that was there when it was opened, also when it is replaced or
/// deleted meanwhile.
#[async_trait]
pub trait ObjectReader: Debug + Send + Sync + 'static {
    /// The object's size, in bytes.
    fn size(&self) -> u64;

    /// Exactly the bytes `range`.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the object has fewer bytes.
    async fn read(&self, range: Range<u64>) -> Result<Bytes>;

    /// Exactly the bytes `range`, in pieces, in order, each seen by `visit` on a thread where it may block.
    ///
    /// # Errors
    /// Those of [`read`](Self::read), and those of `visit`, which end it.
    async fn visit(&self, range: Range<u64>, mut visit: PieceVisitor) -> Result<()> {
        let bytes = self.read(range).await?;
        unblock(move || visit(&bytes)).await
    }
}

/// Somebody who sees bytes that are read, piece by piece.
pub type PieceVisitor = Box<dyn FnMut(&[u8]) -> Result<()> + Send>;

/// Looks at content while it is stored, and names the object when it has seen all of it.
pub trait ContentNamer: Send + 'static {
    /// Takes the next bytes.
    fn update(&mut self, bytes: &[u8]);

    /// Where the content goes. Called once, after the last byte.
    ///
    /// # Errors
    /// Any; it fails the store, and nothing is stored.
    fn location(&mut self) -> Result<Location>;
}
