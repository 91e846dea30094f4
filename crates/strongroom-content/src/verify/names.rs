//! Checking the histories, and what their newest versions and the tagged ones need.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use strongroom_storage::{Digest, Error, ErrorKind, Location, Result};

use super::checks::Checks;
use super::content::ContentHealth;
use super::objects::CheckedObjects;
use super::{Problem, VerifyReport};
use crate::chunk::List;
use crate::codec::Encoder;
use crate::content::{Body, Content};
use crate::entry::Object;
use crate::names::{LogName, State};
use crate::namespace::Namespace;
use crate::paths;
use crate::record::Kind;
use crate::run::{Cursor, Merge, Run};
use crate::store::Inner;

/// Reads all of a run.
///
/// # Errors
/// `Corrupt` if it is damaged; those of the backend.
pub(crate) async fn check_run(run: &Arc<Run>) -> Result<()> {
    run.check_beginning().await?;
    let mut entries = Merge::new(vec![Cursor::seek(run.clone(), "").await?]);
    let mut count = 0;
    let mut is_ruled_out = false;
    while let Some(entry) = entries.next().await? {
        count += 1;
        is_ruled_out |= !run.may_have(entry.name.as_bytes());
    }
    let detail = match count == run.entries {
        true if !is_ruled_out => return Ok(()),
        true => "its filter rules out a name that it has".to_string(),
        false => format!("it has {count} entries instead of {}", run.entries),
    };
    Err(Error::new(ErrorKind::Corrupt, "read", run.location(), detail))
}

/// A version whose content must be there.
pub(super) struct Root {
    namespace: Namespace,
    version: u64,
    /// Whether it is the newest, whose objects are counted.
    counts: bool,
}

/// The newest versions that were seen in this verification.
#[derive(Default)]
pub(super) struct Heads(BTreeMap<Namespace, u64>);

impl Heads {
    /// Notes which newest versions are lost that were there a moment ago: nobody takes those away.
    pub(super) fn check(&mut self, store: &Inner, roots: &[Root], report: &mut VerifyReport) -> Result<()> {
        let now: BTreeMap<&Namespace, u64> =
            roots.iter().filter(|root| root.counts).map(|root| (&root.namespace, root.version)).collect();
        for (namespace, version) in &self.0 {
            if now.get(namespace).is_none_or(|now| now < version) {
                note(report, store.lost_version(&LogName::Namespace(namespace.clone()), *version)?)?;
            }
        }
        for (namespace, version) in now {
            let known = self.0.entry(namespace.clone()).or_default();
            *known = version.max(*known);
        }
        Ok(())
    }
}

/// What is wrong with files, of what kind it is, and which objects it affects.
type Problems = BTreeMap<(Location, String), (ErrorKind, Vec<Location>)>;

impl Inner {
    /// Reads every run of every history. Returns the versions whose content must be there.
    pub(super) async fn check_names(&self, report: &mut VerifyReport) -> Result<Vec<Root>> {
        let mut roots = Vec::new();
        let mut logs = vec![LogName::Tags];
        let mut damage = Vec::new();
        let namespaces = self.namespaces_despite("", &mut damage).await?;
        logs.extend(namespaces.into_iter().map(|(namespace, _)| LogName::Namespace(namespace)));
        report.namespaces = logs.len() as u64 - 1;
        for error in damage {
            note(report, error)?;
        }
        for log in &logs {
            self.check_history(log, report).await?;
            match self.names.find(log).await {
                Ok(state) => {
                    let LogName::Namespace(namespace) = log else { continue };
                    roots.push(Root { namespace: namespace.clone(), version: state.version, counts: true });
                }
                Err(error) => note(report, error)?,
            }
        }
        let tags = match self.tags().await {
            Ok(tags) => tags,
            Err(error) => note(report, error).map(|()| Vec::new())?,
        };
        for tag in tags {
            let log = LogName::Namespace(tag.namespace.clone());
            match self.names.at(&log, tag.version.get()).await {
                Ok(Some(state)) => {
                    roots.push(Root { namespace: tag.namespace, version: state.version, counts: false });
                }
                Ok(None) => {
                    let file = paths::version(&log.encode(self.descriptor.folds_case), tag.version.get())?;
                    let detail = format!(
                        "version {} of {log}, or a run that it is read from, is lost, and tag {} needs it",
                        tag.version, tag.name
                    );
                    report.problems.push(Problem { kind: ErrorKind::Missing, file, detail, affected: Vec::new() });
                }
                Err(error) => note(report, error)?,
            }
        }
        Ok(roots)
    }

