//! Filters that tell what is not there: Bloom, "Space/time trade-offs in hash coding with allowable errors", 1970.

use bytes::Bytes;
use strongroom_storage::Digest;

/// Bits for each digest: with six of them set, one of 120 digests that are not in the filter seems to be.
const BITS: u64 = 10;

/// Says of a digest that it is not among some, or that it may be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter(Bytes);

impl Filter {
    /// The filter that is encoded so; an empty one rules nothing out.
    pub(crate) fn new(encoded: Bytes) -> Self {
        Self(encoded)
    }

    /// Whether it rules nothing out.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The memory that it takes, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the digest may be there. If not, it is not.
    pub(crate) fn may_have(&self, digest: &Digest) -> bool {
        self.0.is_empty() || bits(digest, self.0.len()).all(|bit| self.0[bit / 8] & 1 << (bit % 8) != 0)
    }
}

/// A filter that is being filled.
#[derive(Debug)]
pub(crate) struct FilterWriter(Vec<u8>);

impl FilterWriter {
    /// For `count` digests, or with more false hits some more. Takes no more than `most` bytes, and at least one.
    pub(crate) fn for_count(count: u64, most: usize) -> Self {
        let length = count.saturating_mul(BITS).div_ceil(8).clamp(1, most.max(1) as u64);
        Self(vec![0; usize::try_from(length).unwrap_or(most)])
    }

    pub(crate) fn insert(&mut self, digest: &Digest) {
        for bit in bits(digest, self.0.len()) {
            self.0[bit / 8] |= 1 << (bit % 8);
        }
    }

    /// The filter of what was inserted until now, encoded.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Which bits of a filter of so many bytes, at least one, stand for a digest.
fn bits(digest: &Digest, filter_bytes: usize) -> impl Iterator<Item = usize> {
    // A filter that somebody else made may have more bits than a word can tell apart.
    let bits = filter_bytes as u128 * 8;
    let words = digest.as_bytes()[8..].chunks_exact(4);
    let words = words.map(|word| word.iter().rev().fold(0, |number, byte| number << 8 | u128::from(*byte)));
    words.map(move |word| usize::try_from((word * bits) >> 32).expect("it is less than the bits of a filter in memory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_inserted_may_be_there_and_little_else() {
        let digest = |n: u64| Digest::of(&n.to_le_bytes());
        let mut writer = FilterWriter::for_count(10_000, 1 << 20);
        (0..10_000).for_each(|n| writer.insert(&digest(n)));
        let filter = Filter::new(Bytes::copy_from_slice(writer.as_bytes()));
        assert_eq!(filter.len(), 12_500);
        assert!((0..10_000).all(|n| filter.may_have(&digest(n))));
        let wrong = (10_000..20_000).filter(|n| filter.may_have(&digest(*n))).count();
        assert!(wrong < 150, "{wrong}");
    }

    #[test]
    fn every_bit_lies_in_the_filter_however_large_that_is() {
        let digest = Digest::from_bytes([0xff; Digest::BYTES]);
        for bytes in [1, 100, 1 << 29, (1 << 29) + 1, u32::MAX as usize] {
            assert!(bits(&digest, bytes).all(|bit| bit / 8 < bytes && bit / 8 >= bytes - bytes.div_ceil(8)), "{bytes}");
        }
    }

    #[test]
    fn an_empty_filter_rules_nothing_out_and_a_large_one_has_a_bound() {
        assert!(Filter::default().may_have(&Digest::of(b"x")));
        assert_eq!(FilterWriter::for_count(u64::MAX, 100).as_bytes().len(), 100);
        assert_eq!(FilterWriter::for_count(0, 100).as_bytes().len(), 1);
    }
}
