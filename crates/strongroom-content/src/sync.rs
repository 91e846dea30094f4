//! Synchronizing: bringing what stands under names in one store into another, on that one's own history.
//!
//! The heads of the source are taken first, as versions; what they name is compared with the names here. What differs is taken in
//! rounds: the content of a round is moved together, so that many small objects come to few packs, and then each of its namespaces
//! gets one commit. A round is as large as a session should be long; what is interrupted goes on where the last round ended, and
//! what was stored for the one under way is found again.

mod difference;
mod round;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use strongroom_storage::{Error, ErrorKind, Location, Result};

use crate::batch::Progress;
use crate::mirror::source_of;
use crate::names::LogName;
use crate::namespace::Namespace;
use crate::store::{ContentStorage, Inner};
use crate::verify::Problem;
use crate::version::Version;
use difference::Difference;
use round::Round;

/// A round ends when its objects have so many bytes, or are so many.
const ROUND_BYTES: u64 = 256 << 20;
const ROUND_OBJECTS: usize = 100_000;

/// What to synchronize, and how.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct SyncOptions {
    /// Only locations that begin with this string.
    pub prefix: String,
    /// Remove the names that the source does not have.
    pub delete: bool,
    /// Only find out what differs; nothing is written.
    pub dry_run: bool,
    /// What the history says of it; by default which version of which store it is.
    pub message: Option<String>,
    /// Called now and then with how many objects were dealt with and how many bytes were read.
    pub progress: Option<Progress>,
}

impl SyncOptions {
    /// The same, for locations that begin with `prefix`.
    #[must_use]
    pub fn with_prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// The same, removing what the source does not have or not.
    #[must_use]
    pub fn with_delete(self, delete: bool) -> Self {
        Self { delete, ..self }
    }

    /// The same, only finding out or not.
    #[must_use]
    pub fn with_dry_run(self, dry_run: bool) -> Self {
        Self { dry_run, ..self }
    }

    /// The same with a message for the history.
    #[must_use]
    pub fn with_message(self, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..self }
    }

    /// The same with a view of the progress.
    #[must_use]
    pub fn with_progress(self, progress: Progress) -> Self {
        Self { progress: Some(progress), ..self }
    }
}

impl fmt::Debug for SyncOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prefix, delete, dry_run, message, progress: _ } = self;
        f.debug_struct("SyncOptions")
            .field("prefix", prefix)
            .field("delete", delete)
            .field("dry_run", dry_run)
            .field("message", message)
            .finish_non_exhaustive()
    }
}

/// What became of a namespace that differed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncedNamespace {
    /// Which.
    pub namespace: Namespace,
    /// The version of it in the source.
    pub source: Version,
    /// The version here after the commit; with `dry_run`, the newest.
    pub version: Version,
    /// The locations that were put, or with `dry_run` would be, in order.
    pub put: Vec<Location>,
    /// Those that were removed.
    pub removed: Vec<Location>,
}

/// What a synchronization did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncReport {
    /// The namespaces that differed, in their order.
    pub namespaces: Vec<SyncedNamespace>,
    /// How many objects were compared.
    pub compared: u64,
    /// How many bytes of content were read in the source.
    pub bytes_read: u64,
    /// How many bytes of content were stored here, as they are in packs and files.
    pub bytes_stored: u64,
    /// What could not be read in the source because it is lost or damaged there. Its names have here what they had.
    pub problems: Vec<Problem>,
}

impl SyncReport {
    /// How many names were put.
    #[must_use]
    pub fn put(&self) -> u64 {
        self.namespaces.iter().map(|namespace| namespace.put.len() as u64).sum()
    }

    /// How many names were removed.
    #[must_use]
    pub fn removed(&self) -> u64 {
        self.namespaces.iter().map(|namespace| namespace.removed.len() as u64).sum()
    }
}

