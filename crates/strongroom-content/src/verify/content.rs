//! Checking packs and whole files.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use strongroom_storage::{ByteRange, Digest, Error, ErrorKind, Location, Result, unblock};

use super::names::note;
use super::{Problem, VerifyOptions, VerifyReport};
use crate::cache::Cache;
use crate::catalog::IndexFile;
use crate::chunk::{Cell, Chunk, Place, decode_list_body};
use crate::compress::decompress;
use crate::envelope;
use crate::grid::GridHasher;
use crate::nonce::Nonce;
use crate::pack;
use crate::paths;
use crate::record::{Kind, Record, Records};
use crate::store::Inner;

/// How many packs or files are read at once.
const READS_AT_ONCE: usize = 2;

/// Which packs and files there are, and what is wrong with them.
#[derive(Default)]
pub(crate) struct ContentHealth {
    /// The sound chunks of each pack; or why its index can't be read.
    packs: HashMap<Nonce, Result<Sound, String>>,
    /// The size of each file; or what is wrong with it.
    files: HashMap<(Digest, Nonce), Result<u64, String>>,
}

/// The sound items of a pack, in order of their offsets.
type Sound = Vec<(u64, Digest, Kind)>;

/// What reading one pack or file gave.
struct Checked<T> {
    health: Result<T, String>,
    problems: Vec<Problem>,
    bytes_read: u64,
}

impl ContentHealth {
    pub(crate) async fn check(store: &Arc<Inner>, options: &VerifyOptions, report: &mut VerifyReport) -> Result<Self> {
        store.catalog.learn().await?;
        for location in list(store, paths::INDEX).await? {
            if let Ok(nonce) = location.file_name().parse::<Nonce>()
                && let Err(error) = IndexFile::verify(&store.backend, nonce).await
            {
                note(report, error)?;
            }
        }
        let mut health = Self::default();
        let packs = list(store, paths::PACKS).await?.iter().filter_map(paths::pack_of).collect::<Vec<_>>();
        let mut checks = stream::iter(packs)
            .map(|nonce| async move { Ok((nonce, check_pack(store, nonce, options.data).await?)) })
            .buffer_unordered(READS_AT_ONCE);
        while let Some((nonce, checked)) = checks.try_next().await? {
            report.packs += 1;
            health.packs.insert(nonce, take(checked, options, report));
        }
        let files = list(store, paths::FILES).await?.iter().filter_map(paths::whole_file_of).collect::<Vec<_>>();
        let mut checks = stream::iter(files)
            .map(|(digest, nonce)| async move {
                Ok(((digest, nonce), check_file(store, digest, nonce, options.data).await?))
            })
            .buffer_unordered(READS_AT_ONCE);
        while let Some((file, checked)) = checks.try_next().await? {
            report.files += 1;
            health.files.insert(file, take(checked, options, report));
        }
        Ok(health)
    }

    /// Whether the chunk, or the list of the object, with this digest is at this place, and sound as far as was looked.
    pub(super) fn has(&self, digest: &Digest, place: &Place) -> bool {
        let pack = self.packs.get(&place.pack).and_then(|pack| pack.as_ref().ok());
        let found = pack.and_then(|sound| {
            let position = sound.binary_search_by_key(&place.offset, |(offset, ..)| *offset).ok()?;
            Some(sound[position].1)
        });
        found == Some(*digest)
    }

    /// Whether there is such a pack or file, damaged or not.
    pub(crate) fn is_there(&self, file: &Location) -> bool {
        paths::pack_of(file).is_some_and(|pack| self.packs.contains_key(&pack))
            || paths::whole_file_of(file).is_some_and(|file| self.files.contains_key(&file))
    }

    /// The sound items of all packs whose index can be read, and the packs.
    pub(crate) fn sound_items(&self) -> impl Iterator<Item = (&Nonce, Kind, &Digest)> {
        let packs = self.packs.iter().filter_map(|(nonce, sound)| Some((nonce, sound.as_ref().ok()?)));
        packs.flat_map(|(nonce, sound)| sound.iter().map(move |(_, digest, kind)| (nonce, *kind, digest)))
    }

