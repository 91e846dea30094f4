//! Publishing a version: whoever creates its run has committed.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, future, stream};
use strongroom_storage::{Error, ErrorKind, Location, Result, Source, Stored};

use super::queue::{Arriving, Outcome, Queued, Request};
use super::{LogName, NameLog, State};
use crate::codec::Decoded;
use crate::entry::{Entry, Object};
use crate::envelope::TAIL_BYTES;
use crate::nonce::Nonce;
use crate::paths::{self, EncodedNamespace};
use crate::run::{Build, Cursor, Drafts, Entries, EntryRef, Header, Merge};

/// While a namespace's whole state has fewer bytes than this, every commit writes all of it, so that one file is enough to
/// read it.
const ONE_RUN_BYTES: u64 = 64 << 10;
/// How often a creation is tried again whose answers were lost.
const LOST_ANSWERS: usize = 3;

/// What a commit does to one name.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub name: Arc<str>,
    pub action: Action,
    pub expected: Expected,
}

impl Change {
    /// What the name's entry comes to have where expectations are met: nothing if it stays what it is.
    fn effect(&self, present: Option<EntryRef<'_>>) -> Decoded<Option<Option<Object>>> {
        let passes = match (&self.expected, present) {
            (Expected::PresentOrPass, None) => true,
            (Expected::PutByOrPass(versions), present) => {
                !present.is_some_and(|entry| versions.contains(&entry.version()))
            }
            _ => false,
        };
        if passes {
            return Ok(None);
        }
        Ok(match (&self.action, present) {
            (Action::Remove, present) => present.map(|_| None),
            (Action::Put(object), None) => Some(Some(object.clone())),
            (Action::Put(object), Some(entry)) => {
                let known = entry.decode()?.object;
                let object = known.iter().fold(object.clone(), |object, known| object.with_digests_of(known));
                let again = matches!(self.expected, Expected::PutByOrPass(_));
                (again || known.as_ref() != Some(&object)).then_some(Some(object))
            }
        })
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Put(Object),
    Remove,
}

/// What must be under the name before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Anything or nothing.
    Any,
    /// Nothing; else `AlreadyExists`.
    Absent,
    /// An object; else `Missing`.
    Present,
    /// An object, or the change is passed over.
    PresentOrPass,
    /// The object that this version put there; else `Changed`.
    PutBy(u64),
    /// An object that one of these versions put there, or the change is passed over.
    PutByOrPass(Arc<BTreeSet<u64>>),
}

/// What a run's header says of a commit.
#[derive(Clone, Debug)]
pub(crate) struct CommitInfo {
    pub id: Nonce,
    /// Microseconds since 1970.
    pub time: i64,
    pub author: Arc<str>,
    pub message: Arc<str>,
    /// The operation that it is part of, for errors.
    pub operation: &'static str,
}

/// The version after a commit, and whether the commit made it: one that changes nothing makes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub version: u64,
    pub made: bool,
    /// What the run has as its commit, if one was made: that of the first of those who share it.
    pub commit: Nonce,
}

/// A version that these requests may have made, or may make yet: its creation was sent and not answered.
#[derive(Debug, Default)]
struct Unsure {
    version: Option<(u64, Vec<Result<Outcome>>)>,
    lost_answers: usize,
}

