//! Content of a store that is not local: blocks of its packs and files, as they were read. Packs and files never change, so a block
//! is good for ever; what is read from one is verified by whoever reads it, like all content.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use strongroom_storage::{ExternalStorage, Host, Location, Result};

use super::Cache;
use crate::nonce::Nonce;

/// What is read and kept together: so little that small objects can be read one by one, so much that there are few files.
const BLOCK_BYTES: u64 = 256 << 10;
/// How many blocks are looked up or kept at once.
const AT_ONCE: usize = 8;
/// Below the store's id.
const FOLDER: &str = "content/";
/// When so much of the bound was added, it is looked how much there is.
const LOOKED_AFTER: u64 = 16;
/// One of so many blocks that are read is kept anew, so that what is read often goes last.
const RENEWED_ONE_IN: u64 = 32;

/// The blocks of one store, for one handle.
#[derive(Debug)]
pub(crate) struct ContentCache {
    backend: Arc<dyn ExternalStorage>,
    cache: Cache,
    /// How many bytes may be kept, of this store.
    bytes_max: u64,
    /// How many bytes this handle has added since it looked how much there is.
    added: AtomicU64,
    reads: AtomicU64,
}

impl ContentCache {
    /// Blocks of `backend` in `cache`, if there is one and it is nearer, and if any bytes may be kept.
    pub(crate) fn new(backend: Arc<dyn ExternalStorage>, cache: &Cache, bytes_max: u64, host: &dyn Host) -> Self {
        let cache = if bytes_max == 0 { Cache::none() } else { cache.for_hints_of(&*backend) };
        let mut chance = [0; 2];
        if cache.is_there() {
            // Many short processes must not all look, nor none of them; and not all renew the same block.
            host.fill_random(&mut chance).unwrap_or_default();
        }
        let [added, reads] = chance.map(u64::from);
        let added = AtomicU64::new(bytes_max / LOOKED_AFTER / 256 * added);
        Self { backend, cache, bytes_max, added, reads: reads.into() }
    }

    /// Whether anything is kept.
    pub(crate) fn is_on(&self) -> bool {
        self.cache.is_there()
    }

    /// The bytes `range` of the pack or file at `location` with this nonce, as far as it goes. With `anew`, from the backend in any case,
    /// and what is kept is replaced.
    ///
    /// # Errors
    /// Those of the backend, where something is not kept.
    pub(crate) async fn read(
        &self,
        location: &Location,
        nonce: &Nonce,
        range: Range<u64>,
        anew: bool,
    ) -> Result<Bytes> {
        let blocks = range.start / BLOCK_BYTES..range.end.div_ceil(BLOCK_BYTES);
        let mut found: Vec<Option<Bytes>> = if anew {
            blocks.clone().map(|_| None).collect()
        } else {
            let found = stream::iter(blocks.clone()).map(|block| self.load(nonce, block));
            found.buffered(AT_ONCE).collect().await
        };
        let mut position = 0;
        while let Some(from) = found[position..].iter().position(Option::is_none).map(|from| position + from) {
            let to = from + found[from..].iter().take_while(|block| block.is_none()).count();
            let first = blocks.start + from as u64;
            let start = first * BLOCK_BYTES;
            let bytes =
                self.backend.load_bytes(location, (start..(blocks.start + to as u64) * BLOCK_BYTES).into()).await?;
            for (block, place) in found[from..to].iter_mut().enumerate() {
                let at = |block: usize| bytes.len().min(block * BLOCK_BYTES as usize);
                *place = Some(bytes.slice(at(block)..at(block + 1)));
            }
            let kept = (first..).zip(found[from..to].iter().flatten()).filter(|(_, block)| !block.is_empty());
            stream::iter(kept).for_each_concurrent(AT_ONCE, |(block, bytes)| self.keep(nonce, block, bytes)).await;
            position = to;
        }
        Ok(cut(found.into_iter().flatten(), blocks.start * BLOCK_BYTES, range))
    }

    /// A block that is kept.
    async fn load(&self, nonce: &Nonce, block: u64) -> Option<Bytes> {
        let bytes = self.cache.load(&name(nonce, block)).await?;
        if self.reads.fetch_add(1, Ordering::Relaxed) % RENEWED_ONE_IN == RENEWED_ONE_IN - 1 {
            self.cache.store(&name(nonce, block), bytes.clone()).await;
        }
        Some(bytes)
    }

    async fn keep(&self, nonce: &Nonce, block: u64, bytes: &Bytes) {
        self.cache.store(&name(nonce, block), bytes.clone()).await;
        let added = self.added.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64;
        if added > self.bytes_max / LOOKED_AFTER {
            self.added.store(0, Ordering::Relaxed);
            self.cache.shrink(FOLDER, self.bytes_max - self.bytes_max / LOOKED_AFTER).await;
        }
    }
}

fn name(nonce: &Nonce, block: u64) -> String {
    format!("{FOLDER}{nonce}/{block}")
}

/// The bytes `range` of a file, of which these blocks come one after the other from `start` on.
fn cut(blocks: impl Iterator<Item = Bytes>, start: u64, range: Range<u64>) -> Bytes {
    let mut parts = Vec::new();
    let mut at = start;
    for block in blocks {
        let end = at + block.len() as u64;
        let within = |position: u64| (position.clamp(at, end) - at) as usize;
        parts.push(block.slice(within(range.start)..within(range.end)));
        if (block.len() as u64) < BLOCK_BYTES {
            // Here the file ends.
            break;
        }
        at = end;
    }
    parts.retain(|part| !part.is_empty());
    match parts.len() {
        1 => parts.remove(0),
        _ => parts
            .iter()
            .fold(BytesMut::with_capacity(parts.iter().map(Bytes::len).sum()), |mut all, part| {
                all.extend_from_slice(part);
                all
            })
            .freeze(),
    }
}
