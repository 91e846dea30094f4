//! What content there is, as one handle knows it. All of it can be thrown away, and all of it is a guess: before something is
//! relied on, the session sees for itself that the pack or file is there.

mod blocks;
mod cover;
mod index_file;
mod known;
mod learn;
mod merge;
mod recent;
mod sizes;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strongroom_storage::{Digest, Error, ErrorKind, ExternalStorage, Host, Result};

use crate::cache::Cache;
use crate::chunk::Place;
use crate::index::Table;
use crate::nonce::Nonce;
use crate::record::{DigestPrefix, Kind, Record};
use blocks::Blocks;
pub(crate) use index_file::IndexFile;
use known::Known;

/// How many index files may turn out to be gone or damaged while something is looked up.
const FAILURES_MAX: usize = 16;
/// For how many digests blocks are read at once: they take half of what may be in memory.
const FETCHED_TOGETHER: usize = 8192;

/// Where a digest's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub digest: Digest,
    pub kind: Kind,
    pub place: Place,
    /// In bytes, after decompression.
    pub size: u32,
}

/// The handle's knowledge of packs, whole files and index files.
#[derive(Debug)]
pub(crate) struct Catalog {
    backend: Arc<dyn ExternalStorage>,
    host: Arc<dyn Host>,
    known: Mutex<Known>,
    blocks: Blocks,
    /// What other processes learned.
    cache: Cache,
    /// Held by who learns or covers.
    turn: tokio::sync::Mutex<()>,
}

impl Catalog {
    pub(crate) fn new(backend: Arc<dyn ExternalStorage>, host: Arc<dyn Host>, cache: &Cache) -> Self {
        let cache = cache.for_hints_of(&*backend);
        let turn = tokio::sync::Mutex::new(());
        Self { backend, host, known: Mutex::default(), blocks: Blocks::default(), cache, turn }
    }

    /// Where content of this kind with this digest is or was; in an order that every handle finds it in.
    ///
    /// # Errors
    /// Those of reading an index file, unless it is gone or damaged: then what it says is learned from elsewhere.
    pub(crate) async fn find(&self, kind: Kind, digest: &Digest) -> Result<Vec<Found>> {
        let mut found = self.search(&DigestPrefix::exact(digest)).await?;
        found.retain(|found| found.kind == kind);
        found.sort_unstable_by_key(|found| (found.place.pack, found.place.offset));
        // A pack may stand in more than one index file.
        found.dedup();
        Ok(found)
    }

    /// Everything in packs whose digest begins with `prefix`.
    ///
    /// # Errors
    /// As for [`find`](Self::find).
    pub(crate) async fn search(&self, prefix: &DigestPrefix) -> Result<Vec<Found>> {
        for _ in 0..FAILURES_MAX {
            let (mut found, files) = self.known().search(prefix);
            let mut failure = None;
            let own = found.len();
            for file in files.iter() {
                if let Err(error) = file.search(&self.blocks, prefix, &mut found).await {
                    failure = Some((file, error));
                    break;
                }
            }
            match failure {
                Some((file, error)) => {
                    if !self.known().give_up(file, error.kind()) {
                        return Err(error);
                    }
                    self.learn().await?;
                }
                None => {
                    if found.len() > own {
                        self.known().keep_those_there(&mut found);
                    }
                    return Ok(found);
                }
            }
        }
        let many = "one after the other, many index files could not be read; run `strongroom verify`, or try again";
        Err(Error::new(ErrorKind::Unavailable, "search", &self.backend, many))
    }

    /// Whether content of this kind with this digest is known, if that can be said without reading.
    pub(crate) fn knows(&self, kind: Kind, digest: &Digest) -> Option<bool> {
        let prefix = DigestPrefix::exact(digest);
        let (mut found, files) = self.known().search(&prefix);
        // Of one kind alone it is known in which pack it is.
        if found.iter().any(|found| found.kind == kind) {
            return Some(true);
        }
        files.iter().all(|file| file.look(&self.blocks, &prefix, &mut found)).then(|| {
            found.retain(|found| found.kind == kind);
            self.known().keep_those_there(&mut found);
            !found.is_empty()
        })
    }

