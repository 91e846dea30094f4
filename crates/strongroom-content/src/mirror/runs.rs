//! Copying histories: their runs, in the order of the versions.

use std::sync::Arc;

use strongroom_storage::{ByteRange, Error, ErrorKind, Result, Source};

use super::{Mirror, MirrorReport, note};
use crate::names::LogName;
use crate::paths;
use crate::verify::check_run;

/// A history of the source, and the versions of it that are not here, ascending.
pub(super) struct History {
    log: LogName,
    new: Vec<u64>,
}

impl Mirror<'_> {
    /// All histories of the source; those of the tags last here and first there, so that what they are about is known.
    ///
    /// # Errors
    /// `Conflict` if one here is not a beginning of the one there.
    pub(super) async fn histories(&self) -> Result<Vec<History>> {
        let mut histories = vec![self.history(LogName::Tags).await?];
        for (namespace, _) in self.from.namespaces("").await? {
            histories.push(self.history(LogName::Namespace(namespace)).await?);
        }
        for (namespace, _) in self.to.namespaces("").await? {
            let log = LogName::Namespace(namespace);
            if !histories.iter().any(|history| history.log == log) {
                return Err(self.diverged(&log, 1));
            }
        }
        histories.rotate_left(1);
        Ok(histories)
    }

    async fn history(&self, log: LogName) -> Result<History> {
        let (there, here) = (self.from.names.versions(&log).await?, self.to.names.versions(&log).await?);
        let head = here.first().copied().unwrap_or(0);
        if there.first().copied().unwrap_or(0) < head {
            return Err(self.diverged(&log, head));
        }
        if let Some(common) = here.iter().find(|version| there.contains(version)) {
            let (theirs, ours) =
                (self.from.names.commit_of(&log, *common).await?, self.to.names.commit_of(&log, *common).await?);
            if let (Some(theirs), Some(ours)) = (theirs, ours)
                && theirs != ours
            {
                return Err(self.diverged(&log, *common));
            }
        }
        let new = there.into_iter().filter(|version| *version > head).rev().collect();
        Ok(History { log, new })
    }

    /// Copies the versions of `histories` that are not here.
    pub(super) async fn copy_runs(&self, histories: Vec<History>, report: &mut MirrorReport) -> Result<()> {
        for History { log, new } in histories {
            for version in new {
                if !self.copy_run(&log, version, report).await? {
                    // Those behind it may be read from it.
                    break;
                }
                self.tell(report);
            }
        }
        Ok(())
    }

    /// False if it is damaged.
    async fn copy_run(&self, log: &LogName, version: u64, report: &mut MirrorReport) -> Result<bool> {
        let theirs = paths::version(&log.encode(self.from.descriptor.folds_case), version)?;
        let ours = paths::version(&log.encode(self.to.descriptor.folds_case), version)?;
        let bytes = match self.from.backend.load_bytes(&theirs, ByteRange::All).await {
            Ok(bytes) => bytes,
            // It was collected: no later one is read from it.
            Err(error) if error.is_missing() => return Ok(true),
            Err(error) => return Err(error),
        };
        let checked = async {
            let run = Arc::new(self.from.names.runs.opened(theirs.clone(), bytes.clone())?);
            check_run(&run).await?;
            run.check_bytes()?;
            if run.header.log == *log && run.header.version == version {
                return Ok(run.header.commit);
            }
            Err(Error::new(ErrorKind::Corrupt, "read", &theirs, "it is another version; it was moved or swapped"))
        };
        let commit = match checked.await {
            Ok(commit) => commit,
            Err(error) => return note(report, &theirs, error).map(|()| false),
        };
        if !self.options.dry_run {
            report.bytes += bytes.len() as u64;
            match self.to.backend.store(&ours, Source::Bytes(bytes), &paths::once()).await {
                Ok(_) => {}
                Err(error) if error.is_already_exists() => {
                    if self.to.names.commit_of(log, version).await? != Some(commit) {
                        return Err(self.diverged(log, version));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        report.runs.push(ours);
        Ok(true)
    }

    fn diverged(&self, log: &LogName, version: u64) -> Error {
        let detail = format!(
            "version {version} of {log} is not the one that {} has: somebody has written to one of them; mirror into an empty store, or \
             use `strongroom sync` without --mirror",
            self.from.backend
        );
        Error::new(ErrorKind::Conflict, "mirror", &self.to.backend, detail)
    }
}
