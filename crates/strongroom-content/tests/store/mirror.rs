//! A store has another one's files and history as they are.

use std::sync::Arc;
use std::time::Duration;

use strongroom_content::{CollectOptions, Layout, MirrorOptions, MirrorReport, PutOptions, SyncOptions, Version};
use strongroom_storage::{ByteRange, ErrorKind, Location, Result, StoreMode};
use strongroom_testkit::{CrashingStorage, Damage, Fault, FaultyStorage, Operation, PowerLoss, RecordingStorage};

use crate::damage::victim;
use crate::support::{
    Backend, assert_no_problems, at, bucket, commits, copy, create, files, layout, load, memory, namespace, noise,
    open, picture, put, small_chunks, verify,
};
use crate::traps::{all_sprung, trap, trapped};

async fn source() -> Backend {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    let mut batch = store.batch();
    batch
        .put(at("root.bin"), noise(2, 3000), PutOptions::default())
        .put(at("a/inline"), "tiny", PutOptions::default())
        .put(at("a/chunked"), noise(3, 60_000), layout(Layout::Chunked))
        .put(at("dag/Unit 1/whole"), noise(6, 50_000), layout(Layout::Whole));
    batch.commit().await.expect("commit");
    store.tag(&namespace("a"), Version::new(1), "one", StoreMode::Create).await.expect("tag");
    put(&store, "a/inline", "replaced".into(), PutOptions::default()).await.expect("put");
    put(&store, "a/chunked", noise(7, 20_000), layout(Layout::Chunked)).await.expect("put");
    backend
}

async fn empty() -> Backend {
    let backend = memory();
    create(&backend, small_chunks()).await;
    backend
}

async fn mirror(from: &Backend, to: &Backend) -> Result<MirrorReport> {
    open(to).await.mirror_from(&open(from).await, MirrorOptions::default()).await
}

/// The files that a mirror has in common with its source.
async fn common(backend: &Backend) -> Vec<(Location, bytes::Bytes)> {
    let mut found = Vec::new();
    for prefix in ["files/", "names/", "packs/"] {
        for file in files(backend, prefix).await {
            let bytes = backend.load_bytes(&file, ByteRange::All).await.expect("load");
            found.push((file, bytes));
        }
    }
    found
}

#[tokio::test]
async fn a_mirror_has_the_same_files_and_goes_on_from_where_it_was() {
    let (from, to) = (source().await, empty().await);
    let planned = open(&to).await.mirror_from(&open(&from).await, MirrorOptions::default().with_dry_run(true)).await;
    assert_eq!(files(&to, "").await.len(), 2, "a dry run writes nothing");
    let report = mirror(&from, &to).await.expect("mirror");
    let planned = planned.expect("plan");
    assert_eq!((planned.content.len(), &planned.runs), (report.content.len(), &report.runs));
    assert!(common(&to).await == common(&from).await);
    assert!(picture(&to).await == picture(&from).await);
    assert_eq!(commits(&to).await, commits(&from).await);
    assert_no_problems(&verify(&to, true).await, "mirrored");
    assert_eq!(report.runs.last().map(Location::as_str), Some("names/@tags/@/ffffffffff"), "the tags come last");

    let recorded = RecordingStorage::new(to.clone());
    let again = open(&(Arc::new(recorded.clone()) as Backend)).await;
    let report = again.mirror_from(&open(&from).await, MirrorOptions::default()).await.expect("again");
    assert_eq!((report.content.len(), report.runs.len(), report.bytes), (0, 0, 0));
    let writes: Vec<Operation> = recorded.take().into_iter().filter(Operation::is_write).collect();
    assert!(writes.len() <= 1, "only its mark is tried again: {writes:?}");

    put(&open(&from).await, "new/one", noise(9, 900), PutOptions::default()).await.expect("put");
    let report = mirror(&from, &to).await.expect("mirror");
    assert_eq!((report.content.len(), report.runs.len()), (1, 1));
    assert!(common(&to).await == common(&from).await);
}

#[tokio::test]
async fn a_large_namespace_and_a_pruned_history_are_mirrored_so_that_they_can_be_read_at_any_version() {
    let from = victim().await.backend;
    let to = bucket(&memory());
    create(&to, small_chunks()).await;
    mirror(&from, &to).await.expect("mirror");
    assert!(picture(&to).await == picture(&from).await);
    assert_no_problems(&verify(&to, true).await, "mirrored");
    let options = CollectOptions::default().with_offline(true).with_grace(Duration::ZERO);
    open(&from).await.collect(options).await.expect("collect");
    for n in 0..3 {
        put(&open(&from).await, "many/last", noise(n, 500), PutOptions::default()).await.expect("put");
    }
    for to in [to, empty().await] {
        mirror(&from, &to).await.expect("mirror");
        assert!(picture(&to).await == picture(&from).await);
        assert_no_problems(&verify(&to, true).await, "after the source was collected");
    }
}

