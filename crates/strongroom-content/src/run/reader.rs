//! Reading a run: single names, or its blocks.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use strongroom_storage::{Digest, Location, Result};

use super::entries::{Entries, EntryRef};
use super::keys::Keys;
use super::runs::Runs;
use super::{BLOCK_ROW_BYTES, Block, Header, MAGIC, checksum};
use crate::codec::{Decoded, Decoder, Malformed};
use crate::compress::decompress;
use crate::entry::Entry;
use crate::envelope::{self, MAGIC_BYTES, Opened};
use crate::filter::Filter;
use crate::names::LogName;

/// The least bytes of an encoded entry: a name of one byte, version, time, and that it was removed.
const ENTRY_MIN_BYTES: u64 = 2 + 1 + 8 + 8 + 1;
/// How many blocks are read at once, at most, by who goes over many of them.
const BLOCKS_AT_ONCE: usize = 64;

/// A run whose directory was read; its blocks are read when they are needed.
pub(crate) struct Run {
    runs: Arc<Runs>,
    number: u64,
    location: Location,
    /// What its directory says.
    pub header: Header,
    /// How many entries it has.
    pub entries: u64,
    /// The file's size in bytes.
    pub size: u64,
    pub(super) blocks: Vec<Block>,
    tail: (u64, Bytes),
    /// Of the digests of its names.
    filter: Filter,
    /// To find the block that a name is in.
    keys: Keys,
}

