//! Objects as chunks that are cut by content.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use strongroom_storage::{ByteStream, Digest, DigestSet, Hasher, Result, Source, unblock};

use super::packer::Item;
use super::{ContentWriter, Input, Taken};
use crate::chunk::{Chunk, Method};
use crate::chunker::Chunker;
use crate::compress::compress;
use crate::content::{Body, Content};
use crate::record::Kind;

/// How many chunks are hashed and compressed ahead.
const CHUNKS_AT_ONCE: usize = 4;
/// How much is cut at a time, in bytes.
const PIECE_BYTES: usize = 1 << 20;

type Prepared = (Digest, Bytes);

impl ContentWriter {
    /// Keeps content as chunks, of which those are stored that are not there.
    pub(super) async fn take_chunked(&mut self, input: Input, set: DigestSet) -> Result<Taken> {
        let mut stream: ByteStream = match input {
            Input::Bytes(bytes) => pieces_of(bytes),
            Input::Path(source) => Source::Path(source).into_stream().await?,
            Input::Stream(stream) => stream,
        };
        let mut chunker = Chunker::new(self.store.descriptor.chunk_bytes);
        let mut hasher = Hasher::new(set);
        let mut size = 0;
        let mut chunks = Vec::new();
        let mut preparing: VecDeque<BoxFuture<'static, Result<Prepared>>> = VecDeque::new();
        while let Some(bytes) = stream.try_next().await? {
            self.session.beat().await?;
            size += bytes.len() as u64;
            let cut;
            (chunker, hasher, cut) = unblock(move || {
                hasher.update(&bytes);
                chunker.push(&bytes);
                let cut: Vec<Bytes> = std::iter::from_fn(|| chunker.next_chunk()).collect();
                Ok((chunker, hasher, cut))
            })
            .await?;
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
        let digests = unblock(move || Ok(hasher.finish())).await?;
        let digest = digests.blake3.unwrap_or_else(|| Digest::of(b""));
        let body = match chunks[..] {
            [chunk] => Body::Packed(chunk.place),
            _ => Body::Chunked(self.place_list(Kind::ChunkList, &digest, chunks).await?),
        };
        Ok(Taken { content: Content { digest, size, body }, digests })
    }

    /// Begins to hash a chunk on another thread, and adds the first of those that were begun if there are many.
    async fn prepare(
        &mut self,
        preparing: &mut VecDeque<BoxFuture<'static, Result<Prepared>>>,
        chunks: &mut Vec<Chunk>,
        bytes: Bytes,
    ) -> Result<()> {
        let mut work = unblock(move || Ok((Digest::of(&bytes), bytes))).boxed();
        // Polled once, the work runs on its thread while we go on.
        let ready = futures::poll!(&mut work);
        preparing.push_back(match ready {
            std::task::Poll::Ready(result) => futures::future::ready(result).boxed(),
            std::task::Poll::Pending => work,
        });
        while preparing.len() > CHUNKS_AT_ONCE {
            if let Some(prepared) = preparing.pop_front() {
                chunks.push(self.add_chunk(prepared.await?).await?);
            }
        }
        Ok(())
    }

    async fn add_chunk(&mut self, (digest, bytes): Prepared) -> Result<Chunk> {
        let size = u32::try_from(bytes.len()).expect("a chunk has a bound that 32 bits hold");
        let place = match self.find_chunk(&digest, bytes.len()).await? {
            Some(place) => place,
            None => {
                let policy = self.store.descriptor.compression;
                let (method, stored): (Method, Bytes) = unblock(move || Ok(compress(bytes, policy))).await?;
                self.add_item(Item { kind: Kind::Chunk, digest, size, method, stored }).await?.place
            }
        };
        Ok(Chunk { digest, size, place })
    }
}

/// Bytes in memory in pieces that are cut one at a time.
fn pieces_of(bytes: Bytes) -> ByteStream {
    let starts = (0..bytes.len()).step_by(PIECE_BYTES);
    stream::iter(starts.map(move |start| Ok(bytes.slice(start..bytes.len().min(start + PIECE_BYTES))))).boxed()
}
