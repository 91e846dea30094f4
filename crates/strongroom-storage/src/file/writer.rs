//! Writing files: into a temporary one, which is published when it is complete.

use std::io::{ErrorKind, IoSlice, Write};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::{Either, select};

use super::copy::{CLONE_BYTES, COPY_BYTES, LARGE_BYTES, Onlooker, Seen, copy, each_piece, look, show};
use super::place::Place;
use super::reserve::reserve;
use super::temporary::Temporary;
use crate::digest::{Digests, Hasher};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::options::{ByteStream, Durability, StoreMode, StoreOptions, Stored};
use crate::source::{PathSource, Source, SourceFile};
use crate::storage::ContentNamer;
use crate::unblock;

/// How many pieces are written by one call.
const VECTORED_PIECES: usize = 256;
/// How much of a stream is gathered before it is written, in bytes.
const BATCH_BYTES: usize = 1 << 20;

/// Stores `source` at `location`.
pub(super) async fn store(
    place: &Arc<Place>,
    location: &Location,
    source: Source,
    options: &StoreOptions,
) -> Result<Stored> {
    // A name that is not allowed is refused before the source is touched.
    place.path("store", location)?;
    if options.mode == StoreMode::Create && matches!(place.look_up_cached(location)?, Some(Some(_))) {
        // No file is made to find that out: file systems are slow to use the place of one that is gone again.
        return Err(Error::already_exists("store", location));
    }
    Job { place: place.clone(), options: *options, target: Target::Location(location.clone()) }.run(source).await
}

/// Stores `source` where `namer` says.
pub(super) async fn store_named(
    place: &Arc<Place>,
    source: Source,
    namer: Box<dyn ContentNamer>,
    options: &StoreOptions,
) -> Result<Stored> {
    Job { place: place.clone(), options: *options, target: Target::Namer(namer) }.run(source).await
}

enum Target {
    Location(Location),
    Namer(Box<dyn ContentNamer>),
}

/// What is to be done.
struct Job {
    place: Arc<Place>,
    options: StoreOptions,
    target: Target,
}

impl Job {
    async fn run(self, source: Source) -> Result<Stored> {
        match source {
            Source::Bytes(bytes) => unblock(move || self.store_pieces(&[bytes])).await,
            Source::Pieces(pieces) => unblock(move || self.store_pieces(&pieces)).await,
            Source::Path(path) => unblock(move || self.store_path(&path)).await,
            Source::Stream(stream) => self.store_stream(stream).await,
        }
    }

    fn begin(self) -> Result<Writing> {
        let location = match &self.target {
            Target::Location(location) => Some(location),
            Target::Namer(_) => None,
        };
        let temporary = Temporary::create(&self.place, location)?;
        let watch = Watch { hashers: Hasher::new(self.options.digests).split(), target: self.target, size: 0 };
        Ok(Writing { temporary, options: self.options, watch })
    }

    fn store_pieces(self, pieces: &[Bytes]) -> Result<Stored> {
        let writing = self.begin()?;
        reserve(writing.temporary.file(), pieces.iter().map(|piece| piece.len() as u64).sum());
        writing.write_all(pieces)?.publish()
    }

    /// Writes one batch while the next one is gathered. No thread waits for the stream: one that needs a thread itself might
    /// never get it.
    async fn store_stream(self, mut stream: ByteStream) -> Result<Stored> {
        let mut batch = gather(&mut stream).await?;
        let mut writing = unblock(move || self.begin()).await?;
        while !batch.is_last {
            let written = pin!(unblock(move || writing.write_all(&batch.pieces)));
            let gathered = pin!(gather(&mut stream));
            // If the stream fails, the temporary file is gone before the caller hears of it.
            (writing, batch) = match select(written, gathered).await {
                Either::Left((written, gathered)) => (written?, gathered.await?),
                Either::Right((gathered, written)) => (written.await?, gathered?),
            };
        }
        unblock(move || writing.write_all(&batch.pieces)?.publish()).await
    }

    fn store_path(self, path: &PathSource) -> Result<Stored> {
        let mut source = SourceFile::open(path)?;
        let mut writing = self.begin()?;
        if path.consume && writing.temporary.is_like(&path.path, source.file()) {
            return writing.publish_source(&path.path, source);
        }
        let size = source.identity().size();
        if size >= CLONE_BYTES && writing.temporary.clone_of(source.file()) {
            // The copy shares the source's blocks: it is complete, and nobody else writes to it.
            source.check_unchanged()?;
            writing.see_copy(&path.path, size)?;
        } else {
            reserve(writing.temporary.file(), size);
            if size >= LARGE_BYTES {
                writing.copy(&mut source)?;
            } else {
                each_piece(size, |buffer| source.read(buffer), |bytes| writing.write(bytes))?;
            }
            source.finish()?;
        }
        writing.publish()
    }
}

struct Batch {
    pieces: Vec<Bytes>,
    /// The stream ended well after these.
    is_last: bool,
}

