//! Learning what is there: by listing packs, files and index files, and reading the indexes that are new.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use strongroom_storage::{Error, Location, Result};

use super::Catalog;
use super::index_file::IndexFile;
use super::known::{Indexes, Known, PackNames};
use crate::index::Table;
use crate::nonce::Nonce;
use crate::pack;
use crate::paths;
use crate::read::is_absent;
use crate::session::Session;

/// What was learned of the store longer ago than this is learned anew by the next session that wants to know.
const AGE_MAX: Duration = Duration::from_secs(300);
/// How many tails are read at once.
const READS_AT_ONCE: usize = 16;
/// In a bucket, packs are listed only while index files name no more than this, which is two requests. Beyond, what stands in no index
/// file is not known: a writer may store it again, and a reader lists them when nothing else has what it looks for.
/// Fewer in this crate's simulation, so that it comes there.
const NAMED_PACKS_MAX: usize = if cfg!(test) { 2 } else { 2000 };
/// One writer in so many lists them all the same, and covers what stands in no index file.
const LISTS_ONE_IN: u8 = 64;
/// How often index files are listed that go while they are read, because others merge them.
const LISTINGS_MAX: usize = 4;

/// What is to be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Index files, packs and whole files.
    Everywhere,
    /// Index files, and packs unless that would be many requests: then those are known that index files name.
    Quickly,
}

/// What becomes of packs whose index can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// They are passed over: what is known is a hint.
    PassOver,
    /// Unless they are damaged or gone, it is an error.
    Fail,
}

