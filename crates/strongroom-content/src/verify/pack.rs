//! Reading all of a pack: each byte once, however many records say that something is there.

use bytes::Bytes;
use strongroom_storage::{ByteRange, Digest, Error, ErrorKind, Location, Result, unblock};

use super::checks::Checks;
use crate::cache::Cache;
use crate::chunk::{Cell, Chunk, decode_list_body};
use crate::compress::decompress;
use crate::envelope;
use crate::nonce::Nonce;
use crate::pack;
use crate::paths;
use crate::record::{Kind, Record, Records};
use crate::store::Inner;

/// So much of a pack is read at once, or one item, if that is longer.
const WINDOW_BYTES: u64 = 4 << 20;
/// What is longer than this after decompression is looked at a few at a time.
const LARGE_BYTES: u32 = 4 << 20;

/// The sound chunks and lists of a pack, in order of their offsets.
pub(super) type Sound = Vec<(u64, Digest, Kind)>;

/// What was found in a pack.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub sound: Sound,
    /// What is damaged, or not where it should be.
    pub damaged: Vec<Digest>,
    pub bytes_read: u64,
    pub has_beginning: bool,
}

/// All records, unread.
pub(super) fn unread(records: &Records) -> Sound {
    sorted(records.iter().map(|record| (record.offset, record.digest, record.kind)).collect())
}

/// Reads what all records say.
///
/// Items don't overlap. Where some do all the same, in a pack that somebody forged, only the first is read, so that the time for it is
/// bounded by the length of the file.
pub(super) async fn read(checks: &Checks<'_>, location: &Location, records: &Records) -> Result<Found> {
    let mut records: Vec<Record> = records.iter().collect();
    records.sort_unstable_by_key(|record| (record.offset, record.stored, record.digest));
    let mut found = Found { sound: Sound::with_capacity(records.len()), ..Found::default() };
    let magic = load(checks, location, 0..pack::MAGIC.len() as u64).await?;
    found.has_beginning = &magic[..] == pack::MAGIC;
    found.bytes_read += magic.len() as u64;

    let mut items = Vec::new();
    let mut end = 0;
    for same in records.chunk_by(|a, b| (a.offset, a.stored) == (b.offset, b.stored)) {
        let Some(first) = same.first() else { continue };
        if first.offset < end && first.stored > 0 {
            found.damaged.extend(same.iter().map(|record| record.digest));
            continue;
        }
        end = end.max(first.offset + u64::from(first.stored));
        items.push(same);
    }
    let mut rest = &items[..];
    while let Some(first) = rest.first().and_then(|item| item.first()) {
        let is_within = |item: &&[Record]| {
            let last = item.first().map_or(0, |record| record.offset + u64::from(record.stored));
            last - first.offset <= WINDOW_BYTES
        };
        let count = rest.iter().take_while(|item| is_within(item)).count().max(1);
        let (window, later) = rest.split_at(count);
        rest = later;
        let window: Vec<Record> = window.iter().flat_map(|item| item.iter().copied()).collect();
        let end = window.last().map_or(0, |record| record.offset + u64::from(record.stored));
        let bytes = load(checks, location, first.offset..end).await?;
        found.bytes_read += bytes.len() as u64;
        let is_large = window.iter().any(|record| record.size > LARGE_BYTES);
        let _few = if is_large { checks.large.acquire().await.ok() } else { None };
        let start = first.offset;
        let (sound, damaged) = unblock(move || Ok(check(&window, &bytes, start))).await?;
        found.sound.extend(sound);
        found.damaged.extend(damaged);
    }
    found.sound = sorted(found.sound);
    Ok(found)
}

fn sorted(mut sound: Sound) -> Sound {
    sound.sort_unstable_by_key(|(offset, digest, _)| (*offset, *digest));
    sound
}

