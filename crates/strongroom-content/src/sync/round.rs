//! Namespaces that are brought over together: their content first, then a commit to each.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use strongroom_storage::{Error, ErrorKind, Location, Result};

use super::difference::Difference;
use super::{Sync, SyncReport};
use crate::commit::Reliance;
use crate::content::Content;
use crate::entry::{Entry, Object};
use crate::names::LogName;
use crate::paths;
use crate::session::Membership;
use crate::store::Inner;
use crate::verify::Problem;
use crate::writer::{Adopted, ContentWriter};

/// How many objects are looked for at once.
const TOGETHER: usize = 4096;
/// How often an object is taken anew that the source has replaced and collected meanwhile.
const ATTEMPTS: usize = 3;

/// Namespaces that are brought over together.
#[derive(Default)]
pub(super) struct Round {
    differences: Vec<Difference>,
    bytes: u64,
    len: usize,
}

impl Round {
    pub(super) fn push(&mut self, difference: Difference) {
        self.bytes = self.bytes.saturating_add(difference.bytes());
        self.len += difference.put.len() + difference.removed.len();
        self.differences.push(difference);
    }

    /// How many bytes there are to put, at most.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many names it is about.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

impl Sync<'_> {
    /// Brings the namespaces of a round over.
    pub(super) async fn finish(&self, round: Round, report: &mut SyncReport) -> Result<()> {
        let mut membership = self.to.sessions.join().await?;
        let finished = self.to.packer.driving(Box::pin(self.finish_within(round, &mut membership, report))).await;
        membership.leave().await;
        finished
    }

    async fn finish_within<'a>(
        &'a self,
        round: Round,
        membership: &mut Membership<'a>,
        report: &mut SyncReport,
    ) -> Result<()> {
        let session = membership.session().clone();
        let mut writer = ContentWriter::new(self.to.clone(), session.clone());
        let objects = self.take_in(&mut writer, &round, report).await?;
        report.bytes_stored += writer.stored_bytes();
        writer.finish().await?;
        for (mut difference, put) in round.differences.into_iter().zip(objects) {
            let log = LogName::Namespace(difference.namespace.clone());
            let names: HashSet<Arc<str>> = put.iter().map(|(name, _)| name.clone()).collect();
            difference.put.retain(|entry| names.contains(&entry.name));
            let changes = difference.changes(put);
            if changes.is_empty() {
                continue;
            }
            let message = match &self.options.message {
                Some(message) => message.clone(),
                None => format!("sync: version {} of store {}", difference.source, self.from.descriptor.id),
            };
            let info = self.to.commit_info("sync", &message)?;
            let reliance = Reliance::on_content(&session);
            // Others have been brought over already.
            let is_first = report.namespaces.is_empty();
            let partly = |error: Error| if is_first { error } else { error.with_outcome_unknown() };
            let published = self.to.commit(membership, reliance, &log, changes, &info).await.map_err(partly)?;
            if published.made {
                report.namespaces.push(difference.into_synced(published.version)?);
            }
        }
        // A hint that could not be written costs a later reader a little time.
        self.to.catalog.cover(&session).await.unwrap_or_default();
        Ok(())
    }

    /// Takes in the content of a round. Returns, for each namespace, the objects that could be, in order of their names.
    async fn take_in(
        &self,
        writer: &mut ContentWriter,
        round: &Round,
        report: &mut SyncReport,
    ) -> Result<Vec<Vec<(Arc<str>, Object)>>> {
        let mut taken: Vec<Vec<(Arc<str>, Object)>> = round.differences.iter().map(|_| Vec::new()).collect();
        let entries = round.differences.iter().enumerate();
        let entries: Vec<(usize, &Entry)> =
            entries.flat_map(|(at, difference)| difference.put.iter().map(move |entry| (at, entry))).collect();
        for together in entries.chunks(TOGETHER) {
            let objects: Vec<&Object> = together.iter().filter_map(|(_, entry)| entry.object.as_ref()).collect();
            let contents: Vec<Content> = objects.iter().map(|object| object.content.clone()).collect();
            let adopted = writer.adopt(self.from, &contents, &mut report.bytes_read).await?;
            for (((at, entry), object), adopted) in together.iter().zip(objects).zip(adopted) {
                let object = match adopted {
                    Adopted::Here(content) => Some(Object { content, attributes: object.attributes.clone() }),
                    Adopted::Damaged(error) => {
                        let log = LogName::Namespace(round.differences[*at].namespace.clone());
                        self.take_anew(writer, &log, (*entry).clone(), error, report).await?
                    }
                };
                taken[*at].extend(object.map(|object| (entry.name.clone(), object)));
            }
            let objects = self.taken.fetch_add(together.len(), Ordering::Relaxed) + together.len();
            if let Some(progress) = &self.options.progress {
                progress(objects, report.bytes_read);
            }
        }
        Ok(taken)
    }

    /// Takes what the source has under a name by now, if that is another object than the one that could not be read: that was
    /// collected then. Nothing if it was removed; else it is damaged.
    async fn take_anew(
        &self,
        writer: &mut ContentWriter,
        log: &LogName,
        mut entry: Entry,
        mut error: Error,
        report: &mut SyncReport,
    ) -> Result<Option<Object>> {
        for _ in 0..ATTEMPTS {
            let newest = self.from.names.current(log, None).await?.get(&entry.name).await?;
            match newest {
                Some(newest) if newest.version != entry.version => entry = newest,
                Some(_) => break,
                None => return Ok(None),
            }
            let Some(object) = &entry.object else { return Ok(None) };
            match writer.adopt(self.from, std::slice::from_ref(&object.content), &mut report.bytes_read).await?.pop() {
                Some(Adopted::Here(content)) => {
                    return Ok(Some(Object { content, attributes: object.attributes.clone() }));
                }
                Some(Adopted::Damaged(again)) => error = again,
                None => return Ok(None),
            }
        }
        let LogName::Namespace(namespace) = log else { return Ok(None) };
        note(report, self.from, error, namespace.location(&entry.name)?)?;
        Ok(None)
    }
}

/// Tells that an object could not be read.
fn note(report: &mut SyncReport, from: &Inner, error: Error, location: Location) -> Result<()> {
    let kind = if error.kind() == ErrorKind::Missing { ErrorKind::Missing } else { ErrorKind::Corrupt };
    let file = Location::parse(error.subject()).unwrap_or(paths::fixed(paths::STORE_FILE)?);
    let detail = format!("{} (in {})", error.detail(), from.backend);
    match report.problems.iter_mut().find(|known| known.file == file && known.detail == detail) {
        Some(known) => known.affected.push(location),
        None => report.problems.push(Problem { kind, file, detail, affected: vec![location] }),
    }
    Ok(())
}
