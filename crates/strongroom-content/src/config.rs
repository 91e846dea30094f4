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
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { author: String::new(), host: Arc::new(SystemHost::new()), cache: None }
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

    /// The same with other clocks and randomness.
    #[must_use]
    pub fn with_host(self, host: Arc<dyn Host>) -> Self {
        Self { host, ..self }
    }
}
