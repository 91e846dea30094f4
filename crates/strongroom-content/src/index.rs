//! Index files: hints of where chunks are, for many packs at once.
//!
//! Their records lie in blocks, each with a checksum in the directory, so that a lookup reads one of them, or none: the
//! directory has a filter of all digests.

mod builder;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use strongroom_storage::Digest;

use crate::codec::{Decoded, Decoder, Malformed};
use crate::envelope::{MAGIC_BYTES, Magic};
use crate::filter::Filter;
use crate::nonce::Nonce;
use crate::record::{DigestPrefix, RECORD_BYTES, Records};
pub(crate) use builder::{Builder, chunk_count};

/// The magic number of index files.
pub(crate) const MAGIC: Magic = b"SRINDX1\n";
/// How many records a block has; the last one may have fewer. They are a little under 4 KiB, the page that is read anyway.
pub(crate) const BLOCK_RECORDS: usize = 73;
/// Bytes of a block.
pub(crate) const BLOCK_BYTES: usize = BLOCK_RECORDS * RECORD_BYTES;
/// Bytes of the checksum of a block: the first half of its digest.
const CHECKSUM_BYTES: usize = 16;
/// Bytes of a block's row in the directory.
const ROW_BYTES: usize = 8 + CHECKSUM_BYTES;

/// The index of one pack, from its own tail.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub pack: Nonce,
    pub records: Records,
}

/// What an index file says of its blocks: enough to find the one that has a digest, and to know it when it was read.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    /// The packs; a record says which by its position.
    pub packs: Arc<[Nonce]>,
    /// How many chunks the chunked objects have whose lists are in these packs; each number once.
    pub chunk_counts: Arc<[u32]>,
    /// How many records there are.
    count: usize,
    filter: Filter,
    /// For each block the first 8 bytes of its first digest, and its checksum.
    rows: Bytes,
}

impl Directory {
    pub(crate) fn decode(directory: &Bytes, body_end: u64) -> Decoded<Self> {
        let mut input = Decoder::new(directory);
        let count = usize::try_from(input.u64()?).map_err(|_| Malformed("it is too large"))?;
        let packs = input.count(Nonce::BYTES)?;
        let packs: Vec<Nonce> = (0..packs).map(|_| input.nonce()).collect::<Decoded<_>>()?;
        let chunk_counts = input.count(4)?;
        let chunk_counts: Vec<u32> = (0..chunk_counts).map(|_| input.u32()).collect::<Decoded<_>>()?;
        let filter = input.count(1)?;
        let start = directory.len() - input.len();
        input.raw(filter)?;
        let filter = Filter::new(directory.slice(start..start + filter));
        let rows = directory.slice(directory.len() - input.len()..);
        if count.checked_mul(RECORD_BYTES).map(|body| (body + MAGIC_BYTES) as u64) != Some(body_end)
            || rows.len() != count.div_ceil(BLOCK_RECORDS) * ROW_BYTES
        {
            return Err(Malformed("its body is not what its directory says"));
        }
        if filter.is_empty() {
            return Err(Malformed("it has no filter"));
        }
        let directory = Self { packs: packs.into(), chunk_counts: chunk_counts.into(), count, filter, rows };
        if !(1..directory.blocks()).all(|block| directory.fence(block - 1) <= directory.fence(block)) {
            return Err(Malformed("its blocks are not in order"));
        }
        Ok(directory)
    }

    /// How many records there are.
    pub(crate) fn records(&self) -> usize {
        self.count
    }

    /// How many blocks there are.
    pub(crate) fn blocks(&self) -> usize {
        self.rows.len() / ROW_BYTES
    }

    fn row(&self, block: usize) -> &[u8] {
        &self.rows[block * ROW_BYTES..(block + 1) * ROW_BYTES]
    }

    /// What the first digest in a block begins with.
    fn fence(&self, block: usize) -> u64 {
        self.row(block).first_chunk().map_or(0, |fence| u64::from_be_bytes(*fence))
    }

    /// Whether there may be a record with this digest. If not, there is none.
    pub(crate) fn may_have(&self, digest: &Digest) -> bool {
        self.filter.may_have(digest)
    }

    /// The blocks in which records may be whose digest begins so: nearly always one, if all of it is given.
    pub(crate) fn blocks_of(&self, prefix: &DigestPrefix) -> Range<usize> {
        if let Some(digest) = prefix.whole()
            && !self.may_have(&digest)
        {
            return 0..0;
        }
        let (low, high) = prefix.bounds();
        let first = self.first_block(|fence| fence >= low);
        first.saturating_sub(1)..first + (first..self.blocks()).take_while(|block| self.fence(*block) <= high).count()
    }

    /// The first block with such a fence; all after it have one, too.
    fn first_block(&self, such: impl Fn(u64) -> bool) -> usize {
        let (mut low, mut high) = (0, self.blocks());
        while low < high {
            let middle = low + (high - low) / 2;
            if such(self.fence(middle)) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    /// Where blocks lie in the file.
    pub(crate) fn place(&self, blocks: &Range<usize>) -> Range<u64> {
        let offset = |block: usize| (MAGIC_BYTES + RECORD_BYTES * self.count.min(block * BLOCK_RECORDS)) as u64;
        offset(blocks.start)..offset(blocks.end)
    }

    /// The records of a block that was read.
    pub(crate) fn check_block(&self, block: usize, bytes: Bytes) -> Decoded<Records> {
        if blake3::hash(&bytes).as_bytes()[..CHECKSUM_BYTES] != self.row(block)[8..] {
            return Err(Malformed("a block in it does not match its checksum"));
        }
        let records = Records::read(bytes, self.packs.len())?;
        if records.row(0).is_none_or(|first| first.digest()[..8] != self.row(block)[..8]) {
            return Err(Malformed("a block in it does not begin as its directory says"));
        }
        Ok(records)
    }
}
