//! A local cache: faster where it is warm, and nothing where it is cold, damaged, gone or can't be written to.

use std::sync::Arc;

use bytes::Bytes;
use strongroom_content::{ContentStorage, OpenOptions, PutOptions};
use strongroom_storage::{
    ByteRange, Digest, DigestSet, Digests, Error, ErrorKind, ExternalStorage, FileStorage, ReadOnlyStorage, Result,
};
use strongroom_testkit::{Intercept, Intercepted, Operation, Outcome, RecordingStorage};

use crate::support::{Backend, at, bucket, create, files, memory, noise, open, put, small_chunks};
use crate::traps::trapped;

/// A handle on a store that is far away.
async fn open_far(backend: &Backend, cache: &Backend) -> (RecordingStorage, ContentStorage) {
    let recording = RecordingStorage::new(bucket(backend));
    let options = OpenOptions::default().with_cache(cache.clone());
    let store = ContentStorage::open(Arc::new(recording.clone()), options).await.expect("open");
    (recording, store)
}

/// A store with an index file, which is large with so many objects in each pack, and some packs in none.
async fn filled(objects: u64) -> Backend {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    store_packs(&store, 0, 70, objects).await;
    backend
}

/// So many that the index file has parts that are read apart from its end.
const MANY: u64 = 600;

async fn store_packs(store: &ContentStorage, first: u64, packs: u64, objects: u64) {
    for pack in first..first + packs {
        let mut batch = store.batch();
        for n in pack * objects..(pack + 1) * objects {
            batch.put(at(&format!("a/{n}")), noise(n, 300), PutOptions::default());
        }
        batch.commit().await.expect("commit");
    }
}

async fn find(store: &ContentStorage, n: u64) {
    store.find_digest(&format!("b3:{}", Digest::of(&noise(n, 300)))).await.expect("find");
}

/// How many requests were sent for what index files and tails of packs say.
fn reads(recording: &RecordingStorage) -> usize {
    let operations = recording.take();
    let hints = operations.iter().filter(|operation| match operation {
        Operation::Load { location, range } => {
            let location = location.as_str();
            location.starts_with("index/") || location.starts_with("packs/") && matches!(range, ByteRange::Last(_))
        }
        _ => false,
    });
    hints.count()
}

/// The storage of a cache that is never written to, or damaged when it is read.
#[derive(Debug)]
struct Bad {
    full: bool,
}

#[async_trait::async_trait]
impl Intercept for Bad {
    async fn before(&self, operation: &Operation) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        match operation {
            Operation::Store { location, .. } if self.full => {
                return Err(Error::new(ErrorKind::Unavailable, "store", location, "the disk is full"));
            }
            Operation::Load { .. } if !self.full => outcome.damage = Some(strongroom_testkit::Damage::Flipped),
            _ => {}
        }
        Ok(outcome)
    }
}

#[tokio::test]
async fn a_cold_handle_with_a_warm_cache_asks_for_nothing_that_it_has() {
    let (backend, cache) = (filled(MANY).await, memory());
    let (recording, first) = open_far(&backend, &cache).await;
    for n in [3, 69 * MANY] {
        find(&first, n).await;
    }
    let cold = reads(&recording);
    assert_eq!(cold, 7, "the end of the index file, a part of it, and five tails");
    let (recording, second) = open_far(&backend, &cache).await;
    for n in [3, 69 * MANY] {
        find(&second, n).await;
    }
    assert_eq!(reads(&recording), 0);
    // Nor for what lies near by.
    for n in 0..30 {
        find(&second, n).await;
    }
    let more = reads(&recording);
    assert!(more <= 9, "{more}: the index file has so many parts");
}

#[tokio::test]
async fn of_a_store_that_is_local_nothing_is_copied() {
    let (backend, cache) = (filled(30).await, memory());
    let store = ContentStorage::open(backend, OpenOptions::default().with_cache(cache.clone())).await.expect("open");
    find(&store, 3).await;
    assert!(files(&cache, "").await.is_empty());
}

#[tokio::test]
async fn a_cache_that_is_damaged_read_only_or_full_is_as_none() {
    let backend = filled(30).await;
    let warm = memory();
    let (_, store) = open_far(&backend, &warm).await;
    find(&store, 3).await;
    let cold = memory();
    let damaged = Arc::new(Intercepted::with_interceptor(warm.clone(), Bad { full: false }));
    let full = Arc::new(Intercepted::with_interceptor(cold.clone(), Bad { full: true }));
    let read_only = Arc::new(ReadOnlyStorage::new(cold.clone()));
    for cache in [damaged as Backend, full, read_only] {
        for _ in 0..2 {
            let (recording, store) = open_far(&backend, &cache).await;
            find(&store, 3).await;
            put(&store, "b/3", noise(3, 300), PutOptions::default()).await.expect("put");
            let digests = store.digests(&at("a/3"), DigestSet::ALL).await.expect("digests");
            assert_eq!(digests, Digests::of(&noise(3, 300), DigestSet::ALL));
            assert!(reads(&recording) > 0);
        }
    }
    assert!(files(&cold, "").await.is_empty());
    assert_eq!(files(&backend, "packs/").await.len(), 70, "nothing is stored again");
}

