//! An object, read the way a file is.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::ops::Range;

use bytes::{Buf, Bytes};
use futures::TryStreamExt;

use super::wait;
use crate::error::{Error, ErrorKind};
use crate::options::{ByteStream, Loaded};

/// The bytes of an object that is being read.
///
/// It gives exactly the bytes that were asked for, or an [`io::Error`] that has the strongroom [`Error`] as its inner error.
/// It can't seek: the object might be another one by then. Load the range that is needed, or take
/// [`Storage::local_path`](super::Storage::local_path).
pub struct Reader {
    size: u64,
    range: Range<u64>,
    rest: Rest,
    piece: Bytes,
}

/// What comes after the piece at hand.
enum Rest {
    Stream(ByteStream),
    End,
    Failed,
}

impl Reader {
    pub(super) fn new(loaded: Loaded) -> Self {
        let (size, range) = (loaded.size, loaded.range.clone());
        Self { size, range, rest: Rest::Stream(loaded.into_stream()), piece: Bytes::new() }
    }

    /// The size of the whole object, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Which of the object's bytes are read.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }
}

impl BufRead for Reader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() {
            let stream = match &mut self.rest {
                Rest::Stream(stream) => stream,
                Rest::End => break,
                Rest::Failed => return Err(io::Error::other("an earlier read of this object failed; load it again")),
            };
            match wait(stream.try_next()) {
                Ok(Some(piece)) => self.piece = piece,
                Ok(None) => self.rest = Rest::End,
                Err(error) => {
                    self.rest = Rest::Failed;
                    return Err(error.into());
                }
            }
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, length: usize) {
        self.piece.advance(length);
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.fill_buf()?;
        let length = piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&piece[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("size", &self.size).field("range", &self.range).finish_non_exhaustive()
    }
}

/// An I/O error of the kind that fits, with the strongroom error inside.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Missing => io::ErrorKind::NotFound,
            ErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
            ErrorKind::Denied => io::ErrorKind::PermissionDenied,
            ErrorKind::Corrupt => io::ErrorKind::InvalidData,
            ErrorKind::Invalid => io::ErrorKind::InvalidInput,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
