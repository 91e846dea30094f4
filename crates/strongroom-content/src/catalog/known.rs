//! What a handle knows of packs, whole files and index files, in memory.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::time::Duration;

use strongroom_storage::{Digest, ErrorKind, Location};

use super::Found;
use super::index_file::IndexFile;
use super::recent::Recent;
use crate::index::{Table, chunk_count};
use crate::nonce::Nonce;
use crate::paths;
use crate::record::{DigestHasher, DigestPrefix, Kind};

/// Names are random, so their beginnings are as good as any hash.
pub(super) type PackNames = HashSet<Nonce, BuildHasherDefault<DigestHasher>>;

/// Index files by their names.
pub(super) type Indexes = HashMap<Nonce, Arc<IndexFile>>;

/// All of it is a guess.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// When everything was last listed, by the monotonic clock.
    pub learned: Option<Duration>,
    /// All index files that are there and can be read.
    pub indexes: Indexes,
    /// Those that turned out to be damaged; they are not tried again.
    pub damaged: HashSet<Nonce>,
    /// The index files that have something that no other has.
    searched: Arc<[Arc<IndexFile>]>,
    /// From the tails of packs in no index file.
    pub recent: Recent,
    /// All packs that are there; what an index file says of others is ignored.
    pub packs: PackNames,
    /// Whether they were listed. Otherwise they are those that were known, and those that index files name.
    pub all_listed: bool,
    /// Whole files, as far as they were listed.
    pub files: HashMap<Digest, Vec<Nonce>>,
    /// When they were last listed.
    pub listed_files: Option<Duration>,
    /// Sizes of large objects that are there or were.
    pub sizes: HashSet<u64>,
    /// The whole files whose sizes are among them.
    pub sized: HashSet<Nonce>,
    /// How many chunks the chunked objects have that are there or were.
    pub chunk_counts: BTreeSet<u32>,
    /// What this handle has stored since the listing began that is under way.
    new_packs: HashSet<Nonce>,
    new_files: Vec<(Digest, Nonce)>,
}

impl Known {
    /// What the tails of packs have under `prefix`, and the index files that may have more.
    pub(super) fn search(&self, prefix: &DigestPrefix) -> (Vec<Found>, Arc<[Arc<IndexFile>]>) {
        let found = match prefix.whole() {
            Some(digest) => self.recent.find(&digest).collect(),
            None => self.recent.search(prefix).collect(),
        };
        (found, self.searched())
    }

    pub(super) fn searched(&self) -> Arc<[Arc<IndexFile>]> {
        self.searched.clone()
    }

    /// Leaves out what is in packs that are gone.
    pub(super) fn keep_those_there(&self, found: &mut Vec<Found>) {
        found.retain(|found| self.packs.contains(&found.place.pack));
    }

    /// Gives up an index file that is gone or damaged: what it says must be learned anew. False if it is neither, but could not be
    /// read this time.
    pub(super) fn give_up(&mut self, file: &IndexFile, why: ErrorKind) -> bool {
        match why {
            ErrorKind::Missing => {}
            ErrorKind::Corrupt => drop(self.damaged.insert(file.nonce)),
            _ => return false,
        }
        self.indexes.remove(&file.nonce);
        self.learned = None;
        self.choose();
        true
    }

    /// Notes a new index file.
    pub(super) fn add_index(&mut self, file: Arc<IndexFile>) {
        self.chunk_counts.extend(file.directory.chunk_counts.iter());
        self.indexes.insert(file.nonce, file);
    }

    /// Decides which index files are searched: the largest, and those with packs that are there and in none that is larger.
    /// Returns the packs in index files.
    pub(super) fn choose(&mut self) -> HashSet<Nonce> {
        let mut files: Vec<&Arc<IndexFile>> = self.indexes.values().collect();
        files.sort_unstable_by_key(|file| (std::cmp::Reverse(file.directory.records()), file.nonce));
        let mut covered = HashSet::new();
        files.retain(|file| {
            let new = file.directory.packs.iter().filter(|pack| self.packs.contains(*pack) && !covered.contains(*pack));
            let new: Vec<Nonce> = new.copied().collect();
            covered.extend(&new);
            !new.is_empty()
        });
        self.searched = files.into_iter().cloned().collect();
        covered
    }

    /// Forgets which packs this handle has stored, because all that are there are about to be listed.
    pub(super) fn begin_listing(&mut self) {
        self.new_packs.clear();
    }

    /// The same of whole files.
    pub(super) fn begin_listing_files(&mut self) {
        self.new_files.clear();
    }

    /// Takes what was listed, all at once, and what this handle has stored meanwhile. Returns the packs whose tails must be read.
    ///
    /// Of an index file whose packs are not known to be there, it would seem that it could go.
    pub(super) fn take_listed(
        &mut self,
        mut indexes: Indexes,
        (mut packs, all_listed): (PackNames, bool),
        now: Duration,
    ) -> Vec<Nonce> {
        indexes.retain(|nonce, _| !self.damaged.contains(nonce));
        self.indexes.clear();
        indexes.into_values().for_each(|file| self.add_index(file));
        if !all_listed {
            packs.extend(self.recent.tables().iter().map(|table| table.pack));
        }
        self.all_listed = all_listed;
        self.packs = packs;
        self.packs.extend(&self.new_packs);
        self.learned = Some(now);
        let covered = self.choose();
        let Self { recent, packs, .. } = self;
        recent.retain(|pack| packs.contains(pack) && !covered.contains(pack));
        packs.iter().filter(|pack| !covered.contains(*pack) && !recent.contains(pack)).copied().collect()
    }

    /// Takes the whole files that were listed, and those that this handle has stored meanwhile.
    pub(super) fn take_files(&mut self, listed: &[Location], now: Duration) {
        self.files.clear();
        for (digest, nonce) in listed.iter().filter_map(paths::whole_file_of).chain(std::mem::take(&mut self.new_files))
        {
            self.add_file(digest, nonce);
        }
        self.listed_files = Some(now);
    }

    pub(super) fn packs_in_no_index(&self) -> HashSet<Nonce> {
        let covered: HashSet<&Nonce> = self.indexes.values().flat_map(|file| file.directory.packs.iter()).collect();
        self.packs.iter().filter(|pack| !covered.contains(pack)).copied().collect()
    }

    /// Notes the index of a pack in no index file.
    pub(super) fn add_table(&mut self, table: Table) {
        for record in table.records.iter().filter(|record| record.kind == Kind::ChunkList) {
            self.chunk_counts.insert(chunk_count(record.size));
        }
        self.recent.insert(table);
    }

    pub(super) fn add_file(&mut self, digest: Digest, nonce: Nonce) {
        let nonces = self.files.entry(digest).or_default();
        if !nonces.contains(&nonce) {
            nonces.push(nonce);
        }
    }

    pub(super) fn stored_pack(&mut self, table: Table) {
        self.packs.insert(table.pack);
        self.new_packs.insert(table.pack);
        self.add_table(table);
    }

    pub(super) fn stored_file(&mut self, digest: Digest, nonce: Nonce) {
        self.add_file(digest, nonce);
        self.new_files.push((digest, nonce));
    }
}
