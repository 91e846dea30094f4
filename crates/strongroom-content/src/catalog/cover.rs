//! Adding index files: a cold process is to read few tails, and few index files.
//!
//! Whoever stores much covers what is in none, and merges smaller index files into the new one, so that each is larger than all
//! smaller ones together: their number grows with the logarithm of the store. Then what was merged is deleted. That is safe
//! beside writers and collectors, because nobody relies on an index file: what it says is in the packs as well, names are
//! never used again, and the new one is durable and listed before an old one goes.

use std::sync::{Arc, OnceLock};

use strongroom_storage::{Error, Location, Result, Source};

use super::Catalog;
use super::index_file::IndexFile;
use super::known::Known;
use super::learn::Unread;
use super::merge::merge;
use crate::nonce::Nonce;
use crate::paths;

/// How many packs may stand in no index file before a writer adds one.
const UNCOVERED_PACKS_MAX: usize = 64;
/// The same where each tail is a request.
const UNCOVERED_PACKS_MAX_FAR: usize = 8;
/// How many records, which are in memory: 32 MiB.
const UNCOVERED_RECORDS_MAX: usize = 500_000;
/// Index files with fewer records are merged whatever the size of the new one: 4 MiB.
const SMALL_RECORDS: usize = 75_000;

impl Catalog {
    /// Adds an index file if much stands in none.
    ///
    /// # Errors
    /// Those of the backend. Without it, all is found that was found before.
    pub(crate) async fn cover(&self) -> Result<()> {
        let local = self.backend.capabilities().local;
        let packs_max = if local { UNCOVERED_PACKS_MAX } else { UNCOVERED_PACKS_MAX_FAR };
        let wanted = |known: &Known| known.has_much_uncovered(packs_max).then(|| known.to_be_merged());
        if !self.known().has_much_uncovered(packs_max) {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        self.add_index_file(wanted).await
    }

    /// Learns what is there after packs have gone, and writes those index files anew that name many of them.
    ///
    /// # Errors
    /// Those of the backend. Without it, all is found that was found before.
    pub(crate) async fn tidy_up(&self) -> Result<()> {
        let _turn = self.turn.lock().await;
        self.list_and_read(Unread::PassOver).await?;
        self.add_index_file(Known::to_be_tidied).await?;
        let idle: Vec<Location> = {
            let mut known = self.known();
            let idle = known.idle();
            idle.iter().for_each(|nonce| drop(known.indexes.remove(nonce)));
            idle.iter().map(paths::index).collect::<Result<_>>()?
        };
        self.backend.delete_all(&idle).await
    }

    /// Deletes all index files, to make room where there is none.
    ///
    /// # Errors
    /// Those of the backend.
    pub(crate) async fn give_index_files_up(&self) -> Result<()> {
        let _turn = self.turn.lock().await;
        let files = self.list(paths::INDEX).await?;
        self.backend.delete_all(&files).await?;
        self.list_and_read(Unread::PassOver).await.map(drop)
    }

    /// Writes an index file for what is in none, merged with those that `choose` takes, and deletes these. Held is the turn.
    async fn add_index_file(&self, choose: impl Fn(&Known) -> Option<(Files, Files)>) -> Result<()> {
        let failed = Arc::new(OnceLock::new());
        let (content, merged, superseded) = {
            let known = self.known();
            let Some((merged, superseded)) = choose(&known) else { return Ok(()) };
            let (tables, note) = (known.recent.tables().to_vec(), failed.clone());
            let failed =
                move |file: &Arc<IndexFile>, error: &Error| note.set((file.clone(), error.kind())).unwrap_or_default();
            (merge(tables, merged.clone(), |pack| known.packs.contains(pack), failed), merged, superseded)
        };
        let nonce = Nonce::draw(&*self.host)?;
        let stored = self.backend.store(&paths::index(&nonce)?, Source::stream(content), &paths::once()).await;
        if let Err(error) = stored {
            if let Some((file, kind)) = failed.get() {
                self.known().give_up(file, *kind);
            }
            return Err(error);
        }
        let file = IndexFile::open(&self.backend, nonce, &self.cache).await?;
        let mut gone: Vec<Location> = Vec::new();
        {
            let mut known = self.known();
            known.add_index(Arc::new(file));
            for old in merged.iter().chain(&superseded) {
                known.indexes.remove(&old.nonce);
                gone.push(paths::index(&old.nonce)?);
            }
            let covered = known.choose();
            known.recent.retain(|pack| !covered.contains(pack));
        }
        // What is left there costs a reader a little time, and whoever covers next deletes it.
        self.backend.delete_all(&gone).await.unwrap_or_default();
        Ok(())
    }
}

/// Some index files.
type Files = Vec<Arc<IndexFile>>;

impl Known {
    fn has_much_uncovered(&self, packs_max: usize) -> bool {
        self.recent.len() > packs_max || self.recent.records() > UNCOVERED_RECORDS_MAX
    }