#[tokio::test]
async fn only_an_empty_store_or_a_mirror_of_the_same_becomes_one() {
    let from = source().await;
    let used = empty().await;
    put(&open(&used).await, "a/b", "used".into(), PutOptions::default()).await.expect("put");
    for (to, what) in [(used, "neither empty"), (copy(&from).await, "the same store")] {
        let refused = mirror(&from, &to).await.expect_err("it is not empty");
        assert!(refused.kind() == ErrorKind::Invalid && refused.detail().contains(what), "{refused:?}");
    }
    let to = empty().await;
    mirror(&from, &to).await.expect("mirror");
    let refused = mirror(&source().await, &to).await.expect_err("another's");
    assert!(refused.detail().contains("the mirror of another store"), "{refused:?}");
    // Nothing in it is deleted, and no other history made.
    let refused = open(&to).await.collect(CollectOptions::default()).await.expect_err("it is a mirror");
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    let refused = open(&to).await.sync_from(&open(&from).await, SyncOptions::default()).await.expect_err("a mirror");
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    to.store_bytes(&at("mirror.json"), "{}".into()).await.expect("damage");
    assert_eq!(mirror(&from, &to).await.expect_err("damaged").kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_mirror_to_which_somebody_has_written_is_not_continued() {
    let from = source().await;
    for (name, source_goes_on) in [("a/inline", true), ("a/inline", false), ("only/here", true)] {
        let (from, to) = (copy(&from).await, empty().await);
        mirror(&from, &to).await.expect("mirror");
        put(&open(&to).await, name, "written".into(), PutOptions::default()).await.expect("put");
        if source_goes_on {
            put(&open(&from).await, "a/inline", "goes on".into(), PutOptions::default()).await.expect("put");
        }
        let before = common(&to).await;
        let refused = mirror(&from, &to).await.expect_err("another history");
        assert!(refused.kind() == ErrorKind::Conflict && refused.detail().contains("sync"), "{refused:?}");
        assert!(common(&to).await == before);
    }
}

#[tokio::test]
async fn what_is_damaged_in_the_source_is_not_copied_and_told() {
    let from = source().await;
    let whole = files(&from, "files/").await.remove(0);
    let pack = files(&from, "packs/").await.remove(0);
    let run = files(&from, "names/a/@/").await.remove(1);
    for file in [&whole, &pack, &run] {
        let mut bytes = from.load_bytes(file, ByteRange::All).await.expect("load").to_vec();
        bytes[20] ^= 1;
        from.store_bytes(file, bytes.into()).await.expect("damage");
    }
    let to = empty().await;
    let report = mirror(&from, &to).await.expect("mirror");
    let mut damaged: Vec<&Location> = report.problems.iter().map(|problem| &problem.file).collect();
    damaged.sort();
    assert_eq!(damaged, [&whole, &run, &pack]);
    assert!(!files(&to, "").await.iter().any(|file| damaged.contains(&file)));
    assert_eq!(files(&to, "names/a/@/").await.len(), 1, "nothing that may be read from a damaged run");
    assert_eq!(load(&open(&to).await, "a/inline").await.expect("load"), "tiny");
}

#[tokio::test]
async fn a_mirroring_that_fails_or_dies_anywhere_can_be_read_and_goes_on() {
    let from = source().await;
    let expected = picture(&from).await;
    let check = async |to: &Backend, done: Result<MirrorReport>, when: &str| {
        // What there is can be read, unless it was told that it can't: content is there before what names it.
        if done.is_err() || done.is_ok_and(|report| report.problems.is_empty()) {
            assert_no_problems(&verify(to, true).await, when);
        }
        mirror(&from, to).await.expect(when);
        assert!(picture(to).await == expected, "{when}");
        assert!(common(to).await == common(&from).await, "{when}");
    };
    for fault in [
        Fault::Refused(ErrorKind::Unavailable),
        Fault::AnswerLost(ErrorKind::Unavailable),
        Fault::Read(Damage::Flipped),
    ] {
        for (fail_source, least) in [(true, 10), (false, 10)] {
            for n in 0.. {
                let to = empty().await;
                let faulty = FaultyStorage::new(if fail_source { from.clone() } else { to.clone() });
                let handle = open(&(Arc::new(faulty.clone()) as Backend)).await;
                let other = open(if fail_source { &to } else { &from }).await;
                faulty.fail_nth(n, fault);
                let options = MirrorOptions::default();
                let done = if fail_source {
                    other.mirror_from(&handle, options).await
                } else {
                    handle.mirror_from(&other, options).await
                };
                if faulty.struck() == 0 {
                    assert!(n > least || matches!(fault, Fault::Read(_)), "{n}");
                    break;
                }
                check(&to, done, &format!("{fault:?}, operation {n}, {fail_source}")).await;
            }
        }
    }
    for takes_effect in [false, true] {
        for n in 0.. {
            let to = empty().await;
            let machine = CrashingStorage::new(to.clone());
            let store = open(&(Arc::new(machine.clone()) as Backend)).await;
            if takes_effect {
                machine.crash_during(n);
            } else {
                machine.crash_after(n);
            }
            let done = store.mirror_from(&open(&from).await, MirrorOptions::default()).await;
            if !machine.crashed() {
                break;
            }
            machine.lose_power(PowerLoss::Removes).await.expect("lose power");
            check(&to, done, &format!("crash at operation {n}, {takes_effect}")).await;
        }
    }
}

#[tokio::test]
async fn what_a_collector_moves_in_the_source_meanwhile_is_mirrored_from_where_it_is_by_then() {
    let (from, to) = (source().await, empty().await);
    for n in 0..16 {
        put(&open(&from).await, &format!("p/{n}"), noise(100 + n, 400), PutOptions::default()).await.expect("put");
    }
    let storage = trapped(&from);
    let beneath = from.clone();
    let reads_a_pack = |operation: &Operation| matches!(operation, Operation::Load { location, .. } if location.as_str().starts_with("packs/"));
    trap(&storage, reads_a_pack, 0, async move {
        let options = CollectOptions::default().with_offline(true).with_grace(Duration::ZERO).with_keep_last(100);
        assert!(open(&beneath).await.collect(options).await.expect("collect").deleted_files > 10);
    });
    let source = open(&(Arc::new(storage.clone()) as Backend)).await;
    let report = open(&to).await.mirror_from(&source, MirrorOptions::default()).await.expect("mirror");
    assert!(all_sprung(&storage) && report.problems.is_empty(), "{:?}", report.problems);
    assert!(picture(&to).await == picture(&from).await);
    assert_no_problems(&verify(&to, true).await, "mirrored");
}
