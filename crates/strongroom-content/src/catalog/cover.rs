//! Adding index files: a cold process is to read few tails.

use std::sync::{Arc, OnceLock};

use strongroom_storage::{Error, Result, Source};

use super::Catalog;
use super::index_file::IndexFile;
use super::known::Known;
use super::merge::merge;
use crate::nonce::Nonce;
use crate::paths;

/// How many packs may stand in no index file before a writer adds one.
const UNCOVERED_PACKS_MAX: usize = 64;
/// How many records, which are in memory: 32 MiB.
const UNCOVERED_RECORDS_MAX: usize = 500_000;

impl Catalog {
    /// Adds an index file if much stands in none.
    ///
    /// # Errors
    /// Those of the backend. Without it, all is found that was found before.
    pub(crate) async fn cover(&self) -> Result<()> {
        if !self.known().has_much_uncovered() {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        let failed = Arc::new(OnceLock::new());
        let content = {
            let known = self.known();
            if !known.has_much_uncovered() {
                return Ok(());
            }
            let (tables, note) = (known.recent.tables().to_vec(), failed.clone());
            let failed =
                move |file: &Arc<IndexFile>, error: &Error| note.set((file.clone(), error.kind())).unwrap_or_default();
            merge(tables, Vec::new(), |pack| known.packs.contains(pack), failed)
        };
        let nonce = Nonce::draw(&*self.host)?;
        let stored = self.backend.store(&paths::index(&nonce)?, Source::stream(content), &paths::once()).await;
        if let Err(error) = stored {
            if let Some((file, kind)) = failed.get() {
                self.known().give_up(file, *kind);
            }
            return Err(error);
        }
        let file = IndexFile::open(&self.backend, nonce).await?;
        let mut known = self.known();
        known.add_index(Arc::new(file));
        let covered = known.choose();
        known.recent.retain(|pack| !covered.contains(pack));
        Ok(())
    }
}

impl Known {
    fn has_much_uncovered(&self) -> bool {
        self.recent.len() > UNCOVERED_PACKS_MAX || self.recent.records() > UNCOVERED_RECORDS_MAX
    }
}
