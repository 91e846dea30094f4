//! Finding out what is needed: the names of all versions that are kept.
//!
//! Of each history the versions from some version on are kept, and those with tags. What their names need is read run by run: the
//! state at the first of them, and of each later one what its own commit put; so a run is read once, however many versions are kept.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use strongroom_storage::{Digest, Error, ErrorKind, Location, Result};

use super::age::Ages;
use super::needed::Needed;
use super::{CollectOptions, CollectStep, NamespaceHistory};
use crate::chunk::{Chunk, List};
use crate::content::{Body, Content};
use crate::mutation::{self, Mutation};
use crate::names::{LogName, State};
use crate::namespace::Namespace;
use crate::paths;
use crate::record::Kind;
use crate::run::{Cursor, Merge, Run};
use crate::store::Inner;
use crate::verify::Problem;

/// How many tagged versions are read together, at most.
const STATES_TOGETHER: usize = 16;
/// Every so many namespaces the progress is told.
const TOLD_EVERY: u64 = 100;

/// Which versions are kept besides the newest and those with tags.
#[derive(Clone, Debug)]
pub(super) struct Retention<'a> {
    pub ages: Ages<'a>,
    pub keep_last: Option<u64>,
    pub keep_within: Option<Duration>,
}

impl Retention<'_> {
    /// The first version from which on all are kept, of those that are there, ascending.
    ///
    /// A version is kept whose successor is not old enough. The first such is looked for, and not the last that is not: should the
    /// backend's clock have been set back, more is kept.
    async fn first_kept(&self, location: impl Fn(u64) -> Result<Location>, versions: &[u64]) -> Result<u64> {
        let newest = versions.last().copied().unwrap_or(0);
        let by_count = newest.saturating_sub(self.keep_last.unwrap_or(1).max(1) - 1);
        if mutation::is(Mutation::NoRetention) {
            return Ok(newest);
        }
        let limit = self.ages.grace.max(self.keep_within.unwrap_or_default());
        for version in versions.iter().take_while(|version| **version < by_count) {
            // A successor that is not on record was collected: it is older.
            if self.ages.is_within(limit, &location(version + 1)?).await? {
                return Ok(*version);
            }
        }
        Ok(by_count)
    }
}

/// What is needed, and what no retained version is read from.
#[derive(Debug, Default)]
pub(super) struct Marked {
    pub needed: Needed,
    /// Versions on record that can go.
    pub superseded: Vec<Location>,
    pub histories: Vec<NamespaceHistory>,
    pub problems: Vec<Problem>,
    /// Whether it is not known what all is needed, because a tagged version is damaged or lost: then no content goes.
    pub is_blind: bool,
    /// Whether it is not known of which chunks some object is made, because its list is damaged: then no pack goes.
    pub is_blind_to_chunks: bool,
    /// The objects whose chunk lists were read already: whole digests, as who is passed over here is not marked.
    objects: HashSet<Digest>,
}

impl Marked {
    /// Whether it can be known that nothing needs a file of the store.
    pub(super) fn can_judge(&self, file: &Location) -> bool {
        let (is_pack, is_file) = (paths::pack_of(file).is_some(), paths::whole_file_of(file).is_some());
        !(self.is_blind && (is_pack || is_file) || self.is_blind_to_chunks && is_pack)
    }
}

