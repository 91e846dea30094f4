//! What content there is, as one handle knows it. All of it can be thrown away, and all of it is a guess: before something is
//! relied on, the session sees for itself that the pack or file is there.

mod recent;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use strongroom_storage::{Digest, ExternalStorage, Host, Location, Result};

use crate::chunk::{CHUNK_BYTES, LIST_BODY_EXTRA_BYTES, Place};
use crate::config::ChunkSizes;
use crate::index::{self, Table};
use crate::nonce::Nonce;
use crate::pack::{self, FinishedPack};
use crate::paths;
use crate::record::{DigestPrefix, Kind, Record};
use crate::session::Session;
use recent::Recent;

/// What was learned of the store longer ago than this is learned anew by the next session that wants to know.
const AGE_MAX: Duration = Duration::from_secs(300);
/// How many packs may stand in no index file before a writer adds one.
const UNCOVERED_PACKS_MAX: usize = 64;
/// How many tails are read at once.
const READS_AT_ONCE: usize = 16;

/// Where a digest's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub digest: Digest,
    pub kind: Kind,
    pub place: Place,
    /// In bytes, after decompression.
    pub size: u32,
}

/// The handle's knowledge of packs, whole files and index files.
#[derive(Debug)]
pub(crate) struct Catalog {
    backend: Arc<dyn ExternalStorage>,
    host: Arc<dyn Host>,
    known: Mutex<Known>,
    learning: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    /// When everything was last listed, by the monotonic clock.
    learned: Option<Duration>,
    /// From index files.
    covered: HashMap<Nonce, Table>,
    /// From the tails of packs in no index file.
    recent: Recent,
    /// All packs that are there; what an index file says of others is ignored.
    packs: HashSet<Nonce>,
    /// Whole files.
    files: HashMap<Digest, Vec<Nonce>>,
    /// Sizes of large objects that are there or were.
    sizes: HashSet<u64>,
    /// The whole files whose sizes are among them.
    sized: HashSet<Nonce>,
    /// How many chunks the chunked objects have that are there or were.
    chunk_counts: BTreeSet<u32>,
    /// What this handle has stored since the listing began that is under way.
    new_packs: HashSet<Nonce>,
    new_files: Vec<(Digest, Nonce)>,
}

impl Catalog {
    pub(crate) fn new(backend: Arc<dyn ExternalStorage>, host: Arc<dyn Host>) -> Self {
        Self { backend, host, known: Mutex::default(), learning: tokio::sync::Mutex::new(()) }
    }

    /// Makes sure that what is known is not too old for `session`, and tells it what was seen on the way.
    pub(crate) async fn learn_for(&self, session: &Session) -> Result<()> {
        let now = self.host.monotonic();
        let fresh = |known: &Known| known.learned.is_some_and(|at| now.saturating_sub(at) < AGE_MAX);
        if fresh(&self.known()) {
            return Ok(());
        }
        let _turn = self.learning.lock().await;
        if fresh(&self.known()) {
            return Ok(());
        }
        for location in self.list_and_read().await? {
            session.saw(location);
        }
        session.note_files_known();
        Ok(())
    }

    /// Tells `session` which whole files there are, unless it has been told, so that it can be said without asking again.
    pub(crate) async fn list_files_for(&self, session: &Session) -> Result<()> {
        if session.knows_files() {
            return Ok(());
        }
        let listed = self.list(paths::FILES).await?;
        let mut known = self.known();
        for location in listed {
            if let Some((digest, nonce)) = paths::whole_file_of(&location) {
                note_file(&mut known.files, digest, nonce);
            }
            session.saw(location);
        }
        session.note_files_known();
        Ok(())
    }

    /// Learns everything anew, for a reader that did not find what it looked for.
    pub(crate) async fn learn(&self) -> Result<()> {
        let _turn = self.learning.lock().await;
        self.list_and_read().await.map(drop)
    }

