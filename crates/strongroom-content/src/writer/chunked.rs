//! Objects as chunks that are cut by content.
//!
//! Four things go on at the same time, each on a thread where it may take its time: the next piece is read, this one is cut,
//! the whole is hashed, and chunks are hashed and compressed.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::{BoxFuture, ready};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use strongroom_storage::{ByteStream, Digest, DigestSet, Hasher, Result, Source, unblock};

use super::packer::Item;
use super::{ContentWriter, Input, Taken};
use crate::chunk::Chunk;
use crate::chunker::Chunker;
use crate::content::{Body, Content};
use crate::record::Kind;
use crate::store::Inner;

/// How many chunks are hashed and compressed at once.
const CHUNKS_AT_ONCE: usize = 4;
/// How much is cut at a time, in bytes.
const PIECE_BYTES: usize = 1 << 20;

type Work<T> = BoxFuture<'static, Result<T>>;

/// Work on another thread, begun with at once.
fn begin<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Work<T> {
    let mut work = unblock(work).boxed();
    match (&mut work).now_or_never() {
        Some(done) => ready(done).boxed(),
        None => work,
    }
}

/// A chunk that was hashed; and compressed unless it seems to be there.
struct Prepared {
    digest: Digest,
    bytes: Bytes,
    item: Option<Item>,
}

impl Inner {
    fn prepare_chunk(&self, bytes: Bytes) -> Prepared {
        let digest = Digest::of(&bytes);
        // Where an index file must be read to tell, it is compressed when that was done.
        let item = self.item_unless_kept(&digest, &bytes).unwrap_or_default();
        Prepared { digest, bytes, item }
    }
}

impl ContentWriter {
    /// Keeps content as chunks, of which those are stored that are not there.
    pub(super) async fn take_chunked(&mut self, input: Input, set: DigestSet) -> Result<Taken> {
        let mut stream: ByteStream = match input {
            Input::Bytes(bytes) => pieces_of(bytes),
            Input::Path(source) => Source::Path(source).into_stream().await?,
            Input::Stream(stream) => stream,
        };
        let mut chunker = Chunker::new(self.store.descriptor.chunk_bytes);
        let mut hashing: Work<Hasher> = ready(Ok(Hasher::new(set))).boxed();
        let mut size = 0;
        let mut chunks = Vec::new();
        let mut preparing = VecDeque::new();
        let mut piece = stream.try_next().await?;
        while let Some(bytes) = piece {
            self.session.beat().await?;
            size += bytes.len() as u64;
            let (mut hasher, hashed) = (hashing.await?, bytes.clone());
            hashing = begin(move || {
                hasher.update(&hashed);
                Ok(hasher)
            });
            let cutting = begin(move || {
                chunker.push(&bytes);
                let cut: Vec<Bytes> = std::iter::from_fn(|| chunker.next_chunk()).collect();
                Ok((chunker, cut))
            });
            let (cut, next) = futures::join!(cutting, stream.try_next());
            let (cutter, cut) = cut?;
            (chunker, piece) = (cutter, next?);
            for chunk in cut {
                self.prepare(&mut preparing, &mut chunks, chunk).await?;
            }
        }
        if let Some(last) = chunker.finish() {
            self.prepare(&mut preparing, &mut chunks, last).await?;
        }
        while let Some(prepared) = preparing.pop_front() {
            chunks.push(self.add_chunk(prepared.await?).await?);
        }
        self.store.catalog.note_size(size);
        let hasher = hashing.await?;
        let digests = unblock(move || Ok(hasher.finish())).await?;
        let digest = digests.blake3.unwrap_or_else(|| Digest::of(b""));
        let body = match chunks[..] {
            [chunk] => Body::Packed(chunk.place),
            _ => Body::Chunked(self.place_list(Kind::ChunkList, &digest, chunks).await?),
        };
        Ok(Taken { content: Content { digest, size, body }, digests })
    }

    /// Begins to hash a chunk, and adds the first of those that were begun if there are many.
    async fn prepare(
        &mut self,
        preparing: &mut VecDeque<Work<Prepared>>,
        chunks: &mut Vec<Chunk>,
        bytes: Bytes,
    ) -> Result<()> {
        let store = Arc::clone(&self.store);
        preparing.push_back(begin(move || Ok(store.prepare_chunk(bytes))));
        while preparing.len() > CHUNKS_AT_ONCE {
            if let Some(prepared) = preparing.pop_front() {
                chunks.push(self.add_chunk(prepared.await?).await?);
            }
        }
        Ok(())
    }

    async fn add_chunk(&mut self, Prepared { digest, bytes, item }: Prepared) -> Result<Chunk> {
        let size = u32::try_from(bytes.len()).expect("a chunk has a bound that 32 bits hold");
        let place = match (self.find_chunk(&digest, bytes.len()).await?, item) {
            (Some(place), _) => place,
            (None, Some(item)) => self.add_item(item).await?.place,
            (None, None) => self.add(Kind::Chunk, digest, bytes).await?,
        };
        Ok(Chunk { digest, size, place })
    }
}

/// Bytes in memory in pieces that are cut one at a time.
fn pieces_of(bytes: Bytes) -> ByteStream {
    let starts = (0..bytes.len()).step_by(PIECE_BYTES);
    stream::iter(starts.map(move |start| Ok(bytes.slice(start..bytes.len().min(start + PIECE_BYTES))))).boxed()
}
