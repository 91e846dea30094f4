//! Mirrors: stores that have another one's packs, files and history as they are.
//!
//! A mirror has a mark that says whose it is. Its files have the names that they have in the source; so nothing in it may ever be
//! deleted that could come again under its name, and it is not collected. An ordinary commit would make its history another one: then
//! it can't be continued.

mod content;
mod mark;
mod runs;

use std::fmt;
use std::sync::Arc;

use strongroom_storage::{Error, ErrorKind, Location, Result};

use crate::batch::Progress;
use crate::store::{ContentStorage, Inner};
use crate::verify::Problem;
pub(crate) use mark::source_of;

/// How to mirror.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct MirrorOptions {
    /// Only find out what would be copied; nothing is written.
    pub dry_run: bool,
    /// Called after each file with how many there were and how many bytes were copied.
    pub progress: Option<Progress>,
}

impl MirrorOptions {
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

impl fmt::Debug for MirrorOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirrorOptions").field("dry_run", &self.dry_run).finish_non_exhaustive()
    }
}

/// What was copied, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MirrorReport {
    /// Packs and whole files, in the order in which they were copied.
    pub content: Vec<Location>,
    /// Runs, of namespaces and of the tags.
    pub runs: Vec<Location>,
    /// How many bytes all of them have; with `dry_run`, 0.
    pub bytes: u64,
    /// What is damaged in the source, and was not copied.
    pub problems: Vec<Problem>,
}

impl ContentStorage {
    /// Makes this store have what `from` has, as it is there: packs, whole files, and the histories of all namespaces and of the tags,
    /// with the same versions and commits. It must be empty, or a mirror of `from` already; then what is new is copied.
    ///
    /// Everything is verified before it is stored. Content comes first, then each history in the order of its versions; so this store
    /// can be read at any time. What is interrupted goes on when it is done again. Nothing is ever deleted here, also not what the
    /// source has collected meanwhile: a mirror only grows, and [`collect`](Self::collect) refuses it. Of a history, versions are copied
    /// that are newer than the newest one here.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if this store is neither empty nor a mirror of `from`; [`ErrorKind::Conflict`] if a history here is not a
    /// beginning of the one there: somebody has written to one of them; those of either backend. Damage in `from` is in the report:
    /// damaged content is not copied, and of a history nothing after a damaged run.
    pub async fn mirror_from(&self, from: &Self, options: MirrorOptions) -> Result<MirrorReport> {
        let mirror = Mirror { to: &self.inner, from: &from.inner, options: &options };
        let mut report = MirrorReport::default();
        if !options.dry_run {
            self.inner.sessions.check_writable()?;
        }
        mirror.check_mark().await?;
        // Histories first: all that they name is there by then.
        let histories = mirror.histories().await?;
        if !options.dry_run {
            mirror.mark().await?;
        }
        mirror.copy_content(&mut report).await?;
        mirror.copy_runs(histories, &mut report).await?;
        self.inner.names.forget();
        Ok(report)
    }
}

/// A mirroring under way.
struct Mirror<'a> {
    to: &'a Arc<Inner>,
    from: &'a Arc<Inner>,
    options: &'a MirrorOptions,
}

impl Mirror<'_> {
    fn tell(&self, report: &MirrorReport) {
        if let Some(progress) = &self.options.progress {
            progress(report.content.len() + report.runs.len(), report.bytes);
        }
    }
}

/// Damage in the source is noted; anything else ends the work.
fn note(report: &mut MirrorReport, file: &Location, error: Error) -> Result<()> {
    if !matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Missing | ErrorKind::Invalid) {
        return Err(error);
    }
    let detail = error.detail().to_string();
    report.problems.push(Problem { kind: ErrorKind::Corrupt, file: file.clone(), detail, affected: Vec::new() });
    Ok(())
}