    async fn check_history(&self, log: &LogName, report: &mut VerifyReport) -> Result<()> {
        let versions = self.names.versions(log).await?;
        self.check_partial_sums(log, &versions, report).await?;
        for version in versions {
            let run = match self.names.run(log, version).await {
                Ok(Some(run)) => run,
                Ok(None) => continue,
                Err(error) => {
                    note(report, error)?;
                    continue;
                }
            };
            report.runs += 1;
            if let Err(error) = check_run(&run).await {
                note(report, error)?;
            }
        }
        Ok(())
    }

    /// Looks whether the versions are there by which a head is found where listings are not in order: what is left of it when
    /// its lowest bits are taken away. `versions` are the newest first.
    async fn check_partial_sums(&self, log: &LogName, versions: &[u64], report: &mut VerifyReport) -> Result<()> {
        let Some(head) = versions.first() else { return Ok(()) };
        let mut sum = head & (head - 1);
        while sum > 0 {
            // A listing may leave out what was made while it went on.
            let file = paths::version(&log.encode(self.descriptor.folds_case), sum)?;
            if !versions.contains(&sum) && !self.backend.exists(&file).await? {
                let detail = format!("this file is lost, and the newest version of {log} is found by it");
                report.problems.push(Problem { kind: ErrorKind::Missing, file, detail, affected: Vec::new() });
            }
            sum &= sum - 1;
        }
        Ok(())
    }

    /// Looks whether what the names of these versions stand for is there and sound.
    ///
    /// Names are read again instead of being remembered: of what is sound, 16 bytes are, so that it is looked at once however many
    /// names and tags it has.
    pub(super) async fn check_needed(
        &self,
        roots: Vec<Root>,
        checks: &Checks<'_>,
        health: &ContentHealth,
        objects: &mut CheckedObjects,
        report: &mut VerifyReport,
    ) -> Result<()> {
        let mut problems = Problems::new();
        let mut sound = HashSet::new();
        for Root { namespace, version, counts } in roots {
            let log = LogName::Namespace(namespace.clone());
            let read = async {
                match self.names.at(&log, version).await? {
                    Some(state) => state.entries("").await,
                    None => Err(self.lost_version(&log, version)?),
                }
            };
            // Where a run is damaged, the names before that are looked at.
            let mut entries = match read.await {
                Ok(entries) => entries,
                Err(error) => {
                    note(report, error)?;
                    continue;
                }
            };
            loop {
                let entry = match State::next_object(&mut entries, "").await {
                    Ok(Some(entry)) => entry,
                    Ok(None) => break,
                    Err(error) => {
                        note(report, error)?;
                        break;
                    }
                };
                report.objects += u64::from(counts);
                let Some(Object { content, .. }) = entry.object else { continue };
                let print = print_of(&content);
                if sound.contains(&print) {
                    continue;
                }
                let mut found = self.check_content(&content, health).await?;
                if found.is_empty()
                    && matches!(content.body, Body::Chunked(_))
                    && let Ok(chunks) = self.chunks_of(&content).await
                    && let Some(other) = objects.other_digest(checks, &content, &chunks).await?
                {
                    let run = paths::version(&log.encode(self.descriptor.folds_case), version)?;
                    found.push(other_object(&content, run, &other)?);
                }
                let cells = self.check_cells(&content, health).await?;
                report.problems.extend(cells.filter(|problem| !report.problems.contains(problem)));
                if found.is_empty() {
                    sound.insert(print);
                }
                for found in found {
                    let (_, affected) =
                        problems.entry((found.file, found.detail)).or_insert_with(|| (found.kind, Vec::new()));
                    affected.push(namespace.location(&entry.name)?);
                }
            }
        }
        for ((file, detail), (kind, mut affected)) in problems {
            affected.sort();
            affected.dedup();
            report
                .problems
                .retain(|known| !(known.file == file && known.affected.is_empty() && known.detail == detail));
            report.problems.push(Problem { kind, file, detail, affected });
        }
        Ok(())
    }

