//! How many requests work takes on a bucket, where each is dear.

use std::sync::Arc;

use futures::TryStreamExt;
use strongroom_content::{ContentStorage, OpenOptions, PutOptions};
use strongroom_storage::{ByteRange, Digest, ExternalStorage, StoreMode};
use strongroom_testkit::{Operation, RecordingStorage, TestHost};

use crate::support::{Backend, at, bucket, create, files, load, memory, noise, open, put, small_chunks};

/// A store behind a recorder, in which no request was made yet.
async fn recorded() -> (RecordingStorage, ContentStorage) {
    let inner = bucket(&memory());
    create(&inner, small_chunks()).await;
    let recording = RecordingStorage::new(inner);
    let store = open(&(Arc::new(recording.clone()) as Backend)).await;
    recording.take();
    (recording, store)
}

/// All requests since the last time, and how many of them write.
fn requests(recording: &RecordingStorage) -> (usize, usize) {
    let operations = recording.take();
    (operations.len(), operations.iter().filter(|operation| operation.is_write()).count())
}

async fn store_a_thousand(store: &ContentStorage) {
    let mut batch = store.batch();
    for n in 0..1000 {
        batch.put(at(&format!("a/{n}")), noise(n, 4096), PutOptions::default());
    }
    batch.commit().await.expect("commit");
}

#[tokio::test]
async fn a_thousand_small_files_are_a_unit_of_seven_requests() {
    let (recording, store) = recorded().await;
    let commit = async |unit: u64| {
        let mut batch = store.batch();
        for n in 0..1000 {
            batch.put(at(&format!("dag/unit-{unit}/{n}")), noise(unit * 1000 + n, 4096), PutOptions::default());
        }
        batch.commit().await.expect("commit");
        requests(&recording)
    };
    // A marker twice, a pack, a run, and the marker removed. Before the pack three listings, before the run one for the head, and
    // after it one for the session.
    assert_eq!(commit(0).await, (10, 5));
    for unit in 1..=17 {
        // By now it is known that markers can't be replaced, and what packs there are. Each ninth time an index file is stored. The one
        // that it was merged from is deleted with the marker, which a bucket does by one request.
        let index = match unit {
            8 => 1,
            17 => 2,
            _ => 0,
        };
        assert_eq!(commit(unit).await, (7 + index, 4 + index), "{unit}");
    }
}

#[tokio::test]
async fn what_is_there_already_is_stored_without_its_bytes() {
    let (recording, store) = recorded().await;
    store_a_thousand(&store).await;
    recording.take();
    store_a_thousand(&store).await;
    // Nothing is new but the session. The lists and the pack are looked at, and the head.
    assert_eq!(requests(&recording), (6, 2));
}

#[tokio::test]
async fn reading_again_asks_once_for_the_head_and_once_for_the_bytes() {
    let (recording, store) = recorded().await;
    store_a_thousand(&store).await;
    let cold = RecordingStorage::new(recording.inner().clone());
    let fresh = open(&(Arc::new(cold.clone()) as Backend)).await;
    cold.take();
    load(&fresh, "a/1").await.expect("load");
    // The head by a listing, the run's directory and the bytes.
    assert_eq!(requests(&cold), (3, 0));
    load(&fresh, "a/1").await.expect("load");
    assert_eq!(requests(&cold), (2, 0));
    load(&fresh, "a/999").await.expect("load");
    assert!(requests(&cold) <= (3, 0), "another block of the run");
    fresh.load_bytes(&at("a/1"), (0..10).into()).await.expect("load");
    assert_eq!(requests(&cold), (2, 0));
    fresh.exists(&at("a/1")).await.expect("exists");
    assert_eq!(requests(&cold), (1, 0));
}

#[tokio::test]
async fn a_thousand_names_are_copied_without_their_bytes() {
    let (recording, store) = recorded().await;
    store_a_thousand(&store).await;
    let objects: Vec<_> = store.objects("a/").try_collect().await.expect("list");
    recording.take();
    let mut batch = store.batch();
    for object in objects {
        let name = object.location().as_str().replace("a/", "b/");
        batch.link(at(&name), object, StoreMode::Create);
    }
    batch.commit().await.expect("commit");
    let lines = recording.lines();
    assert!(lines.iter().all(|line| !line.starts_with("load packs/")), "{lines:#?}");
    assert_eq!(requests(&recording), (7, 3));
}

