//! One store's names and content are brought into another, beside writers and collectors on both sides.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use strongroom_content::{
    Attributes, CollectOptions, ContentConfig, ContentStorage, Kept, Layout, PutOptions, SyncOptions, SyncReport,
    Version,
};
use strongroom_storage::{ByteRange, DigestSet, ErrorKind, ExternalStorage, Location, Result, StoreMode};
use strongroom_testkit::{Damage, Fault, FaultyStorage, Operation, RecordingStorage};

use crate::collector::{all_content, end_sessions, publish_list, remove};
use crate::support::{
    Backend, Picture, assert_no_problems, at, bucket, commits, copy, create, files, layout, load, memory, namespace,
    noise, open, picture, put, small_chunks, stored_bytes, verify,
};
use crate::traps::{all_sprung, looks_whether_its_session_stands, trap, trapped};

/// Objects of each kind in several namespaces.
async fn source() -> Backend {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    let mut batch = store.batch();
    batch
        .put(at("root.bin"), noise(2, 3000), PutOptions::default())
        .put(at("a/inline"), "tiny", PutOptions::default())
        .put(at("a/chunked"), noise(3, 30_000), layout(Layout::Chunked))
        .put(at("a/goes"), noise(4, 500), PutOptions::default())
        .put(at("dag/unit/many-chunks"), noise(5, 120_000), layout(Layout::Chunked))
        .put(at("dag/unit/sub/whole"), noise(6, 50_000), layout(Layout::Whole))
        .put(at("dag/unit/two-cells"), noise(7, (1 << 20) + 9), layout(Layout::Whole))
        .put(at("dag/unit/empty"), "", PutOptions::default());
    batch.commit().await.expect("commit");
    backend
}

/// The same, changed.
async fn changed_source() -> Backend {
    let backend = source().await;
    let store = open(&backend).await;
    store.delete(&at("a/goes")).await.expect("delete");
    let mut batch = store.batch();
    batch
        .put(at("a/chunked"), noise(8, 40_000), layout(Layout::Chunked))
        .put(at("dag/unit/again"), noise(5, 120_000), layout(Layout::Chunked))
        .put(at("new/one"), noise(9, 700), PutOptions::default());
    batch.commit().await.expect("commit");
    backend
}

pub fn sync_first(store: &ContentStorage) -> BoxFuture<'_, Result<()>> {
    async { store.sync_from(&open(&source().await).await, SyncOptions::default()).await.map(drop) }.boxed()
}

pub fn sync_changes(store: &ContentStorage) -> BoxFuture<'_, Result<()>> {
    async {
        let options = SyncOptions::default().with_delete(true);
        store.sync_from(&open(&changed_source().await).await, options).await.map(drop)
    }
    .boxed()
}

async fn sync(from: &Backend, to: &Backend, options: SyncOptions) -> SyncReport {
    open(to).await.sync_from(&open(from).await, options).await.expect("sync")
}

async fn target() -> Backend {
    let backend = memory();
    create(&backend, small_chunks()).await;
    backend
}

/// Without the tags.
async fn names(backend: &Backend) -> Picture {
    let mut picture = picture(backend).await;
    picture.remove("the tags");
    picture
}

#[tokio::test]
async fn a_sync_brings_over_everything_once_and_a_second_one_writes_nothing() {
    let (from, to) = (source().await, target().await);
    let untouched = files(&from, "").await;
    let planned = sync(&from, &to, SyncOptions::default().with_dry_run(true)).await;
    assert_eq!(files(&to, "").await.len(), 2, "a dry run writes nothing");
    let report = sync(&from, &to, SyncOptions::default()).await;
    assert_eq!((report.put(), report.removed(), report.compared, report.namespaces.len()), (8, 0, 8, 3));
    let put = |report: &SyncReport| report.namespaces.iter().map(|row| row.put.clone()).collect::<Vec<_>>();
    assert_eq!(put(&planned), put(&report));
    assert!(report.bytes_stored >= 1_200_000 && report.bytes_read >= 1_200_000, "{report:?}");
    assert!(names(&to).await == names(&from).await);
    assert_no_problems(&verify(&to, true).await, "after a sync");
    assert_eq!(files(&to, "packs/").await.len(), 1, "all that is small is in one pack");

    let recorded = RecordingStorage::new(to.clone());
    let again = open(&(Arc::new(recorded.clone()) as Backend)).await;
    let report = again.sync_from(&open(&from).await, SyncOptions::default()).await.expect("again");
    assert_eq!((report.put(), report.bytes_read, report.bytes_stored), (0, 0, 0));
    let writes = recorded.take().into_iter().filter(Operation::is_write).count();
    assert_eq!(writes, 0, "nothing differs");
    assert_eq!(files(&from, "").await, untouched, "the source is only read");
}

