//! Deleting what is listed: at once what nothing needs, then what is needed and was copied; last the list.

use std::collections::{BTreeSet, HashSet};

use strongroom_storage::{ErrorKind, Location, Result};

use super::mark::note;
use super::needed::Needed;
use super::{CollectReport, CollectStep, Collection, Condemned, Reason};
use crate::cache::Cache;
use crate::list;
use crate::mutation::{self, Mutation};
use crate::names::LogName;
use crate::nonce::Nonce;
use crate::pack;
use crate::paths;
use crate::record::{Kind, Record};
use crate::verify::{ContentHealth, Problem, VerifyOptions, VerifyReport};
use crate::writer::{ContentWriter, Moved};

/// How many files are deleted together.
const DELETED_TOGETHER: usize = 1000;
/// When so many bytes are copied, they are made durable, and what they were copied from goes.
const COPIED_TOGETHER: u64 = 256 << 20;

/// A listed file that still has something that is needed.
struct Source {
    file: Location,
    bytes: u64,
    content: Listed,
}

/// What is needed of a listed file.
enum Listed {
    Pack(Nonce, Vec<Record>),
    File(strongroom_storage::Digest, Nonce),
}

impl Collection<'_> {
    /// Deletes what these lists name and then the lists, when all that may still rely on it is over, and what is needed of it was
    /// copied. Of the histories `held`, nothing goes.
    pub(super) async fn finish(
        &self,
        lists: Vec<Location>,
        held: &HashSet<LogName>,
        report: &mut CollectReport,
    ) -> Result<()> {
        let mut condemned = BTreeSet::new();
        for list in &lists {
            condemned.extend(list::read(&*self.store.backend, list).await?);
        }
        if !mutation::is(Mutation::SessionsBeforeList) && !mutation::is(Mutation::NoSessions) {
            self.wait(report).await?;
        }
        let mut marked = self.store.mark(&self.retention, held, &self.options).await?;
        let superseded: HashSet<Location> = std::mem::take(&mut marked.superseded).into_iter().collect();

        let (mut dead, mut sources) = (Vec::new(), Vec::new());
        // Whether something stays, and with it the lists.
        let mut stays = false;
        // Packs of which nobody knows what is in them, and why.
        let mut unreadable = Vec::new();
        for file in condemned.iter().cloned() {
            let bytes = self.size(&file).await?;
            if !marked.can_judge(&file) {
                stays = true;
                continue;
            }
            match self.look(&file, &marked.needed, &superseded).await {
                Ok(Look::Dead) => dead.push((file, bytes)),
                Ok(Look::Needed(_)) if mutation::is(Mutation::PardonInPlace) => {}
                Ok(Look::Needed(content)) => sources.push(Source { file, bytes, content }),
                Ok(Look::Kept) => stays = true,
                Err(error) if error.kind() == ErrorKind::Corrupt => unreadable.push((file, bytes, error)),
                Err(error) => {
                    note(&mut report.problems, error)?;
                    stays = true;
                }
            }
        }
        // First what needs no room.
        self.delete(dead, report).await?;
        stays |= !self.copy_and_delete(sources, report).await?;
        if !unreadable.is_empty() {
            if self.is_sound_elsewhere(marked.needed, &condemned).await? {
                self.delete(unreadable.into_iter().map(|(file, bytes, _)| (file, bytes)).collect(), report).await?;
            } else {
                unreadable.into_iter().try_for_each(|(_, _, error)| note(&mut report.problems, error))?;
                stays = true;
            }
        }
        if !stays {
            self.store.backend.delete_all(&lists).await?;
        }
        Ok(())
    }

    /// Deletes what nothing needs and no list names: nobody else uses the store.
    pub(super) async fn delete_unneeded(&self, condemned: &[Condemned], report: &mut CollectReport) -> Result<()> {
        let unneeded = condemned.iter().filter(|file| file.reason == Reason::Unneeded);
        let dead = unneeded.map(|file| (file.file.clone(), file.bytes)).collect();
        self.delete(dead, report).await
    }

    async fn look(&self, file: &Location, needed: &Needed, superseded: &HashSet<Location>) -> Result<Look> {
        if mutation::is(Mutation::OneMark) {
            return Ok(Look::Dead);
        }
        if let Some(nonce) = paths::pack_of(file) {
            let records = match pack::read_index(&*self.store.backend, &nonce, &Cache::none()).await {
                Ok(records) => records,
                Err(error) if error.is_missing() => return Ok(Look::Dead),
                Err(error) => return Err(error),
            };
            let still: Vec<Record> = records.iter().filter(|record| needed.has(record.kind, &record.digest)).collect();
            return Ok(if still.is_empty() { Look::Dead } else { Look::Needed(Listed::Pack(nonce, still)) });
        }
        if let Some((digest, nonce)) = paths::whole_file_of(file) {
            let is_needed = needed.files.contains(&digest);
            return Ok(if is_needed { Look::Needed(Listed::File(digest, nonce)) } else { Look::Dead });
        }
        // A version. One that was tagged meanwhile, or that another collector would have let go, stays.
        let is_gone = superseded.contains(file) || !self.store.backend.exists(file).await?;
        Ok(if is_gone { Look::Dead } else { Look::Kept })
    }

    /// Whether all that is needed is in packs and files that stand in no list. Everything is read.
    async fn is_sound_elsewhere(&self, needed: Needed, condemned: &BTreeSet<Location>) -> Result<bool> {
        // What any list names is nobody's home. They are read first: what is listed later, its collector looks for.
        let listed = list::read_all(&*self.store.backend).await?;
        let is_listed = |file: &Location| condemned.contains(file) || listed.contains(file);
        let options = VerifyOptions::default().with_data(true);
        let health = ContentHealth::of(self.store, &options, &mut VerifyReport::default()).await?;
        let mut lost = needed;
        for (pack, kind, digest) in health.sound_items() {
            if !is_listed(&paths::pack(pack)?) {
                lost.found(kind, digest);
            }
        }
        for (digest, nonce) in health.sound_files() {
            if !is_listed(&paths::whole_file(digest, nonce)?) {
                lost.found_file(digest);
            }
        }
        Ok(lost.is_all_found())
    }

    /// False if something could not be copied because it is damaged: then its file stays.
    async fn copy_and_delete(&self, sources: Vec<Source>, report: &mut CollectReport) -> Result<bool> {
        if sources.is_empty() {
            return Ok(true);
        }
        // Begun now, it has read all lists that stand: what they name is nobody's home.
        let mut session = self.store.sessions.begin().await?;
        if mutation::is(Mutation::OtherListsIgnored) {
            session = session.knowing_only(sources.iter().map(|source| source.file.clone()).collect());
        }
        let copied = async {
            let mut is_all = true;
            let mut sources = sources.into_iter();
            loop {
                let mut writer = ContentWriter::new(self.store.clone(), session.clone());
                let (mut group, mut bytes) = (Vec::new(), 0);
                while bytes < COPIED_TOGETHER
                    && let Some(source) = sources.next()
                {
                    bytes += source.bytes;
                    group.push(source);
                }
                if group.is_empty() {
                    return Ok(is_all);
                }
                let mut done = Vec::new();
                // A list says where its chunks are: they come first.
                let mut ready = vec![true; group.len()];
                for lists in [false, true] {
                    for (source, ready) in group.iter().zip(&mut ready) {
                        *ready &= self.move_out(&mut writer, source, lists, report).await?;
                    }
                }
                for (source, ready) in group.into_iter().zip(ready) {
                    is_all &= ready;
                    if ready {
                        done.push((source.file, source.bytes));
                    }
                }
                writer.finish().await?;
                self.delete(done, report).await?;
            }
        };
        let copied = self.store.packer.driving(Box::pin(copied)).await;
        self.store.sessions.end(&session).await;
        copied
    }

    /// Copies what is needed of a file, or its lists. False if it is damaged.
    async fn move_out(
        &self,
        writer: &mut ContentWriter,
        source: &Source,
        lists: bool,
        report: &mut CollectReport,
    ) -> Result<bool> {
        let mut is_sound = true;
        let mut take = |moved: Moved| match moved {
            Moved::Copied(bytes) => report.copied_bytes += bytes,
            Moved::Elsewhere => {}
            Moved::Damaged(digest) => {
                is_sound = false;
                let detail = format!("b3:{digest} in it is needed and damaged, so that this file stays");
                let problem =
                    Problem { kind: ErrorKind::Corrupt, file: source.file.clone(), detail, affected: Vec::new() };
                if !report.problems.contains(&problem) {
                    report.problems.push(problem);
                }
            }
        };
        match &source.content {
            Listed::File(..) if lists => {}
            Listed::File(digest, nonce) => take(writer.move_file(digest, nonce).await?),
            Listed::Pack(nonce, records) => {
                for record in records.iter().filter(|record| (record.kind == Kind::ChunkList) == lists) {
                    take(writer.move_record(nonce, record).await?);
                }
            }
        }
        self.options.tell(CollectStep::Copying { bytes: report.copied_bytes });
        Ok(is_sound)
    }

    async fn delete(&self, files: Vec<(Location, u64)>, report: &mut CollectReport) -> Result<()> {
        for together in files.chunks(DELETED_TOGETHER) {
            let locations: Vec<Location> = together.iter().map(|(file, _)| file.clone()).collect();
            // A file that is open takes its room until it is closed.
            locations.iter().filter_map(paths::pack_of).for_each(|pack| self.store.packs.forget(&pack));
            self.store.backend.delete_all(&locations).await?;
            // Or after a power failure it is there again when its list is not.
            self.store.backend.make_durable(&locations).await?;
            report.deleted_files += together.len() as u64;
            report.deleted_bytes += together.iter().map(|(_, bytes)| bytes).sum::<u64>();
            self.options.tell(CollectStep::Deleting { files: report.deleted_files });
        }
        Ok(())
    }
}

/// What is to be done with a listed file.
enum Look {
    /// It goes, or is gone.
    Dead,
    /// Something in it is needed.
    Needed(Listed),
    /// It can't go.
    Kept,
}
