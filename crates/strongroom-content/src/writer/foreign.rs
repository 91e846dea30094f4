//! Content of another store: what is not here is copied from there, in the order in which it lies there, and verified as it is read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use strongroom_storage::{Digest, DigestSet, Error, ErrorKind, Result, Source, unblock};

use super::{ContentWriter, Input};
use crate::chunk::{Chunk, List, Place};
use crate::config::Layout;
use crate::content::{Body, Content, Kept};
use crate::paths;
use crate::read::{Wanted, damaged, is_absent, neighbours, to_usize};
use crate::record::Kind;
use crate::store::Inner;

/// Chunks are fetched by one request that have so many bytes between them, which are read in vain.
const GAP_BYTES: u64 = 64 << 10;
/// How much is fetched by one request, in bytes.
const FETCH_BYTES: u64 = 4 << 20;
/// How many requests are under way ahead of what is being stored.
const FETCHES_AT_ONCE: usize = 3;

/// What became of content of another store.
pub(crate) enum Adopted {
    /// It is here now, so.
    Here(Content),
    /// It is lost or damaged there.
    Damaged(Error),
}

/// Chunks by digest and size, and where they are here, or why they could not be read there.
type Placed = HashMap<(Digest, u32), std::result::Result<Place, Error>>;

impl ContentWriter {
    /// Takes in `contents` of the store `from`, of which each can be relied on when [`finish`](Self::finish) has returned. Adds the
    /// bytes that were read there to `bytes_read`.
    ///
    /// Content is kept as it is there: small content in packs, chunks as they are cut, whole files as such. Where this store has
    /// another policy (`whole`, `chunked`, or `auto` on a backend that is not local), it is followed for what has more than one
    /// chunk there. What is here already stays as it is.
    ///
    /// # Errors
    /// Those of either backend. Damage in `from` is told for each.
    pub(crate) async fn adopt(
        &mut self,
        from: &Arc<Inner>,
        contents: &[Content],
        bytes_read: &mut u64,
    ) -> Result<Vec<Adopted>> {
        self.store.catalog.learn_for(&self.session).await?;
        let mut here: Vec<Option<Content>> = Vec::with_capacity(contents.len());
        let mut parts: Vec<Result<Vec<Chunk>>> = Vec::with_capacity(contents.len());
        for content in contents {
            let is_large = matches!(content.body, Body::Chunked(_) | Body::Whole(..));
            here.push(if is_large { self.find_object(&content.digest, content.size).await? } else { None });
            let chunks = match self.becomes(content.kept()) {
                Kept::Packed | Kept::Chunked if here.last().is_some_and(Option::is_none) => {
                    from.chunks_of(content).await
                }
                _ => Ok(Vec::new()),
            };
            parts.push(chunks.map_or_else(|error| damage(error).map(Err), |chunks| Ok(Ok(chunks)))?);
        }
        let wanted = parts.iter().flatten().flatten().copied().collect();
        let placed = self.place_chunks(from, wanted, bytes_read).await?;
        let mut adopted = Vec::with_capacity(contents.len());
        for ((content, here), chunks) in contents.iter().zip(here).zip(parts) {
            adopted.push(match (here, chunks) {
                (Some(here), _) => Adopted::Here(here),
                (None, Err(error)) => Adopted::Damaged(error),
                (None, Ok(chunks)) => self.adopt_one(from, content, chunks, &placed, bytes_read).await?,
            });
        }
        Ok(adopted)
    }