impl Inner {
    /// Reads all that is kept. Of the histories `held`, all versions are.
    ///
    /// # Errors
    /// `Corrupt` if it can't be known what is needed.
    pub(super) async fn mark(
        self: &Arc<Self>,
        retention: &Retention<'_>,
        held: &HashSet<LogName>,
        options: &CollectOptions,
    ) -> Result<Marked> {
        self.catalog.learn_all().await?;
        let mut marked = Marked::default();
        self.mark_log(LogName::Tags, BTreeSet::new(), retention, held, &mut marked).await?;
        let mut tags: HashMap<Namespace, BTreeSet<u64>> = HashMap::new();
        let tagged = if mutation::is(Mutation::TagsUnmarked) { Vec::new() } else { self.fresh_tags().await? };
        for tag in tagged {
            tags.entry(tag.namespace).or_default().insert(tag.version.get());
        }
        let mut count = 0;
        for (namespace, _) in self.namespaces("").await? {
            let tagged = tags.remove(&namespace).unwrap_or_default();
            self.mark_log(LogName::Namespace(namespace), tagged, retention, held, &mut marked).await?;
            count += 1;
            if count % TOLD_EVERY == 0 {
                options.tell(CollectStep::Marking { namespaces: count });
            }
        }
        options.tell(CollectStep::Marking { namespaces: count });
        for (namespace, versions) in tags {
            let log = LogName::Namespace(namespace);
            for version in versions {
                note(&mut marked.problems, self.lost_tag(&log, version)?)?;
                marked.is_blind = true;
            }
        }
        Ok(marked)
    }

    async fn mark_log(
        self: &Arc<Self>,
        log: LogName,
        tagged: BTreeSet<u64>,
        retention: &Retention<'_>,
        held: &HashSet<LogName>,
        marked: &mut Marked,
    ) -> Result<()> {
        let (log, tagged) = (&log, &tagged);
        let mut is_held = held.contains(log);
        // A namespace has content; a tag stands for a number.
        let has_content = *log != LogName::Tags;
        if has_content {
            is_held |= !self.mark_tagged(log, tagged, marked).await?;
        }
        let (versions, kept) = loop {
            let mut versions = self.names.versions(log).await?;
            versions.reverse();
            let Some(newest) = versions.last().copied() else { return Ok(()) };
            let kept = self.kept(log, &versions, retention, is_held).await?;
            if !has_content {
                break (versions, kept);
            }
            match self.mark_suffix(log, &kept, marked).await? {
                Some(is_sound) => {
                    is_held |= !is_sound;
                    break (versions, kept);
                }
                // While it was read it became an old one, and another collector let it go.
                None if self.names.find(log).await?.version > newest => {}
                None => return Err(self.lost(log, newest)?),
            }
        };
        let mut chains: HashSet<u64> = HashSet::new();
        let all = if is_held { &*versions } else { &[] };
        for version in kept.iter().chain(tagged).chain(all) {
            let mut version = *version;
            while version > 0 && chains.insert(version) {
                version &= version - 1;
            }
        }
        let before = marked.superseded.len();
        if !is_held {
            let encoded = log.encode(self.descriptor.folds_case);
            for version in versions.iter().filter(|version| !chains.contains(version)) {
                marked.superseded.push(paths::version(&encoded, *version)?);
            }
        }
        let superseded = (marked.superseded.len() - before) as u64;
        if let LogName::Namespace(namespace) = log {
            let kept = versions.len() as u64 - superseded;
            let held_back = is_held;
            marked.histories.push(NamespaceHistory { namespace: namespace.clone(), kept, superseded, held_back });
        }
        Ok(())
    }

    /// Which of `versions`, ascending, are kept without having a tag: those without a gap up to the newest.
    async fn kept(
        &self,
        log: &LogName,
        versions: &[u64],
        retention: &Retention<'_>,
        is_held: bool,
    ) -> Result<Vec<u64>> {
        let encoded = log.encode(self.descriptor.folds_case);
        let location = |version| paths::version(&encoded, version);
        let first = if is_held { 0 } else { retention.first_kept(location, versions).await? };
        let newest = versions.last().copied().unwrap_or(0);
        // A version whose successor is not on record was let go before, and stands there for others to be read.
        let mut kept: Vec<u64> = versions.iter().copied().rev().zip((0..=newest).rev()).map_while(follows).collect();
        kept.retain(|version| *version >= first);
        kept.reverse();
        Ok(kept)
    }