#[tokio::test]
async fn content_is_found_by_its_digest_by_ten_requests_and_the_listings() {
    let (recording, store) = recorded().await;
    for pack in 0..120 {
        let mut batch = store.batch();
        for n in pack * 20..pack * 20 + 20 {
            batch.put(at(&format!("a/{n}")), noise(n, 300), PutOptions::default());
        }
        batch.commit().await.expect("commit");
    }
    assert_eq!(files(recording.inner(), "packs/").await.len(), 120);
    for n in [5, 1200, 2399] {
        recording.take();
        let fresh = open(&(Arc::new(recording.clone()) as Backend)).await;
        let object = fresh.find_digest(&format!("b3:{}", Digest::of(&noise(n, 300)))).await.expect("find");
        object.load_bytes(ByteRange::All).await.expect("load");
        let operations = recording.take();
        let listings = operations.iter().filter(|operation| matches!(operation, Operation::Iterate { .. })).count();
        assert_eq!(listings, 3, "index files, packs, files");
        assert!(operations.len() - listings <= 10, "{operations:#?}");
    }
}

#[tokio::test]
async fn a_cold_process_lists_no_packs_where_there_are_thousands() {
    const PACKS: u64 = 2100;
    let memory = memory();
    let near = create(&memory, small_chunks()).await;
    for n in 0..PACKS {
        put(&near, &format!("a/{n}"), noise(n, 300), PutOptions::default()).await.expect("put");
    }
    let recording = RecordingStorage::new(bucket(&memory));
    let cold = async || {
        recording.take();
        // One writer in 64 lists the packs, as the dice of its host fall.
        let options = OpenOptions::default().with_host(Arc::new(TestHost::new(1)));
        ContentStorage::open(Arc::new(recording.clone()), options).await.expect("open")
    };
    let find = async |n: u64| {
        let object = cold().await.find_digest(&format!("b3:{}", Digest::of(&noise(n, 300)))).await.expect("find");
        assert_eq!(object.load_bytes(ByteRange::All).await.expect("load"), noise(n, 300));
    };
    find(5).await;
    let lines = recording.lines();
    assert!(lines.len() <= 10 && !lines.contains(&"iterate packs/".to_string()), "{lines:#?}");
    // What stands in no index file is found all the same.
    find(PACKS - 1).await;
    assert!(recording.lines().contains(&"iterate packs/".to_string()));

    let packs = files(&memory, "packs/").await.len();
    let writer = cold().await;
    put(&writer, "b/5", noise(5, 300), PutOptions::default()).await.expect("put");
    let before_the_run = recording.lines().iter().position(|line| line.starts_with("list names/")).expect("a commit");
    assert!(before_the_run <= 10, "{:#?}", recording.lines());
    assert_eq!(files(&memory, "packs/").await.len(), packs, "it was there");
}

#[tokio::test]
async fn a_thousand_names_are_removed_by_one_commit() {
    let (recording, store) = recorded().await;
    store_a_thousand(&store).await;
    let names: Vec<_> = (0..1000).map(|n| at(&format!("a/{n}"))).collect();
    recording.take();
    store.delete_all(&names).await.expect("delete");
    let (all, writes) = requests(&recording);
    assert_eq!(writes, 3);
    assert!(all <= 20, "the run's blocks are read: {all}");
}

#[tokio::test]
async fn a_listing_of_many_names_reads_many_blocks_at_once() {
    let (recording, store) = recorded().await;
    let mut batch = store.batch();
    for n in 0..20_000 {
        batch.put(at(&format!("a/{n}")), noise(n, 40), PutOptions::default());
    }
    batch.commit().await.expect("commit");
    let size =
        recording.inner().metadata(&files(recording.inner(), "names/a/@/").await[0]).await.expect("metadata").size;
    assert!(size > 80 * (16 << 10), "{size} bytes are many blocks");
    recording.take();
    let listed = store.objects("a/").try_fold(0, |count, _| async move { Ok(count + 1) }).await.expect("list");
    assert_eq!(listed, 20_000);
    let (all, writes) = requests(&recording);
    assert_eq!(writes, 0);
    assert!(all <= 13, "{all}");
}
