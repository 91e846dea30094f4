//! The content store: what a handle is made of.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex};

use strongroom_storage::{ExternalStorage, Host, Location, Result};

use crate::batch::Batch;
use crate::cache::{Cache, ContentCache};
use crate::catalog::Catalog;
use crate::config::{ContentConfig, OpenOptions};
use crate::descriptor::Descriptor;
use crate::durable::Durable;
use crate::entry::to_microseconds;
use crate::names::{CommitInfo, CommitQueue, NameLog};
use crate::nonce::Nonce;
use crate::read::PackReader;
use crate::session::{Epoch, Sessions};
use crate::sole_writer::SoleWriter;
use crate::writer::{Buffers, Packer};

/// Content-addressed storage over any backend: the same content is stored once, names come and go in atomic commits, every
/// byte is verified before it is handed out.
///
/// A handle is cheap to clone. Any number of handles, processes and machines may use one store at once, without a lock.
///
/// ```
/// # use std::sync::Arc;
/// # use strongroom_content::{ContentConfig, ContentStorage, OpenOptions};
/// # use strongroom_storage::{ByteRange, ExternalStorage, Location, MemoryStorage};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let backend = Arc::new(MemoryStorage::new());
/// let store = ContentStorage::create(backend, ContentConfig::default(), OpenOptions::default()).await?;
/// let location = Location::parse("dag/unit/energies.csv")?;
/// store.store_bytes(&location, "0,-1.5\n".into()).await?;
/// assert_eq!(store.load_bytes(&location, ByteRange::All).await?, "0,-1.5\n");
/// # Ok::<(), strongroom_storage::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct ContentStorage {
    pub(crate) inner: Arc<Inner>,
}

/// What the clones of a handle share.
pub(crate) struct Inner {
    pub backend: Arc<dyn ExternalStorage>,
    pub host: Arc<dyn Host>,
    pub descriptor: Descriptor,
    pub catalog: Arc<Catalog>,
    pub cache: Cache,
    pub content_cache: Arc<ContentCache>,
    pub packs: PackReader,
    pub packer: Packer,
    pub buffers: Buffers,
    pub sessions: Sessions,
    pub durable: Arc<Durable>,
    pub names: Arc<NameLog>,
    pub queue: CommitQueue,
    author: Arc<str>,
    /// Whole files that this process has verified before it handed out their path.
    pub verified_files: Mutex<HashSet<Location>>,
}

impl ContentStorage {
    /// Makes a store in `backend`, or opens the one that is there, whose own configuration then holds.
    ///
    /// # Errors
    /// [`Invalid`](strongroom_storage::ErrorKind::Invalid) if the configuration is; [`Unsupported`](strongroom_storage::ErrorKind::Unsupported) as for [`open`](Self::open); those of the
    /// backend.
    pub async fn create(
        backend: Arc<dyn ExternalStorage>,
        config: ContentConfig,
        options: OpenOptions,
    ) -> Result<Self> {
        let backend = written_by(backend, &options);
        let descriptor = Descriptor::create(&*backend, &*options.host, &config).await?;
        Ok(Self::assemble(backend, descriptor, options))
    }

    /// Opens the store in `backend`.
    ///
    /// # Errors
    /// [`Missing`](strongroom_storage::ErrorKind::Missing) if there is none; [`Unsupported`](strongroom_storage::ErrorKind::Unsupported) if it has a format or needs a feature that this
    /// program does not know; [`Corrupt`](strongroom_storage::ErrorKind::Corrupt) if its description is damaged.
    pub async fn open(backend: Arc<dyn ExternalStorage>, options: OpenOptions) -> Result<Self> {
        let backend = written_by(backend, &options);
        let descriptor = Descriptor::read(&*backend).await?;
        Ok(Self::assemble(backend, descriptor, options))
    }

    fn assemble(backend: Arc<dyn ExternalStorage>, descriptor: Descriptor, options: OpenOptions) -> Self {
        let host = options.host;
        let writable = descriptor.check_writable(&*backend);
        let (grace, lease, epoch) = (descriptor.grace(), descriptor.lease(), Epoch::default());
        let cache = Cache::new(options.cache, &descriptor.id);
        let content_cache = ContentCache::new(backend.clone(), &cache, options.content_cache_bytes, &*host);
        let content_cache = Arc::new(content_cache);
        let catalog = Arc::new(Catalog::new(backend.clone(), host.clone(), &cache));
        let durable = Arc::new(Durable::new(backend.clone()));
        let names = Arc::new(NameLog::new(
            backend.clone(),
            host.clone(),
            descriptor.folds_case,
            descriptor.compression,
            grace,
            epoch.clone(),
            durable.clone(),
        ));
        let inner = Inner {
            packer: Packer::new(backend.clone(), host.clone(), catalog.clone(), epoch.clone()),
            buffers: Buffers::new(descriptor.chunk_bytes),
            catalog,
            cache,
            packs: PackReader::new(backend.clone(), content_cache.clone()),
            content_cache,
            sessions: Sessions::new(backend.clone(), host.clone(), lease, epoch, writable),
            durable,
            queue: CommitQueue::new(names.clone()),
            names,
            author: options.author.into(),
            verified_files: Mutex::default(),
            backend,
            host,
            descriptor,
        };
        Self { inner: Arc::new(inner) }
    }

    /// What the store was made with.
    #[must_use]
    pub fn config(&self) -> ContentConfig {
        self.inner.descriptor.config()
    }

    /// The store's own name, drawn when it was made: 32 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.inner.descriptor.id
    }

    /// Where the store is kept.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn ExternalStorage> {
        &self.inner.backend
    }

    /// A batch of puts, links and removals, to be committed together.
    #[must_use]
    pub fn batch(&self) -> Batch {
        Batch::new(self.inner.clone())
    }
}

impl fmt::Debug for ContentStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ContentStorage").field(&self.inner).finish()
    }
}

/// The backend as it is for who is to write to it.
fn written_by(backend: Arc<dyn ExternalStorage>, options: &OpenOptions) -> Arc<dyn ExternalStorage> {
    if options.single_writer && !backend.capabilities().local { Arc::new(SoleWriter::new(backend)) } else { backend }
}

/// What a handle knows may be as much as the store holds; it is left out.
impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("id", &self.descriptor.id).field("backend", &self.backend).finish_non_exhaustive()
    }
}

impl fmt::Display for ContentStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "content store in {}", self.inner.backend)
    }
}

impl Inner {
    /// What the header of a commit says, made now.
    pub(crate) fn commit_info(&self, operation: &'static str, message: &str) -> Result<CommitInfo> {
        Ok(CommitInfo {
            id: Nonce::draw(&*self.host)?,
            time: to_microseconds(self.host.now()),
            author: self.author.clone(),
            message: message.into(),
            operation,
        })
    }
}
