//! Objects as chunks that are cut by content.
//!
//! Several things go on at the same time, each on a thread where it may take its time: a block is read, the one before is cut, the
//! whole is hashed, and the chunks of the blocks before are hashed and compressed. None waits for another as long as there are
//! blocks between them.

use std::sync::Arc;

use bytes::Bytes;
use futures::channel::mpsc;
use futures::future::{try_join_all, try_join3};
use futures::{SinkExt, StreamExt, TryStreamExt};
use strongroom_storage::{ByteStream, Digest, DigestSet, Digests, Hasher, Result, unblock};

use super::blocks::{Block, Blocks};
use super::packer::Item;
use super::prepare::Known;
use super::{ContentWriter, Input, Taken};
use crate::chunk::Chunk;
use crate::content::{Body, Content};
use crate::record::Kind;
use crate::session::Session;
use crate::store::Inner;

/// The chunks of how many blocks are hashed and compressed at once.
const BLOCKS_AT_ONCE: usize = 2;
/// How many blocks wait for each of those who go over them, besides the one that they are at.
const BLOCKS_WAITING: usize = 2;

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
        let known: Vec<Known> = hashed.iter().map(|(digest, _)| self.looks_kept(digest)).collect();
        let all_new = !known.iter().any(|known| matches!(known, Known::Kept));
        let prepare = |((digest, bytes), known): ((Digest, Bytes), Known)| {
            let stays = all_new || matches!(known, Known::Kept);
            let bytes = if stays { bytes } else { Bytes::copy_from_slice(&bytes) };
            // Where an index file must be read to tell, it is compressed when that was done.
            let item = matches!(known, Known::New).then(|| self.item(Kind::Chunk, digest, bytes.clone()));
            Prepared { digest, bytes, item }
        };
        hashed.into_iter().zip(known).map(prepare).collect()
    }
}

impl ContentWriter {
    /// Keeps content as chunks, of which those are stored that are not there.
    pub(super) async fn take_chunked(&mut self, input: Input, set: DigestSet) -> Result<Taken> {
        let input = match input {
            Input::Stream(stream) => Input::Stream(self.with_beats(stream)),
            input => input,
        };
        let blocks = Blocks::new(input, self.store.descriptor.chunk_bytes, self.store.buffers.clone());
        let (to_place, placing) = queue();
        let (to_hash, hashing): (Vec<_>, Vec<_>) = Hasher::new(set)
            .split()
            .into_iter()
            .map(|hasher| {
                let (to_hash, pieces) = queue();
                (to_hash, hasher.read(pieces.map(Ok)))
            })
            .unzip();
        let reading = read_all(blocks, self.session.clone(), to_hash, to_place);
        let (size, hashed, chunks) = try_join3(reading, try_join_all(hashing), self.place_all(placing)).await?;
        self.store.catalog.note_size(size);
        let digests = hashed.into_iter().fold(Digests::default(), |known, hasher| known.or(hasher.finish()));
        let digest = digests.blake3.unwrap_or_else(|| Digest::of(b""));
        let body = match chunks[..] {
            [chunk] => Body::Packed(chunk.place),
            _ => Body::Chunked(self.place_list(Kind::ChunkList, &digest, chunks).await?),
        };
        Ok(Taken { content: Content { digest, size, body }, digests })
    }

    async fn place_all(&mut self, blocks: mpsc::Receiver<Block>) -> Result<Vec<Chunk>> {
        let store = self.store.clone();
        let prepare = move |block: Block| {
            let store = Arc::clone(&store);
            unblock(move || Ok(store.prepare_block(&block)))
        };
        let mut prepared = blocks.map(prepare).buffered(BLOCKS_AT_ONCE);
        let mut chunks = Vec::new();
        while let Some(block) = prepared.try_next().await? {
            for chunk in block {
                chunks.push(self.add_chunk(chunk).await?);
            }
        }
        Ok(chunks)
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

/// What is to be gone over, in order: its sender waits while there is as much as may wait.
fn queue<T>() -> (mpsc::Sender<T>, mpsc::Receiver<T>) {
    // A sender has a place of its own.
    mpsc::channel(BLOCKS_WAITING - 1)
}

/// Reads all and hands it on. Returns how many bytes it is.
async fn read_all(
    blocks: Blocks,
    session: Arc<Session>,
    mut to_hash: Vec<mpsc::Sender<Bytes>>,
    mut to_place: mpsc::Sender<Block>,
) -> Result<u64> {
    let mut size = 0;
    let mut next = blocks.next().await?;
    while let Some((block, blocks)) = next {
        session.beat().await?;
        let bytes = block.new_bytes();
        size += bytes.len() as u64;
        // Nobody who is to get it goes away before all is over, unless something has failed: then this is dropped too.
        for to_hash in &mut to_hash {
            to_hash.send(bytes.clone()).await.unwrap_or_default();
        }
        to_place.send(block).await.unwrap_or_default();
        next = blocks.next().await?;
    }
    Ok(size)
}
