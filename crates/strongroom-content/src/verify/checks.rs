//! What goes on during one verification.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use futures::TryStreamExt;
use strongroom_storage::{ByteStream, Digest, Result};
use tokio::sync::Semaphore;

use super::VerifyOptions;
use super::memory::Memory;
use super::pace::Pace;
use crate::grid::GridHasher;
use crate::store::Inner;

/// Packs and files are read on all processors, but on no more than so many: each takes some MiB of memory.
const READS_AT_ONCE_MAX: usize = 32;
/// How many long items are in memory at once after decompression.
const LARGE_AT_ONCE: usize = 2;

/// What one verification is told, what it knows, and what it has done.
pub(super) struct Checks<'a> {
    pub store: &'a Arc<Inner>,
    pub options: &'a VerifyOptions,
    pub pace: Pace,
    pub memory: Memory,
    pub large: Semaphore,
    pub reads_at_once: usize,
    files: AtomicUsize,
    bytes_read: AtomicU64,
    bytes_skipped: AtomicU64,
}

impl<'a> Checks<'a> {
    pub(super) async fn new(store: &'a Arc<Inner>, options: &'a VerifyOptions) -> Result<Self> {
        Ok(Self {
            store,
            options,
            pace: Pace::new(store.host.clone(), options.bytes_per_second),
            memory: Memory::open(store, options).await?,
            large: Semaphore::new(LARGE_AT_ONCE),
            reads_at_once: std::thread::available_parallelism().map_or(1, NonZero::get).clamp(2, READS_AT_ONCE_MAX),
            files: AtomicUsize::default(),
            bytes_read: AtomicU64::default(),
            bytes_skipped: AtomicU64::default(),
        })
    }

    /// One more pack or file was checked.
    pub(super) fn done(&self, bytes_read: u64, bytes_skipped: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes_skipped.fetch_add(bytes_skipped, Ordering::Relaxed);
        self.read(bytes_read);
    }

    /// So many bytes of content were read.
    pub(super) fn read(&self, bytes: u64) {
        let sum = self.bytes_read.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(progress) = &self.options.progress {
            progress(self.files.load(Ordering::Relaxed), sum);
        }
    }

    /// The digest and the size of a stream that is read as fast as is wanted.
    pub(super) async fn hash(&self, mut stream: ByteStream) -> Result<(Digest, u64)> {
        let mut hasher = GridHasher::new();
        while let Some(bytes) = stream.try_next().await? {
            let length = bytes.len() as u64;
            self.pace.take(length).await;
            hasher = hasher.take(bytes).await?;
            self.read(length);
        }
        let (digest, size, _) = hasher.finish();
        Ok((digest, size))
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    pub(super) fn bytes_skipped(&self) -> u64 {
        self.bytes_skipped.load(Ordering::Relaxed)
    }
}
