//! Who knows what was acknowledged, and looks whether it is there.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::TryStreamExt;
use strongroom_storage::{Digest, Error, ErrorKind, ExternalStorage, Location, Result, StoreMode, Stored};
use strongroom_testkit::{Operation, Simulation, TestHost, Watch};

use super::at_once;
use crate::collect::CollectReport;
use crate::config::OpenOptions;
use crate::content::Content;
use crate::mutation::{self, Mutation};
use crate::names::{LogName, State};
use crate::namespace::Namespace;
use crate::paths;
use crate::store::ContentStorage;

/// What stood under a name when its commit was acknowledged.
#[derive(Clone, Debug)]
struct Acknowledged {
    version: u64,
    digest: Option<Digest>,
}

/// A version that somebody may go on reading.
#[derive(Clone, Debug)]
struct Kept {
    namespace: Namespace,
    version: u64,
    /// Until when; for ever if there is a tag.
    until: Option<Duration>,
    /// What was acknowledged of it.
    content: BTreeMap<String, Digest>,
}

#[derive(Debug, Default)]
struct Memory {
    acknowledged: BTreeMap<(Namespace, String), Acknowledged>,
    /// Who set out to remove a name, by the step at which it did, and in which version that was done, if that is known.
    removals: BTreeMap<(Namespace, String), BTreeMap<u64, Option<u64>>>,
    /// What each version has put (a digest) or removed.
    changes: BTreeMap<(Namespace, String), BTreeMap<u64, Option<Digest>>>,
    /// Every name and version that was ever acknowledged.
    ever: HashSet<(Namespace, String, u64)>,
    snapshots: Vec<Kept>,
    tags: BTreeMap<(Namespace, String), Kept>,
    newest: BTreeMap<String, u64>,
    created: BTreeSet<Location>,
    /// Versions that were published after they had been collected, and by whom.
    late: HashSet<(usize, Location)>,
    markers: Vec<Location>,
    /// Of those, the ones whose request got lost.
    lost_markers: Vec<Location>,
    counts: BTreeMap<String, u64>,
    broken: Option<String>,
}

/// Looks at all that was promised whenever something was deleted or acknowledged.
///
/// * An acknowledged name stands, and its content can be read, unless a later version put or removed it.
/// * So does what was acknowledged of a version of which a snapshot was taken, for the grace period, or of which there is a tag.
/// * Versions follow each other without a gap; no file of the store is ever replaced, nor its name used again.
pub(super) struct Oracle {
    simulation: Simulation,
    server: Arc<dyn ExternalStorage>,
    grace: Duration,
    is_telling: bool,
    lost_markers_per_mille: u64,
    memory: Mutex<Memory>,
}

impl fmt::Debug for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Oracle")
    }
}

impl Oracle {
    pub(super) fn new(simulation: Simulation, server: Arc<dyn ExternalStorage>, grace: Duration) -> Self {
        let is_telling = std::env::var_os("STRONGROOM_TELL").is_some();
        // Who breaks the rule that is about them is to meet many.
        let lost_markers_per_mille = if mutation::is(Mutation::MarkerUnconfirmed) { 500 } else { 40 };
        Self { simulation, server, grace, is_telling, lost_markers_per_mille, memory: Mutex::default() }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn broken(&self) -> Option<String> {
        self.memory().broken.clone()
    }

    pub(super) fn breaks(&self, what: String) {
        let (now, steps) = (self.simulation.now(), self.simulation.steps());
        self.memory().broken.get_or_insert_with(|| format!("at {now:?}, step {steps}: {what}"));
    }

    /// Says what happens, if the environment wants to know.
    fn tell(&self, what: impl FnOnce() -> String) {
        if self.is_telling {
            println!("{:>8.2} s, step {}: {}", self.simulation.now().as_secs_f64(), self.simulation.steps(), what());
        }
    }

    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        self.memory().counts.clone()
    }

    pub(super) fn count(&self, what: &str, times: u64) {
        *self.memory().counts.entry(what.into()).or_default() += times;
    }

    pub(super) fn died(&self, process: usize) {
        self.tell(|| format!("process {process} dies"));
        self.count("died", 1);
    }

    pub(super) fn forget_snapshots(&self) {
        self.memory().snapshots.clear();
    }

    /// A request that created a marker arrives once more, late.
    pub(super) fn retry_a_marker(&self) {
        let marker = {
            let memory = self.memory();
            let is_lost = self.simulation.dice(|dice| dice.per_mille(500));
            let (markers, count) = if is_lost { (&memory.lost_markers, 3) } else { (&memory.markers, 20) };
            let recent = &markers[markers.len().saturating_sub(count)..];
            if recent.is_empty() { None } else { Some(self.simulation.dice(|dice| dice.pick(recent).clone())) }
        };
        if let Some(marker) = marker {
            at_once(self.server.store_bytes(&marker, "session\n".into())).expect("store in memory");
        }
    }

