//! Reading runs: one name, or all in order, from one run or from several over each other.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use strongroom_storage::{ExternalStorage, Location, Result};

use super::keys::Keys;
use super::{BLOCK_ROW_BYTES, Block, Header, MAGIC, checksum};
use crate::codec::{Decoded, Decoder, Malformed};
use crate::compress::decompress;
use crate::entry::Entry;
use crate::envelope::{self, MAGIC_BYTES, Opened};

/// How many decoded blocks of one run are kept for single look-ups.
const KEPT_BLOCKS: usize = 1024;

/// How many blocks are read at once, at most, by who goes over all of them.
const BLOCKS_AT_ONCE: usize = 64;

type Entries = Arc<Vec<Entry>>;

/// A decoded block, for single look-ups.
struct Kept {
    entries: Entries,
    keys: Keys,
}

/// A run whose directory was read; its blocks are read when they are needed.
pub(crate) struct Run {
    backend: Arc<dyn ExternalStorage>,
    location: Location,
    /// What its directory says.
    pub header: Header,
    /// How many entries it has.
    pub entries: u64,
    /// The file's size in bytes.
    pub size: u64,
    blocks: Vec<Block>,
    tail: (u64, Bytes),
    /// To find the block that a name is in.
    keys: Keys,
    kept: Mutex<HashMap<usize, Arc<Kept>>>,
}

impl Run {
    /// Opens the run at `location`.
    ///
    /// # Errors
    /// `Missing` if there is none; `Corrupt` if it is not what its checksum says.
    pub(crate) async fn open(backend: &Arc<dyn ExternalStorage>, location: Location) -> Result<Self> {
        let opened = envelope::open(&**backend, &location, MAGIC).await?;
        Self::of(backend, location, opened)
    }

    /// The run that was stored at `location` as `bytes`.
    ///
    /// # Errors
    /// `Corrupt` if they are none.
    pub(crate) fn from_bytes(backend: &Arc<dyn ExternalStorage>, location: Location, bytes: Bytes) -> Result<Self> {
        let opened = envelope::parse(bytes, MAGIC).map_err(|malformed| malformed.in_file(&location))?;
        Self::of(backend, location, opened)
    }

    fn of(backend: &Arc<dyn ExternalStorage>, location: Location, opened: Opened) -> Result<Self> {
        let size = opened.tail.0 + opened.tail.1.len() as u64;
        let read = |input: &mut Decoder<'_>| -> Decoded<_> {
            let header = Header::decode(input)?;
            let entries = input.u64()?;
            let count = input.count(BLOCK_ROW_BYTES)?;
            let blocks: Vec<Block> = (0..count).map(|_| Block::decode(input)).collect::<Decoded<_>>()?;
            input.finish()?;
            let inside = |block: &Block| {
                block.offset >= MAGIC_BYTES as u64 && block.offset + u64::from(block.stored) <= opened.body_end
            };
            if !blocks.iter().all(inside) {
                return Err(Malformed("a block in it is beyond its end"));
            }
            if !blocks.is_sorted_by(|a, b| a.first < b.first) {
                return Err(Malformed("its blocks are not in order"));
            }
            Ok((header, entries, blocks))
        };
        let (header, entries, blocks) =
            read(&mut Decoder::new(&opened.directory)).map_err(|malformed| malformed.in_file(&location))?;
        let (backend, kept) = (backend.clone(), Mutex::default());
        let keys = Keys::of(blocks.iter().map(|block| &*block.first));
        Ok(Self { backend, location, header, entries, size, blocks, tail: opened.tail, keys, kept })
    }

    /// Checks what opening did not look at.
    ///
    /// # Errors
    /// `Corrupt` if its first bytes are others.
    pub(crate) async fn check_beginning(&self) -> Result<()> {
        envelope::check_beginning(&*self.backend, &self.location, &self.tail, MAGIC).await
    }

    /// Where it lies.
    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    /// The entry of `name`, if this run has one.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<Entry>> {
        let Some(index) = self.block_of(name) else { return Ok(None) };
        let kept = self.lock().get(&index).cloned();
        let block = match kept {
            Some(block) => block,
            None => {
                let entries = self.read_block(index).await?;
                let keys = Keys::of(entries.iter().map(|entry| &*entry.name));
                let block = Arc::new(Kept { entries, keys });
                let mut kept = self.lock();
                if kept.len() >= KEPT_BLOCKS {
                    kept.clear();
                }
                kept.insert(index, block.clone());
                block
            }
        };
        let Kept { entries, keys } = &*block;
        let at = keys.count_before(name, false, |at| &entries[at].name);
        Ok(entries.get(at).filter(|entry| *entry.name == *name).cloned())
    }

    /// The block that has `name` if any does.
    fn block_of(&self, name: &str) -> Option<usize> {
        self.keys.count_before(name, true, |at| &self.blocks[at].first).checked_sub(1)
    }

    async fn read_block(&self, index: usize) -> Result<Entries> {
        let Some(block) = self.blocks.get(index) else { return Ok(Entries::default()) };
        if let Some(stored) = self.in_tail(block)
            && let Ok(entries) = self.decode_block(index, block, stored)
        {
            return Ok(Arc::new(entries));
        }
        // What was damaged on its way here, and kept, is read once more.
        let end = block.offset + u64::from(block.stored);
        let stored = self.backend.load_bytes(&self.location, (block.offset..end).into()).await?;
        self.decode_block(index, block, stored).map(Arc::new).map_err(|malformed| malformed.in_file(&self.location))
    }

    /// Up to `count` blocks from number `first` on, by one request where they are not known yet.
    async fn read_blocks(&self, first: usize, count: usize) -> Result<VecDeque<Entries>> {
        let group = self.blocks.get(first..self.blocks.len().min(first + count)).unwrap_or_default();
        let [start, .., last] = group else { return Ok(VecDeque::from([self.read_block(first).await?])) };
        let end = last.offset + u64::from(last.stored);
        let follows = |pair: &[Block]| pair[0].offset + u64::from(pair[0].stored) == pair[1].offset;
        let fetched = if self.in_tail(start).is_none() && group.windows(2).all(follows) {
            self.backend.load_bytes(&self.location, (start.offset..end).into()).await?
        } else {
            Bytes::new()
        };
        let mut rest = fetched;
        let mut blocks = VecDeque::with_capacity(group.len());
        for (index, block) in (first..).zip(group) {
            let length = usize::try_from(block.stored).unwrap_or(usize::MAX);
            let decoded =
                if length <= rest.len() { self.decode_block(index, block, rest.split_to(length)).ok() } else { None };
            // What is in the tail, or was damaged on its way, is read by itself.
            blocks.push_back(match decoded {
                Some(entries) => Arc::new(entries),
                None => self.read_block(index).await?,
            });
        }
        Ok(blocks)
    }

    /// The entries of block number `index`, which are where the directory says and of commits that the run holds.
    fn decode_block(&self, index: usize, block: &Block, stored: Bytes) -> Decoded<Vec<Entry>> {
        let entries = decode_block(block, stored)?;
        let next = self.blocks.get(index + 1);
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Err(Malformed("a block in it is empty"));
        };
        if first.name != block.first || next.is_some_and(|next| last.name >= next.first) {
            return Err(Malformed("a block in it does not have the names that its directory says"));
        }
        let held = self.header.first..=self.header.version;
        if !entries.iter().all(|entry| held.contains(&entry.version)) {
            return Err(Malformed("an entry in it is of a version that it does not hold"));
        }
        Ok(entries)
    }

    /// The block's bytes, if they were read with the directory.
    fn in_tail(&self, block: &Block) -> Option<Bytes> {
        let start = usize::try_from(block.offset.checked_sub(self.tail.0)?).ok()?;
        let length = usize::try_from(block.stored).ok()?;
        Some(self.tail.1.slice(start..start + length))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<usize, Arc<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("location", &self.location).field("header", &self.header).finish_non_exhaustive()
    }
}

