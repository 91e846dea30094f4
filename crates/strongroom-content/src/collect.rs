//! Collection: taking away what no name needs any more, beside writers and readers, without a lock.
//!
//! 1. *Mark.* What the names of all retained versions need is found ([`mark`]), and what else there is ([`plan`]).
//! 2. *List.* What is to go is named in a list in `gc/`. From now on no session begins that relies on any of it.
//! 3. *Wait.* Sessions that stand may have begun before: each is waited for, or ended if it gives no sign of life for the lease
//!    ([`sessions`]). Its writer finds that out before it says `Ok`, and makes sure of everything again.
//! 4. *Mark again.* By now all is published that relied on anything listed.
//! 5. *Sweep.* What is listed and not needed goes. What is needed is copied to new names first, unless it is somewhere else and
//!    sound. The list goes when nothing is left that it names ([`sweep`]).
//!
//! A name that was listed once never comes back: a collector that stalls and goes on later, or two that share a list, delete only
//! what nobody relies on again. So what can't go after all (a version that was tagged meanwhile, content that is damaged and needed)
//! leaves its list standing.

mod age;
mod mark;
mod needed;
mod plan;
mod sessions;
mod sweep;
mod tidy;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use strongroom_storage::{Error, ErrorKind, Location, Result};

use crate::list;
use crate::mirror::source_of;
use crate::mutation::{self, Mutation};
use crate::names::LogName;
use crate::namespace::Namespace;
use crate::nonce::Nonce;
use crate::store::{ContentStorage, Inner};
use crate::verify::Problem;
use mark::Retention;

/// What to collect, and how.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct CollectOptions {
    /// Only find out what would go; nothing is written.
    pub dry_run: bool,
    /// Keep the newest so many versions of each namespace, besides those of the grace period and those with tags.
    pub keep_last: Option<u64>,
    /// Keep the versions that were the newest within this time, too.
    pub keep_within: Option<Duration>,
    /// A longer grace period than the store's; a shorter one only with `offline`.
    pub grace: Option<Duration>,
    /// Nobody else uses the store, which the caller knows: sessions are ended without waiting, damaged lists are taken away, the
    /// grace period may be cut short, and listings need not be [consistent](strongroom_storage::Capabilities::consistent_listing).
    pub offline: bool,
    /// Called now and then with what is being done.
    pub progress: Option<CollectProgress>,
}

/// Sees what a collection is doing.
pub type CollectProgress = Arc<dyn Fn(CollectStep) + Send + Sync>;

/// What a collection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CollectStep {
    /// Reading names; so many namespaces were read.
    Marking {
        /// How many.
        namespaces: u64,
    },
    /// Waiting for writers to finish.
    Waiting {
        /// How many of their sessions are not over.
        sessions: u64,
    },
    /// Copying what is needed out of files that go.
    Copying {
        /// How many bytes were copied.
        bytes: u64,
    },
    /// Deleting files of the store.
    Deleting {
        /// How many were deleted.
        files: u64,
    },
}

impl CollectOptions {
    /// The same, only finding out or not.
    #[must_use]
    pub fn with_dry_run(self, dry_run: bool) -> Self {
        Self { dry_run, ..self }
    }

    /// The same, keeping the newest versions.
    #[must_use]
    pub fn with_keep_last(self, versions: u64) -> Self {
        Self { keep_last: Some(versions), ..self }
    }

    /// The same, keeping the versions of a time.
    #[must_use]
    pub fn with_keep_within(self, time: Duration) -> Self {
        Self { keep_within: Some(time), ..self }
    }

    /// The same with another grace period.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace: Some(grace), ..self }
    }

    /// The same for a store that nobody else uses, or for one in use.
    #[must_use]
    pub fn with_offline(self, offline: bool) -> Self {
        Self { offline, ..self }
    }

    /// The same with a view of the progress.
    #[must_use]
    pub fn with_progress(self, progress: CollectProgress) -> Self {
        Self { progress: Some(progress), ..self }
    }

    fn tell(&self, step: CollectStep) {
        if let Some(progress) = &self.progress {
            progress(step);
        }
    }
}

impl fmt::Debug for CollectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dry_run, keep_last, keep_within, grace, offline, progress: _ } = self;
        f.debug_struct("CollectOptions")
            .field("dry_run", dry_run)
            .field("keep_last", keep_last)
            .field("keep_within", keep_within)
            .field("grace", grace)
            .field("offline", offline)
            .finish_non_exhaustive()
    }
}

