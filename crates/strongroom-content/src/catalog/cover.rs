//! Adding index files: a cold process is to read few tails, and few index files.
//!
//! Whoever stores much covers what is in none, and merges smaller index files into the new one, so that each is larger than all
//! smaller ones together: their number grows with the logarithm of the store. Then what was merged is deleted. That is safe
//! beside writers and collectors, because nobody relies on an index file: what it says is in the packs as well, names are
//! never used again, and the new one is durable and listed before an old one goes.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use strongroom_storage::{Error, Location, Result, Source};

use super::Catalog;
use super::index_file::IndexFile;
use super::known::Known;
use super::learn::{Look, Unread};
use super::merge::merge;
use crate::nonce::Nonce;
use crate::paths;
use crate::session::Session;

/// How many packs may stand in no index file before a writer adds one.
const UNCOVERED_PACKS_MAX: usize = 64;
/// The same where each tail is a request; fewer in this crate's simulation, whose processes store little.
const UNCOVERED_PACKS_MAX_FAR: usize = if cfg!(test) { 2 } else { 8 };
/// How many records, which are in memory: 32 MiB.
const UNCOVERED_RECORDS_MAX: usize = 500_000;
/// A new index file with no more bytes need not be read to be known.
const COPY_MAX_BYTES: usize = 1 << 20;
/// Each index file is at least so many times as large as all smaller ones together.
const GROWTH: usize = 1;
/// The same where each is a request, or two. Records are written again a few times more for it.
const GROWTH_FAR: usize = 4;
/// Index files with fewer records are merged whatever the size of the new one: 4 MiB.
const SMALL_RECORDS: usize = 75_000;

impl Catalog {
    /// Adds an index file if much stands in none. In a bucket, those that it was merged from go with the marks of `session`.
    ///
    /// # Errors
    /// Those of the backend. Without it, all is found that was found before.
    pub(crate) async fn cover(&self, session: &Session) -> Result<()> {
        let local = self.backend.capabilities().local;
        let packs_max = if local { UNCOVERED_PACKS_MAX } else { UNCOVERED_PACKS_MAX_FAR };
        let growth = if local { GROWTH } else { GROWTH_FAR };
        let wanted = |known: &Known| known.has_much_uncovered(packs_max).then(|| known.to_be_merged(growth));
        if !self.known().has_much_uncovered(packs_max) {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        let gone = self.add_index_file(wanted).await?;
        // What is left of them costs a reader a little time, and whoever covers next deletes it.
        if self.backend.capabilities().is_bucket() {
            session.end_with(gone);
        } else {
            self.backend.delete_all(&gone).await.unwrap_or_default();
        }
        Ok(())
    }

    /// Learns what is there after packs have gone, and writes those index files anew that name many of them.
    ///
    /// # Errors
    /// Those of the backend. Without it, all is found that was found before.
    pub(crate) async fn tidy_up(&self) -> Result<()> {
        let _turn = self.turn.lock().await;
        self.list_and_read(Look::Everywhere, Unread::PassOver).await?;
        let merged = self.add_index_file(Known::to_be_tidied).await?;
        self.backend.delete_all(&merged).await.unwrap_or_default();
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
        self.list_and_read(Look::Everywhere, Unread::PassOver).await.map(drop)
    }

    /// Writes an index file for what is in none, merged with those that `choose` takes, and returns these. Held is the turn.
    async fn add_index_file(&self, choose: impl Fn(&Known) -> Option<(Files, Files)>) -> Result<Vec<Location>> {
        let failed = Arc::new(OnceLock::new());
        let (content, merged, superseded) = {
            let known = self.known();
            let Some((merged, superseded)) = choose(&known) else { return Ok(Vec::new()) };
            let (tables, note) = (known.recent.tables().to_vec(), failed.clone());
            let failed =
                move |file: &Arc<IndexFile>, error: &Error| note.set((file.clone(), error.kind())).unwrap_or_default();
            (merge(tables, merged.clone(), |pack| known.packs.contains(pack), failed), merged, superseded)
        };
        let nonce = Nonce::draw(&*self.host)?;
        let copy = Arc::new(Mutex::new(Some(BytesMut::new())));
        let content = content.inspect_ok({
            let copy = copy.clone();
            move |piece| keep_small(&mut copy.lock().unwrap_or_else(PoisonError::into_inner), piece)
        });
        let stored = self.backend.store(&paths::index(&nonce)?, Source::stream(content), &paths::once()).await;
        if let Err(error) = stored {
            if let Some((file, kind)) = failed.get() {
                self.known().give_up(file, *kind);
            }
            return Err(error);
        }
        let copy =
            copy.lock().unwrap_or_else(PoisonError::into_inner).take().filter(|_| !self.backend.capabilities().local);
        let file = match copy {
            Some(copy) => IndexFile::of_whole(&self.backend, nonce, &self.cache, copy.freeze()).await?,
            None => IndexFile::open(&self.backend, nonce, &self.cache).await?,
        };
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
        Ok(gone)
    }
}

/// Keeps a copy of what goes by, as long as it is little.
fn keep_small(copy: &mut Option<BytesMut>, piece: &Bytes) {
    if copy.as_ref().is_some_and(|kept| kept.len() + piece.len() > COPY_MAX_BYTES) {
        *copy = None;
    }
    if let Some(kept) = copy {
        kept.extend_from_slice(piece);
    }
}

/// Some index files.
type Files = Vec<Arc<IndexFile>>;

impl Known {
    fn has_much_uncovered(&self, packs_max: usize) -> bool {
        self.recent.len() > packs_max || self.recent.records() > UNCOVERED_RECORDS_MAX
    }

    /// The index files that go into the next one, and those whose packs stand in others or are gone.
    fn to_be_merged(&self, growth: usize) -> (Files, Files) {
        let mut files = self.searched().to_vec();
        files.sort_unstable_by_key(|file| file.directory.records());
        let superseded = self.indexes.values().filter(|file| !files.iter().any(|used| used.nonce == file.nonce));
        let superseded = superseded.cloned().collect();
        let sizes: Vec<usize> = files.iter().map(|file| file.directory.records()).collect();
        files.truncate(merged(&sizes, self.recent.records(), growth));
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
fn merged(sizes: &[usize], mut records: usize, growth: usize) -> usize {
    let taken = sizes.iter().take_while(|size| {
        let is_small = **size < SMALL_RECORDS || **size <= growth * records;
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
        let rounds = [(64, 100_000), (20_000, 20_000), (UNCOVERED_RECORDS_MAX, 2000)];
        for ((uncovered, rounds), growth) in
            rounds.into_iter().flat_map(|rounds| [(rounds, GROWTH), (rounds, GROWTH_FAR)])
        {
            let (mut sizes, mut total, mut written) = (Vec::new(), 0, 0);
            let levels = |times: usize| f64::from(u32::try_from(times).unwrap()).log((growth + 1) as f64) as usize;
            for _ in 0..rounds {
                let taken = merged(&sizes, uncovered, growth);
                let new = uncovered + sizes.drain(..taken).sum::<usize>();
                sizes.push(new);
                sizes.sort_unstable();
                total += uncovered;
                written += new;
                assert!(sizes.len() <= levels(total / SMALL_RECORDS + 1) + 2, "{sizes:?} of {total}");
            }
            assert_eq!(sizes.iter().sum::<usize>(), total);
            // What is small is written again and again, but then it is 4 MiB.
            let small = rounds * SMALL_RECORDS;
            assert!(written <= small + growth * total * (levels(total / uncovered) + 1), "{written} of {total}");
        }
    }
}
