//! Cutting content where the content says so, so that an insertion moves no cut but its own.
//!
//! A gear hash over the last 64 bytes (Xia et al., "FastCDC", USENIX ATC 2016, without its normalisation) is looked at from
//! the minimum size on; a chunk ends where the upper bits of the hash are zero, or at the maximum size.

use crate::config::ChunkSizes;

/// The gear hash forgets a byte after this many.
const WINDOW_BYTES: usize = 64;

/// Finds the ends of chunks in content that comes bit by bit. Where they are does not depend on how it comes.
#[derive(Debug)]
pub(crate) struct Chunker {
    minimum: usize,
    maximum: usize,
    mask: u64,
    hasher: gearhash::Hasher<'static>,
    /// How much of the present chunk was looked at.
    scanned: usize,
}

impl Chunker {
    pub(crate) fn new(sizes: ChunkSizes) -> Self {
        let bits = sizes.average.max(2).ilog2();
        let minimum = usize::try_from(sizes.minimum).unwrap_or(usize::MAX).max(WINDOW_BYTES);
        Self {
            minimum,
            maximum: usize::try_from(sizes.maximum).unwrap_or(usize::MAX).max(minimum),
            // The upper bits depend on the whole window, the lower ones on its end only.
            mask: u64::MAX << (64 - bits),
            hasher: gearhash::Hasher::default(),
            scanned: 0,
        }
    }

    /// The length of the chunk with which `bytes` begin, if they have its end. If not, they are to be given again with more
    /// behind them; if so, those behind the chunk.
    pub(crate) fn next_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let end = bytes.len().min(self.maximum);
        if end < self.minimum {
            return None;
        }
        if self.scanned == 0 {
            self.hasher.set_hash(0);
            self.hasher.update(&bytes[self.minimum - WINDOW_BYTES..self.minimum]);
            self.scanned = self.minimum;
        }
        let found = match self.hasher.next_match(&bytes[self.scanned..end], self.mask) {
            Some(length) => Some(self.scanned + length),
            None => (end == self.maximum).then_some(end),
        };
        self.scanned = if found.is_some() { 0 } else { end };
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const SIZES: ChunkSizes = ChunkSizes { minimum: 1 << 10, average: 4 << 10, maximum: 16 << 10 };

    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    fn cut(content: &[u8], piece: usize) -> Vec<&[u8]> {
        let mut chunker = Chunker::new(SIZES);
        let (mut chunks, mut start) = (Vec::new(), 0);
        for end in (0..content.len()).step_by(piece).map(|from| content.len().min(from + piece)) {
            while let Some(length) = chunker.next_end(&content[start..end]) {
                chunks.push(&content[start..start + length]);
                start += length;
            }
        }
        if start < content.len() {
            chunks.push(&content[start..]);
        }
        chunks
    }

    #[test]
    fn cuts_depend_on_the_content_alone() {
        let content = noise(300_000);
        let chunks = cut(&content, content.len());
        assert_eq!(chunks.concat(), content);
        for piece in [1, 63, 1000, 4096, 70_000] {
            assert_eq!(cut(&content, piece), chunks);
        }
    }

    #[test]
    fn sizes_keep_their_bounds_and_their_mean() {
        let content = noise(4 << 20);
        let chunks = cut(&content, 1 << 16);
        let (last, others) = chunks.split_last().expect("some");
        assert!(others.iter().all(|chunk| (1 << 10..=16 << 10).contains(&chunk.len())));
        assert!(last.len() <= 16 << 10);
        let mean = (4 << 20) / chunks.len();
        assert!((4 << 10..6 << 10).contains(&mean), "{mean}");
        assert!(cut(&[0; 100_000], 1000).iter().rev().skip(1).all(|chunk| chunk.len() == 16 << 10));
        assert!(cut(&[], 1).is_empty());
    }

    #[test]
    fn an_insertion_changes_few_chunks() {
        let content = noise(1 << 20);
        let mut edited = content.clone();
        edited.insert(0, 7);
        edited.insert(500_000, 7);
        let known: HashSet<&[u8]> = cut(&content, 1 << 16).into_iter().collect();
        let new = cut(&edited, 1 << 16).into_iter().filter(|chunk| !known.contains(chunk)).count();
        assert!(new <= 6, "{new} of {} chunks are new", known.len());
    }
}