impl Catalog {
    /// Makes sure that what is known is not too old for `session`, and tells it what was seen on the way.
    pub(crate) async fn learn_for(&self, session: &Session) -> Result<()> {
        let now = self.host.monotonic();
        let fresh = |known: &Known| known.learned.is_some_and(|at| now.saturating_sub(at) < AGE_MAX);
        if fresh(&self.known()) {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        if fresh(&self.known()) {
            return Ok(());
        }
        let mut look = Look::Everywhere;
        if self.backend.capabilities().is_bucket() {
            let mut chance = [0];
            self.host.fill_random(&mut chance)?;
            if chance[0] % LISTS_ONE_IN != 1 {
                look = Look::Quickly;
            }
        }
        for location in self.list_and_read(look, Unread::PassOver).await? {
            session.saw(location);
        }
        if look == Look::Everywhere {
            session.note_files_known();
        }
        Ok(())
    }

    /// The same, of whole files as well.
    pub(crate) async fn learn_with_files_for(&self, session: &Session) -> Result<()> {
        self.learn_for(session).await?;
        let now = self.host.monotonic();
        let is_fresh = self.known().listed_files.is_some_and(|at| now.saturating_sub(at) < AGE_MAX);
        if is_fresh { Ok(()) } else { self.list_files_for(session).await }
    }

    /// Tells `session` which whole files there are, unless it has been told, so that it can be said without asking again.
    pub(crate) async fn list_files_for(&self, session: &Session) -> Result<()> {
        if session.knows_files() {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        if session.knows_files() {
            return Ok(());
        }
        for location in self.list_files().await? {
            session.saw(location);
        }
        session.note_files_known();
        Ok(())
    }

    /// Lists whole files. Held is the turn.
    async fn list_files(&self) -> Result<Vec<Location>> {
        let now = self.host.monotonic();
        self.known().begin_listing_files();
        let listed = self.list(paths::FILES).await?;
        self.known().take_files(&listed, now);
        Ok(listed)
    }

    /// Learns everything anew, for a reader that did not find what it looked for.
    pub(crate) async fn learn(&self) -> Result<()> {
        let _turn = self.turn.lock().await;
        self.list_and_read(Look::Everywhere, Unread::PassOver).await.map(drop)
    }

    /// Learns anew what few requests can tell, for a reader that looks there first. Returns whether that is everything.
    pub(crate) async fn learn_quickly(&self) -> Result<bool> {
        let _turn = self.turn.lock().await;
        if !self.backend.capabilities().is_bucket() {
            self.list_and_read(Look::Everywhere, Unread::PassOver).await?;
            return Ok(true);
        }
        self.list_and_read(Look::Quickly, Unread::PassOver).await?;
        self.list_files().await?;
        Ok(self.known().all_listed)
    }

    /// Learns everything anew, for who takes what is not known for lost or unneeded.
    ///
    /// # Errors
    /// Also where an index can't be read now; the others are known all the same. One that is damaged is passed over.
    pub(crate) async fn learn_all(&self) -> Result<()> {
        let _turn = self.turn.lock().await;
        self.list_and_read(Look::Everywhere, Unread::Fail).await.map(drop)
    }

    /// Lists packs, files and index files, and reads the indexes that are new. Returns what packs and files there are.
    ///
    /// Index files are listed first: so what they name and the listing of packs has not is gone. Returned and known to be there is only
    /// what was listed.
    pub(super) async fn list_and_read(&self, look: Look, unread: Unread) -> Result<Vec<Location>> {
        let now = self.host.monotonic();
        self.known().begin_listing();
        let indexes = self.open_indexes().await?;
        let named = if look == Look::Quickly { named(&indexes) } else { PackNames::default() };
        let all_listed = named.len() <= NAMED_PACKS_MAX;
        let mut seen = if all_listed { self.list(paths::PACKS).await? } else { Vec::new() };
        let packs = if all_listed { seen.iter().filter_map(paths::pack_of).collect() } else { named };
        if look == Look::Everywhere {
            seen.extend(self.list_files().await?);
        }
        let uncovered = self.known().take_listed(indexes, (packs, all_listed), now);
        self.tidy_cache().await;
        let mut failure = None;
        let mut tails = stream::iter(uncovered)
            .map(|pack| async move {
                Ok(Table { pack, records: pack::read_index(&*self.backend, &pack, &self.cache).await? })
            })
            .buffer_unordered(READS_AT_ONCE);
        while let Some(table) = tails.next().await {
            match table {
                Ok::<Table, Error>(table) => self.known().add_table(table),
                Err(error) if unread == Unread::Fail && !is_absent(&error) => failure = Some(error),
                // Verification reports it.
                Err(_) => {}
            }
        }
        if let Some(failure) = failure {
            self.known().learned = None;
            return Err(failure);
        }
        Ok(seen)
    }

    /// The index files that are there, those opened that are not known yet. One that is gone when it is to be opened was merged
    /// into another, which is there by then.
    async fn open_indexes(&self) -> Result<Indexes> {
        let mut indexes = self.known().indexes.clone();
        for _ in 0..LISTINGS_MAX {
            let listed = self.list(paths::INDEX).await?;
            let listed: HashSet<Nonce> =
                listed.iter().filter_map(|location| location.file_name().parse().ok()).collect();
            indexes.retain(|nonce, _| listed.contains(nonce));
            let new: Vec<Nonce> = {
                let mut known = self.known();
                known.damaged.retain(|nonce| listed.contains(nonce));
                let is_new = |nonce: &&Nonce| !indexes.contains_key(*nonce) && !known.damaged.contains(*nonce);
                listed.iter().filter(is_new).copied().collect()
            };
            let opened: Vec<Result<IndexFile>> = stream::iter(new)
                .map(|nonce| IndexFile::open(&self.backend, nonce, &self.cache))
                .buffer_unordered(READS_AT_ONCE)
                .collect()
                .await;
            let mut gone = false;
            for file in opened {
                // An index file is a hint: what is damaged is read from the packs instead.
                match file {
                    Ok(file) => drop(indexes.insert(file.nonce, Arc::new(file))),
                    Err(error) => gone |= error.is_missing(),
                }
            }
            if !gone {
                break;
            }
        }
        Ok(indexes)
    }

    /// Deletes from the cache what is not there any more, and the tails of packs in index files.
    async fn tidy_cache(&self) {
        if !self.cache.is_there() || !self.known().all_listed {
            return;
        }
        let indexes: HashSet<Nonce> = self.known().indexes.keys().copied().collect();
        let nonce_of = |name: &str| name.split('/').nth(1).and_then(|nonce| nonce.parse::<Nonce>().ok());
        self.cache.tidy(paths::INDEX, |name| nonce_of(name).is_some_and(|nonce| indexes.contains(&nonce))).await;
        let packs = self.known().packs_in_no_index();
        self.cache.tidy(paths::PACKS, |name| nonce_of(name).is_some_and(|nonce| packs.contains(&nonce))).await;
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<Location>> {
        self.backend.iter_contents(prefix).try_collect().await
    }
}

/// The packs that index files name.
fn named(indexes: &Indexes) -> PackNames {
    indexes.values().flat_map(|file| file.directory.packs.iter()).copied().collect()
}
