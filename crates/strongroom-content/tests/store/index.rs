//! What a handle learns of packs and files, and the index files that tell it sooner.

use std::sync::Arc;

use strongroom_content::{ContentStorage, Layout, PutOptions};
use strongroom_storage::{ByteRange, Digest, ErrorKind};
use strongroom_testkit::{Operation, RecordingStorage};

use crate::collector::all_content;
use crate::support::{
    Backend, assert_no_problems, at, create, files, layout, load, memory, noise, open, put, small_chunks, verify,
};
use crate::traps::{all_sprung, trap, trapped};

/// While a handle lists what there is, because a reader missed something, it does not forget what it stores itself.
#[tokio::test]
async fn what_is_stored_while_a_handle_learns_is_not_forgotten() {
    let backend = memory();
    create(&backend, small_chunks()).await;
    let storage = trapped(&backend);
    let store = open(&(Arc::new(storage.clone()) as Backend)).await;
    put(&store, "a/lost", noise(1, 500), PutOptions::default()).await.expect("put");
    backend.delete_all(&all_content(&backend).await).await.expect("lost");
    let meanwhile = store.clone();
    let lists_files = |operation: &Operation| matches!(operation, Operation::Iterate { prefix } if prefix == "files/");
    trap(&storage, lists_files, 0, async move {
        put(&meanwhile, "a/packed", noise(2, 500), PutOptions::default()).await.expect("put");
    });
    load(&store, "a/lost").await.expect_err("lost");
    assert!(all_sprung(&storage));
    let once = all_content(&backend).await;
    put(&store, "b/packed", noise(2, 500), PutOptions::default()).await.expect("put");
    assert_eq!(all_content(&backend).await, once);
    // Nor when it is known by an index file.
    for n in 0..70 {
        put(&store, &format!("many/{n}"), noise(100 + n, 500), PutOptions::default()).await.expect("put");
    }
    assert_eq!(files(&backend, "index/").await.len(), 1);
    let once = all_content(&backend).await;
    put(&store, "c/packed", noise(2, 500), PutOptions::default()).await.expect("put");
    assert_eq!(all_content(&backend).await, once);
}

/// 70 packs of one object each, stored by one handle.
async fn many_packs() -> (Backend, ContentStorage) {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    for n in 0..70 {
        put(&store, &format!("a/{n}"), noise(n, 500), PutOptions::default()).await.expect("put");
    }
    assert_eq!(files(&backend, "packs/").await.len(), 70);
    (backend, store)
}

#[tokio::test]
async fn many_packs_get_an_index_file_that_a_cold_handle_reads_instead() {
    let (backend, _) = many_packs().await;
    assert_eq!(files(&backend, "index/").await.len(), 1);
    let recording = RecordingStorage::new(backend.clone());
    let fresh = open(&(Arc::new(recording.clone()) as Backend)).await;
    recording.take();
    let digest = Digest::of(&noise(3, 500));
    let object = fresh.find_digest(&format!("b3:{digest}")).await.expect("find");
    assert_eq!(object.load(ByteRange::All).await.expect("open").into_bytes().await.expect("read"), noise(3, 500));
    let lines = recording.lines();
    assert!(lines.len() <= 10, "{lines:#?}");
    // A decision that content is there already needs no more.
    put(&fresh, "b/3", noise(3, 500), PutOptions::default()).await.expect("put");
    assert_eq!(files(&backend, "packs/").await.len(), 70);
}

#[tokio::test]
async fn what_an_index_file_says_of_a_pack_that_is_gone_is_ignored() {
    let (backend, _) = many_packs().await;
    let object = open(&backend).await.find(&at("a/3")).await.expect("find");
    let digest = object.digest();
    let mut gone = None;
    for pack in files(&backend, "packs/").await {
        let bytes = backend.load_bytes(&pack, ByteRange::All).await.expect("load");
        if bytes.windows(500).any(|part| part == noise(3, 500)) {
            gone = Some((pack, bytes));
        }
    }
    let (pack, bytes) = gone.expect("its pack");
    backend.delete(&pack).await.expect("delete");
    for text in [digest.to_string(), digest.to_string()[..20].to_string()] {
        let error = open(&backend).await.find_digest(&text).await.expect_err("it is gone");
        assert_eq!(error.kind(), ErrorKind::Missing);
    }
    let error = load(&open(&backend).await, "a/3").await.expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    put(&open(&backend).await, "b/3", noise(3, 500), PutOptions::default()).await.expect("put");
    assert_eq!(load(&open(&backend).await, "b/3").await.expect("load"), noise(3, 500));
    assert_eq!(load(&open(&backend).await, "a/3").await.expect("it is there again"), noise(3, 500));
    backend.store_bytes(&pack, bytes).await.expect("restore");
    assert_no_problems(&verify(&backend, true).await, "restored");
}

