//! An index file that is in use: its directory is in memory, its blocks are read when they are needed.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{TryStreamExt, stream};
use strongroom_storage::{Digest, ExternalStorage, Location, ObjectReader, Result, unblock};

use super::blocks::Blocks;
use super::{Found, locate};
use crate::cache::Cache;
use crate::codec::Decoded;
use crate::envelope::{self, MAGIC_BYTES, Opened};
use crate::index::{BLOCK_BYTES, BLOCK_RECORDS, Directory, MAGIC};
use crate::nonce::Nonce;
use crate::paths;
use crate::record::{DigestPrefix, RECORD_BYTES, Records};

/// How many blocks are read by one request at most.
pub(super) const SPAN_BLOCKS: usize = 256;
/// How many blocks that nobody wants are read rather than that another request is sent: as much as comes in the time that a
/// request takes.
const GAP_BLOCKS: usize = 64;
const GAP_BLOCKS_LOCAL: usize = 1;
/// How much of the end is read at first where each request is dear, in bytes: the directory of a hundred thousand packs, or all of
/// thirty thousand records.
const TAIL_BYTES_FAR: u64 = 2 << 20;
/// How many requests are sent at once.
const READS_AT_ONCE: usize = 16;
/// How many blocks are kept together in the cache, and read together where there is one: 256 KiB.
const CACHED_BLOCKS: usize = 64;
/// More than this is verified on another thread.
const UNBLOCK_BLOCKS: usize = 16;

/// An index file.
#[derive(Debug)]
pub(crate) struct IndexFile {
    pub nonce: Nonce,
    pub directory: Directory,
    backend: Arc<dyn ExternalStorage>,
    location: Location,
    /// Where what was read is kept for the next process.
    cache: Cache,
    /// Kept open where that is faster.
    reader: Option<Arc<dyn ObjectReader>>,
    /// All records of a small one, which came with its directory.
    whole: Option<Records>,
}

impl IndexFile {
    /// Reads the directory of the index file `nonce`, and all of it if it is small; from the cache if it is there.
    ///
    /// # Errors
    /// `Missing` if there is none; `Corrupt` if it is not what its checksums say.
    pub(super) async fn open(backend: &Arc<dyn ExternalStorage>, nonce: Nonce, cache: &Cache) -> Result<Self> {
        if let Some(whole) = cache.load(&cached_name(&nonce, "whole")).await
            && let Ok(opened) = envelope::parse(whole, MAGIC)
            && let Ok(file) = Self::of(backend, nonce, cache, opened).await
        {
            return Ok(file);
        }
        if let Some(end) = cache.load(&cached_name(&nonce, "end")).await
            && let Ok(opened) = envelope::parse_end(end, MAGIC)
            && let Ok(file) = Self::of(backend, nonce, cache, opened).await
        {
            return Ok(file);
        }
        let tail_bytes = if backend.capabilities().local { envelope::TAIL_BYTES } else { TAIL_BYTES_FAR };
        let opened = envelope::open_tail(&**backend, &paths::index(&nonce)?, MAGIC, tail_bytes).await?;
        let copy = cache.is_there().then(|| match &opened.tail {
            (0, whole) => ("whole", whole.clone()),
            _ => ("end", opened.end()),
        });
        let file = Self::of(backend, nonce, cache, opened).await?;
        if let Some((part, bytes)) = copy {
            cache.store(&cached_name(&nonce, part), bytes).await;
        }
        Ok(file)
    }

    /// The index file `nonce`, of which this is a copy.
    ///
    /// # Errors
    /// `Corrupt` if it is not what its checksums say.
    pub(super) async fn of_whole(
        backend: &Arc<dyn ExternalStorage>,
        nonce: Nonce,
        cache: &Cache,
        whole: Bytes,
    ) -> Result<Self> {
        cache.store(&cached_name(&nonce, "whole"), whole.clone()).await;
        let location = paths::index(&nonce)?;
        let opened = envelope::parse(whole, MAGIC).map_err(|malformed| malformed.in_file(&location))?;
        Self::of(backend, nonce, cache, opened).await
    }