    /// Marks the versions that have tags. False if one is damaged or lost.
    async fn mark_tagged(self: &Arc<Self>, log: &LogName, tagged: &BTreeSet<u64>, marked: &mut Marked) -> Result<bool> {
        let mut is_sound = true;
        let mut states = Vec::new();
        for version in tagged {
            let lost = match self.names.at(log, *version).await {
                Ok(Some(state)) => {
                    states.push(state);
                    if states.len() == STATES_TOGETHER {
                        self.mark_states(&std::mem::take(&mut states), marked).await?;
                    }
                    continue;
                }
                Ok(None) => self.lost_tag(log, *version)?,
                Err(error) => error,
            };
            note(&mut marked.problems, lost)?;
            (is_sound, marked.is_blind) = (false, true);
        }
        self.mark_states(&states, marked).await?;
        Ok(is_sound)
    }

    /// Marks the versions `kept`, ascending, up to the newest: of one that follows from the version before, what its commit has put;
    /// of others all, that is of the first, and where the version before has gone meanwhile, is damaged, or was published late by
    /// somebody who had stalled.
    ///
    /// `None` if the newest has gone; false if one is damaged.
    async fn mark_suffix(self: &Arc<Self>, log: &LogName, kept: &[u64], marked: &mut Marked) -> Result<Option<bool>> {
        let (mut before, mut is_sound) = (None, true);
        for version in kept {
            let read = async {
                let Some(run) = self.names.run(log, *version).await? else { return Ok(None) };
                let commit = run.header.commit;
                if before == Some(run.header.parent) {
                    if run.header.put > 0 {
                        self.mark_commit(run, marked).await?;
                    }
                } else {
                    let Some(state) = self.names.at(log, *version).await? else { return Ok(None) };
                    self.mark_states(&[state], marked).await?;
                }
                Ok(Some(commit))
            };
            before = match read.await {
                Ok(commit) => commit,
                Err(error) if Some(version) == kept.last() => return Err(error),
                Err(error) => {
                    note(&mut marked.problems, error)?;
                    is_sound = false;
                    None
                }
            };
        }
        Ok(before.map(|_| is_sound))
    }

    /// Marks what the commit put that published this run.
    async fn mark_commit(self: &Arc<Self>, run: Arc<Run>, marked: &mut Marked) -> Result<()> {
        let version = run.header.version;
        let mut entries = Merge::new(vec![Cursor::seek(run, "").await?]);
        while let Some(entry) = entries.next_ref().await? {
            if entry.version() == version && entry.is_object() {
                let entry = entry.decode().map_err(|malformed| malformed.in_file("a run"))?;
                if let Some(object) = entry.object {
                    self.mark_content(&object.content, marked).await?;
                }
            }
        }
        Ok(())
    }

