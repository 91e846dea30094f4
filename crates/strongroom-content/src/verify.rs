//! Checking a store: that everything which names stand for is there, and with `data` that every byte is what it was.

mod content;
mod names;
mod store;

use std::fmt;
use std::sync::Arc;

use strongroom_storage::{ErrorKind, Location, Result};

use crate::batch::Progress;
use crate::store::{ContentStorage, Inner};
pub(crate) use content::{ContentHealth, sound_pack};
pub(crate) use names::{check_run, print_of};

/// What to check.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// Read all content and check every byte, not only that it is there.
    pub data: bool,
    /// Called after each pack and file with how many there were and, with `data`, how many bytes were read.
    pub progress: Option<Progress>,
}

impl VerifyOptions {
    /// The same, reading all content or not.
    #[must_use]
    pub fn with_data(self, data: bool) -> Self {
        Self { data, ..self }
    }

    /// The same with a view of the progress.
    #[must_use]
    pub fn with_progress(self, progress: Progress) -> Self {
        Self { progress: Some(progress), ..self }
    }
}

impl fmt::Debug for VerifyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyOptions").field("data", &self.data).finish_non_exhaustive()
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
    /// versions need must be there. With [`VerifyOptions::data`] all content is read too.
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
        let mut report = VerifyReport::default();
        self.check_store(&mut report).await?;
        // Names first: what a commit publishes while we read on is content that we have not looked for.
        let roots = self.check_names(&mut report).await?;
        let health = ContentHealth::check(self, options, &mut report).await?;
        self.check_needed(roots, &health, &mut report).await?;
        report.problems.sort_by(|a, b| (&a.file, &a.detail).cmp(&(&b.file, &b.detail)));
        Ok((report, health))
    }
}