    async fn adopt_one(
        &mut self,
        from: &Arc<Inner>,
        content: &Content,
        chunks: Vec<Chunk>,
        placed: &Placed,
        bytes_read: &mut u64,
    ) -> Result<Adopted> {
        let (digest, size) = (content.digest, content.size);
        let mut here = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            match placed.get(&(chunk.digest, chunk.size)) {
                Some(Ok(place)) => here.push(Chunk { place: *place, ..chunk }),
                Some(Err(error)) => return Ok(Adopted::Damaged(error.clone())),
                None => return Err(Error::new(ErrorKind::Internal, "copy", digest, "a chunk of it was left out")),
            }
        }
        let body = match (&content.body, self.becomes(content.kept())) {
            (Body::Inline(bytes), _) if Digest::of(bytes) == digest => Body::Inline(bytes.clone()),
            (Body::Inline(_), _) => {
                return Ok(Adopted::Damaged(damaged(&format!("b3:{digest}"), "its content does not match its digest")));
            }
            (Body::Packed(_), _) => match here[..] {
                [chunk] => Body::Packed(chunk.place),
                _ => return Err(Error::new(ErrorKind::Internal, "copy", digest, "it has one chunk")),
            },
            (Body::Chunked(_), Kept::Chunked) => Body::Chunked(self.place_list(Kind::ChunkList, &digest, here).await?),
            (_, kept) => return self.stream_in(from, content, kept, bytes_read).await,
        };
        Ok(Adopted::Here(Content { digest, size, body }))
    }

    /// Copies content as a whole, to be kept so.
    pub(super) async fn stream_in(
        &mut self,
        from: &Arc<Inner>,
        content: &Content,
        kept: Kept,
        bytes_read: &mut u64,
    ) -> Result<Adopted> {
        let subject = format!("b3:{}", content.digest);
        let stream = match from.open_content(content, 0..content.size, &subject).await {
            Ok(stream) => stream,
            Err(error) => return damage(error).map(Adopted::Damaged),
        };
        // What reading there fails with is told apart from what storing here does.
        let failure: Arc<Mutex<Option<Error>>> = Arc::default();
        let noted = failure.clone();
        let stream = stream
            .inspect_err(move |error| {
                *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
            })
            .boxed();
        let taken = match kept {
            Kept::Chunked => self.take_chunked(Input::Stream(stream), DigestSet::BLAKE3).await,
            _ => {
                self.store.catalog.list_files_for(&self.session).await?;
                self.store_whole(Source::Stream(stream), DigestSet::NONE).await
            }
        };
        let unread = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (taken, unread) {
            (Err(_), Some(error)) => damage(error).map(Adopted::Damaged),
            (Err(error), None) => Err(error),
            (Ok(taken), _) if taken.content.digest == content.digest => {
                *bytes_read += content.size;
                Ok(Adopted::Here(taken.content))
            }
            (Ok(_), _) => Ok(Adopted::Damaged(damaged(&subject, "its content does not match its digest"))),
        }
    }

    /// How content is kept here that is kept so in another store.
    fn becomes(&self, kept: Kept) -> Kept {
        match (kept, self.store.descriptor.layout) {
            (Kept::Whole | Kept::Chunked, Layout::Whole) => Kept::Whole,
            (Kept::Whole, Layout::Chunked) => Kept::Chunked,
            (Kept::Whole, Layout::Auto) if !self.store.backend.capabilities().local => Kept::Chunked,
            (kept, _) => kept,
        }
    }

    /// A large object that is here and can be relied on, in whatever form.
    async fn find_object(&mut self, digest: &Digest, size: u64) -> Result<Option<Content>> {
        if let Some(nonce) = self.find_file(digest, size).await? {
            match self.store.content_of_file(digest, nonce).await {
                Ok(Content { body: Body::Whole(_, List::Inline(cells)), .. }) => {
                    let body = Body::Whole(nonce, self.place_list_of_cells(digest, cells).await?);
                    return Ok(Some(Content { digest: *digest, size, body }));
                }
                Ok(_) => {}
                // What is damaged here is stored anew.
                Err(error) if is_absent(&error) => self.session.distrust(paths::whole_file(digest, &nonce)?),
                Err(error) => return Err(error),
            }
        }
        let body = self.find_chunked(digest, size).await?;
        Ok(body.map(|body| Content { digest: *digest, size, body }))
    }

    /// Finds chunks here, and copies those that are not.
    async fn place_chunks(
        &mut self,
        from: &Arc<Inner>,
        mut wanted: Vec<Chunk>,
        bytes_read: &mut u64,
    ) -> Result<Placed> {
        let mut placed = Placed::with_capacity(wanted.len());
        wanted.sort_unstable_by_key(|chunk| (chunk.digest, chunk.size));
        wanted.dedup_by_key(|chunk| (chunk.digest, chunk.size));
        let digests: Vec<Digest> = wanted.iter().map(|chunk| chunk.digest).collect();
        self.store.catalog.fetch(&digests).await;
        let mut missing = Vec::new();
        for chunk in wanted {
            match self.find_chunk(&chunk.digest, to_usize(chunk.size.into())).await? {
                Some(place) => drop(placed.insert((chunk.digest, chunk.size), Ok(place))),
                None => missing.push(chunk),
            }
        }
        missing.sort_unstable_by_key(|chunk| (chunk.place.pack, chunk.place.offset));
        let whole = |chunk: Chunk| -> Wanted { (chunk, 0..to_usize(chunk.size.into())) };
        let groups = neighbours(missing.into_iter().map(whole).collect(), GAP_BYTES, FETCH_BYTES);
        let mut fetches = stream::iter(groups)
            .map(|group| {
                let from = from.clone();
                async move {
                    let chunks: Vec<Chunk> = group.iter().map(|(chunk, _)| *chunk).collect();
                    chunks.into_iter().zip(from.fetch(vec![group]).await).collect::<Vec<_>>()
                }
            })
            .buffered(FETCHES_AT_ONCE);
        while let Some(fetched) = fetches.next().await {
            self.beat().await?;
            let mut read: Vec<(Chunk, Bytes)> = Vec::with_capacity(fetched.len());
            for (chunk, bytes) in fetched {
                match bytes {
                    Ok(bytes) => read.push((chunk, bytes)),
                    Err(error) => drop(placed.insert((chunk.digest, chunk.size), Err(damage(error)?))),
                }
            }
            *bytes_read += read.iter().map(|(chunk, _)| u64::from(chunk.size)).sum::<u64>();
            let store = self.store.clone();
            let compress = move || {
                let item = |(chunk, bytes): (Chunk, Bytes)| (chunk, store.item(Kind::Chunk, chunk.digest, bytes));
                Ok(read.into_iter().map(item).collect::<Vec<_>>())
            };
            for (chunk, item) in unblock(compress).await? {
                let place = self.add_item(item).await?.place;
                placed.insert((chunk.digest, chunk.size), Ok(place));
            }
        }
        Ok(placed)
    }
}

/// An error that says that content is damaged or gone; anything else ends the work.
fn damage(error: Error) -> Result<Error> {
    if is_absent(&error) { Ok(error) } else { Err(error) }
}