fn decode_block(block: &Block, stored: Bytes) -> Decoded<Vec<Entry>> {
    if checksum(&stored) != block.checksum {
        return Err(Malformed("a block in it does not match its checksum"));
    }
    let bytes = decompress(block.method, stored, block.size)?;
    let mut input = Decoder::new(&bytes);
    let mut entries: Vec<Entry> = Vec::new();
    while !input.is_empty() {
        let entry = Entry::decode(&mut input)?;
        if entries.last().is_some_and(|last| last.name >= entry.name) {
            return Err(Malformed("its entries are not in order"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// A position in the entries of one run, or of a list in memory.
pub(crate) struct Cursor {
    run: Option<Arc<Run>>,
    /// The first block that was not read yet.
    next_block: usize,
    /// How many are read at once: more and more, as it gets likelier that all are wanted.
    stride: usize,
    ahead: VecDeque<Entries>,
    entries: Entries,
    at: usize,
}

impl Cursor {
    /// Before the first entry of `run` whose name is not before `from`.
    pub(crate) async fn seek(run: Arc<Run>, from: &str) -> Result<Self> {
        let first = run.block_of(from).unwrap_or(0);
        let entries = run.read_block(first).await?;
        let at = entries.partition_point(|entry| *entry.name < *from);
        Ok(Self { run: Some(run), next_block: first + 1, stride: 1, ahead: VecDeque::new(), entries, at })
    }

    /// Before the first of `entries`, which are sorted by name.
    pub(crate) fn over(entries: Vec<Entry>) -> Self {
        Self { run: None, next_block: 0, stride: 0, ahead: VecDeque::new(), entries: Arc::new(entries), at: 0 }
    }

    async fn peek(&mut self) -> Result<Option<&Entry>> {
        while self.at >= self.entries.len() {
            if self.ahead.is_empty()
                && let Some(run) = self.run.as_ref().filter(|run| self.next_block < run.blocks.len())
            {
                self.stride = (self.stride * 2).min(BLOCKS_AT_ONCE);
                self.ahead = run.read_blocks(self.next_block, self.stride).await?;
                self.next_block += self.ahead.len();
            }
            let Some(entries) = self.ahead.pop_front() else { return Ok(None) };
            (self.entries, self.at) = (entries, 0);
        }
        Ok(self.entries.get(self.at))
    }
}

/// The entries of several runs in order of their names; where more than one has a name, that of the newest.
pub(crate) struct Merge(Vec<Cursor>);

impl Merge {
    /// Over `cursors`, the newest first.
    pub(crate) fn new(cursors: Vec<Cursor>) -> Self {
        Self(cursors)
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Entry>> {
        let mut least: Option<(usize, Arc<str>)> = None;
        for (index, cursor) in self.0.iter_mut().enumerate() {
            if let Some(entry) = cursor.peek().await?
                && least.as_ref().is_none_or(|(_, name)| entry.name < *name)
            {
                least = Some((index, entry.name.clone()));
            }
        }
        let Some((newest, name)) = least else { return Ok(None) };
        let mut found = None;
        for cursor in &mut self.0[newest..] {
            if let Some(entry) = cursor.peek().await?
                && entry.name == name
            {
                found.get_or_insert_with(|| entry.clone());
                cursor.at += 1;
            }
        }
        Ok(found)
    }
}
