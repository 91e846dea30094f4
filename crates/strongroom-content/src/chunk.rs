//! Chunks, where they lie, and lists of them.

use bytes::Bytes;
use strongroom_storage::Digest;

use crate::codec::{Decoded, Decoder, Encoder, Malformed};
use crate::nonce::Nonce;

/// The grid of whole files, in bytes. A power of two, so that a cell is a subtree of the file's BLAKE3 tree.
pub(crate) const GRID_BYTES: u64 = 1 << 20;
/// The largest chunk that this format allows, in bytes.
pub(crate) const CHUNK_MAX_BYTES: u32 = 1 << 26;
/// A list with more bytes than this is kept in a pack instead of in the name's entry.
const INLINE_LIST_BYTES: usize = 1 << 10;
/// Bytes of an encoded [`Place`].
pub(crate) const PLACE_BYTES: usize = Nonce::BYTES + 8 + 4 + 1;
/// Bytes of an encoded [`Chunk`].
pub(crate) const CHUNK_BYTES: usize = 32 + 4 + PLACE_BYTES;

/// How bytes are kept in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Method {
    /// As they are.
    Plain = 0,
    /// As one zstd frame.
    Zstd = 1,
}

impl Method {
    pub(crate) fn decode(byte: u8) -> Decoded<Self> {
        match byte {
            0 => Ok(Self::Plain),
            1 => Ok(Self::Zstd),
            _ => Err(Malformed("it names an unknown compression")),
        }
    }

    /// Whether `size` bytes can take `stored` bytes: as many, or where they are compressed, no more. A few bytes can be compressed
    /// gigabytes; what is compressed has no more than a chunk can have.
    pub(crate) fn check(self, stored: u32, size: u32) -> Decoded<()> {
        match self {
            Self::Plain if stored == size => Ok(()),
            Self::Zstd if stored <= size && size <= CHUNK_MAX_BYTES => Ok(()),
            _ => Err(Malformed("a length in it does not fit what is stored")),
        }
    }
}

/// Where bytes lie in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub pack: Nonce,
    pub offset: u64,
    /// The length there, in bytes: what is left after compression.
    pub stored: u32,
    pub method: Method,
}

impl Place {
    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.nonce(&self.pack);
        out.u64(self.offset);
        out.u32(self.stored);
        out.u8(self.method as u8);
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Decoded<Self> {
        let place = Self {
            pack: input.nonce()?,
            offset: input.u64()?,
            stored: input.u32()?,
            method: Method::decode(input.u8()?)?,
        };
        place.offset.checked_add(u64::from(place.stored)).ok_or(Malformed("a place in it is beyond any file"))?;
        Ok(place)
    }
}

/// A run of bytes of an object, and where it was last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Chunk {
    pub digest: Digest,
    /// Its length, in bytes.
    pub size: u32,
    pub place: Place,
}

impl Chunk {
    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.digest(&self.digest);
        out.u32(self.size);
        self.place.encode(out);
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Decoded<Self> {
        let chunk = Self { digest: input.digest()?, size: input.u32()?, place: Place::decode(input)? };
        if chunk.size > CHUNK_MAX_BYTES {
            return Err(Malformed("a chunk in it is larger than the format allows"));
        }
        chunk.place.method.check(chunk.place.stored, chunk.size)?;
        Ok(chunk)
    }
}

/// A list that belongs to an object: with its entry when short, else in a pack under the object's digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum List<T> {
    Inline(Vec<T>),
    /// Where the list's encoded form lies, and its length in bytes before compression.
    Packed(Place, u32),
}

/// Something a list is made of.
pub(crate) trait ListItem: Sized {
    const BYTES: usize;
    fn encode_item(&self, out: &mut Encoder);
    fn decode_item(input: &mut Decoder<'_>) -> Decoded<Self>;
}

impl ListItem for Chunk {
    const BYTES: usize = CHUNK_BYTES;

    fn encode_item(&self, out: &mut Encoder) {
        self.encode(out);
    }

    fn decode_item(input: &mut Decoder<'_>) -> Decoded<Self> {
        Self::decode(input)
    }
}

/// A cell of a whole file's grid: the chaining value of its subtree in the file's BLAKE3 tree.
pub(crate) type Cell = [u8; 32];

impl ListItem for Cell {
    const BYTES: usize = 32;

    fn encode_item(&self, out: &mut Encoder) {
        out.raw(self);
    }

    fn decode_item(input: &mut Decoder<'_>) -> Decoded<Self> {
        input.array()
    }
}

impl<T: ListItem> List<T> {
    /// Whether a list of `count` items stands with its entry.
    pub(crate) fn fits_inline(count: usize) -> bool {
        count * T::BYTES <= INLINE_LIST_BYTES
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Inline(items) => {
                out.u8(0);
                encode_items(items, out);
            }
            Self::Packed(place, size) => {
                out.u8(1);
                place.encode(out);
                out.u32(*size);
            }
        }
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Decoded<Self> {
        match input.u8()? {
            0 => decode_items(input).map(Self::Inline),
            1 => {
                let (place, size) = (Place::decode(input)?, input.u32()?);
                place.method.check(place.stored, size)?;
                Ok(Self::Packed(place, size))
            }
            _ => Err(Malformed("it names an unknown form of list")),
        }
    }

