//! Finding out what can go: content that nothing needs, packs that are mostly that, small packs, and versions.
//!
//! A plan is a guess: what is in it is looked at again before it goes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use strongroom_storage::{Digest, ErrorKind, ListOptions, ListedObject, Location, Result};

use super::mark::{Marked, note};
use super::needed::Needed;
use super::{CollectReport, Collection, Condemned, Reason};
use crate::cache::Cache;
use crate::content::{Body, Content};
use crate::names::{LogName, State};
use crate::nonce::Nonce;
use crate::pack;
use crate::paths;
use crate::record::Records;
use crate::store::Inner;
use crate::verify::Problem;

/// A pack with fewer bytes is small.
const SMALL_BYTES: u64 = 8 << 20;
/// Small packs are merged when there are so many. Simulations have few.
const SMALL_PACKS: usize = if cfg!(test) { 3 } else { 16 };
/// How many packs' indexes are read at once.
const READS_AT_ONCE: usize = 16;

impl Collection<'_> {
    /// What can go, and the histories of which all is kept because something that they need is lost.
    pub(super) async fn plan(&self, report: &mut CollectReport) -> Result<(Vec<Condemned>, HashSet<LogName>)> {
        let mut held = HashSet::new();
        let mut marked = self.store.mark(&self.retention, &held, &self.options).await?;
        let mut lost = marked.needed.clone();
        let mut planned = self.candidates(&mut marked, &mut lost).await?;
        if !lost.is_all_found() {
            // Of versions that were let go before, much is not there any more. What the newest and the tagged ones need is lost.
            for history in &marked.histories {
                let log = LogName::Namespace(history.namespace.clone());
                if self.store.needs_any(&log, &lost, &mut marked.problems).await? {
                    held.insert(log);
                }
            }
        }
        if !held.is_empty() {
            // What is lost under a name may be had from an older version of it.
            let problems = std::mem::take(&mut marked.problems);
            marked = self.store.mark(&self.retention, &held, &self.options).await?;
            planned = self.candidates(&mut marked, &mut lost).await?;
            marked.problems.extend(problems);
        }
        for file in std::mem::take(&mut marked.superseded) {
            let bytes = self.size(&file).await?;
            planned.push(Condemned { file, bytes, needed_bytes: 0, reason: Reason::Superseded });
        }
        report.namespaces = marked.histories;
        report.problems.extend(marked.problems);
        Ok((planned, held))
    }

    /// Packs and files that can go. Takes what is there out of `lost`.
    async fn candidates(&self, marked: &mut Marked, lost: &mut Needed) -> Result<Vec<Condemned>> {
        let Marked { needed, problems, .. } = marked;
        // What another list names is on its way out, and nobody's home.
        let listed = crate::list::read_all(&*self.store.backend).await?;
        let mut planned = self.packs(needed, lost, &listed, problems).await?;
        planned.extend(self.files(&marked.needed, lost, &listed).await?);
        planned.retain(|condemned| marked.can_judge(&condemned.file));
        Ok(planned)
    }

    async fn packs(
        &self,
        needed: &Needed,
        lost: &mut Needed,
        listed: &HashSet<Location>,
        problems: &mut Vec<Problem>,
    ) -> Result<Vec<Condemned>> {
        let objects = self.store.backend.list(&ListOptions::prefix(paths::PACKS)).await?.objects;
        let mut indexes = stream::iter(objects)
            .map(|object| async move {
                let Some(nonce) = paths::pack_of(&object.location) else { return Ok(None) };
                let index = pack::read_index(&*self.store.backend, &nonce, &Cache::none()).await;
                Ok::<_, strongroom_storage::Error>(Some((self.sized(object).await?, index)))
            })
            .buffer_unordered(READS_AT_ONCE);
        let (mut planned, mut small) = (Vec::new(), Vec::new());
        while let Some(found) = indexes.try_next().await? {
            let Some(((file, bytes), index)) = found else { continue };
            let records: Records = match index {
                Ok(records) => records,
                Err(error) if error.is_missing() => continue,
                // Nobody knows what is in it. It stays for whoever can mend it.
                Err(error) => {
                    note(problems, error)?;
                    continue;
                }
            };
            let mut needed_bytes = 0;
            for record in records.iter() {
                if needed.has(record.kind, &record.digest) {
                    needed_bytes += u64::from(record.stored);
                    lost.found(record.kind, &record.digest);
                }
            }
            if listed.contains(&file) {
                continue;
            }
            let reason = if needed_bytes == 0 {
                Reason::Unneeded
            } else if needed_bytes < bytes / 2 {
                Reason::MostlyUnneeded
            } else if bytes < SMALL_BYTES {
                Reason::Small
            } else {
                continue;
            };
            if self.retention.ages.is_young(&file).await? {
                continue;
            }
            let condemned = Condemned { file, bytes, needed_bytes, reason };
            if reason == Reason::Small { small.push(condemned) } else { planned.push(condemned) }
        }
        if small.len() >= SMALL_PACKS {
            planned.extend(small);
        }
        Ok(planned)
    }

    async fn files(&self, needed: &Needed, lost: &mut Needed, listed: &HashSet<Location>) -> Result<Vec<Condemned>> {
        let mut planned = Vec::new();
        let mut copies: HashMap<Digest, Vec<(Location, u64)>> = HashMap::new();
        for object in self.store.backend.list(&ListOptions::prefix(paths::FILES)).await?.objects {
            let Some((digest, _)) = paths::whole_file_of(&object.location) else { continue };
            let (file, bytes) = self.sized(object).await?;
            let is_needed = needed.files.contains(&digest);
            if is_needed {
                lost.found_file(&digest);
            }
            if listed.contains(&file) {
                continue;
            }
            if is_needed {
                copies.entry(digest).or_default().push((file, bytes));
            } else if !self.retention.ages.is_young(&file).await? {
                planned.push(Condemned { file, bytes, needed_bytes: 0, reason: Reason::Unneeded });
            }
        }
        for (_, mut same) in copies.into_iter().filter(|(_, same)| same.len() > 1) {
            // The largest stays: one that was cut is no copy.
            same.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            for (file, bytes) in same.into_iter().skip(1) {
                if !self.retention.ages.is_young(&file).await? {
                    planned.push(Condemned { file, bytes, needed_bytes: 0, reason: Reason::Duplicate });
                }
            }
        }
        Ok(planned)
    }

    async fn sized(&self, object: ListedObject) -> Result<(Location, u64)> {
        let bytes = match object.size {
            Some(bytes) => bytes,
            None => self.size(&object.location).await?,
        };
        Ok((object.location, bytes))
    }

    /// The size of a file in bytes; 0 if it is gone.
    pub(super) async fn size(&self, file: &Location) -> Result<u64> {
        match self.store.backend.metadata(file).await {
            Ok(metadata) => Ok(metadata.size),
            Err(error) if error.is_missing() => Ok(0),
            Err(error) => Err(error),
        }
    }
}