    /// Lists packs, files and index files, and reads the indexes that are new. Returns what packs and files there are.
    async fn list_and_read(&self) -> Result<Vec<Location>> {
        let now = self.host.monotonic();
        {
            let mut known = self.known();
            known.new_packs.clear();
            known.new_files.clear();
        }
        let indexes: HashSet<Nonce> =
            self.list(paths::INDEX).await?.iter().filter_map(|location| location.file_name().parse().ok()).collect();
        let mut seen = self.list(paths::PACKS).await?;
        let packs: HashSet<Nonce> = seen.iter().filter_map(paths::pack_of).collect();
        let file_locations = self.list(paths::FILES).await?;
        let mut files: HashMap<Digest, Vec<Nonce>> = HashMap::new();
        for (digest, nonce) in file_locations.iter().filter_map(paths::whole_file_of) {
            files.entry(digest).or_default().push(nonce);
        }
        seen.extend(file_locations);

        let unknown: Vec<Nonce> = {
            let known = self.known();
            indexes.iter().filter(|nonce| !known.covered.contains_key(*nonce)).copied().collect()
        };
        let mut new_covered: HashMap<Nonce, Table> = HashMap::new();
        for nonce in unknown {
            // An index file is a hint: what is damaged or was merged meanwhile is read from the packs instead.
            if let Ok(table) = index::read(&*self.backend, &nonce).await {
                new_covered.insert(nonce, table);
            }
        }
        let uncovered: Vec<Nonce> = {
            let mut known = self.known();
            known.covered.retain(|nonce, _| indexes.contains(nonce));
            new_covered.values().for_each(|table| known.count_chunks(table));
            known.covered.extend(new_covered);
            let covered: HashSet<Nonce> =
                known.covered.values().flat_map(|table| table.packs.iter().copied()).collect();
            let Known { recent, new_packs, .. } = &mut *known;
            recent.retain(|pack| (packs.contains(pack) || new_packs.contains(pack)) && !covered.contains(pack));
            packs.iter().filter(|pack| !covered.contains(*pack) && !recent.contains(pack)).copied().collect()
        };
        let tails: Vec<(Nonce, Result<Table>)> = stream::iter(uncovered)
            .map(|nonce| async move {
                let records = pack::read_index(&*self.backend, &nonce).await;
                (nonce, records.map(|records| Table { packs: [nonce].into(), records }))
            })
            .buffer_unordered(READS_AT_ONCE)
            .collect()
            .await;
        let mut known = self.known();
        // A pack whose index can't be read is passed over; verification reports it.
        for (nonce, table) in tails {
            let Ok(table) = table else { continue };
            known.count_chunks(&table);
            known.recent.insert(nonce, table);
        }
        known.packs = packs;
        known.files = files;
        let Known { packs, files, new_packs, new_files, .. } = &mut *known;
        packs.extend(new_packs.drain());
        for (digest, nonce) in new_files.drain(..) {
            note_file(files, digest, nonce);
        }
        known.learned = Some(now);
        Ok(seen)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Location>> {
        self.backend.iter_contents(prefix).try_collect().await
    }

    /// Where content of this kind with this digest is or was; in an order that every handle finds it in.
    pub(crate) fn find(&self, kind: Kind, digest: &Digest) -> Vec<Found> {
        let mut found = self.search(&DigestPrefix::exact(digest));
        found.retain(|found| found.kind == kind);
        found.sort_unstable_by_key(|found| (found.place.pack, found.place.offset));
        found
    }

    /// Whether content of this kind with this digest is known.
    pub(crate) fn knows(&self, kind: Kind, digest: &Digest) -> bool {
        self.search(&DigestPrefix::exact(digest)).iter().any(|found| found.kind == kind)
    }

    /// Whether a whole file with this digest is known.
    pub(crate) fn has_files_of(&self, digest: &Digest) -> bool {
        self.known().files.contains_key(digest)
    }

    /// Everything in packs whose digest begins with `prefix`.
    pub(crate) fn search(&self, prefix: &DigestPrefix) -> Vec<Found> {
        let known = self.known();
        let mut found: Vec<Found> = match prefix.whole() {
            Some(digest) => known.recent.find(&digest).collect(),
            None => known.recent.search(prefix).collect(),
        };
        for table in known.covered.values() {
            let located = table.records.with_prefix(prefix).filter_map(|record| locate(table, &record));
            found.extend(located.filter(|found| known.packs.contains(&found.place.pack)));
        }
        found
    }

    /// The whole files with this digest; in an order that every handle finds them in.
    pub(crate) fn files(&self, digest: &Digest) -> Vec<Nonce> {
        let mut files = self.known().files.get(digest).cloned().unwrap_or_default();
        files.sort_unstable();
        files
    }

    /// Whole files whose digest begins with `prefix`.
    pub(crate) fn search_files(&self, prefix: &DigestPrefix) -> Vec<Digest> {
        self.known().files.keys().filter(|digest| prefix.matches(digest)).copied().collect()
    }

    /// Whether content of `size` bytes may be there: as a file, or if `chunked` as chunks of these sizes. If not, it need not be
    /// hashed before it is stored.
    pub(crate) async fn may_have(&self, size: u64, chunked: Option<ChunkSizes>) -> Result<bool> {
        if !self.backend.capabilities().local {
            // To ask each file for its size costs more than to hash.
            return Ok(
                !self.known().files.is_empty() || chunked.is_some_and(|sizes| self.may_have_chunked(size, sizes))
            );
        }
        let unknown: Vec<(Digest, Nonce)> = {
            let known = self.known();
            let files = known.files.iter().flat_map(|(digest, nonces)| nonces.iter().map(|nonce| (*digest, *nonce)));
            files.filter(|(_, nonce)| !known.sized.contains(nonce)).collect()
        };
        for (digest, nonce) in unknown {
            match self.backend.metadata(&paths::whole_file(&digest, &nonce)?).await {
                Ok(metadata) => {
                    let mut known = self.known();
                    known.sizes.insert(metadata.size);
                    known.sized.insert(nonce);
                }
                Err(error) if error.is_missing() => {}
                // One that can't be looked at may be it.
                Err(_) => return Ok(true),
            }
        }
        let exact = self.known().sizes.contains(&size);
        Ok(exact || chunked.is_some_and(|sizes| self.may_have_chunked(size, sizes)))
    }

    /// Whether a chunked object is known that has so many chunks as this many bytes can have.
    fn may_have_chunked(&self, size: u64, sizes: ChunkSizes) -> bool {
        let least = u32::try_from(size.div_ceil(u64::from(sizes.maximum))).unwrap_or(u32::MAX);
        let most = u32::try_from(size / u64::from(sizes.minimum) + 1).unwrap_or(u32::MAX);
        self.known().chunk_counts.range(least..=most).next().is_some()
    }

    /// Notes that there is a large object of `size` bytes.
    pub(crate) fn note_size(&self, size: u64) {
        self.known().sizes.insert(size);
    }

    /// Notes a pack that this handle has stored.
    pub(crate) fn stored_pack(&self, pack: &FinishedPack, table: Table) {
        let mut known = self.known();
        known.count_chunks(&table);
        known.recent.insert(pack.nonce, table);
        known.packs.insert(pack.nonce);
        known.new_packs.insert(pack.nonce);
    }

    /// Notes a whole file that this handle has stored.
    pub(crate) fn stored_file(&self, digest: Digest, nonce: Nonce) {
        let mut known = self.known();
        note_file(&mut known.files, digest, nonce);
        known.new_files.push((digest, nonce));
    }

    /// Adds an index file if many packs stand in none.
    pub(crate) async fn cover(&self) -> Result<()> {
        let tables: Vec<Table> = {
            let known = self.known();
            if known.recent.len() <= UNCOVERED_PACKS_MAX {
                return Ok(());
            }
            known.recent.tables().to_vec()
        };
        let nonce = Nonce::draw(&*self.host)?;
        let table = index::write(&*self.backend, &nonce, &tables).await?;
        let mut known = self.known();
        let covered: HashSet<Nonce> = table.packs.iter().copied().collect();
        known.recent.retain(|pack| !covered.contains(pack));
        known.covered.insert(nonce, table);
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Notes how many chunks the objects have whose lists are in a table.
    fn count_chunks(&mut self, table: &Table) {
        for record in table.records.iter().filter(|record| record.kind == Kind::ChunkList) {
            let items = (record.size as usize).saturating_sub(LIST_BODY_EXTRA_BYTES) / CHUNK_BYTES;
            self.chunk_counts.insert(u32::try_from(items).unwrap_or(u32::MAX));
        }
    }
}

fn note_file(files: &mut HashMap<Digest, Vec<Nonce>>, digest: Digest, nonce: Nonce) {
    let nonces = files.entry(digest).or_default();
    if !nonces.contains(&nonce) {
        nonces.push(nonce);
    }
}

fn locate(table: &Table, record: &Record) -> Option<Found> {
    let pack = *table.packs.get(usize::try_from(record.pack).ok()?)?;
    let place = Place { pack, offset: record.offset, stored: record.stored, method: record.method };
    Some(Found { digest: record.digest, kind: record.kind, place, size: record.size })
}