/// All bytes of a pack, if all of it is sound.
///
/// # Errors
/// `Corrupt` if anything is not; those of the backend.
pub(crate) async fn sound_pack(store: &Inner, nonce: Nonce) -> Result<Bytes> {
    let location = paths::pack(&nonce)?;
    let mut records: Vec<Record> = pack::read_index(&*store.backend, &nonce, &Cache::none()).await?.iter().collect();
    records.sort_unstable_by_key(|record| (record.offset, record.stored, record.digest));
    let bytes = store.backend.load_bytes(&location, ByteRange::All).await?;
    unblock(move || {
        // The index may have been sound where it was read before, and not in these bytes.
        envelope::parse(bytes.clone(), pack::MAGIC).map_err(|malformed| malformed.in_file(&location))?;
        match check(&records, &bytes, 0).1.first() {
            None => Ok(bytes),
            Some(digest) => {
                let detail = format!("chunk b3:{digest} in it is damaged or not where it should be");
                Err(Error::new(ErrorKind::Corrupt, "read", &location, detail))
            }
        }
    })
    .await
}

async fn load(checks: &Checks<'_>, location: &Location, range: std::ops::Range<u64>) -> Result<Bytes> {
    checks.pace.take(range.end - range.start).await;
    let length = range.end - range.start;
    let bytes = checks.store.backend.load_bytes(location, ByteRange::from(range)).await?;
    if bytes.len() as u64 == length {
        return Ok(bytes);
    }
    Err(Error::new(ErrorKind::Corrupt, "verify", location, "it was cut while it was read"))
}

/// What is sound of the records of a window that begins at `start`, and what is not.
fn check(window: &[Record], bytes: &Bytes, start: u64) -> (Sound, Vec<Digest>) {
    let (mut sound, mut damaged) = (Sound::with_capacity(window.len()), Vec::new());
    for same in window.chunk_by(|a, b| (a.offset, a.stored) == (b.offset, b.stored)) {
        let mut item: Option<Item> = None;
        for record in same {
            let item = item.get_or_insert_with(|| Item::of(record, bytes, start));
            if item.is(record) {
                sound.push((record.offset, record.digest, record.kind));
            } else {
                damaged.push(record.digest);
            }
        }
    }
    (sound, damaged)
}

/// What lies at a place, looked at once.
struct Item {
    /// As the first record that names it says.
    first: Record,
    /// The digest that it can stand under as a chunk, and as a list.
    chunk: Option<Digest>,
    chunk_list: Option<Digest>,
    cell_list: Option<Digest>,
}

impl Item {
    fn of(first: &Record, window: &Bytes, start: u64) -> Self {
        let mut item = Self { first: *first, chunk: None, chunk_list: None, cell_list: None };
        let from = usize::try_from(first.offset - start).unwrap_or(usize::MAX);
        let to = from.saturating_add(usize::try_from(first.stored).unwrap_or(usize::MAX));
        if to > window.len() {
            return item;
        }
        let Ok(bytes) = decompress(first.method, window.slice(from..to), first.size) else { return item };
        match first.kind {
            Kind::Chunk => item.chunk = Some(Digest::of(&bytes)),
            // The list of an object begins with its digest.
            Kind::ChunkList | Kind::CellList => {
                let Some(object) = bytes.first_chunk().map(|object| Digest::from_bytes(*object)) else { return item };
                let is_sound = match first.kind {
                    Kind::CellList => decode_list_body::<Cell>(&object, &bytes).is_ok(),
                    _ => decode_list_body::<Chunk>(&object, &bytes).is_ok(),
                };
                let list = is_sound.then_some(object);
                if first.kind == Kind::CellList { item.cell_list = list } else { item.chunk_list = list }
            }
        }
        item
    }

    fn is(&self, record: &Record) -> bool {
        let digest = match record.kind {
            Kind::Chunk => self.chunk,
            Kind::ChunkList => self.chunk_list,
            Kind::CellList => self.cell_list,
        };
        (record.size, record.method) == (self.first.size, self.first.method) && digest == Some(record.digest)
    }
}
