//! Handing bytes out, each checked against its chunk's digest first.

mod cells;
mod file;
mod lists;
mod packs;
mod path;
mod target;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use strongroom_storage::{ByteStream, Digest, Error, ErrorKind, Result, unblock};

use crate::chunk::{Chunk, Place};
use crate::compress::decompress;
use crate::content::{Body, Content};
use crate::paths;
use crate::record::Kind;
use crate::store::Inner;

/// Neighbouring chunks are fetched by one request up to so many bytes.
const FETCH_BYTES: u64 = 4 << 20;
/// Of what was compressed well, less is fetched at once: no more than so many times as much is in memory then.
const EXPANSION_MAX: u64 = 4;
/// How many requests are under way ahead of the reader.
const FETCHES_AT_ONCE: usize = 2;
/// More than this is verified on another thread.
const UNBLOCK_BYTES: u64 = 64 << 10;

pub(crate) use packs::PackReader;

/// A chunk, and which of its bytes are wanted.
pub(crate) type Wanted = (Chunk, Range<usize>);

impl Inner {
    /// Opens the bytes `range` of `content`, which the caller knows as `subject`.
    pub(crate) async fn open_content(
        self: &Arc<Self>,
        content: &Content,
        range: Range<u64>,
        subject: &str,
    ) -> Result<ByteStream> {
        let named = |error: Error| error.in_operation("load", subject);
        let stream = match &content.body {
            Body::Inline(bytes) => {
                if Digest::of(bytes) != content.digest {
                    return Err(damaged(subject, "its content does not match its digest"));
                }
                let part = bytes.slice(to_usize(range.start)..to_usize(range.end));
                stream::iter((!part.is_empty()).then_some(Ok(part))).boxed()
            }
            Body::Packed(place) => self.stream_chunks(vec![content.as_chunk(*place)], range),
            Body::Chunked(_) => self.stream_chunks(self.chunks_of(content).await.map_err(named)?, range),
            Body::Whole(nonce, _) => self.stream_file(content, *nonce, range).await.map_err(named)?,
        };
        let subject = subject.to_string();
        Ok(stream.map_err(move |error| error.in_operation("load", &subject)).boxed())
    }

    /// The chunks that overlap `range`, cut to it.
    fn stream_chunks(self: &Arc<Self>, chunks: Vec<Chunk>, range: Range<u64>) -> ByteStream {
        let mut start = 0;
        let mut wanted: Vec<Wanted> = Vec::new();
        for chunk in chunks {
            let end = start + u64::from(chunk.size);
            if start < range.end && end > range.start {
                let cut = range.start.saturating_sub(start)..range.end.min(end) - start;
                wanted.push((chunk, to_usize(cut.start)..to_usize(cut.end)));
            }
            start = end;
        }
        let store = self.clone();
        stream::iter(neighbours(wanted, 0, FETCH_BYTES))
            .map(move |group| store.clone().fetch(vec![group]))
            .buffered(FETCHES_AT_ONCE)
            .flat_map(stream::iter)
            .boxed()
    }

    /// Chunks, each group of neighbours by one request, verified. One that is not where it was, or is damaged there, is looked for
    /// elsewhere.
    pub(crate) async fn fetch(self: Arc<Self>, groups: Vec<Vec<Wanted>>) -> Vec<Result<Bytes>> {
        let mut read: Vec<(Chunk, Option<Bytes>)> = Vec::with_capacity(groups.iter().map(Vec::len).sum());
        let mut size = 0;
        for group in &groups {
            let (Some((first, _)), Some((last, _))) = (group.first(), group.last()) else { continue };
            let (start, end) = (first.place.offset, last.place.offset + u64::from(last.place.stored));
            size += end - start;
            // What can't be had together is tried one by one, and found elsewhere or gives its own error.
            let stored = self.packs.read(&first.place.pack, start..end).await.ok();
            read.extend(group.iter().map(|(chunk, _)| {
                let from = to_usize(chunk.place.offset - start);
                let to = from + to_usize(chunk.place.stored.into());
                (*chunk, stored.as_ref().filter(|stored| to <= stored.len()).map(|stored| stored.slice(from..to)))
            }));
        }
        let count = read.len();
        let check = move || {
            let one = |(chunk, stored): (Chunk, Option<Bytes>)| stored.and_then(|stored| check_chunk(&chunk, stored));
            Ok(read.into_iter().map(one).collect::<Vec<Option<Bytes>>>())
        };
        let checked = if size > UNBLOCK_BYTES { unblock(check).await } else { check() };
        let checked = checked.unwrap_or_else(|_| vec![None; count]);
        let mut pieces = Vec::with_capacity(count);
        for ((chunk, cut), bytes) in groups.into_iter().flatten().zip(checked) {
            let bytes = match bytes {
                Some(bytes) => Ok(bytes),
                None => self.read_chunk(&chunk).await,
            };
            pieces.push(bytes.map(|bytes| bytes.slice(cut)));
        }
        pieces
    }