#[tokio::test]
async fn bytes_of_the_cache_that_are_cut_or_changed_are_not_believed() {
    let (backend, cache) = (filled(MANY).await, memory());
    let (_, store) = open_far(&backend, &cache).await;
    find(&store, 3).await;
    store.digests(&at("a/3"), DigestSet::MD5).await.expect("digests");
    for file in files(&cache, "").await {
        let sound = cache.load_bytes(&file, ByteRange::All).await.expect("load");
        let mut flipped = sound.to_vec();
        flipped.iter_mut().step_by(sound.len() / 3 + 1).for_each(|byte| *byte ^= 1);
        for bytes in [Bytes::new(), sound.slice(..sound.len() / 2), flipped.into()] {
            cache.store_bytes(&file, bytes).await.expect("damage");
            let (_, store) = open_far(&backend, &cache).await;
            find(&store, 3).await;
            put(&store, "b/3", noise(3, 300), PutOptions::default()).await.expect("put");
            let md5 = store.digests(&at("a/3"), DigestSet::MD5).await.expect("digests").md5;
            assert_eq!(md5, Digests::of(&noise(3, 300), DigestSet::MD5).md5);
            assert_eq!(cache.load_bytes(&file, ByteRange::All).await.expect("load"), sound, "{file} is mended");
        }
    }
    assert_eq!(files(&backend, "packs/").await.len(), 70, "nothing is stored again");
}

#[tokio::test]
async fn a_cache_that_is_deleted_while_it_is_in_use_is_filled_again() {
    let backend = filled(30).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cache");
    let cache: Backend = Arc::new(FileStorage::new(&path));
    let (_, store) = open_far(&backend, &cache).await;
    for n in 0..4 {
        find(&store, n * 400).await;
        store.digests(&at(&format!("a/{n}")), DigestSet::MD5).await.expect("digests");
        std::fs::remove_dir_all(&path).expect("it was there");
    }
    let (_, other) = open_far(&backend, &cache).await;
    find(&other, 3).await;
    assert!(files(&cache, "").await.len() > 3);
}

#[tokio::test]
async fn what_the_store_has_no_more_goes_from_the_cache() {
    let (backend, cache) = (filled(30).await, memory());
    let (_, store) = open_far(&backend, &cache).await;
    find(&store, 3).await;
    let id = store.id().to_string();
    let before = files(&cache, &format!("{id}/index/")).await;
    assert!(!before.is_empty() && !files(&cache, &format!("{id}/packs/")).await.is_empty());
    store_packs(&open(&backend).await, 70, 60, 30).await;
    find(&store, 3).await;
    let after = files(&cache, &format!("{id}/index/")).await;
    assert!(!after.is_empty() && after.iter().all(|file| !before.contains(file)), "{before:?}, {after:?}");
    assert!(files(&cache, &format!("{id}/packs/")).await.is_empty(), "the tails stand in the new index file");
}

#[tokio::test]
async fn two_processes_that_share_a_cache_find_what_they_look_for() {
    // At every request the others get their turn.
    let (backend, cache) = (filled(30).await, Arc::new(trapped(&memory())) as Backend);
    let work = |first: u64| {
        let (backend, cache) = (backend.clone(), cache.clone());
        async move {
            let (_, store) = open_far(&backend, &cache).await;
            for n in (first..2000).step_by(100) {
                find(&store, n).await;
                let digests = store.digests(&at(&format!("a/{n}")), DigestSet::ALL).await.expect("digests");
                assert_eq!(digests, Digests::of(&noise(n, 300), DigestSet::ALL));
            }
        }
    };
    futures::join!(work(0), work(0), work(50));
    let (recording, store) = open_far(&backend, &cache).await;
    find(&store, 0).await;
    assert_eq!(reads(&recording), 0);
}

#[tokio::test]
async fn digests_that_were_computed_once_are_remembered_for_every_name_of_the_content() {
    let (backend, cache) = (memory(), memory());
    create(&backend, small_chunks()).await;
    let recording = RecordingStorage::new(backend.clone());
    let options = || OpenOptions::default().with_cache(cache.clone());
    let store = ContentStorage::open(Arc::new(recording.clone()), options()).await.expect("open");
    for name in ["a/one", "a/two"] {
        put(&store, name, noise(1, 5000), PutOptions::default()).await.expect("put");
    }
    let expected = Digests::of(&noise(1, 5000), DigestSet::ALL);
    assert_eq!(store.hexdigest(&at("a/one")).await.expect("hexdigest"), expected.md5.expect("MD5").to_string());
    let fresh = ContentStorage::open(Arc::new(recording.clone()), options()).await.expect("open");
    recording.take();
    let mut md5 = DigestSet::NONE;
    md5.md5 = true;
    assert_eq!(fresh.digests(&at("a/two"), md5).await.expect("digests").md5, expected.md5);
    assert!(recording.lines().iter().all(|line| !line.starts_with("load packs/")), "{:?}", recording.lines());
    // What is not known is computed and kept with it.
    assert_eq!(fresh.digests(&at("a/two"), DigestSet::ALL).await.expect("digests"), expected);
    recording.take();
    assert_eq!(store.digests(&at("a/one"), DigestSet::ALL).await.expect("digests"), expected);
    assert!(recording.lines().iter().all(|line| !line.starts_with("load packs/")));
}