async fn gather(stream: &mut ByteStream) -> Result<Batch> {
    let mut batch = Batch { pieces: Vec::new(), is_last: false };
    let mut size = 0;
    while size < BATCH_BYTES {
        let Some(piece) = stream.try_next().await? else {
            batch.is_last = true;
            break;
        };
        size += piece.len();
        batch.pieces.push(piece);
    }
    Ok(batch)
}

/// An object on its way in.
struct Writing {
    temporary: Temporary,
    options: StoreOptions,
    watch: Watch,
}

/// Who sees the bytes of an object on its way in.
struct Watch {
    target: Target,
    size: u64,
    /// One for each digest.
    hashers: Vec<Hasher>,
}

impl Watch {
    fn see(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.hashers.iter_mut().for_each(|hasher| hasher.update(bytes));
        if let Target::Namer(namer) = &mut self.target {
            namer.update(bytes);
        }
    }

    /// The count of bytes, and those who see all of them, which can do so side by side; the fastest first, as far as is known.
    fn onlookers(&mut self) -> (&mut u64, Vec<Onlooker<'_>>) {
        let hashers =
            self.hashers.iter_mut().map(|hasher| Box::new(|bytes: &[u8]| hasher.update(bytes)) as Onlooker<'_>);
        let namer = match &mut self.target {
            Target::Namer(namer) => Some(Box::new(|bytes: &[u8]| namer.update(bytes)) as Onlooker<'_>),
            Target::Location(_) => None,
        };
        (&mut self.size, namer.into_iter().chain(hashers).collect())
    }
}

impl Writing {
    fn write_all(mut self, pieces: &[Bytes]) -> Result<Self> {
        let Self { temporary, watch, .. } = &mut self;
        let length: usize = pieces.iter().map(Bytes::len).sum();
        if length >= BATCH_BYTES {
            let (size, onlookers) = watch.onlookers();
            *size += length as u64;
            show(pieces, onlookers, || write_vectored(temporary, pieces))?;
        } else {
            write_vectored(temporary, pieces)?;
            pieces.iter().for_each(|piece| watch.see(piece));
        }
        Ok(self)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.temporary.file().write_all(bytes).map_err(|error| self.temporary.failed(error))?;
        self.watch.see(bytes);
        Ok(())
    }

    /// Copies all of a large source.
    fn copy(&mut self, source: &mut SourceFile) -> Result<()> {
        let Self { temporary, options, watch } = self;
        let (size, onlookers) = watch.onlookers();
        let file = temporary.file();
        let write = |bytes: &[u8]| {
            *size += bytes.len() as u64;
            (&*file).write_all(bytes).map_err(|error| temporary.failed(error))
        };
        let sync = (options.durability == Durability::Synced).then_some(|| temporary.sync());
        let landed = Seen { file, failed: &|error| temporary.failed(error) };
        copy(|buffer| source.read(buffer), write, landed, onlookers, sync)
    }

    /// Looks at the `size` bytes that were cloned from `path`.
    fn see_copy(&mut self, path: &Path, size: u64) -> Result<()> {
        let Self { temporary, watch, .. } = self;
        let (seen, onlookers) = watch.onlookers();
        *seen = size;
        let failed = |error| Error::from_io("store", path.display(), error);
        look(Seen { file: temporary.file(), failed: &failed }, &(0..size), onlookers)
    }

    /// Makes the source itself the object.
    fn publish_source(mut self, path: &Path, mut source: SourceFile) -> Result<Stored> {
        let (seen, onlookers) = self.watch.onlookers();
        *seen = source.identity().size();
        source.show(*seen, onlookers)?;
        source.check_unchanged()?;
        self.temporary = self.temporary.replaced_by(path, source.file())?;
        self.publish()
    }

    fn publish(self) -> Result<Stored> {
        let Watch { target, size, hashers } = self.watch;
        let location = match target {
            Target::Location(location) => location,
            Target::Namer(mut namer) => namer.location()?,
        };
        self.temporary.publish(&location, &self.options)?;
        let digests = hashers.into_iter().fold(Digests::default(), |known, hasher| known.or(hasher.finish()));
        Ok(Stored::new(location, size, digests))
    }
}

/// Writes pieces, many small ones by one call, and no more by one than is copied at a time: Linux takes memory for a larger
/// write in larger pieces, and such memory is slow to get in virtual machines whose host gives it out on demand.
fn write_vectored(temporary: &Temporary, pieces: &[Bytes]) -> Result<()> {
    let mut parts = pieces.iter().flat_map(|piece| piece.chunks(COPY_BYTES)).peekable();
    let mut group: Vec<IoSlice<'_>> = Vec::new();
    while let Some(first) = parts.next() {
        let mut length = first.len();
        group.clear();
        group.push(IoSlice::new(first));
        while group.len() < VECTORED_PIECES
            && let Some(part) = parts.next_if(|part| length + part.len() <= COPY_BYTES)
        {
            length += part.len();
            group.push(IoSlice::new(part));
        }
        let mut left = &mut group[..];
        while !left.is_empty() {
            match temporary.file().write_vectored(left) {
                Ok(0) => return Err(temporary.failed(ErrorKind::WriteZero.into())),
                Ok(written) => IoSlice::advance_slices(&mut left, written),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(temporary.failed(error)),
            }
        }
    }
    Ok(())
}