#[tokio::test]
async fn only_what_differs_is_read_and_names_go_only_if_that_is_asked_for() {
    let (from, to) = (source().await, target().await);
    sync(&from, &to, SyncOptions::default()).await;
    put(&open(&to).await, "only/here", noise(20, 900), PutOptions::default()).await.expect("put");
    let from = changed_source().await;
    let report = sync(&from, &to, SyncOptions::default()).await;
    assert_eq!((report.put(), report.removed()), (3, 0));
    assert!(report.bytes_read < 41_000, "an object that is there under another name is not read: {report:?}");
    assert!(load(&open(&to).await, "a/goes").await.is_ok() && load(&open(&to).await, "only/here").await.is_ok());

    let planned = sync(&from, &to, SyncOptions::default().with_delete(true).with_dry_run(true)).await;
    assert_eq!(planned.removed(), 2);
    let report = sync(&from, &to, SyncOptions::default().with_delete(true)).await;
    let removed: Vec<Location> = report.namespaces.iter().flat_map(|row| row.removed.clone()).collect();
    assert_eq!(removed, ["a/goes", "only/here"].map(at));
    assert!(names(&to).await == names(&from).await);
    assert_eq!(commits(&to).await["a"], 3, "one commit for each sync in which it differed");
}

#[tokio::test]
async fn a_prefix_limits_what_is_put_and_what_goes() {
    let (from, to) = (source().await, target().await);
    for name in ["a/old", "dag/unit/old", "dag/unit/sub/old", "other/old"] {
        put(&open(&to).await, name, noise(30, 300), PutOptions::default()).await.expect("put");
    }
    let options = SyncOptions::default().with_prefix("dag/unit/sub/").with_delete(true);
    let report = sync(&from, &to, options).await;
    assert_eq!((report.put(), report.removed()), (1, 1));
    let here = open(&to).await;
    let found: Vec<Location> = here.iter_contents("").try_collect().await.expect("list");
    assert_eq!(found, ["a/old", "dag/unit/old", "dag/unit/sub/whole", "other/old"].map(at));
}

#[tokio::test]
async fn attributes_and_digests_are_kept_and_more_digests_here_are_no_difference() {
    let (from, to) = (target().await, target().await);
    let store = open(&from).await;
    let mut attributes = Attributes::default();
    attributes.set("mylab.temperature", "300").expect("set");
    let options = PutOptions::default().with_attributes(attributes).with_digests(DigestSet::ALL);
    put(&store, "a/b", noise(1, 2000), options).await.expect("put");
    sync(&from, &to, SyncOptions::default()).await;
    let (there, here) =
        (store.find(&at("a/b")).await.expect("find"), open(&to).await.find(&at("a/b")).await.expect("find"));
    assert_eq!((there.attributes(), there.digests()), (here.attributes(), here.digests()));

    let handle = open(&to).await;
    let digests = here.compute_digests(DigestSet::ALL).await.expect("compute");
    let mut batch = handle.batch();
    let found = handle.find(&at("a/b")).await.expect("find");
    batch.replace_found(&found, found.clone().with_digests(&digests));
    batch.commit().await.expect("commit");
    assert_eq!(sync(&from, &to, SyncOptions::default()).await.put(), 0);
}

#[tokio::test]
async fn content_is_kept_as_there_unless_the_store_here_has_another_policy() {
    let from = source().await;
    let kept = |store: ContentStorage| async move {
        let mut kept = Vec::new();
        for name in ["a/inline", "root.bin", "dag/unit/many-chunks", "dag/unit/two-cells"] {
            kept.push(store.find(&at(name)).await.expect("find").kept());
        }
        kept
    };
    let auto = ContentConfig::default();
    for (config, is_remote, expected) in [
        (auto.clone(), false, [Kept::Inline, Kept::Packed, Kept::Chunked, Kept::Whole]),
        (auto.clone(), true, [Kept::Inline, Kept::Packed, Kept::Chunked, Kept::Chunked]),
        (auto.clone().with_layout(Layout::Chunked), false, [Kept::Inline, Kept::Packed, Kept::Chunked, Kept::Chunked]),
        (auto.with_layout(Layout::Whole), true, [Kept::Inline, Kept::Packed, Kept::Whole, Kept::Whole]),
    ] {
        let memory = memory();
        let to = if is_remote { bucket(&memory) } else { memory };
        create(&to, config).await;
        sync(&from, &to, SyncOptions::default()).await;
        assert_eq!(kept(open(&to).await).await, expected);
        assert!(names(&to).await == names(&from).await);
        assert_no_problems(&verify(&to, true).await, "after a sync");
        assert_eq!(sync(&from, &to, SyncOptions::default()).await.put(), 0);
    }
}