    /// Somebody sets out to remove a name. Returns when, which its acknowledgement says.
    pub(super) fn removes(&self, location: &Location) -> u64 {
        let (namespace, name) = Namespace::split(location);
        let mut memory = self.memory();
        let removals = memory.removals.entry((namespace, name.to_string())).or_default();
        let id = removals.len() as u64;
        removals.insert(id, None);
        id
    }

    /// It was acknowledged.
    pub(super) fn removed(&self, location: &Location, id: u64, version: u64) {
        let (namespace, name) = Namespace::split(location);
        let mut memory = self.memory();
        memory.removals.entry((namespace, name.to_string())).or_default().insert(id, Some(version));
    }

    /// A commit was acknowledged.
    pub(super) fn acknowledge(
        &self,
        process: usize,
        namespace: &Namespace,
        version: u64,
        names: &[(String, Option<Digest>)],
    ) {
        let location = paths::version(&LogName::Namespace(namespace.clone()).encode(false), version);
        if location.is_ok_and(|location| self.memory().late.contains(&(process, location))) {
            self.breaks(format!("version {version} of {namespace} is acknowledged, which was collected long before"));
        }
        self.tell(|| format!("acknowledged: version {version} of {namespace}: {names:?}"));
        {
            let mut memory = self.memory();
            for (name, digest) in names {
                let key = (namespace.clone(), name.clone());
                // A commit that was made again leaves alone what somebody else has replaced since, and says its last version.
                let changes = memory.changes.get(&key).into_iter().flatten();
                let own =
                    changes.filter(|(at, change)| **at <= version && *change == digest).map(|(at, _)| *at).next_back();
                let Some(version) = own else { continue };
                memory.ever.insert((namespace.clone(), name.clone(), version));
                let known = memory.acknowledged.get(&key).map_or(0, |known| known.version);
                if version >= known {
                    memory.acknowledged.insert(key, Acknowledged { version, digest: *digest });
                }
            }
        }
        self.count("acknowledged", 1);
        self.check("after an acknowledgement");
    }

    /// Since which version a name stands for what, as far as that was acknowledged.
    pub(super) fn expected(&self, location: &Location) -> Option<(u64, Option<Digest>)> {
        let (namespace, name) = Namespace::split(location);
        let memory = self.memory();
        let known = memory.acknowledged.get(&(namespace, name.to_string()))?;
        Some((known.version, known.digest))
    }

    /// A snapshot was taken.
    pub(super) fn took_snapshot(
        &self,
        namespace: &Namespace,
        version: u64,
        taken: Duration,
    ) -> BTreeMap<String, Digest> {
        let content = self.acknowledged_in(namespace, version);
        let until = Some(taken + self.grace);
        let kept = Kept { namespace: namespace.clone(), version, until, content: content.clone() };
        self.memory().snapshots.push(kept);
        self.count("snapshots", 1);
        content
    }

    pub(super) fn tagged(&self, namespace: &Namespace, version: u64, name: &str) {
        let content = self.acknowledged_in(namespace, version);
        let kept = Kept { namespace: namespace.clone(), version, until: None, content };
        self.memory().tags.insert((namespace.clone(), name.into()), kept);
        self.count("tags", 1);
        self.check("after a tag");
    }

    /// A tag is about to be moved or removed, whatever comes of it.
    pub(super) fn untags(&self, namespace: &Namespace, name: &str) {
        self.memory().tags.remove(&(namespace.clone(), name.into()));
    }

    pub(super) fn collected(&self, report: &CollectReport) {
        self.count("collections", 1);
        self.count("copied bytes", report.copied_bytes);
    }

    fn look(&self) -> ContentStorage {
        let options = OpenOptions::default().with_host(Arc::new(TestHost::new(9)));
        at_once(ContentStorage::open(self.server.clone(), options)).expect("open the store")
    }