/// A namespace that is to be looked at.
struct Source {
    namespace: Namespace,
    /// What its names begin with.
    names: String,
    /// Its newest version when all heads were taken; 0 if the source does not have it.
    head: u64,
}

impl ContentStorage {
    /// Gives the names here what they have in the store `from`: the newest version of each namespace, with attributes and digests.
    /// Each namespace that differs gets one commit. Nothing is written to `from`.
    ///
    /// Content that is here already is not read again, whatever names it has; what is missing is verified as it is read. It is kept
    /// as it is kept there, large content by this store's policy if that is `whole` or `chunked`, or if this store is not local. Tags
    /// stay where they are: they are about versions, and the versions here are others.
    ///
    /// Others may write to both stores meanwhile. What is put is what the heads had when this began. Where the source has let that go
    /// (its grace period is over, and a collector came), what it has by then. A name that is removed here is removed only if it is
    /// what was compared. Done again, after an error too, it goes on; of what was stored, nothing is stored twice.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if this store is a mirror; those of either backend; [`ErrorKind::Corrupt`] if a history is damaged, so that it can't be known
    /// what it has. Damaged content is in the report, and is no error. After an error, namespaces before the one that failed are done.
    pub async fn sync_from(&self, from: &Self, options: SyncOptions) -> Result<SyncReport> {
        if source_of(&*self.inner.backend).await?.is_some() {
            let detail = "it is a mirror, whose history is that of its source; use --mirror, or another store";
            return Err(Error::new(ErrorKind::Invalid, "sync", &self.inner.backend, detail));
        }
        let sync = Sync { to: &self.inner, from: &from.inner, options, taken: AtomicUsize::new(0) };
        sync.run().await
    }
}

/// A synchronization under way.
struct Sync<'a> {
    to: &'a Arc<Inner>,
    from: &'a Arc<Inner>,
    options: SyncOptions,
    /// How many objects were dealt with.
    taken: AtomicUsize,
}

impl Sync<'_> {
    async fn run(&self) -> Result<SyncReport> {
        let mut report = SyncReport::default();
        let mut round = Round::default();
        for source in self.sources().await? {
            let difference = self.compare(&source, &mut report).await?;
            if difference.is_empty() {
                continue;
            }
            if self.options.dry_run {
                let version = self.to.names.current(&LogName::Namespace(source.namespace), None).await?.version;
                report.namespaces.push(difference.into_synced(version)?);
                continue;
            }
            round.push(difference);
            if round.bytes() >= ROUND_BYTES || round.len() >= ROUND_OBJECTS {
                self.finish(std::mem::take(&mut round), &mut report).await?;
            }
        }
        if round.len() > 0 {
            self.finish(round, &mut report).await?;
        }
        Ok(report)
    }

    /// The namespaces to look at, with the heads of all of them.
    async fn sources(&self) -> Result<Vec<Source>> {
        let mut sources = BTreeMap::new();
        for (namespace, names) in self.from.namespaces(&self.options.prefix).await? {
            // Not what this handle has known before.
            let head = self.from.names.find(&LogName::Namespace(namespace.clone())).await?.version;
            sources.insert(namespace.clone(), Source { namespace, names, head });
        }
        if self.options.delete {
            for (namespace, names) in self.to.namespaces(&self.options.prefix).await? {
                sources.entry(namespace.clone()).or_insert(Source { namespace, names, head: 0 });
            }
        }
        Ok(sources.into_values().collect())
    }

    async fn compare(&self, source: &Source, report: &mut SyncReport) -> Result<Difference> {
        let log = LogName::Namespace(source.namespace.clone());
        let theirs = match self.from.names.at(&log, source.head).await? {
            Some(state) => Arc::new(state),
            // It was collected since.
            None => self.from.names.find(&log).await?,
        };
        let ours = self.to.names.find(&log).await?;
        Difference::find(source, &theirs, &ours, self.options.delete, &mut report.compared).await
    }
}
