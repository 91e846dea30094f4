//! What an index says of one thing that is kept: which digest, and where.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use bytes::Bytes;
use strongroom_storage::Digest;

use crate::chunk::{CHUNK_MAX_BYTES, Method};
use crate::codec::{Decoded, Decoder, Encoder, Malformed};

/// Bytes of a record.
pub(crate) const RECORD_BYTES: usize = 56;

/// What lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A chunk, under its own digest.
    Chunk = 0,
    /// The chunk list of an object, under the object's digest.
    ChunkList = 1,
    /// The cells of a whole file, under the file's digest.
    CellList = 2,
}

/// One row of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub digest: Digest,
    pub offset: u64,
    pub stored: u32,
    /// The length after decompression, in bytes.
    pub size: u32,
    /// Which of the index's packs.
    pub pack: u32,
    pub kind: Kind,
    pub method: Method,
}

impl Record {
    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.digest(&self.digest);
        out.u64(self.offset);
        out.u32(self.stored);
        out.u32(self.size);
        out.u32(self.pack);
        out.u8(self.kind as u8);
        out.u8(self.method as u8);
        out.u16(0);
    }

    fn decode(bytes: &[u8]) -> Decoded<Self> {
        let mut input = Decoder::new(bytes);
        let record = Self {
            digest: input.digest()?,
            offset: input.u64()?,
            stored: input.u32()?,
            size: input.u32()?,
            pack: input.u32()?,
            kind: match input.u8()? {
                0 => Kind::Chunk,
                1 => Kind::ChunkList,
                2 => Kind::CellList,
                _ => return Err(Malformed("it names an unknown kind of content")),
            },
            method: Method::decode(input.u8()?)?,
        };
        if input.u16()? != 0 {
            return Err(Malformed("a record in it has something where nothing is defined"));
        }
        if record.kind == Kind::Chunk && record.size > CHUNK_MAX_BYTES {
            return Err(Malformed("a chunk in it is larger than the format allows"));
        }
        record.method.check(record.stored, record.size)?;
        record.offset.checked_add(u64::from(record.stored)).ok_or(Malformed("a place in it is beyond any file"))?;
        Ok(record)
    }
}

/// The encoded form of a record, of which parts are looked at without decoding all of it.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a>(&'a [u8; RECORD_BYTES]);

/// Where they stand in it, in bytes from its beginning.
const SIZE_AT: usize = Digest::BYTES + 12;
const PACK_AT: usize = SIZE_AT + 4;
const KIND_AT: usize = PACK_AT + 4;

impl Row<'_> {
    pub(crate) fn digest(self) -> [u8; Digest::BYTES] {
        self.part(0)
    }

    pub(crate) fn size(self) -> u32 {
        u32::from_le_bytes(self.part(SIZE_AT))
    }

    pub(crate) fn pack(self) -> u32 {
        u32::from_le_bytes(self.part(PACK_AT))
    }

    pub(crate) fn is_chunk_list(self) -> bool {
        self.0[KIND_AT] == Kind::ChunkList as u8
    }

    /// The same in another of the index's packs.
    pub(crate) fn in_pack(self, pack: u32) -> [u8; RECORD_BYTES] {
        let mut row = *self.0;
        row[PACK_AT..KIND_AT].copy_from_slice(&pack.to_le_bytes());
        row
    }

    fn part<const N: usize>(self, at: usize) -> [u8; N] {
        *self.0[at..].first_chunk().expect("each part lies within the row")
    }
}

/// Sorts records by digest and encodes them.
pub(crate) fn encode_records(records: &mut [Record], out: &mut Encoder) {
    records.sort_unstable_by_key(|record| (record.digest, record.pack, record.offset));
    records.iter().for_each(|record| record.encode(out));
}

/// Records in their encoded form, sorted by digest.
#[derive(Clone, Debug)]
pub(crate) struct Records(Bytes);

impl Records {
    /// Of records that are sorted already.
    #[cfg(test)]
    pub(crate) fn of(sorted: &[Record]) -> Self {
        let mut out = Encoder::default();
        sorted.iter().for_each(|record| record.encode(&mut out));
        Self(out.finish().into())
    }

