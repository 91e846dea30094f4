//! Reading files: opened once, so that what is read is one version of the object.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::cached::{self, Purpose};
use super::copy::COPY_BYTES;
use super::place::{Place, failed, is_absent};
use crate::buffer::{ReadBuffer, Room};
use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;
use crate::options::{ByteRange, Loaded};
use crate::storage::{ObjectReader, PieceVisitor};
use crate::unblock;

/// How much is read at a time, in bytes.
const PIECE_BYTES: u64 = 1 << 20;

/// Opens an object; what fits one piece is read at once.
pub(super) async fn load(place: &Arc<Place>, location: &Location, range: ByteRange) -> Result<Loaded> {
    let OpenFile { file, path, size } = open(place, location).await?;
    let range = range.resolve(size, location)?;
    let start = range.start..range.end.min(range.start + PIECE_BYTES);
    let first = match cached::read(&file, &start) {
        Some(first) => first,
        None => {
            let (reading, path) = (file.clone(), path.clone());
            unblock(move || read(&reading, &path, &start)).await?
        }
    };
    let rest = range.start + first.len() as u64..range.end;
    let more = stream::try_unfold((file, rest), move |(file, left)| {
        let path = path.clone();
        async move {
            if left.is_empty() {
                return Ok(None);
            }
            let (reading, wanted) = (file.clone(), left.start..left.end.min(left.start + PIECE_BYTES));
            let piece = unblock(move || read(&reading, &path, &wanted)).await?;
            // Somebody cut the file: the stream ends early, which is an error to its reader.
            let next = left.start + piece.len() as u64..left.end;
            Ok((!piece.is_empty()).then_some((piece, (file, next))))
        }
    });
    let first = stream::iter((!first.is_empty()).then_some(Ok(first)));
    Ok(Loaded::new(location, size, range, first.chain(more)))
}

/// Bytes of an object, in one piece.
pub(super) async fn load_bytes(place: &Arc<Place>, location: &Location, range: ByteRange) -> Result<Bytes> {
    let opened = open(place, location).await?;
    opened.read(range.resolve(opened.size, location)?).await
}

/// Opens an object.
pub(super) async fn open(place: &Arc<Place>, location: &Location) -> Result<OpenFile> {
    let path = place.path("load", location)?;
    match place.open_cached(&path, Purpose::Read) {
        Some(Ok(file)) => return OpenFile::new(file, &path, location),
        Some(Err(error)) if is_absent(&error) => return Err(failed("load", location, &path, error)),
        _ => {}
    }
    let (place, location) = (place.clone(), location.clone());
    unblock(move || {
        // Opening a FIFO must not wait for a writer.
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        match File::options().read(true).custom_flags(flags).open(&path) {
            Ok(file) => OpenFile::new(file, &path, &location),
            Err(error) => {
                // A socket can't be opened, nor can many a folder; there is no object either way.
                place.look_up("load", &location)?;
                Err(failed("load", &location, &path, error))
            }
        }
    })
    .await
}

/// An open object.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) file: Arc<File>,
    pub(super) path: Arc<Path>,
    pub(super) size: u64,
}

impl OpenFile {
    fn new(file: File, path: &Path, location: &Location) -> Result<Self> {
        let metadata = file.metadata().map_err(|error| failed("load", location, path, error))?;
        if !metadata.is_file() {
            return Err(Error::missing("load", location));
        }
        Ok(Self { file: Arc::new(file), path: path.into(), size: metadata.len() })
    }
}

#[async_trait]
impl ObjectReader for OpenFile {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        if let Some(bytes) = cached::read(&self.file, &range) {
            return Ok(bytes);
        }
        let (file, path) = (self.file.clone(), self.path.clone());
        let length = range.end.saturating_sub(range.start);
        let ended = Error::new(ErrorKind::Corrupt, "load", self.path.display(), "it ends before what is to be read");
        if range.end > self.size {
            return Err(ended);
        }
        let bytes = unblock(move || read(&file, &path, &range)).await?;
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(ended) }
    }

    async fn visit(&self, range: Range<u64>, mut visit: PieceVisitor) -> Result<()> {
        let (file, path) = (self.file.clone(), self.path.clone());
        unblock(move || {
            let mut buffer = ReadBuffer::new(COPY_BYTES);
            let mut position = range.start;
            while position < range.end {
                let wanted = usize::try_from(range.end - position).map_or(COPY_BYTES, |left| left.min(COPY_BYTES));
                match rustix::io::pread(&*file, &mut buffer[..wanted], position) {
                    Ok(0) => {
                        let ended = "it ends before what is to be read";
                        return Err(Error::new(ErrorKind::Corrupt, "load", path.display(), ended));
                    }
                    Ok(length) => {
                        visit(&buffer[..length])?;
                        position += length as u64;
                    }
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(Error::from_io("load", path.display(), error.into())),
                }
            }
            Ok(())
        })
        .await
    }
}

/// The bytes `range`; fewer only where the file ends.
fn read(file: &File, path: &Path, range: &Range<u64>) -> Result<Bytes> {
    let length = usize::try_from(range.end - range.start).expect("what is read at once fits memory");
    let mut room = Room::new(length);
    while room.filled() < length {
        let position = range.start + room.filled() as u64;
        match rustix::io::pread(file, room.left(), position) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Error::from_io("load", path.display(), error.into())),
        }
    }
    Ok(room.into_bytes(length))
}
