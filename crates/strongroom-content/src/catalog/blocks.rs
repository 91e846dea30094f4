//! Blocks of index files that were read lately, up to a bound: what a handle knows must not grow with its store.

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::index::BLOCK_BYTES;
use crate::nonce::Nonce;
use crate::record::Records;

/// How much they take at most, in bytes: a million records.
const BYTES_MAX: u64 = 64 << 20;
/// What keeping a block takes besides its records, in bytes.
const EXTRA_BYTES: usize = 128;

/// Blocks by the index file and their position in it. All of them are verified.
#[derive(Debug)]
pub(super) struct Blocks(Cache<(Nonce, u32), Records, Weight>);

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<(Nonce, u32), Records> for Weight {
    fn weight(&self, _: &(Nonce, u32), records: &Records) -> u64 {
        (records.as_bytes().len() + EXTRA_BYTES) as u64
    }
}

impl Default for Blocks {
    fn default() -> Self {
        let blocks = usize::try_from(BYTES_MAX).unwrap_or(usize::MAX) / (BLOCK_BYTES + EXTRA_BYTES);
        Self(Cache::with_weighter(blocks, BYTES_MAX, Weight))
    }
}

impl Blocks {
    pub(super) fn get(&self, index: &Nonce, block: usize) -> Option<Records> {
        self.0.get(&(*index, u32::try_from(block).ok()?))
    }

    pub(super) fn has(&self, index: &Nonce, block: usize) -> bool {
        u32::try_from(block).is_ok_and(|block| self.0.peek(&(*index, block)).is_some())
    }

    /// Keeps a copy, as the records may be a part of what was read.
    pub(super) fn keep(&self, index: &Nonce, block: usize, records: &Records) {
        if let Ok(block) = u32::try_from(block) {
            self.0.insert((*index, block), records.copied());
        }
    }
}

#[cfg(test)]
mod tests {
    use strongroom_storage::Digest;

    use super::*;
    use crate::chunk::Method;
    use crate::index::BLOCK_RECORDS;
    use crate::record::{Kind, Record};

    #[test]
    fn however_many_blocks_are_read_those_that_are_kept_take_no_more_than_the_bound() {
        let (digest, kind, method) = (Digest::of(b"any"), Kind::Chunk, Method::Plain);
        let record = Record { digest, offset: 8, stored: 4, size: 4, pack: 0, kind, method };
        let records = Records::of(&[record; BLOCK_RECORDS]);
        let (blocks, index) = (Blocks::default(), Nonce::from_bytes([1; 16]));
        for block in 0..40_000 {
            blocks.keep(&index, block, &records);
        }
        assert!(blocks.0.weight() <= BYTES_MAX && blocks.0.weight() > BYTES_MAX / 2, "{}", blocks.0.weight());
        let kept = (0..40_000).filter(|block| blocks.has(&index, *block)).count();
        assert!((8_000..=16_000).contains(&kept), "{kept}");
        assert_eq!(blocks.get(&index, 39_999).map(|records| records.len()), Some(BLOCK_RECORDS));
    }
}