#[tokio::test]
async fn a_damaged_index_file_costs_time_and_nothing_else() {
    let (backend, store) = many_packs().await;
    let index = files(&backend, "index/").await.pop().expect("one");
    let sound = backend.load_bytes(&index, ByteRange::All).await.expect("load");
    for at_byte in (0..sound.len()).step_by(sound.len() / 40) {
        let mut damaged = sound.to_vec();
        damaged[at_byte] ^= 4;
        backend.store_bytes(&index, damaged.into()).await.expect("damage");
        let report = verify(&backend, false).await;
        assert!(report.problems.iter().any(|problem| problem.file == index), "byte {at_byte}: {report:?}");
    }
    backend.store_bytes(&index, sound.slice(..sound.len() / 2)).await.expect("damage");
    let digest = Digest::of(&noise(3, 500));
    open(&backend).await.find_digest(&format!("b3:{digest}")).await.expect("by the packs themselves");
    put(&open(&backend).await, "b/3", noise(3, 500), PutOptions::default()).await.expect("put");
    assert_eq!(files(&backend, "packs/").await.len(), 70, "nothing is stored again");
    for n in 0..70 {
        assert_eq!(load(&store, &format!("a/{n}")).await.expect("load"), noise(n, 500));
    }
}

/// So many objects of 300 bytes that an index file of theirs is not read as a whole.
const MANY: u64 = 66 * 30;

async fn store_many(store: &ContentStorage, first: u64, batches: u64) {
    for batch_number in 0..batches {
        let mut batch = store.batch();
        for n in 0..30 {
            let n = first + batch_number * 30 + n;
            batch.put(at(&format!("a/{n}")), noise(n, 300), PutOptions::default());
        }
        batch.commit().await.expect("commit");
    }
}

async fn many_records() -> (Backend, ContentStorage) {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    store_many(&store, 0, 66).await;
    (backend, store)
}

fn is_of(operation: &Operation, prefix: &str) -> bool {
    matches!(operation, Operation::Load { location, .. } if location.as_str().starts_with(prefix))
}

async fn find(store: &ContentStorage, n: u64) -> bool {
    store.find_digest(&format!("b3:{}", Digest::of(&noise(n, 300)))).await.is_ok()
}

#[tokio::test]
async fn of_a_large_index_file_a_lookup_reads_one_block() {
    let (backend, _) = many_records().await;
    let recording = RecordingStorage::new(backend.clone());
    let fresh = open(&(Arc::new(recording.clone()) as Backend)).await;
    recording.take();
    assert!(find(&fresh, 3).await);
    let of_index: Vec<Operation> = recording.take().into_iter().filter(|op| is_of(op, "index/")).collect();
    let [tail, Operation::Load { range: ByteRange::Span { start, end }, .. }] = &of_index[..] else {
        panic!("{of_index:?}")
    };
    assert!(matches!(tail, Operation::Load { range: ByteRange::Last(_), .. }));
    assert_eq!(end - start, 73 * 56);
    // A block that was read once is in memory.
    assert!(find(&fresh, 3).await);
    assert_eq!(recording.count(|operation| is_of(operation, "index/")), 0);
}

#[tokio::test]
async fn a_block_that_is_damaged_is_noticed_when_it_is_read_and_costs_time_only() {
    let (backend, _) = many_records().await;
    let index = files(&backend, "index/").await.pop().expect("one");
    let packs = files(&backend, "packs/").await.len();
    let sound = backend.load_bytes(&index, ByteRange::All).await.expect("load");
    for at_byte in (8..8 + 60 * 1000).step_by(4567) {
        let mut damaged = sound.to_vec();
        damaged[at_byte] ^= 4;
        backend.store_bytes(&index, damaged.into()).await.expect("damage");
        let report = verify(&backend, false).await;
        assert!(report.problems.iter().any(|problem| problem.file == index), "byte {at_byte}: {report:?}");
    }
    // No record is what it was.
    let mut damaged = sound.to_vec();
    damaged[8..8 + 60 * 1000].iter_mut().step_by(56).skip(1).for_each(|byte| *byte ^= 1);
    backend.store_bytes(&index, damaged.into()).await.expect("damage");
    let fresh = open(&backend).await;
    for n in (0..MANY).step_by(97) {
        assert!(find(&fresh, n).await, "{n}");
        put(&fresh, &format!("b/{n}"), noise(n, 300), PutOptions::default()).await.expect("put");
    }
    assert_eq!(files(&backend, "packs/").await.len(), packs, "nothing is stored again");
    // Whoever stores then adds one that is sound; the damaged one is left to be seen.
    store_many(&fresh, MANY, 1).await;
    assert_eq!(files(&backend, "index/").await.len(), 2);
    assert!(find(&open(&backend).await, 5).await);
}

#[tokio::test]
async fn many_digests_are_asked_for_at_once_however_their_content_is_kept() {
    let (backend, store) = many_records().await;
    let kept = [layout(Layout::Whole), layout(Layout::Chunked)];
    for (n, options) in kept.into_iter().enumerate() {
        put(&store, &format!("b/{n}"), noise(50_000 + n as u64, 100_000), options).await.expect("put");
    }
    let mut digests: Vec<Digest> = (0..2 * MANY).map(|n| Digest::of(&noise(n, 300))).collect();
    digests.extend((0..3).map(|n| Digest::of(&noise(50_000 + n, 100_000))));
    let there = open(&backend).await.contains_digests(&digests).await.expect("ask");
    let expected = (0..2 * MANY).map(|n| n < MANY).chain([true, true, false]);
    assert!(there.into_iter().eq(expected));
}
