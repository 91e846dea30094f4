//! Checking a store: that everything which names stand for is there, and with `data` that every byte is what it was.

mod checks;
mod content;
mod memory;
mod names;
mod objects;
mod pace;
mod pack;
mod store;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use strongroom_storage::{ErrorKind, Location, Result};

use crate::batch::Progress;
use crate::store::{ContentStorage, Inner};
use checks::Checks;
pub(crate) use content::ContentHealth;
use names::Heads;
pub(crate) use names::{check_run, print_of};
use objects::CheckedObjects;
pub(crate) use pack::sound_pack;

/// How often it is looked whether what is wrong is so still.
const PASSES_MAX: usize = 4;

/// What to check.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// Read all content and check every byte, not only that it is there.
    pub data: bool,
    /// How many bytes of content to read in a second at most.
    pub bytes_per_second: Option<u64>,
    /// With `data`, read what was last found to be sound longer ago than this, and nothing else. By default all is read, but what a
    /// verification that began within a week and was interrupted has read.
    ///
    /// What was read when is known from the cache alone ([`OpenOptions::with_cache`](crate::OpenOptions::with_cache)).
    pub older_than: Option<Duration>,
    /// Called after each pack and file with how many there were and, with `data`, how many bytes were read.
    pub progress: Option<Progress>,
}

impl VerifyOptions {
    /// The same, reading all content or not.
    #[must_use]
    pub fn with_data(self, data: bool) -> Self {
        Self { data, ..self }
    }

    /// The same, reading so many bytes of content in a second at most.
    #[must_use]
    pub fn with_rate(self, bytes_per_second: u64) -> Self {
        Self { bytes_per_second: Some(bytes_per_second), ..self }
    }

    /// The same, reading only what was last read longer ago than `time`.
    #[must_use]
    pub fn with_older_than(self, time: Duration) -> Self {
        Self { older_than: Some(time), ..self }
    }

    /// The same with a view of the progress.
    #[must_use]
    pub fn with_progress(self, progress: Progress) -> Self {
        Self { progress: Some(progress), ..self }
    }
}

impl fmt::Debug for VerifyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { data, bytes_per_second, older_than, progress: _ } = self;
        f.debug_struct("VerifyOptions")
            .field("data", data)
            .field("bytes_per_second", bytes_per_second)
            .field("older_than", older_than)
            .finish_non_exhaustive()
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// [`ErrorKind::Missing`] if a file of the store is lost, [`ErrorKind::Corrupt`] if it is damaged.
    pub kind: ErrorKind,
    /// The file of the store.
    pub file: Location,
    /// What is wrong with it.
    pub detail: String,
    /// The objects that can't be read for it. Empty if none of the names at the newest versions and tags needs it.
    pub affected: Vec<Location>,
}

/// What was checked and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// How many namespaces there are.
    pub namespaces: u64,
    /// How many runs were read: versions that are still on record.
    pub runs: u64,
    /// How many objects stand under names, at the newest version of their namespace.
    pub objects: u64,
    /// How many packs there are.
    pub packs: u64,
    /// How many whole files there are.
    pub files: u64,
    /// How many bytes of content were read.
    pub bytes_read: u64,
    /// How many bytes of content were not read, because they were found to be sound not long ago.
    pub bytes_skipped: u64,
    /// What is wrong; empty for a sound store.
    pub problems: Vec<Problem>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

impl ContentStorage {
    /// Checks the whole store; damage is in the report, not an error.
    ///
    /// Every run and every index is read and checked, and everything that the newest version of each namespace and the tagged
    /// versions need must be there. With [`VerifyOptions::data`] all content is read too, on all processors: each chunk and each whole
    /// file, and each object in chunks is hashed as a whole, once for each list of chunks that the cache knows.
    ///
    /// Others may write and collect meanwhile. What is missing is looked for again, as long as that may be why.
    ///
    /// # Errors
    /// Only those that keep it from checking: `Denied`, `Unavailable`.
    pub async fn verify(&self, options: VerifyOptions) -> Result<VerifyReport> {
        Ok(self.inner.examine(&options).await?.0)
    }
}

impl Inner {
    /// Checks the whole store. Besides the report, returns what is known of each pack and file.
    pub(crate) async fn examine(self: &Arc<Self>, options: &VerifyOptions) -> Result<(VerifyReport, ContentHealth)> {
        let checks = Checks::new(self, options).await?;
        let mut health = ContentHealth::default();
        let (mut objects, mut heads) = (CheckedObjects::default(), Heads::default());
        let mut report = VerifyReport::default();
        for _ in 0..PASSES_MAX {
            let mut pass = VerifyReport::default();
            self.check_store(&mut pass).await?;
            // Names first: what a commit publishes while we read on is content that we have not looked for.
            let roots = self.check_names(&mut pass).await?;
            heads.check(self, &roots, &mut pass)?;
            health.check(&checks, &mut pass).await?;
            self.check_needed(roots, &checks, &health, &mut objects, &mut pass).await?;
            pass.problems.sort_by(|a, b| (&a.file, &a.detail).cmp(&(&b.file, &b.detail)));
            // A version may have been superseded while we read, and a collector have taken what only it needed. The next time all
            // content is known but what is new, so that goes much faster. What is really wrong is found again.
            let is_settled = pass.is_sound() || pass.problems == report.problems;
            report = pass;
            if is_settled {
                break;
            }
        }
        (report.bytes_read, report.bytes_skipped) = (checks.bytes_read(), checks.bytes_skipped());
        checks.memory.finish().await;
        Ok((report, health))
    }
}

#[cfg(test)]
mod tests;
