//! The content of an object: its digest, its size, and where its bytes are.

use bytes::Bytes;
use strongroom_storage::Digest;

use crate::chunk::{CHUNK_MAX_BYTES, Cell, Chunk, GRID_BYTES, List, PLACE_BYTES, Place};
use crate::codec::{Decoded, Decoder, Encoder, Malformed};
use crate::nonce::Nonce;

/// The largest content that is kept inline, in the run itself, in bytes.
pub(crate) const INLINE_MAX_BYTES: usize = 256;

/// What an encoded [`Content`] has before its body.
const DIGEST_AND_SIZE_BYTES: usize = 32 + 8;

/// What stands under a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Content {
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    pub body: Body,
}

/// Where an object's bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Body {
    /// Here.
    Inline(Bytes),
    /// One chunk in a pack; its digest is the object's.
    Packed(Place),
    /// Chunks in packs, cut by content.
    Chunked(List<Chunk>),
    /// A file of its own, with the cells of its grid (none if it has at most one).
    Whole(Nonce, List<Cell>),
}

/// How an object is kept, for people and reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kept {
    /// With its name.
    Inline,
    /// As one chunk in a pack.
    Packed,
    /// As chunks in packs, cut by content.
    Chunked,
    /// As a plain file of its own.
    Whole,
}

impl Kept {
    /// One lower-case word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Packed => "packed",
            Self::Chunked => "chunked",
            Self::Whole => "whole",
        }
    }
}

impl Content {
    /// Content that is kept with its name.
    pub(crate) fn inline(bytes: Bytes) -> Self {
        Self { digest: Digest::of(&bytes), size: bytes.len() as u64, body: Body::Inline(bytes) }
    }

    pub(crate) fn kept(&self) -> Kept {
        match self.body {
            Body::Inline(_) => Kept::Inline,
            Body::Packed(_) => Kept::Packed,
            Body::Chunked(_) => Kept::Chunked,
            Body::Whole(..) => Kept::Whole,
        }
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.u8(match self.body {
            Body::Inline(_) => 1,
            Body::Packed(_) => 2,
            Body::Chunked(_) => 3,
            Body::Whole(..) => 4,
        });
        out.digest(&self.digest);
        out.u64(self.size);
        match &self.body {
            Body::Inline(bytes) => out.short_bytes(bytes),
            Body::Packed(place) => place.encode(out),
            Body::Chunked(list) => list.encode(out),
            Body::Whole(nonce, list) => {
                out.nonce(nonce);
                list.encode(out);
            }
        }
    }

    /// Reads what follows the byte `kind`.
    pub(crate) fn decode(kind: u8, input: &mut Decoder<'_>) -> Decoded<Self> {
        let (digest, size) = (input.digest()?, input.u64()?);
        let body = match kind {
            1 => Body::Inline(Bytes::copy_from_slice(input.short_bytes()?)),
            2 => Body::Packed(Place::decode(input)?),
            3 => Body::Chunked(List::decode(input)?),
            4 => Body::Whole(input.nonce()?, List::decode(input)?),
            _ => return Err(Malformed("it names an unknown kind of entry")),
        };
        let content = Self { digest, size, body };
        content.check()?;
        Ok(content)
    }

    /// Passes over what follows the byte `kind`.
    pub(crate) fn skip(kind: u8, input: &mut Decoder<'_>) -> Decoded<()> {
        input.raw(DIGEST_AND_SIZE_BYTES)?;
        match kind {
            1 => input.short_bytes().map(drop),
            2 => input.raw(PLACE_BYTES).map(drop),
            3 => List::<Chunk>::skip(input),
            4 => {
                input.nonce()?;
                List::<Cell>::skip(input)
            }
            _ => Err(Malformed("it names an unknown kind of entry")),
        }
    }

    /// Whether the parts fit together, so that no reader has to ask again.
    pub(crate) fn check(&self) -> Decoded<()> {
        let sound = match &self.body {
            Body::Inline(bytes) => bytes.len() as u64 == self.size,
            Body::Packed(place) => u32::try_from(self.size)
                .is_ok_and(|size| size <= CHUNK_MAX_BYTES && place.method.check(place.stored, size).is_ok()),
            Body::Chunked(List::Inline(chunks)) => self.can_have(chunks),
            Body::Whole(_, List::Inline(cells)) => cells.len() as u64 == cell_count(self.size),
            Body::Chunked(List::Packed(..)) | Body::Whole(_, List::Packed(..)) => true,
        };
        if sound { Ok(()) } else { Err(Malformed("a size in it does not fit its content")) }
    }
}

impl Content {
    /// Whether it can have these chunks, as far as can be said without reading them: their sizes add up, and where there is but one
    /// or none, its digest is the object's.
    pub(crate) fn can_have(&self, chunks: &[Chunk]) -> bool {
        let is_same = match chunks {
            [] => self.digest == Digest::of(b""),
            [chunk] => self.digest == chunk.digest,
            _ => true,
        };
        is_same && total_size(chunks) == Some(self.size)
    }
}

/// The size of an object with these chunks.
pub(crate) fn total_size(chunks: &[Chunk]) -> Option<u64> {
    chunks.iter().try_fold(0u64, |sum, chunk| sum.checked_add(u64::from(chunk.size)))
}

/// How many cells a whole file's list has; a file of at most one cell needs none, as its digest says all.
pub(crate) fn cell_count(size: u64) -> u64 {
    match size.div_ceil(GRID_BYTES) {
        0 | 1 => 0,
        cells => cells,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Method;

    #[test]
    fn no_chunk_or_one_that_is_another_object_is_refused() {
        let place = Place { pack: Nonce::from_bytes([1; 16]), offset: 8, stored: 5, method: Method::Plain };
        let chunk = |bytes: &[u8]| Chunk { digest: Digest::of(bytes), size: 5, place };
        let is_sound = |object: &[u8], size: u64, chunks: Vec<Chunk>| {
            let body = Body::Chunked(List::Inline(chunks));
            Content { digest: Digest::of(object), size, body }.check().is_ok()
        };
        assert!(is_sound(b"", 0, vec![]) && is_sound(b"12345", 5, vec![chunk(b"12345")]));
        assert!(is_sound(b"1234512345", 10, vec![chunk(b"12345"); 2]));
        assert!(!is_sound(b"another", 0, vec![]), "an object that has lost its chunks");
        assert!(!is_sound(b"another", 5, vec![chunk(b"12345")]));
        assert!(!is_sound(b"12345", 6, vec![chunk(b"12345")]));
    }
}
