//! Repairing: what is lost or damaged is taken from another store, and what is lost for good is dropped if that is asked for.
//!
//! 1. The whole store is verified, every byte.
//! 2. *Runs* come back under their own names: they are the very same files in a mirror of the store, or a copy of it made file by
//!    file ([`runs`]).
//! 3. Damaged packs and files are named in a collector's list. From now on nobody relies on them, neither this repair nor any other
//!    writer; the next collection takes out what is sound in them, and deletes them.
//! 4. *Content* that any version on record needs is stored anew, under new names ([`content`]).
//! 5. With `drop_lost`, names whose content is lost for good get back what they had before, or are removed ([`lost`]).
//! 6. The whole store is verified again.

mod content;
mod lost;
mod runs;

use std::fmt;
use std::sync::Arc;

use futures::TryStreamExt;
use strongroom_storage::{ErrorKind, Location, Result};

use crate::batch::Progress;
use crate::list;
use crate::nonce::Nonce;
use crate::paths;
use crate::store::{ContentStorage, Inner};
use crate::verify::{ContentHealth, Problem, VerifyOptions, VerifyReport};
use crate::version::Version;

/// What to repair, and how.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct RepairOptions {
    /// Another store that may have what is lost here: a mirror, one that was synchronized from this one, an old copy, or any other
    /// with the same content.
    pub from: Option<ContentStorage>,
    /// Give names whose content is lost for good what they had before, or remove them.
    pub drop_lost: bool,
    /// Only find out what would be done; nothing is written.
    pub dry_run: bool,
    /// Called now and then, as by a verification with all data.
    pub progress: Option<Progress>,
}

impl RepairOptions {
    /// The same, taking from `store` what is lost here.
    #[must_use]
    pub fn with_from(self, store: ContentStorage) -> Self {
        Self { from: Some(store), ..self }
    }

    /// The same, dropping what is lost for good or not.
    #[must_use]
    pub fn with_drop_lost(self, drop_lost: bool) -> Self {
        Self { drop_lost, ..self }
    }

    /// The same, only finding out or not.
    #[must_use]
    pub fn with_dry_run(self, dry_run: bool) -> Self {
        Self { dry_run, ..self }
    }

    /// The same with a view of the progress.
    #[must_use]
    pub fn with_progress(self, progress: Progress) -> Self {
        Self { progress: Some(progress), ..self }
    }
}

impl fmt::Debug for RepairOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, drop_lost, dry_run, progress: _ } = self;
        f.debug_struct("RepairOptions")
            .field("from", from)
            .field("drop_lost", drop_lost)
            .field("dry_run", dry_run)
            .finish_non_exhaustive()
    }
}

/// A name whose content was lost for good.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Which.
    pub location: Location,
    /// The version that had put what is lost.
    pub lost: Version,
    /// The version that had put what it stands for now; `None` if it was removed.
    pub restored: Option<Version>,
}

/// What a repair did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairReport {
    /// What was wrong before.
    pub found: Vec<Problem>,
    /// Runs that were put back, under their own names.
    pub runs: Vec<Location>,
    /// How many objects, of all versions on record, have content again that they had lost. With `dry_run`, 0.
    pub mended: u64,
    /// How many have not.
    pub unmended: u64,
    /// How many bytes were read for that from other places and the other store.
    pub bytes_read: u64,
    /// Damaged packs and files that the next collection deletes.
    pub condemned: Vec<Location>,
    /// Damaged index files that were deleted: they are hints.
    pub index_files: Vec<Location>,
    /// Names whose content was lost for good, and what became of them.
    pub dropped: Vec<Dropped>,
    /// What is wrong still; with `dry_run`, what was found. Damaged files that are condemned and that no name needs are left out.
    pub left: Vec<Problem>,
}

impl RepairReport {
    /// Whether nothing is wrong any more.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.left.is_empty()
    }
}