    /// Reads what [`knows`](Self::knows) needs to say of these digests, as far as that can be read.
    pub(crate) async fn fetch(&self, digests: &[Digest]) {
        let files = self.known().searched();
        for file in files.iter() {
            // What can't be read is noticed, and answered otherwise, when something is looked up in it.
            file.fetch(&self.blocks, digests).await.unwrap_or_default();
        }
    }

    /// For each of these digests whether content with it is known.
    ///
    /// # Errors
    /// As for [`find`](Self::find).
    pub(crate) async fn contains(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        let mut there = vec![false; digests.len()];
        // In their order each block is looked at once.
        let mut order: Vec<(u64, usize)> = digests.iter().map(beginning).zip(0..).collect();
        order.sort_unstable();
        for together in order.chunks(FETCHED_TOGETHER) {
            let positions: Vec<usize> = together.iter().map(|(_, position)| *position).collect();
            let mut unread = self.contains_in_memory(digests, &positions, &mut there);
            if !unread.is_empty() {
                let wanted: Vec<Digest> = unread.iter().map(|position| digests[*position]).collect();
                self.fetch(&wanted).await;
                unread = self.contains_in_memory(digests, &unread, &mut there);
            }
            // What could not be read, or did not stay in memory.
            for position in unread {
                let found = self.search(&DigestPrefix::exact(&digests[position])).await?;
                there[position] = found.iter().any(|found| found.kind != Kind::CellList);
            }
            tokio::task::yield_now().await;
        }
        Ok(there)
    }

    /// Says of which of these digests content is there, as far as that is in memory. Returns the others.
    fn contains_in_memory(&self, digests: &[Digest], positions: &[usize], there: &mut [bool]) -> Vec<usize> {
        let (mut found, mut unread) = (Vec::new(), Vec::new());
        let known = self.known();
        let files = known.searched();
        for position in positions {
            let digest = &digests[*position];
            let prefix = DigestPrefix::exact(digest);
            found.clear();
            found.extend(known.recent.find(digest));
            let is_all = files.iter().all(|file| file.look(&self.blocks, &prefix, &mut found));
            known.keep_those_there(&mut found);
            if known.files.contains_key(digest) || found.iter().any(|found| found.kind != Kind::CellList) {
                there[*position] = true;
            } else if !is_all {
                unread.push(*position);
            }
        }
        unread
    }

    /// Whether a whole file with this digest is known.
    pub(crate) fn has_files_of(&self, digest: &Digest) -> bool {
        self.known().files.contains_key(digest)
    }

    /// The whole files with this digest; in an order that every handle finds them in.
    pub(crate) fn files(&self, digest: &Digest) -> Vec<Nonce> {
        let mut files = self.known().files.get(digest).cloned().unwrap_or_default();
        files.sort_unstable();
        files
    }

    /// Whole files whose digest begins with `prefix`.
    pub(crate) fn search_files(&self, prefix: &DigestPrefix) -> Vec<Digest> {
        self.known().files.keys().filter(|digest| prefix.matches(digest)).copied().collect()
    }

    /// Notes a pack that this handle has stored.
    pub(crate) fn stored_pack(&self, table: Table) {
        self.known().stored_pack(table);
    }

    /// Notes a whole file that this handle has stored.
    pub(crate) fn stored_file(&self, digest: Digest, nonce: Nonce) {
        self.known().stored_file(digest, nonce);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a digest begins with, as a number by which digests have their order.
fn beginning(digest: &Digest) -> u64 {
    DigestPrefix::exact(digest).bounds().0
}

fn locate(pack: Nonce, record: &Record) -> Found {
    let place = Place { pack, offset: record.offset, stored: record.stored, method: record.method };
    Found { digest: record.digest, kind: record.kind, place, size: record.size }
}

#[cfg(test)]
mod tests;