/// Why a file of the store goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing that is kept needs it.
    Unneeded,
    /// More than half of it is not needed; the rest is copied.
    MostlyUnneeded,
    /// It is small, and one of many such packs, which become fewer.
    Small,
    /// There is another file with the same content.
    Duplicate,
    /// A version that retention lets go.
    Superseded,
}

/// A file of the store that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Condemned {
    /// Which.
    pub file: Location,
    /// Its size, in bytes.
    pub bytes: u64,
    /// How many of them are needed, and copied.
    pub needed_bytes: u64,
    /// Why.
    pub reason: Reason,
}

/// The history of a namespace, as a collection finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamespaceHistory {
    /// Which.
    pub namespace: Namespace,
    /// How many versions on record stay.
    pub kept: u64,
    /// How many go.
    pub superseded: u64,
    /// Why all of them stay although some could go: what is needed is lost or damaged, and an older version may still have it.
    pub held_back: bool,
}

/// What a collection did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectReport {
    /// The histories, in order of the namespaces.
    pub namespaces: Vec<NamespaceHistory>,
    /// What was found that can go.
    pub condemned: Vec<Condemned>,
    /// What would have gone, too, if there were room for copies of what is needed of it.
    pub postponed: Vec<Condemned>,
    /// How many files of the store were deleted, also for collectors that did not come so far.
    pub deleted_files: u64,
    /// How many bytes they had.
    pub deleted_bytes: u64,
    /// How many bytes were copied because they are needed.
    pub copied_bytes: u64,
    /// How many sessions were ended that gave no sign of life.
    pub sessions_ended: u64,
    /// What is lost or damaged, as far as that was noticed. `verify` says more.
    pub problems: Vec<Problem>,
}

impl CollectReport {
    /// How many bytes the store has less when all that was found has gone.
    #[must_use]
    pub fn freed_bytes(&self) -> u64 {
        self.condemned.iter().map(|file| file.bytes.saturating_sub(file.needed_bytes)).sum()
    }
}

impl ContentStorage {
    /// Takes away what no retained version needs, beside any number of writers, readers and other collectors.
    ///
    /// Retained are the newest version of each namespace, those that were the newest within the grace period, those with tags, and
    /// those that the options ask for. Content younger than the grace period stays too. What an earlier collector has begun and not
    /// finished is finished first.
    ///
    /// It waits for the writers at work: each for as long as its session lasts, at most some minutes, or for the lease if it gives no
    /// sign of life.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if a shorter grace period than the store's is asked for beside others; [`ErrorKind::Unsupported`] if the
    /// store is a mirror, or needs a feature that this program does not know, or where one machine may see late what another did,
    /// and others may use it; [`ErrorKind::Corrupt`] if a history is damaged so that it can't be known what is needed: then nothing
    /// goes; [`ErrorKind::Unavailable`] if there is no room for what has to be copied; those of the backend. After an error what was
    /// begun is finished by the next collection.
    pub async fn collect(&self, options: CollectOptions) -> Result<CollectReport> {
        let store = &self.inner;
        if source_of(&*store.backend).await?.is_some() {
            let detail = "it is a mirror: its files may come again under their names, so none is deleted; collect its source, or make a \
                          new mirror";
            return Err(Error::new(ErrorKind::Unsupported, "collect", &store.backend, detail));
        }
        if !options.dry_run {
            store.sessions.check_writable()?;
        }
        let grace = options.grace.unwrap_or(store.descriptor.grace());
        if grace < store.descriptor.grace() && !options.offline {
            let detail = format!(
                "the store's grace period is {:?}, and others rely on it; a shorter one is for a store that nobody else uses (offline)",
                store.descriptor.grace()
            );
            return Err(Error::new(ErrorKind::Invalid, "collect", &store.backend, detail));
        }
        // A collector and writers rely on each seeing what the other has put into `gc/`. A dry run deletes nothing.
        if !store.backend.capabilities().consistent_listing && !options.offline && !options.dry_run {
            let detail = "here one machine may see late what another has stored (a network file system that keeps listings, or an \
                          unknown one), so nothing can be deleted beside others; when nobody has used the store for some minutes \
                          from any machine, say so: `gc --offline`";
            return Err(Error::new(ErrorKind::Unsupported, "collect", &store.backend, detail));
        }
        let ages = store.ages(grace, options.dry_run).await?;
        let retention = Retention { ages, keep_last: options.keep_last, keep_within: options.keep_within };
        let collection = Collection { store, options, retention };
        collection.run().await
    }
}

