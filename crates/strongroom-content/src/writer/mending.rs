//! Content that is lost or damaged: taken from another place or another store, and stored anew, so that readers find it by its digest.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use strongroom_storage::{Digest, Error, Result};

use super::{Adopted, ContentWriter};
use crate::chunk::{Chunk, List};
use crate::content::{Body, Content, Kept};
use crate::read::{is_absent, to_usize};
use crate::record::Kind;
use crate::store::Inner;

impl ContentWriter {
    /// Sees to it that what `content` needs is sound in a place that can be relied on. The session has read a list that names what is
    /// damaged. It is taken from wherever it can be read in `sources`, in their order: as the same chunks, or as an object with the
    /// same digest in whatever form. Returns whether it is all there now.
    ///
    /// # Errors
    /// Those of the backends; damage is none. It is durable when [`finish`](Self::finish) has returned.
    pub(crate) async fn mend(
        &mut self,
        content: &Content,
        sources: &[Arc<Inner>],
        bytes_read: &mut u64,
    ) -> Result<bool> {
        self.beat().await?;
        match &content.body {
            Body::Inline(_) => Ok(true),
            Body::Packed(place) => self.mend_chunk(content, &content.as_chunk(*place), 0, sources, bytes_read).await,
            Body::Chunked(_) => self.mend_chunked(content, sources, bytes_read).await,
            Body::Whole(..) => self.mend_file(content, sources, bytes_read).await,
        }
    }

    async fn mend_chunked(&mut self, content: &Content, sources: &[Arc<Inner>], bytes_read: &mut u64) -> Result<bool> {
        let Some(chunks) = find_chunks(content, sources).await? else {
            return self.mend_as_a_whole(content, Kept::Chunked, sources, bytes_read).await;
        };
        let mut offset = 0;
        for chunk in &chunks {
            if !self.mend_chunk(content, chunk, offset, sources, bytes_read).await? {
                return Ok(false);
            }
            offset += u64::from(chunk.size);
        }
        let mut here = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            match self.find_chunk(&chunk.digest, to_usize(chunk.size.into())).await? {
                Some(place) => here.push(Chunk { place, ..chunk }),
                None => return Ok(false),
            }
        }
        self.place_list(Kind::ChunkList, &content.digest, here).await?;
        Ok(true)
    }

    /// A chunk, which begins at `offset` in `content`.
    async fn mend_chunk(
        &mut self,
        content: &Content,
        chunk: &Chunk,
        offset: u64,
        sources: &[Arc<Inner>],
        bytes_read: &mut u64,
    ) -> Result<bool> {
        if self.find_chunk(&chunk.digest, to_usize(chunk.size.into())).await?.is_some() {
            return Ok(true);
        }
        for source in sources {
            let mut bytes = source.read_known(chunk).await?;
            if bytes.is_none() {
                let range = offset..offset + u64::from(chunk.size);
                bytes = read_part(source, content, range).await?.filter(|bytes| Digest::of(bytes) == chunk.digest);
            }
            if let Some(bytes) = bytes {
                *bytes_read += bytes.len() as u64;
                self.add(Kind::Chunk, chunk.digest, bytes).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn mend_file(&mut self, content: &Content, sources: &[Arc<Inner>], bytes_read: &mut u64) -> Result<bool> {
        if self.find_file(&content.digest, content.size).await?.is_some() {
            // Only its list is lost, which can be had from the file.
            let cells = self.store.cells_of(content).await?;
            self.place_list_of_cells(&content.digest, cells).await?;
            return Ok(true);
        }
        self.mend_as_a_whole(content, Kept::Whole, sources, bytes_read).await
    }

    async fn mend_as_a_whole(
        &mut self,
        content: &Content,
        kept: Kept,
        sources: &[Arc<Inner>],
        bytes_read: &mut u64,
    ) -> Result<bool> {
        for source in sources {
            let Some(theirs) = find_content(source, content).await? else { continue };
            if let Adopted::Here(_) = self.stream_in(source, &theirs, kept, bytes_read).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The chunks of an object, as whoever still has its list says.
async fn find_chunks(content: &Content, sources: &[Arc<Inner>]) -> Result<Option<Vec<Chunk>>> {
    if let Body::Chunked(List::Inline(chunks)) = &content.body {
        return Ok(Some(chunks.clone()));
    }
    for source in sources {
        // Where it stands in an entry here says nothing of another store, which looks for it by its digest.
        if let Some(chunks) = sound(source.chunks_of(content).await)? {
            return Ok(Some(chunks));
        }
    }
    Ok(None)
}

/// A part of the object as another form of it in `source` has it.
async fn read_part(source: &Arc<Inner>, content: &Content, range: Range<u64>) -> Result<Option<Bytes>> {
    let Some(theirs) = find_content(source, content).await? else { return Ok(None) };
    let subject = format!("b3:{}", content.digest);
    let read = async {
        let pieces: Vec<Bytes> = source.open_content(&theirs, range, &subject).await?.try_collect().await?;
        Ok(pieces.concat().into())
    };
    sound(read.await)
}

/// The object in `source`, in whatever form it is there.
async fn find_content(source: &Inner, content: &Content) -> Result<Option<Content>> {
    let found = sound(source.content_of(&content.digest).await)?.flatten();
    Ok(found.filter(|found| found.size == content.size))
}

/// `None` where something is lost or damaged; any other error ends the work.
fn sound<T>(read: Result<T, Error>) -> Result<Option<T>> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