    /// The sound files.
    pub(crate) fn sound_files(&self) -> impl Iterator<Item = &(Digest, Nonce)> {
        self.files.iter().filter_map(|(file, size)| size.is_ok().then_some(file))
    }

    /// `Missing` if the pack is lost in which something is, else `Corrupt`.
    pub(super) fn kind_of_loss(&self, place: &Place) -> ErrorKind {
        if self.packs.contains_key(&place.pack) { ErrorKind::Corrupt } else { ErrorKind::Missing }
    }

    /// Why a chunk is not there.
    pub(super) fn chunk_problem(&self, chunk: &Chunk) -> Result<Problem> {
        let file = paths::pack(&chunk.place.pack)?;
        let detail = match self.packs.get(&chunk.place.pack) {
            None => "this pack is lost".to_string(),
            Some(Err(detail)) => detail.clone(),
            Some(Ok(_)) => damaged_chunk(&chunk.digest),
        };
        Ok(Problem { kind: self.kind_of_loss(&chunk.place), file, detail, affected: Vec::new() })
    }

    /// What is wrong with the file of an object, if anything is.
    pub(super) fn file_problem(&self, digest: &Digest, nonce: &Nonce, size: u64) -> Result<Option<Problem>> {
        let sound = |health: &Result<u64, String>| health.as_ref().is_ok_and(|found| *found == size);
        if self.files.iter().any(|((other, _), health)| other == digest && sound(health)) {
            return Ok(None);
        }
        let (kind, detail) = match self.files.get(&(*digest, *nonce)) {
            None => (ErrorKind::Missing, "this file is lost".to_string()),
            Some(Err(detail)) => (ErrorKind::Corrupt, detail.clone()),
            Some(Ok(found)) => (ErrorKind::Corrupt, format!("it has {found} bytes instead of {size}")),
        };
        Ok(Some(Problem { kind, file: paths::whole_file(digest, nonce)?, detail, affected: Vec::new() }))
    }
}

fn take<T>(checked: Checked<T>, options: &VerifyOptions, report: &mut VerifyReport) -> Result<T, String> {
    report.bytes_read += checked.bytes_read;
    report.problems.extend(checked.problems);
    if let Some(progress) = &options.progress {
        progress(usize::try_from(report.packs + report.files).unwrap_or(usize::MAX), report.bytes_read);
    }
    checked.health
}

async fn list(store: &Inner, prefix: &str) -> Result<Vec<Location>> {
    store.backend.iter_contents(prefix).try_collect().await
}

async fn check_pack(store: &Inner, nonce: Nonce, data: bool) -> Result<Checked<Sound>> {
    let location = paths::pack(&nonce)?;
    let records = match pack::read_index(&*store.backend, &nonce, &Cache::none()).await {
        Ok(records) => records,
        Err(error) => return broken(error, &location),
    };
    if !data {
        let mut sound: Sound = records.iter().map(|record| (record.offset, record.digest, record.kind)).collect();
        sound.sort_unstable_by_key(|(offset, ..)| *offset);
        return Ok(Checked { health: Ok(sound), problems: Vec::new(), bytes_read: 0 });
    }
    let bytes = match store.backend.load_bytes(&location, ByteRange::All).await {
        Ok(bytes) => bytes,
        Err(error) => return broken(error, &location),
    };
    let bytes_read = bytes.len() as u64;
    unblock(move || {
        let (sound, problems) = check_records(&location, &records, &bytes);
        Ok(Checked { health: Ok(sound), problems, bytes_read })
    })
    .await
}