    /// A version that was there when the histories were checked.
    fn lost_version(&self, log: &LogName, version: u64) -> Result<Error> {
        let file = paths::version(&log.encode(self.descriptor.folds_case), version)?;
        let lost =
            format!("version {version} of {log}, or a run that it is read from, was lost while the store was verified");
        Ok(Error::new(ErrorKind::Missing, "read", file, lost))
    }

    /// What is wrong with what `content` needs.
    pub(crate) async fn check_content(&self, content: &Content, health: &ContentHealth) -> Result<Vec<Problem>> {
        let chunks = match &content.body {
            // The checksums of its run cover it.
            Body::Inline(_) => return Ok(Vec::new()),
            Body::Whole(nonce, _) => {
                return Ok(health.file_problem(&content.digest, nonce, content.size)?.into_iter().collect());
            }
            Body::Packed(_) | Body::Chunked(_) => match self.chunks_of(content).await {
                Ok(chunks) => chunks,
                Err(error) if is_damage(&error) => return Ok(vec![list_problem(content)?]),
                Err(error) => return Err(error),
            },
        };
        let mut problems = Vec::new();
        for chunk in &chunks {
            if !health.has(&chunk.digest, &chunk.place)
                && !self.is_elsewhere(Kind::Chunk, &chunk.digest, health).await?
            {
                problems.push(health.chunk_problem(chunk)?);
            }
        }
        Ok(problems)
    }
}

impl Inner {
    /// What is wrong with the list by which a whole file is verified. It is computed from the file where it is lost, so nothing
    /// can't be read for it.
    pub(crate) async fn check_cells(&self, content: &Content, health: &ContentHealth) -> Result<Option<Problem>> {
        let Body::Whole(_, List::Packed(place, _)) = &content.body else { return Ok(None) };
        if health.has(&content.digest, place) || self.is_elsewhere(Kind::CellList, &content.digest, health).await? {
            return Ok(None);
        }
        let file = paths::pack(&place.pack)?;
        let detail =
            format!("the list of the cells of b3:{} in it is lost, so that its file is read twice", content.digest);
        Ok(Some(Problem { kind: health.kind_of_loss(place), file, detail, affected: Vec::new() }))
    }

    /// Whether content is sound anywhere, as far as the indexes say.
    async fn is_elsewhere(&self, kind: Kind, digest: &Digest, health: &ContentHealth) -> Result<bool> {
        Ok(self.catalog.find(kind, digest).await?.iter().any(|found| health.has(digest, &found.place)))
    }
}

fn list_problem(content: &Content) -> Result<Problem> {
    let file = match &content.body {
        Body::Chunked(List::Packed(place, _)) => paths::pack(&place.pack)?,
        _ => paths::fixed(paths::STORE_FILE)?,
    };
    let detail = format!("the list of the chunks of b3:{} is lost or damaged", content.digest);
    Ok(Problem { kind: ErrorKind::Corrupt, file, detail, affected: Vec::new() })
}

/// Chunks that make up another object. The list is in a pack, or in what the version is read from.
fn other_object(content: &Content, run: Location, other: &Digest) -> Result<Problem> {
    let file = match &content.body {
        Body::Chunked(List::Packed(place, _)) => paths::pack(&place.pack)?,
        _ => run,
    };
    let detail = format!("the chunks listed for b3:{} make up b3:{other}", content.digest);
    Ok(Problem { kind: ErrorKind::Corrupt, file, detail, affected: Vec::new() })
}

/// What tells content from any other, and from the same in another place.
pub(crate) fn print_of(content: &Content) -> [u8; 16] {
    let mut encoded = Encoder::default();
    content.encode(&mut encoded);
    let digest = Digest::of(&encoded.finish());
    *digest.as_bytes().first_chunk().expect("a digest has 32 bytes")
}

pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Missing)
}

/// Puts damage into the report; anything else ends the verification.
pub(super) fn note(report: &mut VerifyReport, error: Error) -> Result<()> {
    match (error.kind(), Location::parse(error.subject())) {
        (kind @ (ErrorKind::Corrupt | ErrorKind::Missing), Ok(file)) => {
            let problem = Problem { kind, file, detail: error.detail().to_string(), affected: Vec::new() };
            // What is lost is not damaged as well.
            let is_lost = |known: &Problem| known.kind == ErrorKind::Missing && known.file == problem.file;
            if !report.problems.iter().any(|known| *known == problem || is_lost(known)) {
                report.problems.push(problem);
            }
            Ok(())
        }
        _ => Err(error),
    }
}
