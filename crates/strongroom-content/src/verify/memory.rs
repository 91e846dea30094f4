//! What was read and found to be sound before, and need not be read again.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use strongroom_storage::{Digest, ErrorKind, Location, Result};

use super::VerifyOptions;
use crate::cache::{Cache, Print, VerifiedLog};
use crate::chunk::Chunk;
use crate::codec::Encoder;
use crate::nonce::Nonce;
use crate::store::Inner;

/// A verification that was interrupted is gone on with if it began within this time.
const RESUMED_WITHIN: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often what was found is written down.
const WRITTEN_EVERY: Duration = Duration::from_secs(10);

/// What is known from before, and what is found now.
#[derive(Debug)]
pub(super) struct Memory {
    cache: Cache,
    /// The name of this verification's own log.
    name: String,
    known: HashMap<Print, u64>,
    /// What is taken to be sound still.
    skipped: HashSet<Print>,
    found: Mutex<Found>,
}

#[derive(Debug)]
struct Found {
    log: VerifiedLog,
    written_at: Duration,
}

impl Memory {
    pub(super) async fn open(store: &Inner, options: &VerifyOptions) -> Result<Self> {
        let cache = if options.data { store.cache.clone() } else { Cache::none() };
        let now = seconds(store.host.now());
        let (mut known, mut skipped) = (HashMap::new(), HashSet::new());
        for (_, VerifiedLog { began, is_finished, rows }) in cache.verified_logs().await {
            let is_resumed = !is_finished && began <= now && now - began < RESUMED_WITHIN.as_secs();
            for (print, time) in rows {
                // Should the clock have been set back, nothing is known of times to come.
                if time > now {
                    continue;
                }
                let is_skipped = match options.older_than {
                    Some(limit) => now - time < limit.as_secs(),
                    None => is_resumed && time >= began,
                };
                if is_skipped {
                    skipped.insert(print);
                }
                let latest = known.entry(print).or_default();
                *latest = time.max(*latest);
            }
        }
        let log = VerifiedLog { began: now, ..VerifiedLog::default() };
        let found = Mutex::new(Found { log, written_at: store.host.monotonic() });
        Ok(Self { cache, name: Nonce::draw(&*store.host)?.to_string(), known, skipped, found })
    }

    /// Whether a file of the store was read not long ago, and is the same since.
    pub(super) async fn skips(&self, store: &Inner, file: &Location) -> Result<bool> {
        let print = print(file.as_str().as_bytes());
        let Some(time) = self.known.get(&print).filter(|_| self.skipped.contains(&print)) else { return Ok(false) };
        let modified = match store.backend.metadata(file).await {
            Ok(metadata) => metadata.modified,
            Err(error) if error.kind() == ErrorKind::Missing => return Ok(false),
            Err(error) => return Err(error),
        };
        // In the very second in which it was read it may have been changed.
        if modified.is_some_and(|modified| seconds(modified) >= *time) {
            return Ok(false);
        }
        self.found().log.rows.insert(print, *time);
        Ok(true)
    }

    /// A file of the store was read, and is sound.
    pub(super) async fn add(&self, store: &Inner, file: &Location) {
        self.remember(store, print(file.as_str().as_bytes())).await;
    }

    /// Whether it is known that these chunks make up the object with this digest. That stays true, however long ago it was found.
    pub(super) fn has_list(&self, object: &Digest, chunks: &[Chunk]) -> bool {
        let print = print_of_list(object, chunks);
        let known = self.known.get(&print).copied();
        let mut found = self.found();
        if let Some(time) = known {
            found.log.rows.entry(print).or_insert(time);
        }
        found.log.rows.contains_key(&print)
    }

    /// These chunks make up the object with this digest.
    pub(super) async fn add_list(&self, store: &Inner, object: &Digest, chunks: &[Chunk]) {
        self.remember(store, print_of_list(object, chunks)).await;
    }

    async fn remember(&self, store: &Inner, print: Print) {
        let (now, clock) = (seconds(store.host.now()), store.host.monotonic());
        let due = {
            let mut found = self.found();
            found.log.rows.insert(print, now);
            let is_due = self.cache.is_there() && clock.saturating_sub(found.written_at) >= WRITTEN_EVERY;
            is_due.then(|| {
                found.written_at = clock;
                found.log.clone()
            })
        };
        if let Some(log) = due {
            self.cache.keep_verified(&self.name, &log).await;
        }
    }

    /// The verification has come to its end: what it found and what it skipped is all that there is to remember.
    pub(super) async fn finish(self) {
        if !self.cache.is_there() {
            return;
        }
        let mut log = self.found.into_inner().unwrap_or_else(PoisonError::into_inner).log;
        log.is_finished = true;
        self.cache.keep_verified(&self.name, &log).await;
        self.cache.keep_only_verified(&self.name).await;
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn print(bytes: &[u8]) -> Print {
    *Digest::of(bytes).as_bytes().first_chunk().expect("a digest has 32 bytes")
}

/// Wherever the chunks are.
fn print_of_list(object: &Digest, chunks: &[Chunk]) -> Print {
    let mut out = Encoder::default();
    out.digest(object);
    chunks.iter().for_each(|chunk| out.digest(&chunk.digest));
    print(&out.finish())
}
