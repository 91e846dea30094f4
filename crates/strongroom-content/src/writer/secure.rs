//! Content that is there already, under another name or from an earlier session: making sure that it can be relied on.

use bytes::Bytes;
use strongroom_storage::{Digest, DigestSet, Result, Source};

use super::ContentWriter;
use crate::chunk::{Chunk, List, Place};
use crate::content::{Body, Content, total_size};
use crate::paths;
use crate::record::Kind;

impl ContentWriter {
    /// The same content in places that can be relied on within this session. What is nowhere else is copied to a new pack or
    /// file first; that is the case where a collector's list names it.
    ///
    /// # Errors
    /// `Corrupt` if content is lost or damaged.
    pub(crate) async fn secure(&mut self, content: &Content) -> Result<Content> {
        self.session.beat().await?;
        let body = match &content.body {
            Body::Inline(bytes) => Body::Inline(bytes.clone()),
            Body::Packed(place) => {
                let size = u32::try_from(content.size).expect("one chunk's size was checked when its entry was read");
                Body::Packed(self.secure_chunk(&Chunk { digest: content.digest, size, place: *place }).await?.place)
            }
            Body::Chunked(list) => {
                let known = self.store.chunks_of(content).await?;
                let mut chunks = Vec::with_capacity(known.len());
                for chunk in &known {
                    chunks.push(self.secure_chunk(chunk).await?);
                }
                match list {
                    List::Packed(place, size) if chunks == known && self.relies_on_pack(&place.pack).await? => {
                        Body::Chunked(List::Packed(*place, *size))
                    }
                    _ => Body::Chunked(self.place_list(Kind::ChunkList, &content.digest, chunks).await?),
                }
            }
            Body::Whole(nonce, _) => {
                let file = paths::whole_file(&content.digest, nonce)?;
                let nonce = if self.relies_on_file(file, content.size).await? {
                    *nonce
                } else if let Some(other) = self.find_file(&content.digest, content.size).await? {
                    other
                } else {
                    return self.copy_file(content).await;
                };
                let cells = self.store.cells_of(content).await?;
                Body::Whole(nonce, self.place_list_of_cells(&content.digest, cells).await?)
            }
        };
        Ok(Content { digest: content.digest, size: content.size, body })
    }

    async fn secure_chunk(&mut self, chunk: &Chunk) -> Result<Chunk> {
        if self.relies_on_pack(&chunk.place.pack).await? {
            return Ok(*chunk);
        }
        let length = usize::try_from(chunk.size).unwrap_or(usize::MAX);
        let place: Place = match self.find_chunk(&chunk.digest, length).await? {
            Some(place) => place,
            None => {
                let bytes: Bytes = self.store.read_chunk(chunk).await?;
                self.add(Kind::Chunk, chunk.digest, bytes).await?
            }
        };
        Ok(Chunk { place, ..*chunk })
    }

    pub(super) async fn copy_file(&mut self, content: &Content) -> Result<Content> {
        let stream = self.store.open_content(content, 0..content.size, &format!("b3:{}", content.digest)).await?;
        Ok(self.store_whole(Source::Stream(stream), DigestSet::NONE).await?.content)
    }

    /// An object that is there as chunks, all of which can be relied on.
    pub(super) async fn find_chunked(&mut self, digest: &Digest, size: u64) -> Result<Option<Body>> {
        let Some(found) = self.find(Kind::ChunkList, digest).await? else { return Ok(None) };
        let Ok(chunks) = self.store.read_list_at::<Chunk>(digest, &found.place, found.size).await else {
            return Ok(None);
        };
        if total_size(&chunks) != Some(size) {
            return Ok(None);
        }
        for chunk in &chunks {
            if !self.relies_on_pack(&chunk.place.pack).await? {
                return Ok(None);
            }
        }
        let list = if List::<Chunk>::fits_inline(chunks.len()) {
            List::Inline(chunks)
        } else {
            List::Packed(found.place, found.size)
        };
        Ok(Some(Body::Chunked(list)))
    }
}