#[tokio::test]
async fn many_small_objects_of_many_namespaces_come_to_one_pack_and_few_reads() {
    let (from, to) = (target().await, target().await);
    for n in 0..40 {
        let mut batch = open(&from).await.batch();
        for m in 0..30 {
            batch.put(at(&format!("dag/{n}/{m}")), noise(100 * n + m, 400), PutOptions::default());
        }
        batch.commit().await.expect("commit");
    }
    let recorded = RecordingStorage::new(from.clone());
    let source = open(&(Arc::new(recorded.clone()) as Backend)).await;
    recorded.take();
    let report = open(&to).await.sync_from(&source, SyncOptions::default()).await.expect("sync");
    assert_eq!((report.put(), report.namespaces.len(), report.bytes_stored), (1200, 40, 1200 * 400));
    assert_eq!(files(&to, "packs/").await.len(), 1);
    let is_read = |operation: &Operation| matches!(operation, Operation::Load { location, .. } if location.as_str().starts_with("packs/"));
    let reads = recorded.take().iter().filter(|operation| is_read(operation)).count();
    assert!(reads <= 80, "{reads} reads of 40 packs");
}

#[tokio::test]
async fn content_in_listed_places_is_not_relied_on() {
    let (from, to) = (source().await, target().await);
    put(&open(&to).await, "x/chunked", noise(3, 30_000), layout(Layout::Chunked)).await.expect("put");
    put(&open(&to).await, "x/whole", noise(6, 50_000), layout(Layout::Whole)).await.expect("put");
    let condemned = all_content(&to).await;
    let list = publish_list(&to, &condemned).await;
    sync(&from, &to, SyncOptions::default()).await;
    remove(&to, &condemned, &list).await;
    let found = names(&to).await;
    for (group, expected) in names(&from).await {
        assert!(found.get(&group) == Some(&expected), "{group}");
    }
}

#[tokio::test]
async fn a_sync_whose_session_a_collector_ends_commits_again() {
    let (from, to) = (source().await, target().await);
    let storage = trapped(&to);
    let beneath = to.clone();
    trap(&storage, looks_whether_its_session_stands, 1, async move { end_sessions(&beneath).await });
    let store = open(&(Arc::new(storage.clone()) as Backend)).await;
    store.sync_from(&open(&from).await, SyncOptions::default()).await.expect("sync");
    assert!(all_sprung(&storage));
    assert!(names(&to).await == names(&from).await);
    assert_no_problems(&verify(&to, true).await, "after a sync");
}

fn reads_a_pack(operation: &Operation) -> bool {
    matches!(operation, Operation::Load { location, .. } if location.as_str().starts_with("packs/"))
}

#[tokio::test]
async fn what_the_source_has_replaced_and_collected_meanwhile_is_taken_as_it_is_by_then() {
    let (from, to) = (source().await, target().await);
    // Each has a pack of its own, which goes.
    put(&open(&from).await, "a/chunked", noise(41, 60_000), layout(Layout::Chunked)).await.expect("put");
    put(&open(&from).await, "a/goes", noise(42, 6000), PutOptions::default()).await.expect("put");
    let storage = trapped(&from);
    let beneath = from.clone();
    trap(&storage, reads_a_pack, 0, async move {
        let store = open(&beneath).await;
        put(&store, "a/chunked", noise(40, 5000), PutOptions::default()).await.expect("put");
        store.delete(&at("a/goes")).await.expect("delete");
        let options = CollectOptions::default().with_offline(true).with_grace(Duration::ZERO);
        store.collect(options).await.expect("collect");
    });
    let source = open(&(Arc::new(storage.clone()) as Backend)).await;
    let report = open(&to).await.sync_from(&source, SyncOptions::default()).await.expect("sync");
    assert!(all_sprung(&storage));
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert!(names(&to).await == names(&from).await);
}