    /// A chunk, verified, from where it was last seen or from wherever it is.
    ///
    /// # Errors
    /// `Corrupt` if it is lost or damaged everywhere.
    pub(crate) async fn read_chunk(&self, chunk: &Chunk) -> Result<Bytes> {
        if let Some(bytes) = self.read_place(chunk).await? {
            return Ok(bytes);
        }
        // An open pack may have been mended meanwhile, by another file under its name, or the cache be damaged.
        self.packs.distrust(&chunk.place.pack);
        if let Some(bytes) = self.read_place(chunk).await? {
            return Ok(bytes);
        }
        let mut unread = None;
        for learn in [false, true] {
            if learn {
                unread = self.catalog.learn_all().await.err();
            }
            for found in self.catalog.find(Kind::Chunk, &chunk.digest).await? {
                let elsewhere = Chunk { place: found.place, ..*chunk };
                if found.place != chunk.place
                    && found.size == chunk.size
                    && let Some(bytes) = self.read_place(&elsewhere).await?
                {
                    return Ok(bytes);
                }
            }
        }
        // It may be where nobody can look now.
        if let Some(error) = unread {
            return Err(error);
        }
        let pack = paths::pack(&chunk.place.pack)?;
        let state = if self.backend.exists(&pack).await? { "is damaged" } else { "is lost with its pack" };
        Err(damaged(&format!("b3:{}", chunk.digest), &format!("chunk b3:{} in {pack} {state}", chunk.digest)))
    }

    /// A chunk, verified, from where it was last seen or from where the catalog knows it; `None` if it is sound nowhere there.
    pub(crate) async fn read_known(&self, chunk: &Chunk) -> Result<Option<Bytes>> {
        if let Some(bytes) = self.read_place(chunk).await? {
            return Ok(Some(bytes));
        }
        for found in self.catalog.find(Kind::Chunk, &chunk.digest).await? {
            let elsewhere = Chunk { place: found.place, ..*chunk };
            if found.size == chunk.size
                && let Some(bytes) = self.read_place(&elsewhere).await?
            {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// The chunk if it is at its place and sound; an error only if that can't be found out.
    async fn read_place(&self, chunk: &Chunk) -> Result<Option<Bytes>> {
        let place = &chunk.place;
        let range = place.offset..place.offset + u64::from(place.stored);
        match self.packs.read(&place.pack, range).await {
            Ok(stored) if stored.len() as u64 > UNBLOCK_BYTES => {
                let chunk = *chunk;
                unblock(move || Ok(check_chunk(&chunk, stored))).await
            }
            Ok(stored) => Ok(check_chunk(chunk, stored)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Content {
    /// An object of one chunk as that chunk.
    pub(crate) fn as_chunk(&self, place: Place) -> Chunk {
        let size = u32::try_from(self.size).expect("the size of one chunk was checked when its entry was read");
        Chunk { digest: self.digest, size, place }
    }
}

/// Whether a read failed because what should be there is not: a missing, cut or unreadable file.
pub(crate) fn is_absent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Missing | ErrorKind::Corrupt | ErrorKind::Invalid)
}

fn check_chunk(chunk: &Chunk, stored: Bytes) -> Option<Bytes> {
    let bytes = decompress(chunk.place.method, stored, chunk.size).ok()?;
    (Digest::of(&bytes) == chunk.digest).then_some(bytes)
}

/// Chunks that follow each other in one pack with at most `gap` bytes between them, so that one request of at most `most` bytes
/// fetches them, and they have no more than [`EXPANSION_MAX`] times as much in memory.
pub(crate) fn neighbours(wanted: Vec<Wanted>, gap: u64, most: u64) -> Vec<Vec<Wanted>> {
    let mut groups: Vec<Vec<Wanted>> = Vec::new();
    // Of the last group, after decompression.
    let mut size = 0;
    for next in wanted {
        let place = next.0.place;
        size += u64::from(next.0.size);
        if let Some(group) = groups.last_mut()
            && let (Some((first, _)), Some((last, _))) = (group.first(), group.last())
            && last.place.pack == place.pack
            && place
                .offset
                .checked_sub(last.place.offset + u64::from(last.place.stored))
                .is_some_and(|between| between <= gap)
            && place.offset + u64::from(place.stored) - first.place.offset <= most
            && size <= most.saturating_mul(EXPANSION_MAX)
        {
            group.push(next);
            continue;
        }
        size = next.0.size.into();
        groups.push(vec![next]);
    }
    groups
}

pub(crate) fn damaged(subject: &str, what: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "load",
        subject,
        format!("{what}; run `strongroom verify` to see what else is, and restore it from a copy of the store"),
    )
}

/// Offsets within what is held in memory fit `usize`.
pub(crate) fn to_usize(offset: u64) -> usize {
    usize::try_from(offset).expect("an offset within memory fits usize")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Method;
    use crate::nonce::Nonce;

    #[test]
    fn what_is_fetched_at_once_has_a_bound_before_and_after_decompression() {
        let grouped = |stored: u32, size: u32| -> Vec<usize> {
            let chunk = |n: u32| {
                let offset = u64::from(8 + n * stored);
                let place = Place { pack: Nonce::from_bytes([1; 16]), offset, stored, method: Method::Zstd };
                (Chunk { digest: Digest::of(b"any"), size, place }, 0..1)
            };
            neighbours((0..10).map(chunk).collect(), 0, 1000).iter().map(Vec::len).collect()
        };
        assert_eq!(grouped(100, 150), [10]);
        assert_eq!(grouped(300, 300), [3, 3, 3, 1]);
        assert_eq!(grouped(10, 1000), [4, 4, 2]);
        assert_eq!(grouped(10, 1 << 26), [1; 10]);
    }
}