impl ContentStorage {
    /// Mends what is lost or damaged, as far as it can be read here or in another store, and with
    /// [`drop_lost`](RepairOptions::drop_lost) drops what can't. All content is read, before and after.
    ///
    /// Content comes back by its digest, so any store will do that has it; it is stored anew, under new names. Runs are put back only
    /// from a store with the same history: a mirror of this one, or a copy of its files; and only if every version that both have is
    /// the same commit. A newest version that is lost is not noticed: nothing tells it from one that was never made. No sound file is
    /// ever replaced. Damaged packs and files stay until the next
    /// [`collect`](Self::collect), which takes out what is still sound and needed in them.
    ///
    /// What is dropped is only what stands under a name at the newest version; a name that somebody else changes meanwhile is left
    /// alone. Each namespace gets one commit. A store whose `strongroom.json` is lost can't be opened: put that back from a copy of the
    /// store.
    ///
    /// Others may use the store meanwhile. What is interrupted can be done again.
    ///
    /// # Errors
    /// Those of either backend. Damage that can't be mended is in the report, and is no error.
    pub async fn repair(&self, options: RepairOptions) -> Result<RepairReport> {
        let repair =
            Repair { store: &self.inner, from: options.from.as_ref().map(|from| &from.inner), options: &options };
        repair.run().await
    }
}

/// A repair under way.
struct Repair<'a> {
    store: &'a Arc<Inner>,
    from: Option<&'a Arc<Inner>>,
    options: &'a RepairOptions,
}

impl Repair<'_> {
    async fn run(&self) -> Result<RepairReport> {
        let mut report = RepairReport::default();
        let (found, mut health) = self.examine().await?;
        report.found = found.problems;
        if report.found.is_empty() && self.from.is_none() {
            return Ok(report);
        }
        if let Some(from) = self.from {
            report.runs = self.mend_runs(from, &report.found).await?;
            if !report.runs.is_empty() && !self.options.dry_run {
                // What they name is needed, too.
                self.store.names.forget();
                health = self.examine().await?.1;
            }
        }
        report.condemned = damaged(&report.found, &health);
        if self.options.dry_run {
            let lost = if self.options.drop_lost { self.find_lost(&health).await? } else { Vec::new() };
            report.dropped = lost.into_iter().flat_map(|lost| lost.dropped).collect();
            report.left = report.found.clone();
            return Ok(report);
        }
        self.condemn(&report.condemned).await?;
        self.mend_content(&health, &mut report).await?;
        self.delete_index_files(&mut report).await?;
        if report.found.is_empty() && report.mended == 0 {
            return Ok(report);
        }
        let (mut after, health) = self.examine().await?;
        if self.options.drop_lost {
            let lost = self.find_lost(&health).await?;
            if !lost.is_empty() {
                report.dropped = self.drop_lost(lost).await?;
                after = self.examine().await?.0;
            }
        }
        let is_condemned = |problem: &Problem| problem.affected.is_empty() && report.condemned.contains(&problem.file);
        report.left = after.problems.into_iter().filter(|problem| !is_condemned(problem)).collect();
        Ok(report)
    }

    async fn examine(&self) -> Result<(VerifyReport, ContentHealth)> {
        let mut options = VerifyOptions::default().with_data(true);
        options.progress.clone_from(&self.options.progress);
        self.store.examine(&options).await
    }

    /// Lists damaged packs and files, as a collector does: from now on no session begins that relies on them.
    async fn condemn(&self, damaged: &[Location]) -> Result<()> {
        let backend = &*self.store.backend;
        let listed = list::read_all(backend).await?;
        let new: Vec<&Location> = damaged.iter().filter(|file| !listed.contains(*file)).collect();
        if new.is_empty() {
            return Ok(());
        }
        list::publish(backend, &Nonce::draw(&*self.store.host)?, new.into_iter()).await.map(drop)
    }

    /// Deletes index files that are damaged: all that they say stands in the packs.
    async fn delete_index_files(&self, report: &mut RepairReport) -> Result<()> {
        let there: Vec<Location> = self.store.backend.iter_contents(paths::INDEX).try_collect().await?;
        let is_damaged = |file: &Location| {
            report.found.iter().any(|problem| problem.kind == ErrorKind::Corrupt && problem.file == *file)
        };
        let damaged: Vec<Location> = there.into_iter().filter(is_damaged).collect();
        self.store.backend.delete_all(&damaged).await?;
        report.index_files = damaged;
        Ok(())
    }
}

/// The damaged packs and files.
fn damaged(problems: &[Problem], health: &ContentHealth) -> Vec<Location> {
    let files = problems.iter().filter(|problem| problem.kind == ErrorKind::Corrupt).map(|problem| &problem.file);
    let mut damaged: Vec<Location> = files.filter(|file| health.is_there(file)).cloned().collect();
    damaged.dedup();
    damaged
}
