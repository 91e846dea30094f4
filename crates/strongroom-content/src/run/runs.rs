//! The runs of a backend, and the blocks of them that were looked at lately.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use strongroom_storage::{ExternalStorage, Location, Result};

use super::entries::Entries;
use super::{BLOCK_BYTES, MAGIC, Run};
use crate::envelope;

/// How much of all runs a handle keeps for single look-ups, in bytes.
const KEPT_BYTES: u64 = 32 << 20;

/// A run by the number that it got when it was opened, and which of its blocks.
pub(super) type BlockId = (u64, usize);

/// The runs of a backend.
pub(crate) struct Runs {
    pub(super) backend: Arc<dyn ExternalStorage>,
    pub(super) blocks: Cache<BlockId, Arc<Entries>, ByMemory>,
    opened: AtomicU64,
}

#[derive(Clone, Debug)]
pub(super) struct ByMemory;

impl Weighter<BlockId, Arc<Entries>> for ByMemory {
    fn weight(&self, _: &BlockId, entries: &Arc<Entries>) -> u64 {
        entries.memory_bytes() as u64
    }
}

impl Runs {
    pub(crate) fn new(backend: Arc<dyn ExternalStorage>) -> Self {
        Self::keeping(backend, KEPT_BYTES)
    }

    /// Keeps up to so many bytes of blocks.
    pub(super) fn keeping(backend: Arc<dyn ExternalStorage>, bytes: u64) -> Self {
        let count = usize::try_from(bytes).unwrap_or(usize::MAX) / BLOCK_BYTES;
        Self { backend, blocks: Cache::with_weighter(count, bytes, ByMemory), opened: AtomicU64::new(0) }
    }

    /// Opens the run at `location`.
    ///
    /// # Errors
    /// `Missing` if there is none; `Corrupt` if it is not what its checksum says.
    pub(crate) async fn open(self: &Arc<Self>, location: Location) -> Result<Run> {
        let opened = envelope::open(&*self.backend, &location, MAGIC).await?;
        Run::of(self.clone(), self.number(), location, opened)
    }

    /// The run that was stored at `location` as `bytes`.
    ///
    /// # Errors
    /// `Corrupt` if they are none.
    pub(crate) fn opened(self: &Arc<Self>, location: Location, bytes: Bytes) -> Result<Run> {
        let opened = envelope::parse(bytes, MAGIC).map_err(|malformed| malformed.in_file(&location))?;
        Run::of(self.clone(), self.number(), location, opened)
    }

    /// What no other run of this handle has, also where a file was mended meanwhile.
    fn number(&self) -> u64 {
        self.opened.fetch_add(1, Ordering::Relaxed)
    }
}

impl fmt::Debug for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runs").field("backend", &self.backend).finish_non_exhaustive()
    }
}
