//! Content in large blocks, cut where they were read: so that hardly a byte is copied, and memory is used again.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use strongroom_storage::{ByteStream, PathSource, ReadBuffer, Result, SourceFile, unblock};

use super::Input;
use crate::chunker::Chunker;
use crate::config::ChunkSizes;

/// How much is read into a block, in bytes, or two of the largest chunks if that is more.
const BLOCK_BYTES: usize = 8 << 20;
/// How many buffers are kept for what is stored next: what one object takes when it fills the packs that may be on their way.
const KEPT_BUFFERS: usize = 16;
/// How much of it is read at a time, in bytes.
const READ_BYTES: usize = 1 << 20;
/// A page of memory, in bytes: to copy to where one begins is slow on some processors (`ReadBuffer` says which).
const PAGE_BYTES: usize = 4 << 10;

/// A part of content: whole chunks, and what follows them, which comes again at the beginning of the next block.
#[derive(Debug)]
pub(super) struct Block {
    bytes: Bytes,
    /// How much of it was at the end of the block before.
    again: usize,
    chunks: Vec<Range<usize>>,
}

impl Block {
    /// What was not in the block before.
    pub(super) fn new_bytes(&self) -> Bytes {
        self.bytes.slice(self.again..)
    }

    /// The chunks that end in it.
    pub(super) fn chunks(&self) -> impl Iterator<Item = Bytes> {
        self.chunks.iter().map(|range| self.bytes.slice(range.clone()))
    }
}

/// Content that is read into blocks and cut: each on a thread of its own, one block while the next is read.
pub(super) struct Blocks {
    reader: Reader,
    cutter: Cutter,
    /// What was read and not cut.
    ahead: Option<Piece>,
}

impl Blocks {
    pub(super) fn new(input: Input, sizes: ChunkSizes, buffers: Buffers) -> Self {
        let feed = match input {
            Input::Path(source) => Feed::Path(source),
            Input::Bytes(bytes) => Feed::Pieces(Pieces { stream: stream::empty().boxed(), ready: [bytes].into() }),
            Input::Stream(stream) => Feed::Pieces(Pieces { stream, ready: VecDeque::new() }),
        };
        let reader = Reader { feed, buffers: buffers.clone(), is_over: false };
        let cutter = Cutter { chunker: Chunker::new(sizes), buffers, rest: Bytes::new() };
        Self { reader, cutter, ahead: None }
    }

    /// The next block; none at the end.
    ///
    /// # Errors
    /// Those of the source, also where it is read ahead.
    pub(super) async fn next(self) -> Result<Option<(Block, Self)>> {
        let Self { reader, cutter, ahead } = self;
        let (piece, reader) = match ahead {
            Some(piece) => (Some(piece), reader),
            None => reader.next().await?,
        };
        let Some(piece) = piece else { return Ok(None) };
        let (cut, read) = futures::join!(unblock(move || Ok(cutter.cut(piece))), reader.next());
        let ((block, cutter), (ahead, reader)) = (cut?, read?);
        Ok(Some((block, Self { reader, cutter, ahead })))
    }
}

/// Content of one block, with room before it for what follows the last cut of the block before.
struct Piece {
    buffer: ReadBuffer,
    filled: usize,
    /// Whether nothing follows.
    is_last: bool,
}

/// Content that is read.
struct Reader {
    feed: Feed,
    buffers: Buffers,
    is_over: bool,
}

impl Reader {
    /// The next piece; none at the end.
    async fn next(mut self) -> Result<(Option<Piece>, Self)> {
        if self.is_over {
            return Ok((None, self));
        }
        if let Feed::Pieces(pieces) = &mut self.feed {
            pieces.gather(self.buffers.length - self.buffers.room).await?;
        }
        unblock(move || {
            let piece = self.fill()?;
            Ok((Some(piece), self))
        })
        .await
    }