    /// The index files that go into the next one, and those whose packs stand in others or are gone.
    fn to_be_merged(&self) -> (Files, Files) {
        let mut files = self.searched().to_vec();
        files.sort_unstable_by_key(|file| file.directory.records());
        let superseded = self.indexes.values().filter(|file| !files.iter().any(|used| used.nonce == file.nonce));
        let superseded = superseded.cloned().collect();
        let sizes: Vec<usize> = files.iter().map(|file| file.directory.records()).collect();
        files.truncate(merged(&sizes, self.recent.records()));
        (files, superseded)
    }

    /// The index files of whose packs half or more are gone, and those that nobody searches, if there are any.
    fn to_be_tidied(&self) -> Option<(Files, Files)> {
        let searched = self.searched();
        let is_gone = |file: &&Arc<IndexFile>| {
            let packs = &file.directory.packs;
            let gone = packs.iter().filter(|pack| !self.packs.contains(*pack)).count();
            gone > 0 && gone >= packs.len() / 2
        };
        let merged: Files = searched.iter().filter(is_gone).cloned().collect();
        (!merged.is_empty()).then_some((merged, Vec::new()))
    }

    /// The index files that have nothing that no other has.
    fn idle(&self) -> Vec<Nonce> {
        let searched = self.searched();
        let is_idle = |nonce: &&Nonce| !searched.iter().any(|file| file.nonce == **nonce);
        self.indexes.keys().filter(is_idle).copied().collect()
    }
}

/// How many of the index files with so many records, ascending, go into a new one together with `records` that are in none.
fn merged(sizes: &[usize], mut records: usize) -> usize {
    let taken = sizes.iter().take_while(|size| {
        let is_small = **size < SMALL_RECORDS || **size <= records;
        records += **size;
        is_small
    });
    taken.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_few_index_files_however_much_is_stored_and_a_record_is_seldom_written_again() {
        for (uncovered, rounds) in [(64, 100_000), (20_000, 20_000), (UNCOVERED_RECORDS_MAX, 2000)] {
            let (mut sizes, mut total, mut written) = (Vec::new(), 0, 0);
            for _ in 0..rounds {
                let taken = merged(&sizes, uncovered);
                let new = uncovered + sizes.drain(..taken).sum::<usize>();
                sizes.push(new);
                sizes.sort_unstable();
                total += uncovered;
                written += new;
                let doublings = (total / SMALL_RECORDS + 1).ilog2() as usize;
                assert!(sizes.len() <= doublings + 2, "{sizes:?} of {total}");
            }
            assert_eq!(sizes.iter().sum::<usize>(), total);
            // What is small is written again and again, but then it is 4 MiB.
            let small = rounds * SMALL_RECORDS;
            assert!(written <= small + total * (total / uncovered).ilog2() as usize, "{written} of {total}");
        }
    }
}