    /// Takes what follows in a directory to its end.
    ///
    /// Every record is checked once, so that a lookup can't fail.
    pub(crate) fn read(bytes: Bytes, packs: usize) -> Decoded<Self> {
        if !bytes.len().is_multiple_of(RECORD_BYTES) {
            return Err(Malformed("it ends in the middle of a record"));
        }
        let mut last: Option<&[u8]> = None;
        for row in bytes.chunks_exact(RECORD_BYTES) {
            let record = Record::decode(row)?;
            if usize::try_from(record.pack).is_ok_and(|pack| pack >= packs) {
                return Err(Malformed("a record in it names a pack that it does not list"));
            }
            if last.is_some_and(|last| last > &row[..Digest::BYTES]) {
                return Err(Malformed("its records are not in order"));
            }
            last = Some(&row[..Digest::BYTES]);
        }
        Ok(Self(bytes))
    }

    /// Of the encoded form of records that were checked already.
    pub(crate) fn of_bytes(checked: Bytes) -> Self {
        Self(checked)
    }

    /// Their encoded form.
    pub(crate) fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// At most `count` of them, from the row `start` on.
    pub(crate) fn slice(&self, start: usize, count: usize) -> Self {
        let offset = |row: usize| self.0.len().min(row * RECORD_BYTES);
        Self(self.0.slice(offset(start)..offset(start + count)))
    }

    /// The same in memory of their own.
    pub(crate) fn copied(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len() / RECORD_BYTES
    }

    /// The encoded form of one.
    pub(crate) fn row(&self, row: usize) -> Option<Row<'_>> {
        self.0.get(row * RECORD_BYTES..)?.first_chunk().map(Row)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Record> + '_ {
        (0..self.len()).filter_map(|row| self.get(row))
    }

    /// The records whose digest begins with `prefix`.
    pub(crate) fn with_prefix<'a>(&'a self, prefix: &'a DigestPrefix) -> impl Iterator<Item = Record> + 'a {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if prefix.compare(self.digest_bytes(middle)) == Ordering::Less {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (low..self.len())
            .take_while(|row| prefix.compare(self.digest_bytes(*row)) == Ordering::Equal)
            .filter_map(|row| self.get(row))
    }

    pub(crate) fn digest_bytes(&self, row: usize) -> &[u8] {
        &self.0[row * RECORD_BYTES..row * RECORD_BYTES + Digest::BYTES]
    }

    pub(crate) fn get(&self, row: usize) -> Option<Record> {
        Record::decode(self.row(row)?.0).ok()
    }
}

/// Hashes keys that have a digest in them by its beginning, which is as good as any hash.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DigestHasher(u64);

impl std::hash::Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        let beginning = bytes.first_chunk().map_or_else(
            || bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            |beginning| u64::from_le_bytes(*beginning),
        );
        self.0 = self.0.rotate_left(7) ^ beginning;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A map whose keys have a digest in them.
pub(crate) type DigestMap<K, V> = HashMap<K, V, BuildHasherDefault<DigestHasher>>;

/// The first hexadecimal digits of a digest, up to all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DigestPrefix {
    /// The digits, and behind them zeros.
    bytes: [u8; Digest::BYTES],
    digits: usize,
}