    /// Passes over one.
    pub(crate) fn skip(input: &mut Decoder<'_>) -> Decoded<()> {
        let length = match input.u8()? {
            0 => input.count(T::BYTES)? * T::BYTES,
            1 => PLACE_BYTES + 4,
            _ => return Err(Malformed("it names an unknown form of list")),
        };
        input.raw(length).map(drop)
    }
}

pub(crate) fn encode_items<T: ListItem>(items: &[T], out: &mut Encoder) {
    out.u32(u32::try_from(items.len()).expect("a list has fewer items than 32 bits can count"));
    items.iter().for_each(|item| item.encode_item(out));
}

fn decode_items<T: ListItem>(input: &mut Decoder<'_>) -> Decoded<Vec<T>> {
    let count = input.count(T::BYTES)?;
    (0..count).map(|_| T::decode_item(input)).collect()
}

/// What a list body has besides its items, in bytes.
pub(crate) const LIST_BODY_EXTRA_BYTES: usize = 32 + 4 + 32;

/// A list as it stands in a pack: the object that it belongs to, its items, and a digest of both.
pub(crate) fn encode_list_body<T: ListItem>(object: &Digest, items: &[T]) -> Bytes {
    let mut out = Encoder::default();
    out.digest(object);
    encode_items(items, &mut out);
    let mut body = out.finish();
    let digest = Digest::of(&body);
    body.extend_from_slice(digest.as_bytes());
    body.into()
}

pub(crate) fn decode_list_body<T: ListItem>(object: &Digest, body: &[u8]) -> Decoded<Vec<T>> {
    let (items, digest) = body.split_last_chunk::<32>().ok_or(Malformed("a list in it is too short"))?;
    if Digest::of(items).as_bytes() != digest {
        return Err(Malformed("a list in it does not match its digest"));
    }
    let mut input = Decoder::new(items);
    if input.digest()? != *object {
        return Err(Malformed("a list in it belongs to another object"));
    }
    let items = decode_items(&mut input)?;
    input.finish()?;
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(n: u8) -> Chunk {
        let place = Place { pack: Nonce::from_bytes([n; 16]), offset: 8, stored: 5, method: Method::Zstd };
        Chunk { digest: Digest::of(&[n]), size: 9, place }
    }

    #[test]
    fn a_chunk_takes_the_bytes_the_format_says() {
        let mut out = Encoder::default();
        chunk(1).encode(&mut out);
        assert_eq!(out.len(), CHUNK_BYTES);
    }

    #[test]
    fn a_list_body_reads_back_and_a_damaged_one_does_not() {
        let chunks: Vec<Chunk> = (0..40).map(chunk).collect();
        let object = Digest::of(b"object");
        let body = encode_list_body(&object, &chunks);
        assert_eq!(body.len(), LIST_BODY_EXTRA_BYTES + chunks.len() * CHUNK_BYTES);
        assert_eq!(decode_list_body::<Chunk>(&object, &body).expect("sound"), chunks);
        assert!(decode_list_body::<Chunk>(&Digest::of(b"another"), &body).is_err());
        for at in 0..body.len() {
            let mut damaged = body.to_vec();
            damaged[at] ^= 1;
            assert!(decode_list_body::<Chunk>(&object, &damaged).is_err(), "byte {at}");
            assert!(decode_list_body::<Chunk>(&object, &body[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn what_is_compressed_has_no_more_than_a_chunk() {
        for (method, size, sound) in [
            (Method::Zstd, CHUNK_MAX_BYTES, true),
            (Method::Zstd, CHUNK_MAX_BYTES + 1, false),
            (Method::Zstd, u32::MAX, false),
            (Method::Plain, 100, true),
        ] {
            assert_eq!(method.check(100, size).is_ok(), sound, "{size}");
            let mut out = Encoder::default();
            List::<Chunk>::Packed(Place { stored: 100, method, ..chunk(1).place }, size).encode(&mut out);
            assert_eq!(List::<Chunk>::decode(&mut Decoder::new(&out.finish())).is_ok(), sound, "a list of {size}");
        }
    }

    #[test]
    fn a_forged_count_allocates_nothing() {
        let object = Digest::of(b"object");
        let mut body = object.as_bytes().to_vec();
        body.extend_from_slice(&u32::MAX.to_le_bytes());
        let digest = Digest::of(&body);
        body.extend_from_slice(digest.as_bytes());
        assert!(decode_list_body::<Chunk>(&object, &body).is_err());
    }
}
