//! The names log: each namespace is a linear history of versions, each published by creating its run if absent.

mod commit;
mod head;
mod queue;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use strongroom_storage::{Error, ErrorKind, ExternalStorage, Host, Location, Result};

use crate::config::Compression;
use crate::entry::Entry;
use crate::namespace::Namespace;
use crate::paths::{self, EncodedNamespace};
use crate::run::{Cursor, Merge, Run};
use crate::session::Epoch;

pub(crate) use commit::{Action, Change, CommitInfo, Expected, Published, changed};
pub(crate) use queue::{CommitQueue, Request};

/// How many namespaces' states a handle keeps.
const KEPT_STATES: usize = 4096;

/// Which history: a namespace's, or that of the tags.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum LogName {
    Namespace(Namespace),
    Tags,
}

impl LogName {
    pub(crate) fn encode(&self, folds_case: bool) -> EncodedNamespace {
        match self {
            Self::Namespace(namespace) => EncodedNamespace::new(namespace, folds_case),
            Self::Tags => EncodedNamespace::tags(),
        }
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(namespace) if namespace.as_str().is_empty() => f.write_str("the root namespace"),
            Self::Namespace(namespace) => write!(f, "namespace {namespace}"),
            Self::Tags => f.write_str("the tags"),
        }
    }
}

/// The names of a namespace at one version.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The version; 0 if nothing was ever committed.
    pub version: u64,
    /// Its live runs, the newest first.
    pub runs: Vec<Arc<Run>>,
}

impl State {
    const EMPTY: Self = Self { version: 0, runs: Vec::new() };

