//! The names log: each namespace is a linear history of versions, each published by creating its run if absent.

mod commit;
mod head;
mod kept;
mod queue;
mod state;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strongroom_storage::{Error, ErrorKind, ExternalStorage, Host, Location, Result};

use crate::config::Compression;
use crate::durable::Durable;
use crate::mutation::{self, Mutation};
use crate::namespace::Namespace;
use crate::nonce::Nonce;
use crate::paths::{self, EncodedNamespace};
use crate::run::{Run, Runs};
use crate::session::Epoch;

pub(crate) use commit::{Action, Change, CommitInfo, Expected, Published, changed};
use kept::{Kept, KeptStates};
pub(crate) use queue::{Arriving, CommitQueue, Request};
pub(crate) use state::State;

/// How many versions are read to find out whether one is part of the history.
const LINKS_MAX: usize = 1000;

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

/// All histories of a store, as one handle sees them.
#[derive(Debug)]
pub(crate) struct NameLog {
    backend: Arc<dyn ExternalStorage>,
    pub runs: Arc<Runs>,
    host: Arc<dyn Host>,
    folds_case: bool,
    /// Of the blocks of runs.
    compression: Compression,
    epoch: Epoch,
    durable: Arc<Durable>,
    /// A known head may be built on by asking for its successor for so long: pruning can't have reached it.
    head_age_max: Duration,
    kept: Mutex<KeptStates>,
}

impl NameLog {
    pub(crate) fn new(
        backend: Arc<dyn ExternalStorage>,
        host: Arc<dyn Host>,
        folds_case: bool,
        compression: Compression,
        grace: Duration,
        epoch: Epoch,
        durable: Arc<Durable>,
    ) -> Self {
        let (runs, head_age_max) = (Arc::new(Runs::new(backend.clone())), grace / 2);
        Self { backend, runs, host, folds_case, compression, epoch, durable, head_age_max, kept: Mutex::default() }
    }

    /// The newest state of `log`.
    ///
    /// With `since`, only a head that was found in that epoch or a later one is built on.
    pub(crate) async fn current(&self, log: &LogName, since: Option<u64>) -> Result<Arc<State>> {
        let is_of_session =
            |kept: &&Kept| since.is_none_or(|since| kept.epoch >= since) || mutation::is(Mutation::HeadAcrossSessions);
        let known = self.kept().get(log).filter(is_of_session).cloned();
        match self.follow(known, || Ok(log.clone())).await? {
            Some(state) => Ok(state),
            None => self.find(log).await,
        }
    }

    /// The newest state of the namespace with this text.
    pub(crate) async fn current_in(&self, namespace: &str) -> Result<Arc<State>> {
        let known = self.kept().namespace(namespace).cloned();
        let log = || Namespace::parse(namespace).map(LogName::Namespace);
        match self.follow(known, log).await? {
            Some(state) => Ok(state),
            None => self.find(&log()?).await,
        }
    }

    /// The newest state, going on from what is known; `None` if that was found too long ago. Somebody may have stalled between a
    /// look at the clock and one at the store, so both are asked afterwards, too.
    async fn follow(&self, known: Option<Kept>, log: impl FnOnce() -> Result<LogName>) -> Result<Option<Arc<State>>> {
        let Some(known) = known.filter(|kept| self.is_fresh(kept)) else { return Ok(None) };
        if !self.backend.exists(&known.next).await? {
            return Ok(self.is_fresh(&known).then_some(known.state));
        }
        let log = log()?;
        let encoded = log.encode(self.folds_case);
        let head = self.climb(&encoded, known.state.version + 1).await?;
        match self.load(&log, &encoded, head, &known.state.runs).await? {
            Ok(_) if !self.is_fresh(&known) => Ok(None),
            Ok(state) => self.keep(&log, &encoded, state, known.answered, known.epoch).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Whether the versions that follow it are all still there.
    fn is_fresh(&self, kept: &Kept) -> bool {
        let age = self.host.monotonic().saturating_sub(kept.answered);
        age < self.head_age_max
            || mutation::is(Mutation::HeadTrustedTooLong)
            || mutation::is(Mutation::HeadAcrossSessions)
    }

    /// The newest state, relying on nothing known before.
    pub(crate) async fn find(&self, log: &LogName) -> Result<Arc<State>> {
        let (now, epoch) = (self.host.monotonic(), self.epoch.now());
        let encoded = log.encode(self.folds_case);
        // A run that is live now and was when it was read has been so all the time, and live runs stay what they are.
        let known = if self.backend.capabilities().is_bucket() { self.kept().get(log).cloned() } else { None };
        let runs = known.as_ref().map_or(&[][..], |known| &known.state.runs);
        // A head whose runs are pruned while they are read has moved on; look again.
        for _ in 0..8 {
            let head = self.find_head(&encoded).await?;
            match self.load(log, &encoded, head, runs).await? {
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
        match self.runs.open(location).await {
            Ok(run) => check_identity(run, log, version).map(|run| Some(Arc::new(run))),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Which commit made a version; `None` if the version is not there, or damaged.
    pub(crate) async fn commit_of(&self, log: &LogName, version: u64) -> Result<Option<Nonce>> {
        match self.run(log, version).await {
            Ok(run) => Ok(run.map(|run| run.header.commit)),
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a version that `commit` published is part of the history, as seen in epoch `since`; `None` if nobody can know that
    /// any more.
    ///
    /// Whoever stalls for longer than the grace period may publish a version that was collected meanwhile. The newest version does
    /// not follow from it, and nobody reads it. A live run is part of the history, and so is the parent of each version that is.
    pub(crate) async fn is_part(
        &self,
        log: &LogName,
        version: u64,
        commit: &Nonce,
        since: u64,
    ) -> Result<Option<bool>> {
        let state = self.current(log, Some(since)).await?;
        let Some(mut part) = state.runs.iter().rev().find(|run| run.header.version >= version).cloned() else {
            return Ok(None);
        };
        for _ in 0..LINKS_MAX {
            if part.header.version == version {
                return Ok(Some(part.header.commit == *commit));
            }
            if part.header.version == version + 1 {
                return Ok(Some(part.header.parent == *commit));
            }
            match self.run(log, part.header.version - 1).await? {
                Some(run) if run.header.commit == part.header.parent => part = run,
                _ => return Ok(None),
            }
        }
        Ok(None)
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
                None => match self.runs.open(paths::version(encoded, next)?).await {
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
        self.kept().insert(log, Kept::new(state.clone(), next, answered, epoch));
        Ok(state)
    }

    /// Keeps the state that follows the one that is known.
    fn keep_next(&self, log: &LogName, encoded: &EncodedNamespace, state: State) -> Result<()> {
        let next = paths::version(encoded, state.version + 1)?;
        let mut kept = self.kept();
        if let Some(known) = kept.get(log).filter(|known| known.state.version + 1 == state.version) {
            let follower = Kept::new(Arc::new(state), next, known.answered, known.epoch);
            kept.insert(log, follower);
        }
        Ok(())
    }

    /// Forgets what is known of all histories: a run was mended, by another file under its name.
    pub(crate) fn forget(&self) {
        *self.kept() = KeptStates::default();
    }

    fn kept(&self) -> MutexGuard<'_, KeptStates> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
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