    /// Marks all names of these states of one history, ascending.
    async fn mark_states(self: &Arc<Self>, states: &[State], marked: &mut Marked) -> Result<()> {
        let kept: Vec<u64> = states.iter().map(|state| state.version).collect();
        let runs = states.iter().flat_map(|state| &state.runs).map(|run| (run.header.version, run));
        let runs: BTreeMap<u64, &Arc<Run>> = runs.collect();
        let mut cursors = Vec::with_capacity(runs.len());
        for run in runs.into_values() {
            cursors.push(Cursor::seek(run.clone(), "").await?);
        }
        let mut entries = Merge::new(cursors);
        let mut needed = Vec::new();
        while let Some(mut same) = entries.next_all().await? {
            same.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.version()));
            let mut next = u64::MAX;
            for entry in same {
                let version = entry.version();
                // It is what the name stands for from its own version on, up to the next entry.
                let first = kept.get(kept.partition_point(|kept| *kept < version));
                if version < next && entry.is_object() && first.is_some_and(|first| *first < next) {
                    needed.push(entry.decode().map_err(|malformed| malformed.in_file("a run"))?);
                }
                next = next.min(version);
            }
            for entry in needed.drain(..) {
                if let Some(object) = entry.object {
                    self.mark_content(&object.content, marked).await?;
                }
            }
        }
        Ok(())
    }

    async fn mark_content(&self, content: &Content, marked: &mut Marked) -> Result<()> {
        let digest = &content.digest;
        match &content.body {
            Body::Inline(_) => {}
            Body::Packed(_) => {
                marked.needed.chunks.insert(digest);
            }
            Body::Whole(_, list) => {
                marked.needed.files.insert(digest);
                if matches!(list, List::Packed(..)) {
                    marked.needed.cell_lists.insert(digest);
                }
            }
            Body::Chunked(list) => {
                marked.needed.chunk_lists.insert(digest);
                if let List::Inline(chunks) = list {
                    marked.needed.chunks.extend(chunks.iter().map(|chunk| &chunk.digest));
                }
                if marked.objects.insert(*digest) {
                    self.mark_lists(content, marked).await?;
                }
            }
        }
        Ok(())
    }

    /// Marks the chunks of all lists of an object: which of them a reader finds, if the one that it was told of is gone, nobody knows.
    async fn mark_lists(&self, content: &Content, marked: &mut Marked) -> Result<()> {
        let (mut is_known, mut damage) = (false, None);
        match self.chunks_of(content).await {
            Ok(chunks) => {
                is_known = true;
                marked.needed.chunks.extend(chunks.iter().map(|chunk| &chunk.digest));
            }
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Missing) => {}
            Err(error) => return Err(error),
        }
        for found in self.catalog.find(Kind::ChunkList, &content.digest).await? {
            match self.read_list_at::<Chunk>(&content.digest, &found.place, found.size).await {
                Ok(chunks) => {
                    is_known = true;
                    marked.needed.chunks.extend(chunks.iter().map(|chunk| &chunk.digest));
                }
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Missing) => damage = Some(error),
                Err(error) => return Err(error),
            }
        }
        // Where there is none, it is lost, or was collected with an old version.
        if let Some(error) = damage {
            note(&mut marked.problems, error)?;
            marked.is_blind_to_chunks |= !is_known && matches!(content.body, Body::Chunked(List::Packed(..)));
        }
        Ok(())
    }

    /// The tags, relying on nothing known before.
    async fn fresh_tags(&self) -> Result<Vec<crate::tag::Tag>> {
        self.tags_in(&*self.names.find(&LogName::Tags).await?).await
    }

    /// A tag of a version that is gone: whose writer has stalled and died, or that was damaged.
    fn lost_tag(&self, log: &LogName, version: u64) -> Result<Error> {
        let file = paths::version(&log.encode(self.descriptor.folds_case), version)?;
        let detail = format!(
            "version {version} of {log}, which has a tag, or a run that it is read from, is lost, so it can't be known what is needed; \
             restore the file from a copy of the store, or give the tag up: `strongroom tag --list`, `tag --delete`"
        );
        Ok(Error::new(ErrorKind::Missing, "collect", file, detail))
    }

    fn lost(&self, log: &LogName, version: u64) -> Result<Error> {
        let file = paths::version(&log.encode(self.descriptor.folds_case), version)?;
        let detail = format!(
            "version {version} of {log}, or a run that it is read from, is lost, so it can't be known what is needed; run `strongroom \
             verify`, then restore the file from a copy of the store"
        );
        Ok(Error::new(ErrorKind::Corrupt, "collect", file, detail))
    }
}

/// The version, if it is the one that was expected.
fn follows((version, expected): (u64, u64)) -> Option<u64> {
    (version == expected).then_some(version)
}

/// Damage is noted; anything else ends the collection.
pub(super) fn note(problems: &mut Vec<Problem>, error: Error) -> Result<()> {
    if !matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Missing) {
        return Err(error);
    }
    let file = Location::parse(error.subject()).unwrap_or(paths::fixed(paths::STORE_FILE)?);
    let problem = Problem { kind: error.kind(), file, detail: error.detail().to_string(), affected: Vec::new() };
    if !problems.contains(&problem) {
        problems.push(problem);
    }
    Ok(())
}
