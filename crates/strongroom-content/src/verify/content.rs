//! Checking packs and whole files.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use strongroom_storage::{Digest, ErrorKind, Location, Result};

use super::checks::Checks;
use super::names::note;
use super::pack::{self, Sound};
use super::{Problem, VerifyOptions, VerifyReport};
use crate::cache::Cache;
use crate::catalog::IndexFile;
use crate::chunk::{Chunk, Place};
use crate::nonce::Nonce;
use crate::paths;
use crate::record::Kind;
use crate::store::Inner;

/// Which packs and files there are, and what is wrong with them. What was looked at stays known when it is listed again: its bytes
/// never change.
#[derive(Default)]
pub(crate) struct ContentHealth {
    /// The sound chunks of each pack; or why its index can't be read.
    packs: HashMap<Nonce, Checked<Sound>>,
    /// The size of each file; or what is wrong with it.
    files: HashMap<(Digest, Nonce), Checked<u64>>,
}

/// What reading one pack or file gave.
struct Checked<T> {
    health: Result<T, String>,
    problems: Vec<Problem>,
}

impl ContentHealth {
    /// Looks at what there is.
    pub(crate) async fn of(store: &Arc<Inner>, options: &VerifyOptions, report: &mut VerifyReport) -> Result<Self> {
        let (checks, mut health) = (Checks::new(store, options).await?, Self::default());
        health.check(&checks, report).await?;
        Ok(health)
    }

    /// Looks at what there is now and was not looked at yet.
    pub(super) async fn check(&mut self, checks: &Checks<'_>, report: &mut VerifyReport) -> Result<()> {
        let store = checks.store;
        store.catalog.learn().await?;
        for location in list(store, paths::INDEX).await? {
            if let Ok(nonce) = location.file_name().parse::<Nonce>()
                && let Err(error) = IndexFile::verify(&store.backend, nonce).await
                // Who merges index files deletes them.
                && !is_gone(store, &error, &location).await?
            {
                note(report, error)?;
            }
        }
        let packs = list(store, paths::PACKS).await?.iter().filter_map(paths::pack_of).collect();
        look(&mut self.packs, packs, checks, |nonce| check_pack(checks, nonce).boxed()).await?;
        let files = list(store, paths::FILES).await?.iter().filter_map(paths::whole_file_of).collect();
        look(&mut self.files, files, checks, |(digest, nonce)| check_file(checks, digest, nonce).boxed()).await?;
        (report.packs, report.files) = (self.packs.len() as u64, self.files.len() as u64);
        report.problems.extend(self.packs.values().flat_map(|checked| checked.problems.iter().cloned()));
        report.problems.extend(self.files.values().flat_map(|checked| checked.problems.iter().cloned()));
        Ok(())
    }

    /// Whether the chunk, or the list of the object, with this digest is at this place, and sound as far as was looked.
    pub(super) fn has(&self, digest: &Digest, place: &Place) -> bool {
        let sound = self.packs.get(&place.pack).and_then(|pack| pack.health.as_ref().ok());
        let at = (place.offset, *digest);
        sound.is_some_and(|sound| sound.binary_search_by_key(&at, |(offset, digest, _)| (*offset, *digest)).is_ok())
    }

    /// Whether there is such a pack or file, damaged or not.
    pub(crate) fn is_there(&self, file: &Location) -> bool {
        paths::pack_of(file).is_some_and(|pack| self.packs.contains_key(&pack))
            || paths::whole_file_of(file).is_some_and(|file| self.files.contains_key(&file))
    }

    /// The sound items of all packs whose index can be read, and the packs.
    pub(crate) fn sound_items(&self) -> impl Iterator<Item = (&Nonce, Kind, &Digest)> {
        let packs = self.packs.iter().filter_map(|(nonce, pack)| Some((nonce, pack.health.as_ref().ok()?)));
        packs.flat_map(|(nonce, sound)| sound.iter().map(move |(_, digest, kind)| (nonce, *kind, digest)))
    }

    /// The sound files.
    pub(crate) fn sound_files(&self) -> impl Iterator<Item = &(Digest, Nonce)> {
        self.files.iter().filter_map(|(file, checked)| checked.health.is_ok().then_some(file))
    }

    /// `Missing` if the pack is lost in which something is, else `Corrupt`.
    pub(super) fn kind_of_loss(&self, place: &Place) -> ErrorKind {
        if self.packs.contains_key(&place.pack) { ErrorKind::Corrupt } else { ErrorKind::Missing }
    }

    /// Why a chunk is not there.
    pub(super) fn chunk_problem(&self, chunk: &Chunk) -> Result<Problem> {
        let file = paths::pack(&chunk.place.pack)?;
        let detail = match self.packs.get(&chunk.place.pack).map(|pack| &pack.health) {
            None => "this pack is lost".to_string(),
            Some(Err(detail)) => detail.clone(),
            Some(Ok(_)) => damaged_chunk(&chunk.digest),
        };
        Ok(Problem { kind: self.kind_of_loss(&chunk.place), file, detail, affected: Vec::new() })
    }

    /// What is wrong with the file of an object, if anything is.
    pub(super) fn file_problem(&self, digest: &Digest, nonce: &Nonce, size: u64) -> Result<Option<Problem>> {
        let sound = |health: &Result<u64, String>| health.as_ref().is_ok_and(|found| *found == size);
        if self.files.iter().any(|((other, _), file)| other == digest && sound(&file.health)) {
            return Ok(None);
        }
        let (kind, detail) = match self.files.get(&(*digest, *nonce)).map(|file| &file.health) {
            None => (ErrorKind::Missing, "this file is lost".to_string()),
            Some(Err(detail)) => (ErrorKind::Corrupt, detail.clone()),
            Some(Ok(found)) => (ErrorKind::Corrupt, format!("it has {found} bytes instead of {size}")),
        };
        Ok(Some(Problem { kind, file: paths::whole_file(digest, nonce)?, detail, affected: Vec::new() }))
    }
}

