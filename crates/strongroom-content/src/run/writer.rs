//! Writing a run from sorted entries.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use strongroom_storage::Digest;

use super::entries::EntryRef;
use super::{BLOCK_BYTES, BLOCK_MAX_BYTES, Block, FILTER_ENTRIES, FILTER_MAX_BYTES, Header, MAGIC, checksum};
use crate::codec::Encoder;
use crate::compress::compress;
use crate::config::Compression;
use crate::envelope::{self, MAGIC_BYTES};
use crate::filter::FilterWriter;

/// A run with no more bytes of entries than this is not compressed: it is written anew by every commit, and to compress it takes
/// longer than to write it.
const PLAIN_BYTES: usize = 64 << 10;

/// Takes entries in order of their names, and gives the file in pieces.
pub(crate) struct RunWriter {
    compression: Compression,
    /// What is complete and was not taken.
    pieces: VecDeque<Bytes>,
    end: u64,
    blocks: Vec<Block>,
    open: Option<(Arc<str>, Encoder)>,
    /// The blocks of a run that may be a small one, and how long they are.
    early: Vec<(Arc<str>, Bytes)>,
    early_bytes: usize,
    entries: u64,
    filter: Option<FilterWriter>,
}

impl RunWriter {
    /// Of at most so many entries.
    pub(crate) fn new(compression: Compression, most: u64) -> Self {
        Self {
            compression,
            pieces: VecDeque::from([Bytes::from_static(MAGIC)]),
            end: MAGIC_BYTES as u64,
            blocks: Vec::new(),
            open: None,
            early: Vec::new(),
            early_bytes: 0,
            entries: 0,
            filter: (most >= FILTER_ENTRIES).then(|| FilterWriter::for_count(most, FILTER_MAX_BYTES)),
        }
    }

    pub(crate) fn push(&mut self, entry: EntryRef<'_>) {
        if self.open.as_ref().is_some_and(|(_, block)| block.len() + entry.encoded().len() > BLOCK_MAX_BYTES) {
            self.close_block();
        }
        let (_, block) = self.open.get_or_insert_with(|| {
            let name =
                std::str::from_utf8(entry.name()).expect("the names of entries were checked when they were read");
            (name.into(), Encoder::default())
        });
        block.raw(entry.encoded());
        if let Some(filter) = &mut self.filter {
            filter.insert(&Digest::of(entry.name()));
        }
        self.entries += 1;
        if block.len() >= BLOCK_BYTES {
            self.close_block();
        }
    }

    fn close_block(&mut self) {
        let Some((first, block)) = self.open.take() else { return };
        let block: Bytes = block.finish().into();
        self.early_bytes += block.len();
        self.early.push((first, block));
        if self.early_bytes > PLAIN_BYTES {
            self.add_early(self.compression);
        }
    }

    fn add_early(&mut self, compression: Compression) {
        for (first, block) in std::mem::take(&mut self.early) {
            let size =
                u32::try_from(block.len()).expect("a block is closed at some KiB, and one entry has a bound too");
            let (method, stored) = compress(block, compression);
            let length = u32::try_from(stored.len()).expect("compression never makes a block longer");
            let checksum = checksum(&stored);
            self.blocks.push(Block { first, offset: self.end, stored: length, size, method, checksum });
            self.end += u64::from(length);
            self.pieces.push_back(stored);
        }
    }

    /// The next piece of the file, if it is complete.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        self.pieces.pop_front()
    }

    /// Completes the file: there are no more entries.
    pub(crate) fn finish(&mut self, header: &Header) {
        self.close_block();
        self.add_early(Compression::None);
        let mut directory = Encoder::default();
        header.encode(&mut directory);
        directory.u64(self.entries);
        directory.u32(u32::try_from(self.blocks.len()).expect("a run has fewer blocks than 32 bits can count"));
        self.blocks.iter().for_each(|block| block.encode(&mut directory));
        let filter = self.filter.as_ref().map(FilterWriter::as_bytes).unwrap_or_default();
        directory.u32(u32::try_from(filter.len()).expect("a filter has a bound"));
        directory.raw(filter);
        self.pieces.push_back(envelope::seal(MAGIC, self.end, &directory.finish()));
    }
}