    fn acknowledged_in(&self, namespace: &Namespace, version: u64) -> BTreeMap<String, Digest> {
        let store = self.look();
        let log = LogName::Namespace(namespace.clone());
        let entries = async {
            let Some(state) = store.inner.names.at(&log, version).await? else { return Ok(Vec::new()) };
            let (mut merge, mut entries) = (state.entries("").await?, Vec::new());
            while let Some(entry) = State::next_object(&mut merge, "").await? {
                entries.push(entry);
            }
            Ok::<_, strongroom_storage::Error>(entries)
        };
        let entries = at_once(entries).unwrap_or_default();
        let memory = self.memory();
        let acknowledged = entries.into_iter().filter_map(|entry| {
            let key = (namespace.clone(), entry.name.to_string(), entry.version);
            let digest = entry.object?.content.digest;
            memory.ever.contains(&key).then(|| (entry.name.to_string(), digest))
        });
        acknowledged.collect()
    }

    /// Looks at everything.
    pub(super) fn check(&self, when: &str) {
        let now = self.simulation.now();
        let (acknowledged, removals, kept) = {
            let mut memory = self.memory();
            if memory.broken.is_some() {
                return;
            }
            memory.snapshots.retain(|kept| kept.until.is_none_or(|until| now <= until));
            let kept: Vec<Kept> = memory.snapshots.iter().chain(memory.tags.values()).cloned().collect();
            (memory.acknowledged.clone(), memory.removals.clone(), kept)
        };
        let store = self.look();
        let mut readable = HashSet::new();
        let result = at_once(async {
            let mut states: BTreeMap<Namespace, Arc<State>> = BTreeMap::new();
            for ((namespace, name), known) in &acknowledged {
                if !states.contains_key(namespace) {
                    let log = LogName::Namespace(namespace.clone());
                    let state =
                        store.inner.names.find(&log).await.map_err(|error| format!("{namespace}: {error:?}"))?;
                    states.insert(namespace.clone(), state);
                }
                let entry =
                    states[namespace].entry(name).await.map_err(|error| format!("{namespace}/{name}: {error:?}"))?;
                if entry.as_ref().is_some_and(|entry| entry.version > known.version) {
                    continue;
                }
                // A removed name leaves nothing behind where its run holds all commits.
                let may_be_removed = || {
                    let of_name = removals.get(&(namespace.clone(), name.clone())).into_iter().flatten();
                    of_name.into_iter().any(|(_, done)| done.is_none_or(|version| version > known.version))
                };
                if entry.is_none() && may_be_removed() {
                    continue;
                }
                let content = entry.and_then(|entry| entry.object).map(|object| object.content);
                let what = || format!("{namespace}/{name}, acknowledged at version {}", known.version);
                if content.as_ref().map(|content| content.digest) != known.digest {
                    return Err(format!("{}, is lost from the log: {content:?} instead of {:?}", what(), known.digest));
                }
                if let Some(content) = content {
                    read(&store, &content, &mut readable).await.map_err(|error| format!("{}: {error:?}", what()))?;
                }
            }
            for Kept { namespace, version, until, content } in &kept {
                let what = || format!("version {version} of {namespace}, kept until {until:?}");
                let log = LogName::Namespace(namespace.clone());
                let state =
                    store.inner.names.at(&log, *version).await.map_err(|error| format!("{}: {error:?}", what()))?;
                let state = state.ok_or_else(|| format!("{}: a run of it is gone", what()))?;
                for (name, digest) in content {
                    let entry = state.get(name).await.map_err(|error| format!("{}: {error:?}", what()))?;
                    let content = entry.and_then(|entry| entry.object).map(|object| object.content);
                    match content.filter(|content| content.digest == *digest) {
                        None => return Err(format!("{}: {name} is another", what())),
                        Some(content) => read(&store, &content, &mut readable)
                            .await
                            .map_err(|error| format!("{}: {name}: {error:?}", what()))?,
                    }
                }
            }
            Ok(())
        });
        if let Err(what) = result {
            self.breaks(format!("{when}: {what}"));
        }
    }
}

async fn read(store: &ContentStorage, content: &Content, readable: &mut HashSet<Content>) -> Result<()> {
    if readable.contains(content) {
        return Ok(());
    }
    let stream = store.inner.open_content(content, 0..content.size, "acknowledged content").await?;
    stream.try_for_each(|_| async { Ok(()) }).await?;
    readable.insert(content.clone());
    Ok(())
}

impl Watch for Oracle {
    /// Requests that create markers get lost more often than others, and may arrive late: that is where nobody knows who is waited for.
    fn before(&self, _process: usize, operation: &Operation) -> Result<()> {
        if let Operation::Store { location, .. } = operation
            && location.as_str().ends_with(paths::MARKER)
            && self.simulation.dice(|dice| dice.per_mille(self.lost_markers_per_mille))
        {
            self.memory().lost_markers.push(location.clone());
            let lost = Error::new(ErrorKind::Unavailable, "store", location, "the network is down");
            return Err(lost.with_outcome_unknown());
        }
        Ok(())
    }

