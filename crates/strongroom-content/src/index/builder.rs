//! An index file in the making: records come in the order of their digests and leave in blocks.

use std::collections::BTreeSet;

use bytes::Bytes;
use strongroom_storage::Digest;

use super::{BLOCK_BYTES, CHECKSUM_BYTES, MAGIC};
use crate::chunk::{CHUNK_BYTES, LIST_BODY_EXTRA_BYTES};
use crate::codec::Encoder;
use crate::envelope::{self, MAGIC_BYTES};
use crate::filter::FilterWriter;
use crate::nonce::Nonce;
use crate::record::{RECORD_BYTES, Row};

/// How many chunks the object has whose chunk list has `size` bytes.
pub(crate) fn chunk_count(size: u32) -> u32 {
    let items = (size as usize).saturating_sub(LIST_BODY_EXTRA_BYTES) / CHUNK_BYTES;
    u32::try_from(items).unwrap_or(u32::MAX)
}

/// An index file in the making.
#[derive(Debug)]
pub(crate) struct Builder {
    packs: Vec<Nonce>,
    chunk_counts: BTreeSet<u32>,
    filter: FilterWriter,
    rows: Encoder,
    /// What was not taken yet: at first the magic number, then records.
    pending: Vec<u8>,
    /// Where in it the block begins that is not full yet.
    block: usize,
    count: u64,
}

impl Builder {
    /// Of these packs, with at most `most` records.
    pub(crate) fn new(packs: Vec<Nonce>, most: usize) -> Self {
        Self {
            packs,
            chunk_counts: BTreeSet::new(),
            // More bits can't be told apart by a word of a digest.
            filter: FilterWriter::for_count(most as u64, 1 << 29),
            rows: Encoder::default(),
            pending: MAGIC.to_vec(),
            block: MAGIC_BYTES,
            count: 0,
        }
    }

    /// Adds the next record, with `pack` in the place of its pack.
    pub(crate) fn push(&mut self, row: Row<'_>, pack: u32) {
        self.filter.insert(&Digest::from_bytes(row.digest()));
        if row.is_chunk_list() {
            self.chunk_counts.insert(chunk_count(row.size()));
        }
        self.pending.extend_from_slice(&row.in_pack(pack));
        self.count += 1;
        if self.pending.len() - self.block == BLOCK_BYTES {
            self.close_block();
        }
    }

    fn close_block(&mut self) {
        let block = &self.pending[self.block..];
        if !block.is_empty() {
            self.rows.raw(&block[..8]);
            self.rows.raw(&blake3::hash(block).as_bytes()[..CHECKSUM_BYTES]);
            self.block = self.pending.len();
        }
    }

    /// How much of the file could be taken.
    pub(crate) fn ready(&self) -> usize {
        self.block
    }

    /// Takes the part of the file that is done since the last time.
    pub(crate) fn take(&mut self) -> Bytes {
        let rest = self.pending.split_off(self.block);
        self.block = 0;
        std::mem::replace(&mut self.pending, rest).into()
    }

    /// The rest of the file.
    pub(crate) fn finish(mut self) -> Bytes {
        self.close_block();
        let mut directory = Encoder::default();
        directory.u64(self.count);
        let count =
            |count: usize| u32::try_from(count).expect("an index file has fewer of each than 32 bits can count");
        directory.u32(count(self.packs.len()));
        self.packs.iter().for_each(|pack| directory.nonce(pack));
        directory.u32(count(self.chunk_counts.len()));
        self.chunk_counts.iter().for_each(|chunks| directory.u32(*chunks));
        directory.u32(count(self.filter.as_bytes().len()));
        directory.raw(self.filter.as_bytes());
        directory.raw(&self.rows.finish());
        let body_end = MAGIC_BYTES as u64 + self.count * RECORD_BYTES as u64;
        self.pending.extend_from_slice(&envelope::seal(MAGIC, body_end, &directory.finish()));
        self.pending.into()
    }
}
