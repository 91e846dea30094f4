//! What content is needed: the beginnings of its digests.
//!
//! Eight bytes of each are enough. If two digests begin alike, what is not needed is taken for needed, never the other way round;
//! and what is lost may be taken for found.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use strongroom_storage::Digest;

use crate::record::{DigestHasher, Kind};

/// A set of digests.
#[derive(Clone, Debug, Default)]
pub(super) struct Prints(HashSet<u64, BuildHasherDefault<DigestHasher>>);

fn print(digest: &Digest) -> u64 {
    digest.as_bytes().first_chunk().map_or(0, |beginning| u64::from_le_bytes(*beginning))
}

impl Prints {
    /// Adds one; whether it was not there.
    pub(super) fn insert(&mut self, digest: &Digest) -> bool {
        self.0.insert(print(digest))
    }

    /// Adds those of many.
    pub(super) fn extend<'a>(&mut self, digests: impl Iterator<Item = &'a Digest>) {
        self.0.extend(digests.map(print));
    }

    pub(super) fn contains(&self, digest: &Digest) -> bool {
        self.0.contains(&print(digest))
    }

    fn remove(&mut self, digest: &Digest) {
        self.0.remove(&print(digest));
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The content that names need, by how it is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Needed {
    pub chunks: Prints,
    /// Of objects in chunks.
    pub chunk_lists: Prints,
    /// Of whole files whose cells do not stand with their entry.
    pub cell_lists: Prints,
    /// Whole files.
    pub files: Prints,
}

impl Needed {
    /// Whether what a pack has under `digest` is needed.
    pub(super) fn has(&self, kind: Kind, digest: &Digest) -> bool {
        match kind {
            Kind::Chunk => self.chunks.contains(digest),
            Kind::ChunkList => self.chunk_lists.contains(digest),
            Kind::CellList => self.cell_lists.contains(digest),
        }
    }

    /// Takes out what was found. What is left in the end is lost.
    pub(super) fn found(&mut self, kind: Kind, digest: &Digest) {
        match kind {
            Kind::Chunk => self.chunks.remove(digest),
            Kind::ChunkList => self.chunk_lists.remove(digest),
            // Where it is lost, it is computed from the file.
            Kind::CellList => {}
        }
    }

    /// Takes out a whole file that was found.
    pub(super) fn found_file(&mut self, digest: &Digest) {
        self.files.remove(digest);
    }

    /// Whether all was found.
    pub(super) fn is_all_found(&self) -> bool {
        self.chunks.is_empty() && self.chunk_lists.is_empty() && self.files.is_empty()
    }
}