    fn after(&self, process: usize, operation: &Operation, stored: &[Stored]) {
        self.tell(|| format!("process {process}: {operation}"));
        match operation {
            Operation::Store { mode, .. } | Operation::StoreNamed { mode, .. } => {
                for Stored { location, .. } in stored {
                    self.stored(process, location, *mode);
                }
            }
            Operation::Delete { location } => {
                let name = location.as_str();
                for (kind, what) in [
                    (paths::PACKS, "deleted packs"),
                    (paths::FILES, "deleted files"),
                    (paths::NAMES, "deleted versions"),
                ] {
                    if name.starts_with(kind) {
                        self.count(what, 1);
                        self.check(&format!("after {name} was deleted"));
                    }
                }
            }
            _ => {}
        }
    }
}

impl Oracle {
    fn stored(&self, process: usize, location: &Location, mode: StoreMode) {
        let name = location.as_str();
        let mut memory = self.memory();
        if name.ends_with(paths::MARKER) {
            memory.markers.push(location.clone());
        } else if name.ends_with(paths::ENDED) {
            *memory.counts.entry("ended sessions".into()).or_default() += 1;
        } else if name.ends_with(paths::LIST) {
            *memory.counts.entry("lists".into()).or_default() += 1;
        } else if [paths::PACKS, paths::FILES, paths::NAMES, paths::INDEX].iter().any(|kind| name.starts_with(kind)) {
            let is_new = memory.created.insert(location.clone());
            // A writer that has stalled until its session was ended may publish a version that was collected. It stands for nothing.
            if !is_new && mode == StoreMode::Create && name.starts_with(paths::NAMES) {
                *memory.counts.entry("late versions".into()).or_default() += 1;
                memory.late.insert((process, location.clone()));
                return;
            }
            let next = paths::version_of(location).filter(|_| name.starts_with(paths::NAMES)).map(|version| {
                let log = name.rsplit_once('/').map_or(name, |(log, _)| log).to_string();
                (version, memory.newest.insert(log, version).unwrap_or(0) + 1)
            });
            drop(memory);
            if mode != StoreMode::Create || !is_new {
                self.breaks(format!("{name} was stored again"));
            }
            if let Some((version, expected)) = next {
                if version != expected {
                    self.breaks(format!("{name} is version {version}, and {expected} is not there"));
                }
                self.note_changes(location, version);
            }
        }
    }

    /// Notes what a version has put and removed.
    fn note_changes(&self, location: &Location, version: u64) {
        let store = self.look();
        // Later, a writer that has stalled may publish what was collected.
        let is_untouched = {
            let counts = self.counts();
            ["deleted packs", "deleted files"].iter().all(|what| !counts.contains_key(*what))
        };
        let changes = at_once(async {
            let run = store.inner.names.runs.open(location.clone()).await?;
            let log = run.header.log.clone();
            let mut pictures = Vec::new();
            for version in [version - 1, version] {
                let state = store.inner.names.at(&log, version).await?;
                let Some(state) = state else { return Ok((log, BTreeMap::new())) };
                let (mut merge, mut picture) = (state.entries("").await?, BTreeMap::new());
                while let Some(entry) = State::next_object(&mut merge, "").await? {
                    picture.insert(entry.name.to_string(), (entry.version, entry.object.map(|object| object.content)));
                }
                pictures.push(picture);
            }
            if is_untouched {
                for (name, (at, content)) in pictures.last().into_iter().flatten() {
                    if *at == version
                        && let Some(content) = content
                    {
                        let told = |error: Error| error.in_operation("read", name);
                        read(&store, content, &mut HashSet::new()).await.map_err(told)?;
                    }
                }
            }
            let (new, old) = (pictures.pop().unwrap_or_default(), pictures.pop().unwrap_or_default());
            let removed = old.keys().filter(|name| !new.contains_key(*name)).map(|name| (name.clone(), None));
            let digest = |content: &Option<Content>| content.as_ref().map(|content| content.digest);
            let put = new.iter().filter(|(_, (at, _))| *at == version);
            let put = put.map(|(name, (_, content))| (name.clone(), digest(content)));
            Ok::<_, Error>((log, put.chain(removed).collect::<BTreeMap<_, _>>()))
        });
        match changes {
            Ok((LogName::Namespace(namespace), changes)) => {
                let mut memory = self.memory();
                for (name, digest) in changes {
                    memory.changes.entry((namespace.clone(), name)).or_default().insert(version, digest);
                }
            }
            Ok(_) => {}
            Err(error) => self.breaks(format!("{location} can't be read: {error:?}")),
        }
    }
}