impl NameLog {
    /// Commits each of `requests` on top of the newest version, all of a request or nothing, and all that can be in one
    /// version. Returns what became of each.
    ///
    /// # Errors
    /// Those of the backend, for all of them; the outcome is unknown where they say so.
    pub(super) async fn publish(&self, log: &LogName, requests: &[Queued]) -> Result<Vec<Result<Outcome>>> {
        let mut unsure = Unsure::default();
        loop {
            match self.publish_next(log, requests, &mut unsure).await {
                Ok(None) => {}
                Ok(Some(outcomes)) => return Ok(outcomes),
                // What was sent and not answered may arrive yet.
                Err(error) if unsure.version.is_some() => return Err(error.with_outcome_unknown()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Tries to be the version after the newest. `None` if somebody else was, or nobody knows.
    async fn publish_next(
        &self,
        log: &LogName,
        requests: &[Queued],
        unsure: &mut Unsure,
    ) -> Result<Option<Vec<Result<Outcome>>>> {
        let encoded = log.encode(self.folds_case);
        let since = requests.iter().map(|queued| queued.request.since).max();
        let Some(info) = requests.first().map(|queued| &queued.request.info) else { return Ok(Some(Vec::new())) };
        let state = self.current(log, since).await?;
        if let Some((version, outcomes)) = unsure.version.take_if(|(version, _)| *version <= state.version)
            && self.is_own(&paths::version(&encoded, version)?, info).await?
        {
            return Ok(Some(outcomes));
        }
        let version = state.version + 1;
        if version >= paths::VERSIONS {
            return Err(Error::new(
                ErrorKind::Unsupported,
                info.operation,
                log,
                "it has as many versions as there can be",
            ));
        }
        let (entries, outcomes) = self.effective_of(log, &state, requests, version).await;
        let arriving = requests.iter().find_map(|queued| queued.request.arriving.clone());
        if entries.len() == 0 {
            if outcomes.iter().any(Result::is_ok) {
                if let Some(arriving) = arriving {
                    arriving.await?;
                }
                self.secure(&encoded, state.version).await?;
            }
            return Ok(Some(outcomes));
        }
        // Or this version may outlast that one, which somebody else has just published.
        self.secure(&encoded, state.version).await?;
        let location = paths::version(&encoded, version)?;
        let (source, pieces) = self.build(log, &state, entries, info, version).await?.into_source().await?;
        let stored = match arriving {
            Some(arriving) => self.store_after(&location, source, arriving).await?,
            None => self.backend.store(&location, source, &paths::once()).await,
        };
        match stored {
            Ok(_) => {
                self.durable.note([location.clone()]);
                // If it can't be kept, it is read.
                self.note_published(log, &encoded, &state, location, &pieces.unwrap_or_default()).unwrap_or_default();
                Ok(Some(outcomes))
            }
            Err(error) if error.is_already_exists() => Ok(self.is_own(&location, info).await?.then_some(outcomes)),
            Err(error) if error.may_have_happened() && unsure.lost_answers < LOST_ANSWERS => {
                let lost_answers = unsure.lost_answers + 1;
                *unsure = Unsure { version: Some((version, outcomes.clone())), lost_answers };
                Ok(self.is_own(&location, info).await?.then_some(outcomes))
            }
            Err(error) => Err(error),
        }
    }

    /// Makes sure that a version is durable, if there is any.
    async fn secure(&self, encoded: &EncodedNamespace, version: u64) -> Result<()> {
        if version == 0 { Ok(()) } else { self.durable.make_sure([paths::version(encoded, version)?]).await }
    }

    /// Stores a run of which nothing is to be seen before content is durable that is on its way: until then, its end is held back.
    ///
    /// # Errors
    /// Why the content is not durable; the run was not stored then.
    async fn store_after(&self, location: &Location, source: Source, arriving: Arriving) -> Result<Result<Stored>> {
        let arrived = arriving.clone();
        let end = stream::once(arrived).filter_map(|arrived| future::ready(arrived.err().map(Err)));
        let source = Source::stream(source.into_stream().await?.chain(end));
        let (stored, arrived) = future::join(self.backend.store(location, source, &paths::once()), arriving).await;
        arrived.map(|()| stored)
    }

    /// The entries that `requests` come to together, and what becomes of each if they are published.
    async fn effective_of(
        &self,
        log: &LogName,
        state: &State,
        requests: &[Queued],
        version: u64,
    ) -> (Drafts, Vec<Result<Outcome>>) {
        let mut entries = Drafts::default();
        let mut outcomes = Vec::with_capacity(requests.len());
        let mut names: HashSet<&str> = HashSet::new();
        let commit = requests.first().map_or(Nonce::ZERO, |first| first.request.info.id);
        for queued in requests {
            let Request { changes, info, .. } = &queued.request;
            if queued.is_given_up() || changes.iter().any(|change| names.contains(&*change.name)) {
                outcomes.push(Ok(Outcome::Deferred));
                continue;
            }
            if requests.len() > 1 {
                names.extend(changes.iter().map(|change| &*change.name));
            }
            let before = entries.len();
            // What one can't have, or can't find out, is no reason for the others to fail.
            if let Err(error) = self.effective(log, state, changes, info, version, &mut entries).await {
                entries.truncate(before);
                outcomes.push(Err(error));
                continue;
            }
            let made = entries.len() > before;
            let version = if made { version } else { state.version };
            outcomes.push(Ok(Outcome::Published(Published { version, made, commit })));
        }
        (entries, outcomes)
    }

    /// Keeps the state that was just published, so that it need not be read.
    fn note_published(
        &self,
        log: &LogName,
        encoded: &EncodedNamespace,
        state: &State,
        location: Location,
        pieces: &[Bytes],
    ) -> Result<()> {
        if pieces.is_empty() || pieces.iter().map(Bytes::len).sum::<usize>() as u64 > TAIL_BYTES {
            return Ok(());
        }
        let run = Arc::new(self.runs.opened(location, pieces.concat().into())?);
        let Header { version, first, .. } = run.header;
        let older = state.runs.iter().filter(|older| older.header.version < first);
        let runs = std::iter::once(&run).chain(older).cloned().collect();
        self.keep_next(log, encoded, State { version, runs })
    }

    /// Whether `changes` would be refused now for what they expect.
    ///
    /// # Errors
    /// As for [`publish`](Self::publish).
    pub(crate) async fn check(&self, log: &LogName, changes: &[Change], info: &CommitInfo) -> Result<()> {
        let state = self.current(log, None).await?;
        self.effective(log, &state, changes, info, state.version + 1, &mut Drafts::default()).await
    }

    /// Whether the run at `location` is the one that this commit tried to create.
    async fn is_own(&self, location: &Location, info: &CommitInfo) -> Result<bool> {
        match self.runs.open(location.clone()).await {
            Ok(run) if run.header.commit != info.id => Ok(false),
            // It may be there and not durable, where storing it has failed in the end.
            Ok(_) => {
                self.durable.make_sure([location.clone()]).await.map_err(Error::with_outcome_unknown)?;
                Ok(true)
            }
            Err(error) if error.is_missing() => Ok(false),
            Err(error) => Err(error.with_outcome_unknown()),
        }
    }

    /// Adds to `entries` what `changes` come to on top of `state`: expectations checked, and without those that change nothing.
    async fn effective(
        &self,
        log: &LogName,
        state: &State,
        changes: &[Change],
        info: &CommitInfo,
        version: u64,
        entries: &mut Drafts,
    ) -> Result<()> {
        let names: Vec<&[u8]> = changes.iter().map(|change| change.name.as_bytes()).collect();
        // Of what is refused, the first is named.
        let mut refused: Option<(usize, Error)> = None;
        let mut found = |at: usize, present: Option<EntryRef<'_>>| {
            let change = &changes[at];
            if let Err(error) = self.expect(log, change, present, info) {
                if refused.as_ref().is_none_or(|(first, _)| at < *first) {
                    refused = Some((at, error));
                }
            } else if let Some(object) = change.effect(present)? {
                entries.push(&Entry { name: change.name.clone(), version, time: info.time, object });
            }
            Ok(())
        };
        state.get_all(&names, (0..names.len()).collect(), &mut found).await?;
        refused.map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Whether what is `present` is what `change` expects, or has it passed over.
    fn expect(&self, log: &LogName, change: &Change, present: Option<EntryRef<'_>>, info: &CommitInfo) -> Result<()> {
        let subject = || self.subject(log, &change.name);
        match (&change.expected, present) {
            (Expected::Absent, Some(_)) => Err(Error::already_exists(info.operation, subject())),
            (Expected::Present, None) => Err(Error::missing(info.operation, subject())),
            (Expected::PutBy(_), None) => Err(changed(info.operation, subject(), "removed")),
            (Expected::PutBy(version), Some(entry)) if entry.version() != *version => {
                Err(changed(info.operation, subject(), "replaced"))
            }
            _ => Ok(()),
        }
    }

    fn subject(&self, log: &LogName, name: &str) -> String {
        match log {
            LogName::Namespace(namespace) if namespace.as_str().is_empty() => name.to_string(),
            LogName::Namespace(namespace) => format!("{namespace}/{name}"),
            LogName::Tags => format!("tag {name}"),
        }
    }

    /// The run of `version`: the commit's entries, merged with the runs that it replaces.
    async fn build(
        &self,
        log: &LogName,
        state: &State,
        entries: Drafts,
        info: &CommitInfo,
        version: u64,
    ) -> Result<Build> {
        let replaced = replaced_runs(state, version);
        let first = state.runs.get(replaced).map_or(1, |run| run.header.version + 1);
        let entries = entries.finish();
        let count =
            |count: fn(&Entries) -> usize| u32::try_from(entries.iter().map(count).sum::<usize>()).unwrap_or(u32::MAX);
        let removed = count(Entries::removed);
        let header = Header {
            log: log.clone(),
            version,
            first,
            commit: info.id,
            parent: state.runs.first().map_or(Nonce::ZERO, |newest| newest.header.commit),
            time: info.time,
            put: count(Entries::len).saturating_sub(removed),
            removed,
            author: info.author.clone(),
            message: info.message.clone(),
        };
        let mut cursors: Vec<Cursor> = entries.into_iter().map(Cursor::over).collect();
        for run in &state.runs[..replaced] {
            cursors.push(Cursor::seek(run.clone(), "").await?);
        }
        Ok(Build::new(Merge::new(cursors), header, self.compression))
    }
}

/// The object that was found at `subject` does not stand there any more: it was `removed` or `replaced`.
pub(crate) fn changed(operation: &'static str, subject: impl fmt::Display, what: &str) -> Error {
    let detail =
        format!("it was {what} since it was found; look at what is there now, and do it again if it is still right");
    Error::new(ErrorKind::Changed, operation, subject, detail)
}

/// How many of the live runs, from the newest on, the run of `version` replaces: those of the last `lowbit(version)` commits,
/// or all while they are small.
fn replaced_runs(state: &State, version: u64) -> usize {
    if state.size() < ONE_RUN_BYTES {
        return state.runs.len();
    }
    let kept_up_to = version - (version & version.wrapping_neg());
    state.runs.iter().take_while(|run| run.header.version > kept_up_to).count()
}
