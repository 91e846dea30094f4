//! Index files are merged by whoever adds one, beside others that read or merge them.

use std::sync::Arc;

use strongroom_content::{ContentStorage, PutOptions};
use strongroom_storage::{ByteRange, Digest};
use strongroom_testkit::{Operation, RecordingStorage};

use crate::support::{Backend, assert_no_problems, at, create, files, memory, noise, open, put, small_chunks, verify};
use crate::traps::{all_sprung, trap, trapped};

/// One pack a batch, of so many objects that index files over many packs are large, or of one.
async fn store_packs(store: &ContentStorage, first: u64, packs: u64, objects: u64) {
    for pack in first..first + packs {
        let mut batch = store.batch();
        for n in 0..objects {
            let n = pack * 100 + n;
            batch.put(at(&format!("a/{n}")), noise(n, 300), PutOptions::default());
        }
        batch.commit().await.expect("commit");
    }
}

/// A store with an index file.
async fn indexed(objects: u64) -> Backend {
    let backend = memory();
    store_packs(&create(&backend, small_chunks()).await, 0, 65, objects).await;
    assert_eq!(files(&backend, "index/").await.len(), 1);
    backend
}

/// How many packs' tails and how many index files a handle reads that knows nothing yet.
async fn reads_of_a_cold_handle(backend: &Backend) -> (usize, usize) {
    let recording = RecordingStorage::new(backend.clone());
    let fresh = open(&(Arc::new(recording.clone()) as Backend)).await;
    fresh.find_digest(&format!("b3:{}", Digest::of(&noise(300, 300)))).await.expect("find");
    let reads = |prefix: &'static str| {
        recording.count(|operation| {
            matches!(operation, Operation::Load { location, range: ByteRange::Last(_) }
                if location.as_str().starts_with(prefix))
        })
    };
    (reads("packs/"), reads("index/"))
}

/// All content of so many packs is known to a handle that knows nothing yet: what is stored again makes no new pack.
async fn assert_all_known(backend: &Backend, packs: u64, objects: u64) {
    let before = files(backend, "packs/").await.len();
    let fresh = open(backend).await;
    let mut batch = fresh.batch();
    for n in (0..packs).flat_map(|pack| (0..objects).map(move |n| pack * 100 + n)) {
        batch.put(at(&format!("again/{n}")), noise(n, 300), PutOptions::default());
    }
    batch.commit().await.expect("commit");
    assert_eq!(files(backend, "packs/").await.len(), before, "what is there is not known");
    assert_no_problems(&verify(backend, true).await, "merged");
}

fn loads_an_index(operation: &Operation) -> bool {
    matches!(operation, Operation::Load { location, .. } if location.as_str().starts_with("index/"))
}

fn stores_an_index(operation: &Operation) -> bool {
    matches!(operation, Operation::Store { location, .. } if location.as_str().starts_with("index/"))
}

#[tokio::test]
async fn whoever_adds_an_index_file_puts_into_it_what_others_say_and_deletes_them() {
    for objects in [1, 30] {
        let backend = indexed(objects).await;
        let old = files(&backend, "index/").await;
        let recording = RecordingStorage::new(backend.clone());
        let store = open(&(Arc::new(recording.clone()) as Backend)).await;
        store_packs(&store, 65, 65, objects).await;
        let new = files(&backend, "index/").await;
        assert_eq!(new.len(), 1);
        assert_ne!(new, old);
        assert_eq!(reads_of_a_cold_handle(&backend).await, (0, 1));
        assert_all_known(&backend, 130, objects).await;
        // The new one is there, durably, before the old one goes.
        let lines = recording.lines();
        let position = |line: String| lines.iter().position(|other| *other == line).expect("it was done");
        assert!(position(format!("create {}", new[0])) < position(format!("delete {}", old[0])));
    }
}

#[tokio::test]
async fn a_reader_of_an_index_file_that_goes_meanwhile_reads_the_one_that_it_was_merged_into() {
    let backend = indexed(30).await;
    let storage = trapped(&backend);
    let recording = RecordingStorage::new(Arc::new(storage.clone()));
    let reader = open(&(Arc::new(recording.clone()) as Backend)).await;
    let others = open(&backend).await;
    trap(&storage, loads_an_index, 0, async move { store_packs(&others, 65, 65, 30).await });
    reader.find_digest(&format!("b3:{}", Digest::of(&noise(300, 300)))).await.expect("find");
    assert!(all_sprung(&storage));
    let tails = recording.count(|operation| {
        matches!(operation, Operation::Load { location, range: ByteRange::Last(_) } if location.as_str().starts_with("packs/"))
    });
    assert_eq!(tails, 0, "no pack is asked for what an index file says");
}

#[tokio::test]
async fn a_handle_whose_index_file_was_merged_meanwhile_goes_on_with_the_new_one() {
    let backend = indexed(30).await;
    let store = open(&backend).await;
    put(&store, "b/first", noise(1, 300), PutOptions::default()).await.expect("it knows what there is now");
    store_packs(&open(&backend).await, 65, 65, 30).await;
    let packs = files(&backend, "packs/").await.len();
    for n in [2, 302, 6029] {
        put(&store, &format!("b/{n}"), noise(n, 300), PutOptions::default()).await.expect("put");
    }
    assert_eq!(files(&backend, "packs/").await.len(), packs, "nothing is stored again");
}

#[tokio::test]
async fn two_who_merge_at_the_same_time_lose_nothing_and_the_next_one_tidies_up() {
    for objects in [1, 30] {
        let backend = indexed(objects).await;
        let storage = trapped(&backend);
        let one = open(&(Arc::new(storage.clone()) as Backend)).await;
        store_packs(&one, 65, 64, objects).await;
        let meanwhile = backend.clone();
        trap(&storage, stores_an_index, 0, async move {
            store_packs(&open(&meanwhile).await, 200, 1, objects).await;
            assert_eq!(files(&meanwhile, "index/").await.len(), 1, "it has merged all there is");
        });
        store_packs(&one, 129, 1, objects).await;
        assert!(all_sprung(&storage));
        // A small one was in memory and is merged again; of a large one that is gone nothing is.
        assert_eq!(files(&backend, "index/").await.len(), 2);
        assert_all_known(&backend, 130, objects).await;
        store_packs(&open(&backend).await, 300, 66, objects).await;
        assert_eq!(files(&backend, "index/").await.len(), 1);
        assert_all_known(&backend, 130, objects).await;
    }
}

#[tokio::test]
async fn what_is_damaged_is_not_merged() {
    let backend = indexed(30).await;
    let old = files(&backend, "index/").await.pop().expect("one");
    let mut bytes = backend.load_bytes(&old, ByteRange::All).await.expect("load").to_vec();
    bytes[5000] ^= 1;
    backend.store_bytes(&old, bytes.into()).await.expect("damage");
    let store = open(&backend).await;
    store_packs(&store, 65, 66, 30).await;
    let indexes = files(&backend, "index/").await;
    assert!(indexes.len() == 2 && indexes.contains(&old), "{indexes:?}: verification is to find it");
    let problems = verify(&backend, true).await.problems;
    assert!(problems.len() == 1 && problems[0].file == old, "{problems:?}");
    backend.delete(&old).await.expect("as it should be");
    assert_all_known(&backend, 131, 30).await;
}