    /// Blocks.
    fn fill(&mut self) -> Result<Piece> {
        let mut buffer = self.buffers.take();
        let mut filled = self.buffers.room;
        while filled < buffer.len() && !self.is_over {
            let end = buffer.len().min(filled + READ_BYTES);
            let length = self.feed.read(&mut buffer[filled..end])?;
            self.is_over = length == 0;
            filled += length;
        }
        Ok(Piece { buffer, filled, is_last: self.is_over })
    }
}

/// Content that is cut.
struct Cutter {
    chunker: Chunker,
    buffers: Buffers,
    /// What follows the last cut: shorter than the largest chunk.
    rest: Bytes,
}

impl Cutter {
    /// The next block, which goes on where the one before ended. Blocks.
    fn cut(mut self, piece: Piece) -> (Block, Self) {
        let Piece { mut buffer, filled, is_last } = piece;
        let (again, room) = (self.rest.len(), self.buffers.room);
        let begin = room - again;
        buffer[begin..room].copy_from_slice(&self.rest);
        let content = &buffer[begin..filled];
        let (mut chunks, mut start) = (Vec::new(), 0);
        while let Some(length) = self.chunker.next_end(&content[start..]) {
            chunks.push(start..start + length);
            start += length;
        }
        if is_last && start < content.len() {
            chunks.push(start..content.len());
            start = content.len();
        }
        let bytes = self.buffers.lend(buffer, begin..filled);
        self.rest = bytes.slice(start..);
        (Block { bytes, again, chunks }, self)
    }
}

/// Where bytes come from.
enum Feed {
    Path(PathSource),
    File(SourceFile),
    Pieces(Pieces),
    End,
}

impl Feed {
    /// The next bytes; none at the end. Blocks.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Self::Path(source) => {
                *self = Self::File(SourceFile::open(source)?);
                self.read(buffer)
            }
            Self::File(file) => match file.read(buffer)? {
                0 => {
                    if let Self::File(file) = std::mem::replace(self, Self::End) {
                        file.finish()?;
                    }
                    Ok(0)
                }
                length => Ok(length),
            },
            Self::Pieces(pieces) => Ok(pieces.read(buffer)),
            Self::End => Ok(0),
        }
    }
}

/// A stream, of which some was taken.
struct Pieces {
    stream: ByteStream,
    /// What was taken, without empty pieces.
    ready: VecDeque<Bytes>,
}

impl Pieces {
    /// Takes at least so many bytes, if there are so many.
    async fn gather(&mut self, length: usize) -> Result<()> {
        let mut gathered: usize = self.ready.iter().map(Bytes::len).sum();
        while gathered < length {
            let Some(piece) = self.stream.try_next().await? else { return Ok(()) };
            gathered += piece.len();
            if !piece.is_empty() {
                self.ready.push_back(piece);
            }
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let Some(piece) = self.ready.front_mut() else { return 0 };
        let now = piece.split_to(piece.len().min(buffer.len()));
        if piece.is_empty() {
            self.ready.pop_front();
        }
        buffer[..now.len()].copy_from_slice(&now);
        now.len()
    }
}

/// Buffers of one length that are used again by all that a handle stores: new memory costs a page fault for every 4 KiB, as much
/// as hashing it, and allocators that serve many threads are slow to give so large pieces back.
#[derive(Clone, Debug)]
pub(crate) struct Buffers {
    /// How much is left free at the beginning: at least the largest chunk.
    room: usize,
    length: usize,
    free: Arc<Mutex<Vec<ReadBuffer>>>,
}

impl Buffers {
    /// For content that is cut into chunks of these sizes.
    pub(crate) fn new(sizes: ChunkSizes) -> Self {
        let largest = usize::try_from(sizes.maximum).unwrap_or(usize::MAX / 4);
        let room = largest.next_multiple_of(PAGE_BYTES);
        Self { room, length: room + BLOCK_BYTES.max(2 * largest), free: Arc::default() }
    }

