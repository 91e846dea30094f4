//! Putting runs back, from a store that has the same history.

use std::collections::HashMap;
use std::sync::Arc;

use strongroom_storage::{ByteRange, ErrorKind, Location, Result, StoreOptions};

use super::Repair;
use crate::mirror::source_of;
use crate::names::LogName;
use crate::paths;
use crate::run::Header;
use crate::session::Session;
use crate::store::Inner;
use crate::verify::{Problem, check_run};

impl Repair<'_> {
    /// Puts back the runs among what is lost or damaged that `from` has too. Returns which.
    pub(super) async fn mend_runs(&self, from: &Arc<Inner>, problems: &[Problem]) -> Result<Vec<Location>> {
        let files: Vec<&Location> =
            problems.iter().map(|problem| &problem.file).filter(|file| paths::version_of(file).is_some()).collect();
        if files.is_empty() || !is_kin(self.store, from).await? {
            return Ok(Vec::new());
        }
        let logs = self.logs(from).await?;
        let session = self.store.sessions.begin().await?;
        let mended = async {
            let mut mended: Vec<Location> = Vec::new();
            for file in files {
                if !mended.contains(file) && self.mend_run(from, &logs, file, &session).await? {
                    mended.push(file.clone());
                }
            }
            Ok(mended)
        };
        let mended = mended.await;
        self.store.sessions.end(&session).await;
        mended
    }

    /// The histories that either store has, by where their versions lie in this one.
    async fn logs(&self, from: &Inner) -> Result<HashMap<String, LogName>> {
        let mut logs = HashMap::new();
        let folds_case = self.store.descriptor.folds_case;
        for store in [&**self.store, from] {
            let mut damage = Vec::new();
            let namespaces = store.namespaces_despite("", &mut damage).await?;
            let namespaces = namespaces.into_iter().map(|(namespace, _)| LogName::Namespace(namespace));
            for log in namespaces.chain([LogName::Tags]) {
                logs.insert(paths::versions(&log.encode(folds_case)), log);
            }
        }
        Ok(logs)
    }

    async fn mend_run(
        &self,
        from: &Inner,
        logs: &HashMap<String, LogName>,
        file: &Location,
        session: &Session,
    ) -> Result<bool> {
        let Some(version) = paths::version_of(file) else { return Ok(false) };
        let Some(log) = logs.get(file.as_str().trim_end_matches(file.file_name())) else { return Ok(false) };
        // What a collector is about to delete comes back never.
        if session.is_listed(file) {
            return Ok(false);
        }
        let theirs = paths::version(&log.encode(from.descriptor.folds_case), version)?;
        let bytes = match from.backend.load_bytes(&theirs, ByteRange::All).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => return Ok(false),
            Err(error) => return Err(error),
        };
        let Ok(run) = from.names.runs.opened(theirs, bytes.clone()) else { return Ok(false) };
        let run = Arc::new(run);
        let is_it = run.header.log == *log && run.header.version == version;
        if !is_it
            || is_damaged(check_run(&run).await.and_then(|()| run.check_bytes()))?
            || !self.is_same_history(from, log, version, &run.header).await?
        {
            return Ok(false);
        }
        // Looked at once more: a sound one is never replaced.
        let options = match self.store.names.run(log, version).await {
            Ok(Some(ours)) if !is_damaged(check_run(&ours).await)? => return Ok(false),
            Ok(None) => paths::once(),
            Ok(Some(_)) => StoreOptions::default().with_read_only(true),
            Err(error) if error.kind() == ErrorKind::Corrupt => StoreOptions::default().with_read_only(true),
            Err(error) => return Err(error),
        };
        if self.options.dry_run {
            return Ok(true);
        }
        self.store.backend.store(file, bytes.into(), &options).await.map(|_| true)
    }

    /// Whether every version of a history that both stores have, as far as it can be read, is the same commit.
    async fn is_same_history(&self, from: &Inner, log: &LogName, version: u64, header: &Header) -> Result<bool> {
        // The directory of one that is damaged may be sound.
        if let Some(ours) = self.store.names.commit_of(log, version).await?
            && ours != header.commit
        {
            return Ok(false);
        }
        for common in self.store.names.versions(log).await? {
            if common == version {
                continue;
            }
            if let (Some(ours), Some(theirs)) =
                (self.store.names.commit_of(log, common).await?, from.names.commit_of(log, common).await?)
                && ours != theirs
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether the histories of both are the same by origin: one is a copy of the other's files, or its mirror, or both are mirrors of one.
async fn is_kin(one: &Inner, other: &Inner) -> Result<bool> {
    let origin = async |store: &Inner| -> Result<String> {
        Ok(source_of(&*store.backend).await?.unwrap_or_else(|| store.descriptor.id.clone()))
    };
    Ok(origin(one).await? == origin(other).await?)
}

fn is_damaged(checked: Result<()>) -> Result<bool> {
    match checked {
        Ok(()) => Ok(false),
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Missing) => Ok(true),
        Err(error) => Err(error),
    }
}
