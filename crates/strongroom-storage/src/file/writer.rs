//! Writing files: into a temporary one, which is published when it is complete.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::{Either, select};

use super::place::Place;
use super::temporary::Temporary;
use crate::digest::{DigestSet, Digests, Hasher};
use crate::error::Result;
use crate::location::Location;
use crate::options::{ByteStream, StoreOptions, Stored};
use crate::source::{PathSource, Source, SourceFile};
use crate::storage::ContentNamer;
use crate::unblock;

/// How much of a local file is copied at a time, in bytes.
const COPY_BYTES: usize = 1 << 20;
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
    let job = Job { place: place.clone(), options: *options, target: Target::Location(location.clone()) };
    run(job, source).await
}

/// Stores `source` where `namer` says.
pub(super) async fn store_named(
    place: &Arc<Place>,
    source: Source,
    namer: Box<dyn ContentNamer>,
    options: &StoreOptions,
) -> Result<Stored> {
    run(Job { place: place.clone(), options: *options, target: Target::Namer(namer) }, source).await
}

async fn run(job: Job, source: Source) -> Result<Stored> {
    match source {
        Source::Bytes(bytes) => unblock(move || job.store_bytes(&bytes)).await,
        Source::Path(path) => unblock(move || job.store_path(&path)).await,
        Source::Stream(stream) => store_stream(job, stream).await,
    }
}

/// Writes one batch while the next one is gathered. No thread waits for the stream: one that needs a thread itself might
/// never get it.
async fn store_stream(job: Job, mut stream: ByteStream) -> Result<Stored> {
    let mut batch = gather(&mut stream).await?;
    let mut writing = unblock(move || job.begin()).await?;
    while !batch.is_last {
        let written = pin!(unblock(move || writing.write(&batch.pieces)));
        let gathered = pin!(gather(&mut stream));
        // If the stream fails, the temporary file is gone before the caller hears of it.
        (writing, batch) = match select(written, gathered).await {
            Either::Left((written, gathered)) => (written?, gathered.await?),
            Either::Right((gathered, written)) => (written.await?, gathered?),
        };
    }
    unblock(move || writing.write(&batch.pieces)?.publish()).await
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

enum Target {
    Location(Location),
    Namer(Box<dyn ContentNamer>),
}

/// One object on its way in.
struct Job {
    place: Arc<Place>,
    options: StoreOptions,
    target: Target,
}

/// Sees the bytes that are written.
struct Witness {
    size: u64,
    hasher: Hasher,
    target: Target,
}

impl Witness {
    fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.hasher.update(bytes);
        if let Target::Namer(namer) = &mut self.target {
            namer.update(bytes);
        }
    }

    fn finish(self) -> Result<(Location, u64, Digests)> {
        let location = match self.target {
            Target::Location(location) => location,
            Target::Namer(mut namer) => namer.location()?,
        };
        Ok((location, self.size, self.hasher.finish()))
    }
}

impl Job {
    fn temporary(&self) -> Result<Temporary> {
        let location = match &self.target {
            Target::Location(location) => Some(location),
            Target::Namer(_) => None,
        };
        Temporary::create(&self.place, location)
    }

    /// Whether anybody wants to see the bytes.
    fn is_watched(&self) -> bool {
        matches!(self.target, Target::Namer(_)) || self.options.digests != DigestSet::NONE
    }

    fn witness(self) -> Witness {
        Witness { size: 0, hasher: Hasher::new(self.options.digests), target: self.target }
    }

    fn begin(self) -> Result<Writing> {
        let (options, temporary) = (self.options, self.temporary()?);
        Ok(Writing { temporary, options, witness: self.witness() })
    }

    fn store_bytes(self, bytes: &Bytes) -> Result<Stored> {
        self.begin()?.write(std::slice::from_ref(bytes))?.publish()
    }

    fn store_path(self, path: &PathSource) -> Result<Stored> {
        let mut source = SourceFile::open(path)?;
        let (size, watched) = (source.identity().size(), self.is_watched());
        let mut writing = self.begin()?;
        let mut buffer = vec![0; COPY_BYTES.min(usize::try_from(size).unwrap_or(COPY_BYTES) + 1)];
        if path.consume && writing.temporary.is_like(&path.path, source.file()) {
            return writing.move_in(path, source, watched, &mut buffer);
        }
        if size >= COPY_BYTES as u64 && writing.temporary.clone_of(source.file()) {
            // The copy shares the source's blocks; it is complete, and nobody else writes to it.
            source.check_unchanged()?;
            if watched {
                writing.show(&mut buffer)?;
            } else {
                writing.witness.size = size;
            }
            return writing.publish();
        }
        loop {
            match source.read(&mut buffer)? {
                0 => break,
                length => writing.take(&buffer[..length])?,
            }
        }
        source.finish()?;
        writing.publish()
    }
}

/// An object of which a part may be written.
struct Writing {
    temporary: Temporary,
    options: StoreOptions,
    witness: Witness,
}

impl Writing {
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.witness.update(bytes);
        self.temporary.file().write_all(bytes).map_err(|error| self.temporary.failed(error))
    }

    fn write(mut self, pieces: &[Bytes]) -> Result<Self> {
        for piece in pieces {
            self.take(piece)?;
        }
        Ok(self)
    }

    fn publish(self) -> Result<Stored> {
        let (location, size, digests) = self.witness.finish()?;
        self.temporary.publish(&location, &self.options)?;
        Ok(Stored::new(location, size, digests))
    }

    /// Makes the source itself the object.
    fn move_in(
        mut self,
        path: &PathSource,
        mut source: SourceFile,
        watched: bool,
        buffer: &mut [u8],
    ) -> Result<Stored> {
        if watched {
            loop {
                match source.read(buffer)? {
                    0 => break,
                    length => self.witness.update(&buffer[..length]),
                }
            }
        } else {
            self.witness.size = source.identity().size();
        }
        source.check_unchanged()?;
        let (location, size, digests) = self.witness.finish()?;
        self.temporary.replaced_by(&path.path, source.file())?.publish(&location, &self.options)?;
        Ok(Stored::new(location, size, digests))
    }

    /// Shows the whole content to the witness.
    fn show(&mut self, buffer: &mut [u8]) -> Result<()> {
        let mut file = self.temporary.file();
        file.seek(SeekFrom::Start(0)).map_err(|error| self.temporary.failed(error))?;
        loop {
            match file.read(buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => self.witness.update(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.temporary.failed(error)),
            }
        }
    }
}