#[tokio::test]
async fn what_is_damaged_in_the_source_is_told_and_the_rest_is_brought_over() {
    let (from, to) = (source().await, target().await);
    put(&open(&to).await, "dag/unit/sub/whole", "as it was".into(), PutOptions::default()).await.expect("put");
    let mut lost = Vec::new();
    for (file, name) in [("files/", "dag/unit/sub/whole"), ("packs/", "a/goes")] {
        let broken = open(&from).await.find(&at(name)).await.expect("find");
        let digest = broken.digest().to_string();
        for location in files(&from, file).await {
            let mut bytes = from.load_bytes(&location, ByteRange::All).await.expect("load").to_vec();
            let content = load(&open(&from).await, name).await.unwrap_or_default();
            let Some(position) = bytes.windows(content.len().max(1)).position(|window| window == content) else {
                continue;
            };
            bytes[position + 7] ^= 1;
            from.store_bytes(&location, bytes.into()).await.expect("damage");
            assert!(file == "packs/" || location.as_str().contains(&digest));
            lost.push(name);
            break;
        }
    }
    assert_eq!(lost, ["dag/unit/sub/whole", "a/goes"]);
    let report = sync(&from, &to, SyncOptions::default().with_delete(true)).await;
    let mut affected: Vec<Location> = report.problems.iter().flat_map(|problem| problem.affected.clone()).collect();
    affected.sort();
    assert_eq!(affected, ["a/goes", "dag/unit/sub/whole"].map(at), "{:?}", report.problems);
    assert_eq!(report.put(), 6);
    let store = open(&to).await;
    assert_eq!(load(&store, "dag/unit/sub/whole").await.expect("load"), "as it was");
    assert_eq!(load(&store, "a/goes").await.expect_err("it could not be had").kind(), ErrorKind::Missing);
    assert_eq!(load(&store, "a/chunked").await.expect("load"), noise(3, 30_000));
    assert_no_problems(&verify(&to, true).await, "after a sync");
}

#[tokio::test]
async fn a_sync_that_is_begun_again_after_any_failure_of_the_source_stores_nothing_twice() {
    let from = source().await;
    let whole = target().await;
    sync(&from, &whole, SyncOptions::default()).await;
    let once = stored_bytes(&whole, "packs/").await + stored_bytes(&whole, "files/").await;
    for fault in [Fault::Refused(ErrorKind::Unavailable), Fault::Read(Damage::Cut), Fault::Read(Damage::Flipped)] {
        for n in 0.. {
            let to = target().await;
            let faulty = FaultyStorage::new(from.clone());
            let source = open(&(Arc::new(faulty.clone()) as Backend)).await;
            faulty.fail_nth(n, fault);
            let first = open(&to).await.sync_from(&source, SyncOptions::default()).await;
            if faulty.struck() == 0 {
                assert!(first.is_ok() && n > 5);
                break;
            }
            assert_no_problems(&verify(&to, true).await, &format!("{fault:?}, operation {n}"));
            let again = open(&to).await.sync_from(&source, SyncOptions::default()).await.expect("again");
            assert!(again.problems.is_empty(), "{again:?}");
            assert!(names(&to).await == names(&from).await, "{fault:?}, operation {n}");
            let stored = stored_bytes(&to, "files/").await + stored_bytes(&to, "packs/").await;
            assert!(stored < once + 4000, "{fault:?}, operation {n}: {stored} bytes instead of {once}");
        }
    }
}

#[tokio::test]
async fn a_name_that_is_put_meanwhile_is_not_removed() {
    let (from, to) = (source().await, target().await);
    for name in ["a/old", "late/name"] {
        put(&open(&to).await, name, "old".into(), PutOptions::default()).await.expect("put");
    }
    let storage = trapped(&to);
    let beneath = to.clone();
    let begins_a_session = |operation: &Operation| matches!(operation, Operation::Store { location, .. } if location.as_str().starts_with("gc/"));
    trap(&storage, begins_a_session, 0, async move {
        put(&open(&beneath).await, "late/name", "anew".into(), PutOptions::default()).await.expect("put");
    });
    let store = open(&(Arc::new(storage.clone()) as Backend)).await;
    store.sync_from(&open(&from).await, SyncOptions::default().with_delete(true)).await.expect("sync");
    assert!(all_sprung(&storage));
    assert_eq!(load(&open(&to).await, "late/name").await.expect("it is not what was compared"), "anew");
    assert!(load(&open(&to).await, "a/old").await.is_err());
}

#[tokio::test]
async fn a_store_synchronized_with_itself_or_a_copy_of_it_is_left_as_it_is() {
    let from = source().await;
    open(&from).await.tag(&namespace("a"), Version::new(1), "one", StoreMode::Create).await.expect("tag");
    let image = copy(&from).await;
    let before = files(&from, "").await;
    assert_eq!(sync(&from, &from, SyncOptions::default().with_delete(true)).await.put(), 0);
    assert_eq!(sync(&image, &from, SyncOptions::default().with_delete(true)).await.put(), 0);
    assert_eq!(files(&from, "").await, before);
}
