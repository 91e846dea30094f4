//! Writing files: into a temporary one, which is published when it is complete.

use std::fs::{File, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use tokio::sync::mpsc;

use super::place::Place;
use super::temporary::{Temporary, rename};
use crate::digest::{DigestSet, Digests, Hasher};
use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;
use crate::options::{ByteStream, Durability, StoreMode, StoreOptions, Stored};
use crate::source::{PathSource, Source, SourceFile};
use crate::storage::ContentNamer;
use crate::unblock;

/// How much of a local file is copied at a time, in bytes.
const COPY_BYTES: usize = 1 << 20;
/// How many pieces of a stream wait for the disk.
const PIECES_AHEAD: usize = 4;

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
        Source::Stream(stream) => {
            let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
            let (fed, written) = futures::join!(feed(stream, sender), unblock(move || job.store_pieces(receiver)));
            fed?;
            written
        }
    }
}

/// What goes from a stream to the thread that writes it.
enum Piece {
    Bytes(Bytes),
    /// The stream ended well. Without it, nothing is published.
    End,
}

async fn feed(mut stream: ByteStream, sender: mpsc::Sender<Piece>) -> Result<()> {
    while let Some(bytes) = stream.try_next().await? {
        // The writer gave up; it says why.
        if sender.send(Piece::Bytes(bytes)).await.is_err() {
            return Ok(());
        }
    }
    sender.send(Piece::End).await.unwrap_or_default();
    Ok(())
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

    fn store_bytes(self, bytes: &[u8]) -> Result<Stored> {
        let (options, temporary) = (self.options, self.temporary()?);
        let mut witness = self.witness();
        witness.update(bytes);
        temporary.write(bytes)?;
        publish(temporary, witness, &options)
    }

    fn store_pieces(self, mut pieces: mpsc::Receiver<Piece>) -> Result<Stored> {
        let (options, temporary) = (self.options, self.temporary()?);
        let mut witness = self.witness();
        loop {
            match pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => {
                    witness.update(&bytes);
                    temporary.write(&bytes)?;
                }
                Some(Piece::End) => return publish(temporary, witness, &options),
                None => {
                    return Err(Error::new(ErrorKind::Internal, "store", "a stream", "it was given up before its end"));
                }
            }
        }
    }

    fn store_path(self, path: &PathSource) -> Result<Stored> {
        let mut source = SourceFile::open(path)?;
        if path.consume && self.can_move(path, &source) {
            return self.move_in(path, source);
        }
        let (options, watched, temporary) = (self.options, self.is_watched(), self.temporary()?);
        let mut witness = self.witness();
        let size = source.identity().size();
        if size >= COPY_BYTES as u64 && temporary.clone_of(source.file()) {
            // The copy shares the source's blocks; it is complete, and nobody else writes to it.
            source.check_unchanged()?;
            if watched {
                temporary.show(&mut |bytes| witness.update(bytes))?;
            } else {
                witness.size = size;
            }
            return publish(temporary, witness, &options);
        }
        let mut buffer = vec![0; COPY_BYTES.min(usize::try_from(size).unwrap_or(COPY_BYTES) + 1)];
        loop {
            match source.read(&mut buffer)? {
                0 => break,
                length => {
                    witness.update(&buffer[..length]);
                    temporary.write(&buffer[..length])?;
                }
            }
        }
        source.finish()?;
        publish(temporary, witness, &options)
    }

    /// Whether a consumed source can become the object itself: on the same file system, and under no other name.
    fn can_move(&self, path: &PathSource, source: &SourceFile) -> bool {
        let plain = std::fs::symlink_metadata(&path.path).is_ok_and(|found| found.is_file());
        let device = std::fs::metadata(&self.place.root).map(|root| root.dev());
        plain
            && source
                .file()
                .metadata()
                .is_ok_and(|file| file.nlink() == 1 && device.is_ok_and(|device| device == file.dev()))
    }

    /// Makes the source itself the object.
    fn move_in(self, path: &PathSource, mut source: SourceFile) -> Result<Stored> {
        let (options, place, watched) = (self.options, self.place.clone(), self.is_watched());
        // What permissions the object should have, a temporary file shows.
        let mode = self.temporary()?.mode()?;
        let mut witness = self.witness();
        if watched {
            let mut buffer = vec![0; COPY_BYTES];
            loop {
                match source.read(&mut buffer)? {
                    0 => break,
                    length => witness.update(&buffer[..length]),
                }
            }
        } else {
            witness.size = source.identity().size();
        }
        source.check_unchanged()?;
        let (location, size, digests) = witness.finish()?;
        let refused = |error| Error::from_io("store", path.path.display(), error);
        source.file().set_permissions(Permissions::from_mode(mode)).map_err(refused)?;
        if options.durability == Durability::Synced {
            (place.config.sync)(source.file()).map_err(refused)?;
        }
        let exclusive = options.mode == StoreMode::Create;
        place.put(&location, &options, |folder, name| rename(&path.path, folder, name, exclusive))?;
        Ok(Stored::new(location, size, digests))
    }
}

fn publish(temporary: Temporary, witness: Witness, options: &StoreOptions) -> Result<Stored> {
    let (location, size, digests) = witness.finish()?;
    temporary.publish(&location, options)?;
    Ok(Stored::new(location, size, digests))
}

impl Temporary {
    fn failed(&self, error: io::Error) -> Error {
        Error::from_io("store", self.describe(), error)
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        self.file().write_all(bytes).map_err(|error| self.failed(error))
    }

    fn mode(&self) -> Result<u32> {
        self.file().metadata().map(|found| found.mode() & 0o7777).map_err(|error| self.failed(error))
    }

    /// Shows the whole content to `each`.
    fn show(&self, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        let mut file = self.file();
        file.seek(SeekFrom::Start(0)).map_err(|error| self.failed(error))?;
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => each(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Shares the blocks of `source`, where the file system can.
    fn clone_of(&self, source: &File) -> bool {
        #[cfg(target_os = "linux")]
        return rustix::fs::ioctl_ficlone(self.file(), source).is_ok();
        #[cfg(not(target_os = "linux"))]
        return {
            let _ = source;
            false
        };
    }
}
