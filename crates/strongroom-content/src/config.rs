//! What a store is made with, and what a handle is opened with.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strongroom_storage::{DigestSet, ExternalStorage, Host, SystemHost};

/// How objects that don't fit one chunk are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Large objects whole on a local backend and chunked elsewhere; small ones as one chunk in a pack.
    #[default]
    Auto,
    /// As a plain file of their own: fast, and can be had as a local path.
    Whole,
    /// As chunks cut by content, which versions of a file share.
    Chunked,
}

/// Whether chunks in packs are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// By zstd where a sample says it pays.
    #[default]
    Auto,
    /// Never.
    None,
    /// By zstd wherever it saves a sixteenth.
    Zstd,
}

/// What a store is made with; it stands in `strongroom.json` and holds for all its users.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContentConfig {
    /// How large objects are kept, unless a store says otherwise.
    pub layout: Layout,
    /// Whether chunks are compressed.
    pub compression: Compression,
    /// Digests to compute of everything that is stored, besides BLAKE3.
    pub digests: DigestSet,
    /// How long a superseded version, and all it needs, stays for certain.
    pub grace: Duration,
    /// How long a writer's session may go without a sign of life.
    pub lease: Duration,
    /// Sizes of chunks that are cut by content.
    pub chunk_sizes: ChunkSizes,
}

/// Sizes of chunks that are cut by content, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChunkSizes {
    /// No chunk but an object's last is smaller.
    pub minimum: u32,
    /// About the mean of what is cut beyond the minimum; a power of two.
    pub average: u32,
    /// No chunk is larger.
    pub maximum: u32,
}

impl Default for ChunkSizes {
    fn default() -> Self {
        Self { minimum: 128 << 10, average: 256 << 10, maximum: 1 << 20 }
    }
}

impl Default for ContentConfig {
    fn default() -> Self {
        Self {
            layout: Layout::Auto,
            compression: Compression::Auto,
            digests: DigestSet::NONE,
            grace: Duration::from_secs(36 * 3600),
            lease: Duration::from_secs(3600),
            chunk_sizes: ChunkSizes::default(),
        }
    }
}

impl ContentConfig {
    /// The same with another layout.
    #[must_use]
    pub fn with_layout(self, layout: Layout) -> Self {
        Self { layout, ..self }
    }

    /// The same with another compression.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    /// The same with digests that are computed of everything stored.
    #[must_use]
    pub fn with_digests(self, digests: DigestSet) -> Self {
        Self { digests, ..self }
    }

    /// The same with another grace period.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// The same with another lease.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// The same with other chunk sizes.
    #[must_use]
    pub fn with_chunk_sizes(self, chunk_sizes: ChunkSizes) -> Self {
        Self { chunk_sizes, ..self }
    }
}

/// What a handle on a store is opened with; it holds for this handle only.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Who commits, as it stands in the history; free text.
    pub author: String,
    /// The machine's clocks and randomness.
    pub host: Arc<dyn Host>,
    /// Where to keep what can be learned or computed again, but not as fast: which content is where if the store is not local,
    /// and digests that were computed on demand. Any number of processes and stores may share one; everything in it can be
    /// deleted at any time, and that it can't be written to is no error. By default nothing is kept.
    pub cache: Option<Arc<dyn ExternalStorage>>,
    /// How many bytes of content the cache may keep of a store that is not local. By default none.
    pub content_cache_bytes: u64,
    /// Whether nobody else writes to the store.
    pub single_writer: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            author: String::new(),
            host: Arc::new(SystemHost::new()),
            cache: None,
            content_cache_bytes: 0,
            single_writer: false,
        }
    }
}

impl OpenOptions {
    /// The same with another author.
    #[must_use]
    pub fn with_author(self, author: impl Into<String>) -> Self {
        Self { author: author.into(), ..self }
    }

    /// The same with a cache.
    #[must_use]
    pub fn with_cache(self, cache: Arc<dyn ExternalStorage>) -> Self {
        Self { cache: Some(cache), ..self }
    }

    /// The same with up to so many bytes of content in the [cache](Self::with_cache), if the store is not local: what was read is not
    /// asked for again, by any process that shares the cache.
    ///
    /// Content is read and kept in blocks of 256 KiB of the store's packs and files, and verified whenever it is read. What was kept or
    /// read longest ago goes when it becomes too much; each process may exceed the bound by a sixteenth.
    #[must_use]
    pub fn with_content_cache(self, bytes_max: u64) -> Self {
        Self { content_cache_bytes: bytes_max, ..self }
    }

    /// The same with the promise that no other process and no other handle writes to the store while this one is open, a collector neither.
    ///
    /// So a store can be written to in a bucket of a service that does not refuse what is there already, which is found out
    /// otherwise ([`Unsupported`](strongroom_storage::ErrorKind::Unsupported)). If the promise is broken, commits are lost. On a local
    /// backend it changes nothing.
    #[must_use]
    pub fn with_single_writer(self, single_writer: bool) -> Self {
        Self { single_writer, ..self }
    }

    /// The same with other clocks and randomness.
    #[must_use]
    pub fn with_host(self, host: Arc<dyn Host>) -> Self {
        Self { host, ..self }
    }
}
