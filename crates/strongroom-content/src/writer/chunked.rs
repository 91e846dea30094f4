//! Objects as chunks that are cut by content.
//!
//! Three things go on at the same time, each on a thread where it may take its time: the next block is read and cut, the whole
//! is hashed, and the chunks of the blocks before are hashed and compressed.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::{BoxFuture, ready};
use futures::{FutureExt, StreamExt, TryStreamExt};
use strongroom_storage::{ByteStream, Digest, DigestSet, Digests, Hasher, Result, unblock};

use super::blocks::{Block, Blocks};
use super::packer::Item;
use super::{ContentWriter, Input, Taken};
use crate::chunk::Chunk;
use crate::content::{Body, Content};
use crate::record::Kind;
use crate::store::Inner;

/// The chunks of how many blocks are hashed and compressed at once.
const BLOCKS_AT_ONCE: usize = 2;

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
    /// Hashes the chunks of a block. Where all are to be stored, they stay where they were read; else each that is has memory
    /// of its own, so that no block is kept for the sake of a few.
    fn prepare_block(&self, block: &Block) -> Vec<Prepared> {
        let hashed: Vec<(Digest, Bytes)> = block.chunks().map(|bytes| (Digest::of(&bytes), bytes)).collect();
        let kept: Vec<Option<bool>> = hashed.iter().map(|(digest, _)| self.seems_kept(digest)).collect();
        let all_new = !kept.contains(&Some(true));
        let prepare = |((digest, bytes), kept): ((Digest, Bytes), Option<bool>)| {
            let bytes = if kept == Some(true) || all_new { bytes } else { Bytes::copy_from_slice(&bytes) };
            // Where an index file must be read to tell, it is compressed when that was done.
            let item = (kept == Some(false)).then(|| self.item(Kind::Chunk, digest, bytes.clone()));
            Prepared { digest, bytes, item }
        };
        hashed.into_iter().zip(kept).map(prepare).collect()
    }
}

/// An object on its way into chunks.
struct Cutting {
    /// One for each digest of the whole.
    hashing: Vec<Work<Hasher>>,
    size: u64,
    preparing: VecDeque<Work<Vec<Prepared>>>,
    chunks: Vec<Chunk>,
}

impl ContentWriter {
    /// Keeps content as chunks, of which those are stored that are not there.
    pub(super) async fn take_chunked(&mut self, input: Input, set: DigestSet) -> Result<Taken> {
        let input = match input {
            Input::Stream(stream) => Input::Stream(self.with_beats(stream)),
            input => input,
        };
        let hashing = Hasher::new(set).split().into_iter().map(|hasher| ready(Ok(hasher)).boxed()).collect();
        let mut cutting = Cutting { hashing, size: 0, preparing: VecDeque::new(), chunks: Vec::new() };
        let mut next = Blocks::new(input, self.store.descriptor.chunk_bytes, self.store.buffers.clone()).next().await?;
        while let Some((block, blocks)) = next {
            let (placed, read) = futures::join!(self.take_block(&mut cutting, block), blocks.next());
            placed?;
            next = read?;
        }
        let Cutting { hashing, size, mut preparing, mut chunks } = cutting;
        while let Some(prepared) = preparing.pop_front() {
            self.add_chunks(prepared.await?, &mut chunks).await?;
        }
        self.store.catalog.note_size(size);
        let mut digests = Digests::default();
        for hasher in hashing {
            digests = digests.or(hasher.await?.finish());
        }
        let digest = digests.blake3.unwrap_or_else(|| Digest::of(b""));
        let body = match chunks[..] {
            [chunk] => Body::Packed(chunk.place),
            _ => Body::Chunked(self.place_list(Kind::ChunkList, &digest, chunks).await?),
        };
        Ok(Taken { content: Content { digest, size, body }, digests })
    }

    /// A stream that gives a sign of life with each piece: it may take its time until there is a block of them.
    fn with_beats(&self, stream: ByteStream) -> ByteStream {
        let session = self.session.clone();
        let with_beat = move |bytes| {
            let session = session.clone();
            async move { session.beat().await.map(|()| bytes) }
        };
        stream.and_then(with_beat).boxed()
    }

    /// Begins to hash a block, and adds the chunks of an earlier one if there are many.
    async fn take_block(&mut self, cutting: &mut Cutting, block: Block) -> Result<()> {
        self.session.beat().await?;
        let bytes = block.new_bytes();
        cutting.size += bytes.len() as u64;
        let store = Arc::clone(&self.store);
        cutting.preparing.push_back(begin(move || Ok(store.prepare_block(&block))));
        for hashing in &mut cutting.hashing {
            let (mut hasher, bytes) = ((&mut *hashing).await?, bytes.clone());
            *hashing = begin(move || {
                hasher.update(&bytes);
                Ok(hasher)
            });
        }
        while cutting.preparing.len() > BLOCKS_AT_ONCE {
            if let Some(prepared) = cutting.preparing.pop_front() {
                self.add_chunks(prepared.await?, &mut cutting.chunks).await?;
            }
        }
        Ok(())
    }

    async fn add_chunks(&mut self, prepared: Vec<Prepared>, chunks: &mut Vec<Chunk>) -> Result<()> {
        for chunk in prepared {
            chunks.push(self.add_chunk(chunk).await?);
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