impl Inner {
    /// Whether the newest version of `log`, or one with a tag, needs something that is lost, which is noted then.
    async fn needs_any(&self, log: &LogName, lost: &Needed, problems: &mut Vec<Problem>) -> Result<bool> {
        let LogName::Namespace(namespace) = log else { return Ok(false) };
        let mut states = vec![self.names.find(log).await?];
        for tag in self.tags().await?.into_iter().filter(|tag| tag.namespace == *namespace) {
            states.extend(self.names.at(log, tag.version.get()).await?.map(Arc::new));
        }
        let mut affected: BTreeMap<Location, BTreeSet<Location>> = BTreeMap::new();
        for state in states {
            let mut entries = state.entries("").await?;
            while let Some(entry) = State::next_object(&mut entries, "").await? {
                let Some(object) = entry.object else { continue };
                if let Some(file) = self.lost_part(&object.content, lost).await? {
                    affected.entry(file).or_default().insert(namespace.location(&entry.name)?);
                }
            }
        }
        let is_any = !affected.is_empty();
        for (file, affected) in affected {
            let detail = "content that names need is lost with this file, or damaged in it".to_string();
            let affected = affected.into_iter().collect();
            problems.push(Problem { kind: ErrorKind::Missing, file, detail, affected });
        }
        Ok(is_any)
    }

    /// The file in which content was last seen that is lost.
    async fn lost_part(&self, content: &Content, lost: &Needed) -> Result<Option<Location>> {
        let in_pack = |nonce: &Nonce| paths::pack(nonce).map(Some);
        match &content.body {
            Body::Inline(_) => Ok(None),
            Body::Packed(place) if lost.chunks.contains(&content.digest) => in_pack(&place.pack),
            Body::Packed(_) => Ok(None),
            Body::Whole(nonce, _) if lost.files.contains(&content.digest) => {
                paths::whole_file(&content.digest, nonce).map(Some)
            }
            Body::Whole(..) => Ok(None),
            Body::Chunked(_) => {
                let chunks = match self.chunks_of(content).await {
                    Ok(chunks) => chunks,
                    Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Missing) => {
                        return paths::fixed(paths::PACKS.trim_end_matches('/')).map(Some);
                    }
                    Err(error) => return Err(error),
                };
                chunks
                    .iter()
                    .find(|chunk| lost.chunks.contains(&chunk.digest))
                    .map_or(Ok(None), |chunk| in_pack(&chunk.place.pack))
            }
        }
    }
}