impl Run {
    pub(super) fn of(runs: Arc<Runs>, number: u64, location: Location, opened: Opened) -> Result<Self> {
        let size = opened.tail.0 + opened.tail.1.len() as u64;
        let read = |input: &mut Decoder<'_>| -> Decoded<_> {
            let header = Header::decode(input)?;
            let entries = input.u64()?;
            let count = input.count(BLOCK_ROW_BYTES)?;
            let blocks: Vec<Block> = (0..count).map(|_| Block::decode(input)).collect::<Decoded<_>>()?;
            let filter = input.count(1)?;
            let start = opened.directory.len() - input.len();
            input.raw(filter)?;
            let filter = Filter::new(opened.directory.slice(start..start + filter));
            input.finish()?;
            let inside = |block: &Block| {
                block.offset >= MAGIC_BYTES as u64 && block.offset + u64::from(block.stored) <= opened.body_end
            };
            if !blocks.iter().all(inside) {
                return Err(Malformed("a block in it is beyond its end"));
            }
            // A run that it is merged into makes room for as many.
            let most: u64 = blocks.iter().map(|block| u64::from(block.size) / ENTRY_MIN_BYTES).sum();
            if !(blocks.len() as u64..=most).contains(&entries) {
                return Err(Malformed("it can't have as many entries as it says"));
            }
            if !blocks.is_sorted_by(|a, b| a.first < b.first) {
                return Err(Malformed("its blocks are not in order"));
            }
            Ok((header, entries, blocks, filter))
        };
        let (header, entries, blocks, filter) =
            read(&mut Decoder::new(&opened.directory)).map_err(|malformed| malformed.in_file(&location))?;
        let keys = Keys::of(blocks.iter().map(|block| block.first.as_bytes()));
        Ok(Self { runs, number, location, header, entries, size, blocks, tail: opened.tail, filter, keys })
    }

    /// Checks what opening did not look at.
    ///
    /// # Errors
    /// `Corrupt` if its first bytes are others.
    pub(crate) async fn check_beginning(&self) -> Result<()> {
        envelope::check_beginning(&*self.runs.backend, &self.location, &self.tail, MAGIC).await
    }

    /// Checks all blocks of a run that was opened from all of its bytes, as they are in these: none is read again.
    ///
    /// # Errors
    /// `Corrupt` if one is damaged or not there.
    pub(crate) fn check_bytes(&self) -> Result<()> {
        for (index, block) in self.blocks.iter().enumerate() {
            let stored = self.in_tail(block).ok_or(Malformed("a block in it is not there"));
            let decoded = stored.and_then(|stored| self.decode_block(index, block, stored));
            decoded.map_err(|malformed| self.damaged(malformed))?;
        }
        Ok(())
    }

    /// Where it lies.
    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    /// The memory that it takes, without blocks that are kept, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.tail.1.len() + self.filter.len() + self.blocks.len() * (size_of::<Block>() + Keys::BYTES)
    }

    /// Whether it may have an entry of `name`, as far as is known without reading.
    pub(crate) fn may_have(&self, name: &[u8]) -> bool {
        self.filter.is_empty() || self.filter.may_have(&Digest::of(name))
    }

    /// What `read` makes of the entry of `name`, if this run has one.
    pub(crate) async fn get<T>(
        &self,
        name: &[u8],
        read: impl FnOnce(EntryRef<'_>) -> Decoded<T> + Send,
    ) -> Result<Option<T>> {
        let Some(index) = self.block_of(name) else { return Ok(None) };
        let entries = match self.kept(index) {
            Some(entries) => entries,
            None if !self.may_have(name) => return Ok(None),
            None => self.keep(index, self.read_block(index).await?),
        };
        entries.find(name).map(read).transpose().map_err(|malformed| self.damaged(malformed))
    }

    /// Gives `found` the entries of those of `names` that this run has and that are at one of the positions `wanted`, which then
    /// has the others. Each block is looked at once; what lies together is read together.
    pub(crate) async fn get_all(
        &self,
        names: &[&[u8]],
        wanted: &mut Vec<usize>,
        found: &mut (dyn FnMut(usize, EntryRef<'_>) -> Decoded<()> + Send),
    ) -> Result<()> {
        let mut missed = Vec::new();
        let mut places = Vec::with_capacity(wanted.len());
        for at in wanted.drain(..) {
            match self.block_of(names[at]) {
                Some(index) => places.push((index, at)),
                None => missed.push(at),
            }
        }
        places.sort_unstable();
        let (mut last, mut is_kept) = (None, false);
        places.retain(|(index, at)| {
            if last.replace(*index) != Some(*index) {
                is_kept = self.kept(*index).is_some();
            }
            let stays = is_kept || self.may_have(names[*at]);
            if !stays {
                missed.push(*at);
            }
            stays
        });
        let groups: Vec<&[(usize, usize)]> = places.chunk_by(|a, b| a.0 == b.0).collect();
        let mut ahead = VecDeque::new();
        for (number, group) in groups.iter().enumerate() {
            let index = group[0].0;
            let entries = match ahead.pop_front().or_else(|| self.kept(index)) {
                Some(entries) => entries,
                None => {
                    let follows = |(step, group): &(usize, &&[(usize, usize)])| {
                        group[0].0 == index + step && self.kept(group[0].0).is_none()
                    };
                    let count = groups[number..].iter().enumerate().take(BLOCKS_AT_ONCE).take_while(follows).count();
                    let read = self.read_blocks(index, count).await?;
                    ahead = (index..).zip(read).map(|(index, entries)| self.keep(index, entries)).collect();
                    ahead.pop_front().unwrap_or_default()
                }
            };
            for (_, at) in *group {
                match entries.find(names[*at]) {
                    Some(entry) => found(*at, entry).map_err(|malformed| self.damaged(malformed))?,
                    None => missed.push(*at),
                }
            }
        }
        *wanted = missed;
        Ok(())
    }

    /// All of an entry of this run.
    pub(super) fn decode(&self, entry: EntryRef<'_>) -> Result<Entry> {
        entry.decode().map_err(|malformed| self.damaged(malformed))
    }

    fn damaged(&self, malformed: Malformed) -> strongroom_storage::Error {
        malformed.in_file(&self.location)
    }

    /// The block that has `name` if any does.
    pub(super) fn block_of(&self, name: &[u8]) -> Option<usize> {
        self.keys.count_before(name, true, |at| self.blocks[at].first.as_bytes()).checked_sub(1)
    }

    fn kept(&self, index: usize) -> Option<Arc<Entries>> {
        self.runs.blocks.get(&(self.number, index))
    }

    /// Keeps a block for single look-ups.
    fn keep(&self, index: usize, entries: Entries) -> Arc<Entries> {
        let entries = Arc::new(entries.detached());
        self.runs.blocks.insert((self.number, index), entries.clone());
        entries
    }

    pub(super) async fn read_block(&self, index: usize) -> Result<Entries> {
        let Some(block) = self.blocks.get(index) else { return Ok(Entries::default()) };
        if let Some(stored) = self.in_tail(block)
            && let Ok(entries) = self.decode_block(index, block, stored)
        {
            return Ok(entries);
        }
        // What was damaged on its way here, and kept, is read once more.
        let end = block.offset + u64::from(block.stored);
        let stored = self.runs.backend.load_bytes(&self.location, (block.offset..end).into()).await?;
        self.decode_block(index, block, stored).map_err(|malformed| self.damaged(malformed))
    }

    /// Up to `count` blocks from number `first` on, by one request where they are not known yet.
    pub(super) async fn read_blocks(&self, first: usize, count: usize) -> Result<VecDeque<Entries>> {
        let last = self.blocks.len().min(first + count.min(BLOCKS_AT_ONCE));
        let group = self.blocks.get(first..last).unwrap_or_default();
        let [start, .., last] = group else { return Ok(VecDeque::from([self.read_block(first).await?])) };
        let end = last.offset + u64::from(last.stored);
        let follows = |pair: &[Block]| pair[0].offset + u64::from(pair[0].stored) == pair[1].offset;
        let fetched = if self.in_tail(start).is_none() && group.windows(2).all(follows) {
            self.runs.backend.load_bytes(&self.location, (start.offset..end).into()).await?
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
                Some(entries) => entries,
                None => self.read_block(index).await?,
            });
        }
        Ok(blocks)
    }

    /// The entries of block number `index`, which are where the directory says, of commits that the run holds, and of names that
    /// there can be.
    fn decode_block(&self, index: usize, block: &Block, stored: Bytes) -> Decoded<Entries> {
        if checksum(&stored) != block.checksum {
            return Err(Malformed("a block in it does not match its checksum"));
        }
        let bytes = decompress(block.method, stored, block.size)?;
        let entries = Entries::decode(bytes, &(self.header.first..=self.header.version))?;
        let next = self.blocks.get(index + 1);
        let last = entries.len().checked_sub(1);
        let (Some(first), Some(last)) = (entries.get(0), last.and_then(|last| entries.get(last))) else {
            return Err(Malformed("a block in it is empty"));
        };
        if first.name() != block.first.as_bytes() || next.is_some_and(|next| last.name() >= next.first.as_bytes()) {
            return Err(Malformed("a block in it does not have the names that its directory says"));
        }
        if let LogName::Namespace(namespace) = &self.header.log
            && !entries.names().all(|name| namespace.can_have(name))
        {
            return Err(Malformed("a name in it is none that its namespace can have"));
        }
        Ok(entries)
    }

    /// The block's bytes, if they were read with the directory.
    fn in_tail(&self, block: &Block) -> Option<Bytes> {
        let start = usize::try_from(block.offset.checked_sub(self.tail.0)?).ok()?;
        let length = usize::try_from(block.stored).ok()?;
        Some(self.tail.1.slice(start..start + length))
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("location", &self.location).field("header", &self.header).finish_non_exhaustive()
    }
}
