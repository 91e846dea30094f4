//! An object that is being read, and that it has as many bytes as it says.

use std::fmt;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};

use super::{ByteRange, ByteStream, Copied};
use crate::digest::{DigestSet, Hasher};
use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;
use crate::source::Source;
use crate::target::TargetFile;
use crate::unblock;

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

    /// The bytes, written to `target` from its start. After an error it may hold anything.
    ///
    /// # Errors
    /// That of the stream, and those of writing.
    pub async fn into_file(self, target: &TargetFile, digests: DigestSet) -> Result<Copied> {
        let mut stream = self.stream;
        let (mut hasher, mut written) = (Hasher::new(digests), 0);
        let mut next = stream.try_next().await?;
        while let Some(bytes) = next {
            let (target, offset) = (target.clone(), written);
            written += bytes.len() as u64;
            // More is read while this is written.
            let writing = unblock(move || {
                hasher.update(&bytes);
                target.write_at(&bytes, offset).map(|()| hasher)
            });
            let (writing, following) = futures::join!(writing, stream.try_next());
            (hasher, next) = (writing?, following?);
        }
        Ok(Copied::new(written, hasher.finish()))
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

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const CONTENT: &[u8] = b"0123456789";

    async fn read(range: ByteRange) -> Result<(u64, Range<u64>, Bytes)> {
        let loaded = Loaded::read("a/b", range, &mut Cursor::new(CONTENT))?;
        Ok((loaded.size, loaded.range.clone(), loaded.into_bytes().await?))
    }

    #[tokio::test]
    async fn what_is_read_is_what_would_be_sliced() {
        let location = Location::parse("a/b").expect("a location");
        let ranges = [ByteRange::All, (2..5).into(), (7..).into(), ByteRange::Last(3), (0..0).into(), (10..).into()];
        for range in ranges {
            let slice = Loaded::slice(&location, &CONTENT.into(), range).expect("in the object");
            let expected = (slice.size, slice.range.clone(), slice.into_bytes().await.expect("bytes"));
            assert_eq!(read(range).await.expect("in the object"), expected, "{range}");
        }
    }

    #[tokio::test]
    async fn a_range_behind_the_end_is_invalid_and_nothing_is_read() {
        let error = read((11..12).into()).await.expect_err("behind the end");
        assert_eq!((error.kind(), error.subject()), (ErrorKind::Invalid, "a/b"));
    }
}