/// Whether something could not be stored, for want of room it may be.
fn is_refused(error: &Error) -> bool {
    error.kind() == ErrorKind::Unavailable && !error.may_have_happened()
}

/// What a collection leaves free for others when it copies, in bytes.
const ROOM_BYTES: u64 = 1 << 20;

/// A collection under way.
struct Collection<'a> {
    store: &'a Arc<Inner>,
    options: CollectOptions,
    retention: Retention<'a>,
}

impl Collection<'_> {
    async fn run(&self) -> Result<CollectReport> {
        let mut report = CollectReport::default();
        if !self.options.dry_run {
            if self.options.offline {
                self.take_damaged_lists_away(&mut report).await?;
            }
            let begun = list::standing(&*self.store.backend).await?;
            if !begun.is_empty() {
                self.finish(begun, &HashSet::new(), &mut report).await?;
            }
        }
        let (plan, held) = self.plan(&mut report).await?;
        report.condemned = plan;
        if self.options.dry_run {
            return Ok(report);
        }
        if mutation::is(Mutation::PruneAtOnce) {
            let versions = report.condemned.extract_if(.., |file| file.reason == Reason::Superseded);
            let versions: Vec<Location> = versions.map(|file| file.file).collect();
            self.store.backend.delete_all(&versions).await?;
        }
        if !self.has_room(&report.condemned).await? {
            report.postponed = report.condemned.extract_if(.., |file| file.needed_bytes > 0).collect();
        }
        let mut condemned = std::mem::take(&mut report.condemned);
        self.list_and_sweep(&condemned, &held, &mut report).await?;
        if !report.postponed.is_empty() && self.has_room(&report.postponed).await? {
            let postponed = std::mem::take(&mut report.postponed);
            self.list_and_sweep(&postponed, &held, &mut report).await?;
            condemned.extend(postponed);
        }
        report.condemned = condemned;
        self.tidy_up().await?;
        Ok(report)
    }

    /// Whether there is room for copies of what is needed of these files, which go only when those are there.
    async fn has_room(&self, condemned: &[Condemned]) -> Result<bool> {
        let copies: u64 = condemned.iter().map(|file| file.needed_bytes).sum();
        if copies == 0 {
            return Ok(true);
        }
        let available = self.store.backend.available_bytes().await?;
        Ok(available.is_none_or(|available| available >= copies + copies / 8 + ROOM_BYTES))
    }

    async fn list_and_sweep(
        &self,
        condemned: &[Condemned],
        held: &HashSet<LogName>,
        report: &mut CollectReport,
    ) -> Result<()> {
        if condemned.is_empty() {
            return Ok(());
        }
        if mutation::is(Mutation::SessionsBeforeList) {
            self.wait(report).await?;
        }
        let list = self.publish(condemned, report).await?;
        self.finish(vec![list], held, report).await
    }

    /// Publishes a list of what is to go. On a full disk, index files make room for it, as they are hints; and what nothing needs where
    /// nobody else uses the store, as a list is for others.
    async fn publish(&self, condemned: &[Condemned], report: &mut CollectReport) -> Result<Location> {
        let name = Nonce::draw(&*self.store.host)?;
        let locations = || condemned.iter().map(|file| &file.file);
        let publish = async || list::publish(&*self.store.backend, &name, locations()).await;
        match publish().await {
            Err(error) if is_refused(&error) => self.store.catalog.give_index_files_up().await?,
            published => return published,
        }
        match publish().await {
            Err(error) if is_refused(&error) && self.options.offline => self.delete_unneeded(condemned, report).await?,
            Err(error) if is_refused(&error) => {
                let detail = format!(
                    "there is no room for the list of what is to go, which takes some KiB ({}); free a little, or when nobody else uses \
                     the store, `strongroom gc --offline`",
                    error.detail()
                );
                return Err(Error::new(error.kind(), "collect", &self.store.backend, detail).with_source(error));
            }
            published => return published,
        }
        publish().await
    }
}