    async fn of(backend: &Arc<dyn ExternalStorage>, nonce: Nonce, cache: &Cache, opened: Opened) -> Result<Self> {
        let location = paths::index(&nonce)?;
        let directory = Directory::decode(&opened.directory, opened.body_end);
        let directory = directory.map_err(|malformed| malformed.in_file(&location))?;
        let (backend, cache) = (backend.clone(), cache.clone());
        let mut file = Self { nonce, directory, backend, location, cache, reader: None, whole: None };
        if let (0, bytes) = &opened.tail {
            let body = bytes.slice(MAGIC_BYTES..bytes.len().min(to_usize(opened.body_end)));
            let records = check(&file.directory, 0..file.directory.blocks(), body);
            file.whole = Some(records.map_err(|malformed| malformed.in_file(&file.location))?);
        } else {
            file.reader = file.backend.reader(&file.location).await?;
        }
        Ok(file)
    }

    /// Checks all of the index file `nonce`.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub(crate) async fn verify(backend: &Arc<dyn ExternalStorage>, nonce: Nonce) -> Result<()> {
        let file = Self::open(backend, nonce, &Cache::none()).await?;
        if file.whole.is_some() {
            return Ok(());
        }
        let not_read = (MAGIC_BYTES as u64, Bytes::new());
        envelope::check_beginning(&**backend, &file.location, &not_read, MAGIC).await?;
        let blocks = file.directory.blocks();
        for start in (0..blocks).step_by(SPAN_BLOCKS) {
            file.read(start..blocks.min(start + SPAN_BLOCKS)).await?;
        }
        Ok(())
    }

    /// Adds what it has under `prefix`, as far as that is in memory. False if it is not.
    pub(super) fn look(&self, kept: &Blocks, prefix: &DigestPrefix, found: &mut Vec<Found>) -> bool {
        self.directory.blocks_of(prefix).all(|block| match self.in_memory(kept, block) {
            Some(records) => {
                self.add(&records, prefix, found);
                true
            }
            None => false,
        })
    }

    /// Adds what it has under `prefix`.
    pub(super) async fn search(&self, kept: &Blocks, prefix: &DigestPrefix, found: &mut Vec<Found>) -> Result<()> {
        for block in self.directory.blocks_of(prefix) {
            let records = match self.in_memory(kept, block) {
                Some(records) => records,
                None => {
                    let records = self.read_kept(block).await?;
                    kept.keep(&self.nonce, block, &records);
                    records
                }
            };
            self.add(&records, prefix, found);
        }
        Ok(())
    }

    /// Reads the blocks into memory in which these digests may be: each once, neighbours together.
    pub(super) async fn fetch(&self, kept: &Blocks, digests: &[Digest]) -> Result<()> {
        let blocks = digests.iter().flat_map(|digest| self.directory.blocks_of(&DigestPrefix::exact(digest)));
        let mut wanted: Vec<usize> = blocks.filter(|block| !self.has_in_memory(kept, *block)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        if self.cache.is_there() {
            for block in wanted {
                kept.keep(&self.nonce, block, &self.read_kept(block).await?);
            }
            return Ok(());
        }
        let gap = if self.backend.capabilities().local { GAP_BLOCKS_LOCAL } else { GAP_BLOCKS };
        stream::iter(spans(&wanted, gap).map(Ok))
            .try_for_each_concurrent(READS_AT_ONCE, |span| async move {
                let (Some(first), Some(last)) = (span.first(), span.last()) else { return Ok(()) };
                let bytes = self.bytes(*first..*last + 1).await?;
                for block in span {
                    let start = (block - first) * BLOCK_BYTES;
                    let end = bytes.len().min(start + BLOCK_BYTES);
                    let records = self.directory.check_block(*block, bytes.slice(start.min(end)..end));
                    let records = records.map_err(|malformed| malformed.in_file(&self.location))?;
                    kept.keep(&self.nonce, *block, &records);
                }
                Ok(())
            })
            .await
    }

    /// Reads these blocks and verifies them.
    ///
    /// # Errors
    /// `Missing` if the file is gone; `Corrupt` if it is damaged.
    pub(super) async fn read(&self, blocks: Range<usize>) -> Result<Records> {
        let bytes = self.bytes(blocks.clone()).await?;
        let checked = if blocks.len() > UNBLOCK_BLOCKS {
            let directory = self.directory.clone();
            unblock(move || Ok(check(&directory, blocks, bytes))).await?
        } else {
            check(&self.directory, blocks, bytes)
        };
        checked.map_err(|malformed| malformed.in_file(&self.location))
    }

    /// Reads a block: from the cache, or with its neighbours so that they are there the next time.
    async fn read_kept(&self, block: usize) -> Result<Records> {
        if !self.cache.is_there() {
            return self.read(block..block + 1).await;
        }
        let first = block - block % CACHED_BLOCKS;
        let blocks = first..self.directory.blocks().min(first + CACHED_BLOCKS);
        let name = cached_name(&self.nonce, &format!("{}", first / CACHED_BLOCKS));
        let cached = self.cache.load(&name).await;
        let records = match cached.and_then(|bytes| check(&self.directory, blocks.clone(), bytes).ok()) {
            Some(records) => records,
            None => {
                let records = self.read(blocks).await?;
                self.cache.store(&name, records.as_bytes().clone()).await;
                records
            }
        };
        Ok(records.slice((block - first) * BLOCK_RECORDS, BLOCK_RECORDS))
    }

    async fn bytes(&self, blocks: Range<usize>) -> Result<Bytes> {
        let place = self.directory.place(&blocks);
        if let Some(whole) = &self.whole {
            let offset = |offset: u64| to_usize(offset) - MAGIC_BYTES;
            return Ok(whole.as_bytes().slice(offset(place.start)..offset(place.end)));
        }
        // An open file can go bad by itself, as on a network file system whose server has started anew.
        if let Some(reader) = &self.reader
            && let Ok(bytes) = reader.read(place.clone()).await
        {
            return Ok(bytes);
        }
        self.backend.load_bytes(&self.location, place.into()).await
    }

    fn in_memory(&self, kept: &Blocks, block: usize) -> Option<Records> {
        match &self.whole {
            Some(whole) => Some(whole.slice(block * BLOCK_RECORDS, BLOCK_RECORDS)),
            None => kept.get(&self.nonce, block),
        }
    }

    fn has_in_memory(&self, kept: &Blocks, block: usize) -> bool {
        self.whole.is_some() || kept.has(&self.nonce, block)
    }

    fn add(&self, records: &Records, prefix: &DigestPrefix, found: &mut Vec<Found>) {
        let located = records.with_prefix(prefix).filter_map(|record| {
            let pack = *self.directory.packs.get(usize::try_from(record.pack).ok()?)?;
            Some(locate(pack, &record))
        });
        found.extend(located);
    }
}

