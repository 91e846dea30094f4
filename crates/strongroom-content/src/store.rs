//! The content store: what a handle is made of.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex};

use strongroom_storage::{Error, ErrorKind, ExternalStorage, Host, Location, Result};

use crate::batch::Batch;
use crate::catalog::Catalog;
use crate::config::{ContentConfig, OpenOptions};
use crate::descriptor::Descriptor;
use crate::entry::to_microseconds;
use crate::names::{Action, Change, CommitInfo, LogName, NameLog, Published};
use crate::nonce::Nonce;
use crate::session::{Membership, Sessions};
use crate::writer::ContentWriter;

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
#[derive(Debug)]
pub(crate) struct Inner {
    pub backend: Arc<dyn ExternalStorage>,
    pub host: Arc<dyn Host>,
    pub descriptor: Descriptor,
    pub catalog: Arc<Catalog>,
    pub sessions: Sessions,
    pub names: NameLog,
    author: Arc<str>,
    /// Whole files that this process has verified before it handed out their path.
    pub verified_files: Mutex<HashSet<Location>>,
}

impl ContentStorage {
    /// Makes a store in `backend`, or opens the one that is there, whose own configuration then holds.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the configuration is; [`ErrorKind::Unsupported`] as for [`open`](Self::open); those of the
    /// backend.
    pub async fn create(
        backend: Arc<dyn ExternalStorage>,
        config: ContentConfig,
        options: OpenOptions,
    ) -> Result<Self> {
        let descriptor = Descriptor::create(&*backend, &*options.host, &config).await?;
        Ok(Self::assemble(backend, descriptor, options))
    }

    /// Opens the store in `backend`.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is none; [`ErrorKind::Unsupported`] if it has a format or needs a feature that this
    /// program does not know; [`ErrorKind::Corrupt`] if its description is damaged.
    pub async fn open(backend: Arc<dyn ExternalStorage>, options: OpenOptions) -> Result<Self> {
        let descriptor = Descriptor::read(&*backend).await?;
        Ok(Self::assemble(backend, descriptor, options))
    }

    fn assemble(backend: Arc<dyn ExternalStorage>, descriptor: Descriptor, options: OpenOptions) -> Self {
        let host = options.host;
        let (grace, lease) = (descriptor.grace(), descriptor.lease());
        let inner = Inner {
            catalog: Arc::new(Catalog::new(backend.clone(), host.clone())),
            sessions: Sessions::new(backend.clone(), host.clone(), lease),
            names: NameLog::new(backend.clone(), host.clone(), descriptor.folds_case, descriptor.compression, grace),
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
        f.debug_struct("ContentStorage").field("backend", &self.inner.backend).finish_non_exhaustive()
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

    /// Publishes `changes`, whose content `membership` can rely on, and makes sure that its session stood until then.
    ///
    /// A session that a collector ended meanwhile is followed by another, in which everything relied on is checked and the
    /// commit is made again.
    pub(crate) async fn commit<'a>(
        self: &'a Arc<Self>,
        membership: &mut Membership<'a>,
        log: &LogName,
        mut changes: Vec<Change>,
        info: &CommitInfo,
    ) -> Result<Published> {
        let mut own = HashSet::new();
        loop {
            let session = membership.session().clone();
            let published = self.names.publish(log, &changes, info, session.began, &own).await?;
            if published.made {
                own.insert(published.version);
            } else if own.is_empty() {
                return Ok(published);
            }
            if session.stands().await.map_err(Error::with_outcome_unknown)? {
                return Ok(published);
            }
            *membership = self.sessions.join_after(&session).await.map_err(Error::with_outcome_unknown)?;
            let mut writer = ContentWriter::new(self.clone(), membership.session().clone());
            for change in &mut changes {
                if let Action::Put(object) = &mut change.action {
                    match writer.secure(&object.content).await {
                        Ok(content) => object.content = content,
                        Err(error) => return Err(self.retract(membership, log, &changes, info, &own, error).await),
                    }
                }
            }
            writer.finish().await.map_err(Error::with_outcome_unknown)?;
        }
    }

    /// Takes back a commit whose content was collected before its session was known to stand: each name gets what it had
    /// before. Returns the error that tells the caller so.
    async fn retract(
        self: &Arc<Self>,
        membership: &Membership<'_>,
        log: &LogName,
        changes: &[Change],
        info: &CommitInfo,
        own: &HashSet<u64>,
        cause: Error,
    ) -> Error {
        let failed = |detail| Error::new(ErrorKind::Unavailable, info.operation, log, detail).with_source(cause);
        let earlier = own.iter().min().map_or(0, |version| version - 1);
        let result = async {
            let state = self.names.at(log, earlier).await?;
            let mut writer = ContentWriter::new(self.clone(), membership.session().clone());
            let mut back = Vec::with_capacity(changes.len());
            for change in changes {
                let before = match &state {
                    Some(state) => state.get(&change.name).await?.and_then(|entry| entry.object),
                    None => None,
                };
                let action = match before {
                    Some(mut object) => {
                        object.content = writer.secure(&object.content).await?;
                        Action::Put(object)
                    }
                    None => Action::Remove,
                };
                back.push(Change { action, ..change.clone() });
            }
            writer.finish().await?;
            self.names.publish(log, &back, info, membership.session().began, own).await
        };
        match result.await {
            Ok(_) => failed("the writer stalled for longer than the store's lease and its content was collected; store it again"),
            Err(_) => failed(
                "the writer stalled for longer than the store's lease, its content was collected, and the commit could not be \
                 taken back; run `strongroom verify`, then store it again",
            )
            .with_outcome_unknown(),
        }
    }
}