/// Forgets what is not listed any more, and looks at what is and is not known.
async fn look<'a, K: Copy + Eq + Hash + Send, T: Send>(
    known: &mut HashMap<K, Checked<T>>,
    listed: HashSet<K>,
    checks: &'a Checks<'_>,
    check: impl Fn(K) -> BoxFuture<'a, Result<Option<Checked<T>>>> + Send + Sync,
) -> Result<()> {
    known.retain(|key, _| listed.contains(key));
    let new: Vec<K> = listed.into_iter().filter(|key| !known.contains_key(key)).collect();
    let check = &check;
    let mut checked = stream::iter(new)
        .map(|key| async move { Ok::<_, strongroom_storage::Error>((key, check(key).await?)) })
        .buffer_unordered(checks.reads_at_once);
    while let Some((key, checked)) = checked.try_next().await? {
        if let Some(checked) = checked {
            known.insert(key, checked);
        }
    }
    Ok(())
}

async fn list(store: &Inner, prefix: &str) -> Result<Vec<Location>> {
    store.backend.iter_contents(prefix).try_collect().await
}

/// Whether a file that was listed is not there any more: somebody took it away meanwhile. If it is needed, that is noticed elsewhere.
async fn is_gone(store: &Inner, error: &strongroom_storage::Error, file: &Location) -> Result<bool> {
    Ok(error.is_missing() && !store.backend.exists(file).await?)
}

/// Nothing if the pack was taken away meanwhile.
async fn check_pack(checks: &Checks<'_>, nonce: Nonce) -> Result<Option<Checked<Sound>>> {
    let (store, location) = (checks.store, paths::pack(&nonce)?);
    let records = match crate::pack::read_index(&*store.backend, &nonce, &Cache::none()).await {
        Ok(records) => records,
        Err(error) => return broken(checks, error, &location).await,
    };
    let is_skipped = checks.options.data && checks.memory.skips(store, &location).await?;
    if !checks.options.data || is_skipped {
        let skipped = records.iter().map(|record| u64::from(record.stored)).sum();
        checks.done(0, if is_skipped { skipped } else { 0 });
        return Ok(Some(Checked { health: Ok(pack::unread(&records)), problems: Vec::new() }));
    }
    let found = match pack::read(checks, &location, &records).await {
        Ok(found) => found,
        Err(error) => return broken(checks, error, &location).await,
    };
    let problem = |detail| Problem { kind: ErrorKind::Corrupt, file: location.clone(), detail, affected: Vec::new() };
    let mut problems: Vec<Problem> = found.damaged.iter().map(|digest| problem(damaged_chunk(digest))).collect();
    if !found.has_beginning {
        problems.push(problem("its beginning is damaged".to_string()));
    }
    if problems.is_empty() {
        checks.memory.add(store, &location).await;
    }
    checks.done(found.bytes_read, 0);
    Ok(Some(Checked { health: Ok(found.sound), problems }))
}

/// Nothing if the file was taken away meanwhile.
async fn check_file(checks: &Checks<'_>, digest: Digest, nonce: Nonce) -> Result<Option<Checked<u64>>> {
    let (store, location) = (checks.store, paths::whole_file(&digest, &nonce)?);
    let is_skipped = checks.options.data && checks.memory.skips(store, &location).await?;
    if !checks.options.data || is_skipped {
        return match store.backend.metadata(&location).await {
            Ok(metadata) => {
                checks.done(0, if is_skipped { metadata.size } else { 0 });
                Ok(Some(Checked { health: Ok(metadata.size), problems: Vec::new() }))
            }
            Err(error) => broken(checks, error, &location).await,
        };
    }
    let read = async { checks.hash(store.backend.load_stream(&location).await?).await };
    let (found, size) = match read.await {
        Ok(found) => found,
        Err(error) => return broken(checks, error, &location).await,
    };
    checks.done(0, 0);
    if found == digest {
        checks.memory.add(store, &location).await;
        return Ok(Some(Checked { health: Ok(size), problems: Vec::new() }));
    }
    let detail = format!("its content has digest b3:{found}, not the one in its name");
    let problem = Problem { kind: ErrorKind::Corrupt, file: location, detail: detail.clone(), affected: Vec::new() };
    Ok(Some(Checked { health: Err(detail), problems: vec![problem] }))
}

/// Damage is a finding; anything else ends the verification.
async fn broken<T>(
    checks: &Checks<'_>,
    error: strongroom_storage::Error,
    file: &Location,
) -> Result<Option<Checked<T>>> {
    let kind = error.kind();
    if !matches!(kind, ErrorKind::Corrupt | ErrorKind::Missing) {
        return Err(error);
    }
    checks.done(0, 0);
    if is_gone(checks.store, &error, file).await? {
        return Ok(None);
    }
    let detail = error.detail().to_string();
    let problem = Problem { kind, file: file.clone(), detail: detail.clone(), affected: Vec::new() };
    Ok(Some(Checked { health: Err(detail), problems: vec![problem] }))
}

fn damaged_chunk(digest: &Digest) -> String {
    format!("chunk b3:{digest} in it is damaged or not where it should be")
}