    /// The entry of `name`, also of a removed one where that is still known.
    pub(crate) async fn entry(&self, name: &str) -> Result<Option<Entry>> {
        for run in &self.runs {
            if let Some(entry) = run.get(name).await? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// The entry of `name` if there is an object under it.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<Entry>> {
        Ok(self.entry(name).await?.filter(|entry| entry.object.is_some()))
    }

    /// All entries from `from` on, in order, removed ones too.
    pub(crate) async fn entries(&self, from: &str) -> Result<Merge> {
        let mut cursors = Vec::with_capacity(self.runs.len());
        for run in &self.runs {
            cursors.push(Cursor::seek(run.clone(), from).await?);
        }
        Ok(Merge::new(cursors))
    }

    /// The next entry with an object whose name begins with `prefix`.
    pub(crate) async fn next_object(merge: &mut Merge, prefix: &str) -> Result<Option<Entry>> {
        while let Some(entry) = merge.next().await? {
            if !entry.name.starts_with(prefix) {
                return Ok(None);
            }
            if entry.object.is_some() {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// The size of its runs, in bytes.
    fn size(&self) -> u64 {
        self.runs.iter().map(|run| run.size).sum()
    }
}

/// What a handle knows of a namespace.
#[derive(Debug)]
struct Kept {
    state: Arc<State>,
    /// Where the version after it would be.
    next: Location,
    /// When the head was last found without relying on what was known before, by the monotonic clock.
    answered: Duration,
    /// And in which epoch.
    epoch: u64,
}

/// All histories of a store, as one handle sees them.
#[derive(Debug)]
pub(crate) struct NameLog {
    backend: Arc<dyn ExternalStorage>,
    host: Arc<dyn Host>,
    folds_case: bool,
    compression: Compression,
    epoch: Epoch,
    /// A known head may be built on by asking for its successor for so long: pruning can't have reached it.
    head_age_max: Duration,
    kept: Mutex<HashMap<LogName, Kept>>,
}

impl NameLog {
    pub(crate) fn new(
        backend: Arc<dyn ExternalStorage>,
        host: Arc<dyn Host>,
        folds_case: bool,
        compression: Compression,
        grace: Duration,
        epoch: Epoch,
    ) -> Self {
        Self { backend, host, folds_case, compression, epoch, head_age_max: grace / 2, kept: Mutex::default() }
    }

    /// The newest state of `log`.
    ///
    /// With `since`, only a head that was found in that epoch or a later one is built on.
    pub(crate) async fn current(&self, log: &LogName, since: Option<u64>) -> Result<Arc<State>> {
        let (now, epoch) = (self.host.monotonic(), self.epoch.now());
        let known = {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.get(log)
                .filter(|kept| now.saturating_sub(kept.answered) < self.head_age_max)
                .filter(|kept| since.is_none_or(|since| kept.epoch >= since))
                .map(|kept| (kept.state.clone(), kept.next.clone(), kept.answered, kept.epoch))
        };
        if let Some((state, next, answered, epoch)) = known {
            if !self.backend.exists(&next).await? {
                return Ok(state);
            }
            let encoded = log.encode(self.folds_case);
            let head = self.climb(&encoded, state.version + 1).await?;
            if let Ok(state) = self.load(log, &encoded, head, &state.runs).await? {
                return self.keep(log, &encoded, state, answered, epoch);
            }
        }
        let encoded = log.encode(self.folds_case);
        // A head whose runs are pruned while they are read has moved on; look again.
        for _ in 0..8 {
            let head = self.find_head(&encoded).await?;
            match self.load(log, &encoded, head, &[]).await? {
                Ok(state) => return self.keep(log, &encoded, state, now, epoch),
                Err(lost) if self.find_head(&encoded).await? == head => {
                    return Err(lost_run(log, &paths::version(&encoded, lost)?, head));
                }
                Err(_) => {}
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "read", log, "its history moves faster than it can be read; try again"))
    }

    /// The state of `log` at `version`; `None` if it was never or is no longer there.
    pub(crate) async fn at(&self, log: &LogName, version: u64) -> Result<Option<State>> {
        if version == 0 {
            return Ok(Some(State::EMPTY));
        }
        if version >= paths::VERSIONS {
            return Ok(None);
        }
        Ok(self.load(log, &log.encode(self.folds_case), version, &[]).await?.ok())
    }

    /// One run of `log`; `None` if it is not there.
    pub(crate) async fn run(&self, log: &LogName, version: u64) -> Result<Option<Arc<Run>>> {
        let encoded = log.encode(self.folds_case);
        let location = paths::version(&encoded, version)?;
        match Run::open(&self.backend, location).await {
            Ok(run) => check_identity(run, log, version).map(|run| Some(Arc::new(run))),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The versions of `log` that are still there, the newest first.
    pub(crate) async fn versions(&self, log: &LogName) -> Result<Vec<u64>> {
        use futures::TryStreamExt;
        let prefix = paths::versions(&log.encode(self.folds_case));
        let found = self.backend.iter_contents(&prefix);
        let mut versions: Vec<u64> =
            found.try_filter_map(|location| async move { Ok(paths::version_of(&location)) }).try_collect().await?;
        versions.sort_unstable_by(|a, b| b.cmp(a));
        Ok(versions)
    }

    /// The live runs at `version`, or the version of one that is missing. Those among `known` are not read again.
    async fn load(
        &self,
        log: &LogName,
        encoded: &EncodedNamespace,
        version: u64,
        known: &[Arc<Run>],
    ) -> Result<Result<State, u64>> {
        let mut runs = Vec::new();
        let mut next = version;
        while next > 0 {
            let run = match known.iter().find(|run| run.header.version == next) {
                Some(run) => run.clone(),
                None => match Run::open(&self.backend, paths::version(encoded, next)?).await {
                    Ok(run) => Arc::new(check_identity(run, log, next)?),
                    Err(error) if error.is_missing() => return Ok(Err(next)),
                    Err(error) => return Err(error),
                },
            };
            next = run.header.first - 1;
            runs.push(run);
        }
        Ok(Ok(State { version, runs }))
    }

    fn keep(
        &self,
        log: &LogName,
        encoded: &EncodedNamespace,
        state: State,
        answered: Duration,
        epoch: u64,
    ) -> Result<Arc<State>> {
        let state = Arc::new(state);
        let next = paths::version(encoded, state.version + 1)?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_STATES && !kept.contains_key(log) {
            kept.clear();
        }
        match kept.get_mut(log) {
            Some(known) if known.state.version > state.version => {}
            _ => {
                kept.insert(log.clone(), Kept { state: state.clone(), next, answered, epoch });
            }
        }
        Ok(state)
    }

    /// Keeps the state that follows the one that is known.
    fn keep_next(&self, log: &LogName, encoded: &EncodedNamespace, state: State) -> Result<()> {
        let next = paths::version(encoded, state.version + 1)?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get_mut(log)
            && known.state.version + 1 == state.version
        {
            (known.state, known.next) = (Arc::new(state), next);
        }
        Ok(())
    }
}

/// A run that was moved to another's place would be read as another version's.
fn check_identity(run: Run, log: &LogName, version: u64) -> Result<Run> {
    if run.header.log == *log && run.header.version == version {
        return Ok(run);
    }
    let found =
        format!("this file holds version {} of {}; it was moved or swapped", run.header.version, run.header.log);
    Err(Error::new(ErrorKind::Corrupt, "read", run.location(), found))
}

fn lost_run(log: &LogName, lost: &Location, version: u64) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "read",
        lost,
        format!(
            "this file is lost, and version {version} of {log} is read from it; run `strongroom verify`, then restore the file from a \
             copy of the store"
        ),
    )
}