    fn take(&self) -> ReadBuffer {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(|| ReadBuffer::new(self.length))
    }

    /// A part of a buffer, to be read; when that is over, the buffer can be taken again.
    fn lend(&self, buffer: ReadBuffer, part: Range<usize>) -> Bytes {
        Bytes::from_owner(Lent { buffer, part, buffers: self.clone() })
    }
}

/// A buffer that is being read.
struct Lent {
    buffer: ReadBuffer,
    part: Range<usize>,
    buffers: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[self.part.clone()]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut free = self.buffers.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT_BUFFERS {
            free.push(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use strongroom_storage::Source;

    use super::*;

    const SIZES: ChunkSizes = ChunkSizes { minimum: 64 << 10, average: 256 << 10, maximum: 1 << 20 };

    /// The chunks of all blocks, and how many buffers there were when one block at a time was held.
    async fn cut(input: Input, content: &[u8]) -> (Vec<Bytes>, usize) {
        let buffers = Buffers::new(SIZES);
        let blocks = Blocks::new(input, SIZES, buffers.clone());
        let (mut chunks, mut seen) = (Vec::new(), Vec::new());
        let mut next = blocks.next().await.expect("readable");
        while let Some((block, blocks)) = next {
            seen.extend_from_slice(&block.new_bytes());
            chunks.extend(block.chunks().map(|chunk| Bytes::copy_from_slice(&chunk)));
            drop(block);
            next = blocks.next().await.expect("readable");
        }
        assert!(seen == content, "what is new in the blocks is the content");
        assert!(chunks.concat() == content, "the chunks are the content");
        let free = buffers.free.lock().expect("nobody panics").len();
        (chunks, free)
    }

    #[tokio::test]
    async fn chunks_are_the_same_however_content_comes_and_buffers_are_used_again() {
        for length in [0, 1000, BLOCK_BYTES - 1, BLOCK_BYTES, 5 * BLOCK_BYTES + 77] {
            let mut content = vec![0; length];
            blake3::Hasher::new().finalize_xof().fill(&mut content);
            let content = Bytes::from(content);
            let file = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(file.path(), &content).expect("write");
            let Source::Path(path) = Source::path(file.path()) else { unreachable!("that is what it is") };
            let odd = [1, 0, 70_001, 3 << 20, 17 << 20].into_iter().cycle().scan(content.clone(), |rest, length| {
                (!rest.is_empty()).then(|| Ok(rest.split_to(length.min(rest.len()))))
            });
            let odd: Vec<Result<Bytes>> = odd.collect();
            let (expected, _) = cut(Input::Bytes(content.clone()), &content).await;
            for input in [Input::Path(path), Input::Stream(stream::iter(odd).boxed())] {
                let (chunks, buffers) = cut(input, &content).await;
                assert!(chunks == expected, "{length} bytes");
                assert!(buffers <= 3, "{buffers} buffers for one block at a time and one ahead");
            }
        }
    }

    #[test]
    fn no_more_buffers_are_kept_than_one_object_takes() {
        let buffers = Buffers::new(SIZES);
        let lent: Vec<Bytes> = (0..KEPT_BUFFERS + 3).map(|_| buffers.lend(buffers.take(), 0..1)).collect();
        drop(lent);
        assert_eq!(buffers.free.lock().expect("nobody panics").len(), KEPT_BUFFERS);
    }

    #[tokio::test]
    async fn a_stream_that_fails_fails_the_block_before_which_it_is_read() {
        let error = strongroom_storage::Error::missing("read", "the source");
        let pieces = [Ok(Bytes::from(vec![1; 2 * BLOCK_BYTES])), Err(error)];
        let blocks = Blocks::new(Input::Stream(stream::iter(pieces).boxed()), SIZES, Buffers::new(SIZES));
        let (_, blocks) = blocks.next().await.expect("readable").expect("a block");
        assert!(blocks.next().await.is_err());
    }
}