/// Where a part of an index file is in the cache.
fn cached_name(nonce: &Nonce, part: &str) -> String {
    format!("{}{nonce}/{part}", paths::INDEX)
}

/// The records of these blocks.
fn check(directory: &Directory, blocks: Range<usize>, bytes: Bytes) -> Decoded<Records> {
    for (position, block) in blocks.enumerate() {
        let offset = |position: usize| bytes.len().min(position * BLOCK_BYTES);
        directory.check_block(block, bytes.slice(offset(position)..offset(position + 1)))?;
    }
    // From block to block they are in order by the directory.
    Ok(Records::of_bytes(bytes))
}

/// Those of them that are read together.
fn spans(blocks: &[usize], gap: usize) -> impl Iterator<Item = &[usize]> {
    let mut rest = blocks;
    std::iter::from_fn(move || {
        let first = *rest.first()?;
        let together = |pair: &[usize]| pair[1] - pair[0] <= gap && pair[1] - first < SPAN_BLOCKS;
        let length = 1 + rest.windows(2).take_while(|pair| together(pair)).count();
        let (span, others) = rest.split_at(length);
        rest = others;
        Some(span)
    })
}

/// Offsets in what is in memory fit `usize`.
fn to_usize(offset: u64) -> usize {
    usize::try_from(offset).expect("an offset within memory fits usize")
}

const _: () = assert!(BLOCK_BYTES == BLOCK_RECORDS * RECORD_BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_read_together_and_no_more_than_a_span() {
        let spans_of = |blocks: &[usize], gap| spans(blocks, gap).map(<[usize]>::to_vec).collect::<Vec<_>>();
        assert_eq!(spans_of(&[], 1), Vec::<Vec<usize>>::new());
        assert_eq!(spans_of(&[3, 4, 6, 9], 1), [vec![3, 4], vec![6], vec![9]]);
        assert_eq!(spans_of(&[3, 4, 6, 9], 3), [vec![3, 4, 6, 9]]);
        let all: Vec<usize> = (0..SPAN_BLOCKS + 2).collect();
        assert_eq!(spans_of(&all, 1), [all[..SPAN_BLOCKS].to_vec(), all[SPAN_BLOCKS..].to_vec()]);
    }
}