impl DigestPrefix {
    /// Reads 1 to 64 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > 2 * Digest::BYTES {
            return None;
        }
        let mut bytes = [0; Digest::BYTES];
        for (position, digit) in text.chars().enumerate() {
            let digit = u8::try_from(digit.to_digit(16)?).ok()?;
            *bytes.get_mut(position / 2)? |= if position % 2 == 0 { digit << 4 } else { digit };
        }
        Some(Self { bytes, digits: text.len() })
    }

    /// Exactly this digest.
    pub(crate) fn exact(digest: &Digest) -> Self {
        Self { bytes: *digest.as_bytes(), digits: 2 * Digest::BYTES }
    }

    /// The digest, if all of its digits are given.
    pub(crate) fn whole(&self) -> Option<Digest> {
        (self.digits == 2 * Digest::BYTES).then(|| Digest::from_bytes(self.bytes))
    }

    pub(crate) fn matches(&self, digest: &Digest) -> bool {
        self.compare(digest.as_bytes()) == Ordering::Equal
    }

    /// The least and the greatest number that the first 8 bytes of such a digest can be, the first byte being the highest.
    pub(crate) fn bounds(&self) -> (u64, u64) {
        let low = self.bytes.first_chunk().map_or(0, |beginning| u64::from_be_bytes(*beginning));
        (low, low | u64::MAX.checked_shr(4 * u32::try_from(self.digits).unwrap_or(u32::MAX)).unwrap_or(0))
    }

    /// How a digest stands to those that begin so.
    fn compare(&self, digest: &[u8]) -> Ordering {
        let full = self.digits / 2;
        digest[..full].cmp(&self.bytes[..full]).then_with(|| {
            if self.digits.is_multiple_of(2) {
                Ordering::Equal
            } else {
                (digest[full] >> 4).cmp(&(self.bytes[full] >> 4))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(count: u8) -> Vec<Record> {
        (0..count)
            .map(|n| Record {
                digest: Digest::of(&[n]),
                offset: u64::from(n),
                stored: 4,
                size: 4,
                pack: 0,
                kind: Kind::Chunk,
                method: Method::Plain,
            })
            .collect()
    }

    fn encoded(mut records: Vec<Record>) -> Bytes {
        let mut out = Encoder::default();
        encode_records(&mut records, &mut out);
        out.finish().into()
    }

    #[test]
    fn every_record_is_found_by_its_digest_and_by_its_beginning() {
        let records = Records::read(encoded(records(200)), 1).expect("sound");
        assert_eq!(records.len(), 200);
        for n in 0..200u8 {
            let digest = Digest::of(&[n]);
            let found: Vec<Record> = records.with_prefix(&DigestPrefix::exact(&digest)).collect();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].offset, u64::from(n));
            for digits in [1, 2, 5, 64] {
                let prefix = DigestPrefix::parse(&digest.to_string()[..digits]).expect("hex");
                assert!(records.with_prefix(&prefix).any(|record| record.digest == digest));
                assert!(records.with_prefix(&prefix).all(|record| prefix.matches(&record.digest)));
            }
        }
        assert_eq!(records.with_prefix(&DigestPrefix::exact(&Digest::of(b"absent"))).count(), 0);
    }

    #[test]
    fn what_is_no_sorted_table_is_refused() {
        let good = encoded(records(3));
        assert!(Records::read(good.slice(1..), 1).is_err());
        assert!(Records::read(good.clone(), 0).is_err(), "a pack that is not listed");
        let mut unsorted = good[RECORD_BYTES..2 * RECORD_BYTES].to_vec();
        unsorted.extend_from_slice(&good[..RECORD_BYTES]);
        assert!(Records::read(unsorted.into(), 1).is_err());
    }

    #[test]
    fn lengths_that_do_not_fit_and_undefined_fields_are_refused() {
        let good = encoded(records(1)).to_vec();
        for (at, byte) in [(40, 5), (54, 1), (53, 2), (52, 9)] {
            let mut forged = good.clone();
            forged[at] = byte;
            assert!(Records::read(forged.into(), 1).is_err(), "byte {at}");
        }
    }

    #[test]
    fn what_is_larger_than_it_may_be_is_refused() {
        let is_sound = |kind, method, size| {
            let stored = if method == Method::Plain { size } else { 100 };
            let record = Record { kind, method, size, stored, ..records(1)[0] };
            Records::read(encoded(vec![record]), 1).is_ok()
        };
        for kind in [Kind::Chunk, Kind::ChunkList, Kind::CellList] {
            assert!(is_sound(kind, Method::Zstd, CHUNK_MAX_BYTES) && is_sound(kind, Method::Plain, CHUNK_MAX_BYTES));
            assert!(!is_sound(kind, Method::Zstd, CHUNK_MAX_BYTES + 1), "{kind:?}");
            // A list that is not compressed takes what it takes.
            assert_eq!(is_sound(kind, Method::Plain, u32::MAX), kind != Kind::Chunk, "{kind:?}");
        }
    }

    #[test]
    fn prefixes_are_hexadecimal() {
        assert!(DigestPrefix::parse("").is_none());
        assert!(DigestPrefix::parse("xyz").is_none());
        assert!(DigestPrefix::parse(&"a".repeat(65)).is_none());
        assert_eq!(DigestPrefix::parse("aBc").expect("hex").bounds(), (0xabc << 52, (0xabd << 52) - 1));
        let digest = Digest::of(b"any");
        let (low, high) = DigestPrefix::exact(&digest).bounds();
        assert_eq!((low, low.to_be_bytes().as_slice()), (high, &digest.as_bytes()[..8]));
    }
}
