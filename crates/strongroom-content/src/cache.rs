//! A local cache: what can be learned or computed again, but not as fast. All of it can be thrown away at any time, also while
//! it is in use, and any number of processes may share it.
//!
//! It is a storage of its own, usually a folder. Below the store's id it has
//!
//! | location | what it is | verified by |
//! |---|---|---|
//! | `index/<nonce>/whole` | a small index file | its own checksums |
//! | `index/<nonce>/end` | directory and footer of a larger one | the footer's checksum |
//! | `index/<nonce>/<n>` | 64 of its blocks, from block 64 n on | the directory |
//! | `packs/<nonce>` | directory and footer of a pack in no index file | the footer's checksum |
//! | `content/<nonce>/<n>` | 256 KiB of the pack or whole file with this nonce | the chunks' digests |
//! | `digests/<ab>` | digests that were computed on demand, of content whose BLAKE3 begins with these two digits | a BLAKE3 digest at the end |
//! | `verified/<nonce>` | when content was last read by `verify` and found to be sound | a BLAKE3 digest at the end |
//!
//! The first four are kept where the store is not local, where each is a request; they are copies of what never changes, and they
//! are deleted when the store has no such file any more: so they take no more than the store's index files and a few tails. Each
//! of the 256 files of digests has 4,096 at most. A verification that comes to its end leaves one file, of 24 bytes for each pack and
//! whole file of the store and for each list of chunks. Content is kept only if a bound is given for it
//! ([`OpenOptions::with_content_cache`](crate::OpenOptions::with_content_cache)): when a sixteenth of that was added, what was kept or read
//! longest ago goes. Each process counts for itself, so many of them may together exceed it by a sixteenth each.
//!
//! What is missing or damaged is as if it had never been there, and what can't be written is not written.

mod content;
mod digests;
mod verified;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::TryStreamExt;
use strongroom_storage::{ByteRange, Durability, ExternalStorage, Location, Result, Source, StoreOptions};

pub(crate) use content::ContentCache;
pub(crate) use verified::{Print, VerifiedLog};

/// The part of a cache that belongs to one store; or none.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    storage: Option<Arc<dyn ExternalStorage>>,
    /// The store's id, and a slash.
    prefix: Arc<str>,
}

impl Cache {
    pub(crate) fn new(storage: Option<Arc<dyn ExternalStorage>>, id: &str) -> Self {
        Self { storage, prefix: format!("{id}/").into() }
    }

    /// The same for what is learned of `backend`: none if that is as near as the cache.
    pub(crate) fn for_hints_of(&self, backend: &dyn ExternalStorage) -> Self {
        let storage = self.storage.clone().filter(|_| !backend.capabilities().local);
        Self { storage, prefix: self.prefix.clone() }
    }

    /// No cache.
    pub(crate) fn none() -> Self {
        Self::new(None, "none")
    }

    /// Whether there is one.
    pub(crate) fn is_there(&self) -> bool {
        self.storage.is_some()
    }

    /// What is kept under a name.
    pub(crate) async fn load(&self, name: &str) -> Option<Bytes> {
        let storage = self.storage.as_ref()?;
        storage.load_bytes(&self.location(name).ok()?, ByteRange::All).await.ok()
    }

    /// Keeps bytes under a name.
    pub(crate) async fn store(&self, name: &str, bytes: Bytes) {
        let (Some(storage), Ok(location)) = (&self.storage, self.location(name)) else { return };
        let options = StoreOptions::default().with_durability(Durability::Relaxed);
        // A full disk or a folder that nobody may write to: then it is learned again the next time.
        storage.store(&location, Source::Bytes(bytes), &options).await.map(drop).unwrap_or_default();
    }

    /// The names that begin with `prefix`.
    async fn names(&self, prefix: &str) -> Vec<String> {
        let Some(storage) = &self.storage else { return Vec::new() };
        let listed = storage.iter_contents(&format!("{}{prefix}", self.prefix)).try_collect::<Vec<Location>>().await;
        let listed = listed.unwrap_or_default();
        listed.iter().filter_map(|location| location.as_str().strip_prefix(&*self.prefix)).map(Into::into).collect()
    }

    /// Deletes what is kept under names that begin with `prefix`, unless `is_needed` says otherwise.
    pub(crate) async fn tidy(&self, prefix: &str, is_needed: impl Fn(&str) -> bool) {
        let Some(storage) = &self.storage else { return };
        let names = self.names(prefix).await;
        let old = names.iter().filter(|name| !is_needed(name)).filter_map(|name| self.location(name).ok());
        storage.delete_all(&old.collect::<Vec<_>>()).await.unwrap_or_default();
    }

    /// Deletes of what is kept under names that begin with `prefix` the oldest, until no more than `bytes_max` bytes are left.
    async fn shrink(&self, prefix: &str, bytes_max: u64) {
        let Some(storage) = &self.storage else { return };
        let mut kept: Vec<(Option<SystemTime>, u64, Location)> = Vec::new();
        for location in self.names(prefix).await.iter().filter_map(|name| self.location(name).ok()) {
            if let Ok(metadata) = storage.metadata(&location).await {
                kept.push((metadata.modified, metadata.size, location));
            }
        }
        let mut left: u64 = kept.iter().map(|(_, size, _)| size).sum();
        kept.sort_unstable();
        let oldest = kept.into_iter().take_while(|(_, size, _)| {
            let is_much = left > bytes_max;
            left = left.saturating_sub(*size);
            is_much
        });
        storage.delete_all(&oldest.map(|(_, _, location)| location).collect::<Vec<_>>()).await.unwrap_or_default();
    }

    fn location(&self, name: &str) -> Result<Location> {
        Location::parse(&format!("{}{name}", self.prefix))
    }
}