/// All bytes of a pack, if all of it is sound.
///
/// # Errors
/// `Corrupt` if anything is not; those of the backend.
pub(crate) async fn sound_pack(store: &Inner, nonce: Nonce) -> Result<Bytes> {
    let location = paths::pack(&nonce)?;
    let records = pack::read_index(&*store.backend, &nonce, &Cache::none()).await?;
    let bytes = store.backend.load_bytes(&location, ByteRange::All).await?;
    unblock(move || {
        // The index may have been sound where it was read before, and not in these bytes.
        envelope::parse(bytes.clone(), pack::MAGIC).map_err(|malformed| malformed.in_file(&location))?;
        match check_records(&location, &records, &bytes).1.into_iter().next() {
            None => Ok(bytes),
            Some(problem) => Err(Error::new(problem.kind, "read", &location, problem.detail)),
        }
    })
    .await
}

/// The sound items of a pack, and what is wrong with the others.
fn check_records(location: &Location, records: &Records, bytes: &Bytes) -> (Sound, Vec<Problem>) {
    let (mut sound, mut problems) = (Sound::with_capacity(records.len()), Vec::new());
    let damaged = |detail| Problem { kind: ErrorKind::Corrupt, file: location.clone(), detail, affected: Vec::new() };
    if !bytes.starts_with(pack::MAGIC) {
        problems.push(damaged("its beginning is damaged".to_string()));
    }
    for record in records.iter() {
        if is_sound(&record, bytes) {
            sound.push((record.offset, record.digest, record.kind));
        } else {
            problems.push(damaged(damaged_chunk(&record.digest)));
        }
    }
    sound.sort_unstable_by_key(|(offset, ..)| *offset);
    (sound, problems)
}

fn is_sound(record: &Record, pack: &Bytes) -> bool {
    let Ok(start) = usize::try_from(record.offset) else { return false };
    let Some(end) = usize::try_from(record.stored).ok().and_then(|length| start.checked_add(length)) else {
        return false;
    };
    if end > pack.len() {
        return false;
    }
    let Ok(bytes) = decompress(record.method, pack.slice(start..end), record.size) else { return false };
    match record.kind {
        Kind::Chunk => Digest::of(&bytes) == record.digest,
        Kind::ChunkList => decode_list_body::<Chunk>(&record.digest, &bytes).is_ok(),
        Kind::CellList => decode_list_body::<Cell>(&record.digest, &bytes).is_ok(),
    }
}

async fn check_file(store: &Inner, digest: Digest, nonce: Nonce, data: bool) -> Result<Checked<u64>> {
    let location = paths::whole_file(&digest, &nonce)?;
    if !data {
        return match store.backend.metadata(&location).await {
            Ok(metadata) => Ok(Checked { health: Ok(metadata.size), problems: Vec::new(), bytes_read: 0 }),
            Err(error) => broken(error, &location),
        };
    }
    let read = async { GridHasher::new().read(store.backend.load_stream(&location).await?).await };
    let hasher = match read.await {
        Ok(hasher) => hasher,
        Err(error) => return broken(error, &location),
    };
    let (found, size, _) = hasher.finish();
    if found == digest {
        return Ok(Checked { health: Ok(size), problems: Vec::new(), bytes_read: size });
    }
    let detail = format!("its content has digest b3:{found}, not the one in its name");
    let problem = Problem { kind: ErrorKind::Corrupt, file: location, detail: detail.clone(), affected: Vec::new() };
    Ok(Checked { health: Err(detail), problems: vec![problem], bytes_read: size })
}

/// Damage is a finding; anything else ends the verification.
fn broken<T>(error: strongroom_storage::Error, file: &Location) -> Result<Checked<T>> {
    let kind = error.kind();
    if !matches!(kind, ErrorKind::Corrupt | ErrorKind::Missing) {
        return Err(error);
    }
    let detail = error.detail().to_string();
    let problem = Problem { kind, file: file.clone(), detail: detail.clone(), affected: Vec::new() };
    Ok(Checked { health: Err(detail), problems: vec![problem], bytes_read: 0 })
}

fn damaged_chunk(digest: &Digest) -> String {
    format!("chunk b3:{digest} in it is damaged or not where it should be")
}
