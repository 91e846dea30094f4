//! What a collection takes away, and what it leaves.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use strongroom_content::{
    CollectOptions, CollectReport, CollectStep, ContentConfig, ContentStorage, Layout, OpenOptions, PutOptions, Reason,
    Version,
};
use strongroom_storage::{
    ByteRange, Capabilities, ErrorKind, ExternalStorage, Host, MemoryStorage, PrefixStorage, ReadOnlyStorage, StoreMode,
};
use strongroom_testkit::{Intercept, Intercepted, TestHost};

use crate::collector::{publish_list, standing_sessions};
use crate::support::{
    Backend, assert_no_problems, at, create, files, layout, load, memory, namespace, noise, picture, put, small_chunks,
    stored_bytes, verify,
};

const GRACE: Duration = Duration::from_secs(1000);
const LEASE: Duration = Duration::from_secs(100);

/// A store whose clocks a test moves.
struct Place {
    host: Arc<TestHost>,
    backend: Backend,
    store: ContentStorage,
}

impl Place {
    async fn new() -> Self {
        Self::with(small_chunks()).await
    }

    async fn with(config: ContentConfig) -> Self {
        let host = Arc::new(TestHost::new(1));
        let backend: Backend = Arc::new(MemoryStorage::with_host(host.clone()));
        let options = OpenOptions::default().with_host(host.clone());
        let config = config.with_grace(GRACE).with_lease(LEASE);
        let store = ContentStorage::create(backend.clone(), config, options).await.expect("create");
        Self { host, backend, store }
    }

    async fn open(&self, seed: u64) -> ContentStorage {
        let options = OpenOptions::default().with_host(Arc::new(TestHost::new(seed)));
        ContentStorage::open(self.backend.clone(), options).await.expect("open")
    }

    /// Lets everything that is there grow older than the grace period.
    fn age(&self) {
        self.host.advance(GRACE + Duration::from_secs(1));
    }

    async fn collect(&self) -> CollectReport {
        self.collect_with(CollectOptions::default()).await
    }

    /// Collects, and looks whether that changed what is there.
    async fn collect_with(&self, options: CollectOptions) -> CollectReport {
        let before = picture(&self.backend).await;
        let report = self.store.collect(options).await.expect("collect");
        assert!(picture(&self.backend).await == before, "{report:#?}");
        assert_no_problems(&verify(&self.backend, true).await, "after a collection");
        report
    }

    async fn put(&self, name: &str, bytes: impl Into<Bytes>) {
        put(&self.store, name, bytes.into(), PutOptions::default()).await.expect(name);
    }

    async fn versions(&self, name: &str) -> Vec<u64> {
        let log = self.store.log(&namespace(name), None).await.expect("log");
        log.iter().map(|commit| commit.version.get()).collect()
    }
}

fn reasons(report: &CollectReport) -> Vec<Reason> {
    report.condemned.iter().map(|file| file.reason).collect()
}

#[tokio::test]
async fn what_is_removed_goes_when_the_grace_period_is_over_and_not_before() {
    for (kind, size) in [(Layout::Auto, 3000), (Layout::Chunked, 100_000), (Layout::Whole, 50_000)] {
        let place = Place::new().await;
        put(&place.store, "a/gone", noise(1, size), layout(kind)).await.expect("put");
        put(&place.store, "a/stays", noise(2, size), layout(kind)).await.expect("put");
        let both = stored_bytes(&place.backend, "").await;
        place.age();
        place.store.delete(&at("a/gone")).await.expect("delete");

        // A snapshot taken just before the removal is good for the grace period.
        let snapshot = place.store.snapshot_at(&namespace("a"), Version::new(2)).await.expect("snapshot");
        assert_eq!(reasons(&place.collect().await), [Reason::Superseded], "version 1: {kind:?}");
        let object = snapshot.find(&at("a/gone")).await.expect("it is there");
        assert_eq!(object.load_bytes(ByteRange::All).await.expect("load"), noise(1, size));

        place.age();
        let report = place.collect().await;
        assert!(reasons(&report).contains(&Reason::Unneeded), "{report:#?}");
        assert!(stored_bytes(&place.backend, "").await < both - size as u64 + 3000, "{kind:?}: {report:#?}");
        assert_eq!(report.deleted_files, report.condemned.len() as u64);
        assert_eq!(place.collect().await.condemned, [], "nothing is left to do");
        let found = place.open(2).await.find(&at("a/stays")).await.expect("find");
        assert_eq!(found.load_bytes(ByteRange::All).await.expect("load"), noise(2, size));
    }
}

#[tokio::test]
async fn of_superseded_versions_those_stay_that_are_asked_for() {
    for (options, expected) in [
        (CollectOptions::default(), vec![12, 8]),
        (CollectOptions::default().with_keep_last(1), vec![12, 8]),
        (CollectOptions::default().with_keep_last(3), vec![12, 11, 10, 8]),
        (CollectOptions::default().with_keep_last(100), (1..=12).rev().collect()),
        (CollectOptions::default().with_keep_within(GRACE * 5 / 2), vec![12, 11, 10, 8]),
        (CollectOptions::default().with_keep_within(GRACE * 2).with_keep_last(3), vec![12, 11, 10, 8]),
    ] {
        let place = Place::new().await;
        for version in 1..=12 {
            place.put("a/name", noise(version, 2000)).await;
            place.age();
        }
        let report = place.collect_with(options.clone()).await;
        assert_eq!(place.versions("a").await, expected, "{options:?}");
        let history = &report.namespaces[0];
        assert_eq!((history.kept, history.superseded), (expected.len() as u64, 12 - expected.len() as u64));
        // Of the content, that of versions which are kept, and not of those that only help to find the newest.
        let kept = expected.iter().filter(|version| **version != 8 || expected.len() == 12).count();
        assert_eq!(files(&place.backend, "packs/").await.len(), kept, "{options:?}");
        for version in expected.iter().filter(|version| **version != 8) {
            let snapshot = place.store.snapshot_at(&namespace("a"), Version::new(*version)).await.expect("it stays");
            let object = snapshot.find(&at("a/name")).await.expect("find");
            assert_eq!(object.load_bytes(ByteRange::All).await.expect("load"), noise(*version, 2000));
        }
    }
}

#[tokio::test]
async fn versions_that_were_let_go_are_not_missed_when_more_are_to_be_kept() {
    let place = Place::new().await;
    for version in 1..=4 {
        place.put("a/x", noise(version, 2000)).await;
        place.age();
    }
    place.put("a/y", noise(5, 2000)).await;
    place.age();
    place.put("a/x", noise(6, 2000)).await;
    place.age();
    place.collect().await;
    assert_eq!(place.versions("a").await, [6, 4], "the fourth helps to find the sixth, and what it had is gone");
    // What the fifth has put stands in the sixth.
    for keep in [3, 10] {
        let report = place.collect_with(CollectOptions::default().with_keep_last(keep)).await;
        assert_eq!((report.condemned, report.problems), (Vec::new(), Vec::new()));
    }
    let error = place.store.snapshot_at(&namespace("a"), Version::new(4)).await.expect("it is on record");
    let error =
        error.find(&at("a/x")).await.expect("find").load_bytes(ByteRange::All).await.expect_err("it was let go");
    assert_eq!(error.kind(), ErrorKind::Missing);
}

#[tokio::test]
async fn a_tagged_version_stays_with_all_that_it_needs_until_the_tag_goes() {
    let place = Place::new().await;
    put(&place.store, "a/big", noise(1, 100_000), layout(Layout::Chunked)).await.expect("put");
    put(&place.store, "a/whole", noise(2, 70_000), layout(Layout::Whole)).await.expect("put");
    place.store.tag(&namespace("a"), Version::new(2), "paper", StoreMode::Create).await.expect("tag");
    place.store.tag(&namespace("a"), Version::new(1), "draft", StoreMode::Create).await.expect("tag");
    place.put("a/big", "small now").await;
    place.put("a/whole", "too").await;
    place.age();
    place.collect().await;
    let snapshot = place.store.snapshot_at(&namespace("a"), Version::new(2)).await.expect("it is kept");
    for (name, bytes) in [("a/big", noise(1, 100_000)), ("a/whole", noise(2, 70_000))] {
        let object = snapshot.find(&at(name)).await.expect("find");
        assert_eq!(object.load_bytes(ByteRange::All).await.expect("load"), bytes);
    }
    place.store.untag(&namespace("a"), "paper").await.expect("untag");
    place.store.untag(&namespace("a"), "draft").await.expect("untag");
    place.age();
    let report = place.collect().await;
    assert!(report.deleted_bytes > 170_000, "{report:#?}");
    assert_eq!(files(&place.backend, "files/").await, []);
    place.store.snapshot_at(&namespace("a"), Version::new(2)).await.expect_err("it was collected");
}

#[tokio::test]
async fn many_small_packs_become_one_and_all_is_read_from_it() {
    let place = Place::new().await;
    for n in 0..40 {
        place.put(&format!("a/{n}"), noise(n, 2000)).await;
    }
    put(&place.store, "a/chunked", noise(100, 200_000), layout(Layout::Chunked)).await.expect("put");
    let packs = files(&place.backend, "packs/").await.len();
    assert!(packs > 40);
    place.age();
    let report = place.collect().await;
    assert!(reasons(&report).contains(&Reason::Small));
    assert_eq!(files(&place.backend, "packs/").await.len(), 1, "{report:#?}");
    assert!(report.copied_bytes > 280_000);
    // A list says where its chunks are now.
    let fresh = place.open(7).await;
    for n in 0..40 {
        assert_eq!(load(&fresh, &format!("a/{n}")).await.expect("load"), noise(n, 2000));
    }
    assert_eq!(load(&fresh, "a/chunked").await.expect("load"), noise(100, 200_000));
    // What is there is found there, and not stored again.
    put(&fresh, "b/again", noise(100, 200_000), layout(Layout::Chunked)).await.expect("put");
    put(&fresh, "b/small", noise(3, 2000), PutOptions::default()).await.expect("put");
    assert_eq!(files(&place.backend, "packs/").await.len(), 1);
    place.age();
    assert_eq!(place.collect().await.copied_bytes, 0, "one pack is not copied again and again");
}

#[tokio::test]
async fn a_pack_that_is_mostly_garbage_is_written_anew() {
    let place = Place::new().await;
    let mut batch = place.store.batch();
    for n in 0..10 {
        batch.put(at(&format!("a/{n}")), noise(n, 5000), PutOptions::default());
    }
    batch.commit().await.expect("commit");
    for n in 0..6 {
        place.store.delete(&at(&format!("a/{n}"))).await.expect("delete");
    }
    place.age();
    let report = place.collect().await;
    assert!(reasons(&report).contains(&Reason::MostlyUnneeded), "{report:#?}");
    assert_eq!(report.copied_bytes, 20_000);
    assert!(stored_bytes(&place.backend, "packs/").await < 21_000);
    assert_eq!(report.freed_bytes(), report.deleted_bytes - report.copied_bytes);
}

#[tokio::test]
async fn a_dry_run_says_what_would_go_and_writes_nothing() {
    let place = Place::new().await;
    for n in 0..5 {
        place.put("a/name", noise(n, 3000)).await;
    }
    let real = place.host.now();
    place.age();
    let before = files(&place.backend, "").await;
    let dry = place.collect_with(CollectOptions::default().with_dry_run(true)).await;
    assert_eq!(files(&place.backend, "").await, before);
    assert_eq!(dry.deleted_files, 0);
    assert!(dry.freed_bytes() > 12_000);
    let done = place.collect().await;
    assert_eq!((done.condemned, done.namespaces), (dry.condemned, dry.namespaces));
    assert!(place.host.now() > real);
}

#[tokio::test]
async fn a_shorter_grace_period_is_for_a_store_that_nobody_else_uses() {
    let place = Place::new().await;
    place.put("a/name", noise(1, 3000)).await;
    place.put("a/name", noise(2, 3000)).await;
    let short = CollectOptions::default().with_grace(Duration::ZERO);
    let error = place.store.collect(short.clone()).await.expect_err("others rely on it");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let longer = CollectOptions::default().with_grace(GRACE * 3);
    place.age();
    assert_eq!(place.collect_with(longer).await.condemned, []);
    place.put("a/name", noise(3, 3000)).await;
    let report = place.collect_with(short.with_offline(true)).await;
    assert_eq!(report.condemned.len(), 3, "two packs, a version: {report:#?}");
    assert_eq!(place.versions("a").await, [3, 2], "the second helps to find the third");
}

#[tokio::test]
async fn a_session_that_gives_no_sign_of_life_for_the_lease_is_ended() {
    let place = Place::new().await;
    place.put("a/name", noise(1, 3000)).await;
    place.put("a/name", noise(2, 3000)).await;
    place.age();
    let marker = at(&format!("gc/{:032x}.session", 5));
    place.backend.store_bytes(&marker, "session\n".into()).await.expect("a writer that has died");
    let (began, seen) = (place.host.monotonic(), Arc::new(std::sync::Mutex::new(Vec::new())));
    let steps = seen.clone();
    let progress = Arc::new(move |step| steps.lock().unwrap().push(step));
    let report = place.collect_with(CollectOptions::default().with_progress(progress)).await;
    assert_eq!(report.sessions_ended, 1);
    assert!(place.host.monotonic() - began > LEASE);
    assert!(report.deleted_files > 0);
    assert_eq!(standing_sessions(&place.backend).await, []);
    let seen = seen.lock().unwrap().clone();
    for expected in [
        CollectStep::Marking { namespaces: 1 },
        CollectStep::Waiting { sessions: 1 },
        CollectStep::Deleting { files: report.deleted_files },
    ] {
        assert!(seen.contains(&expected), "{expected:?} in {seen:?}");
    }
    // What is left of it goes long afterwards, and then it does not stand again.
    place.host.advance(LEASE * 100);
    place.collect().await;
    assert_eq!(files(&place.backend, "gc/").await, []);
}

#[tokio::test]
async fn offline_nobody_is_waited_for() {
    let place = Place::new().await;
    place.put("a/name", noise(1, 3000)).await;
    place.put("a/name", noise(2, 3000)).await;
    place.age();
    let marker = at(&format!("gc/{:032x}.session", 5));
    place.backend.store_bytes(&marker, "session\n".into()).await.expect("store");
    let began = place.host.monotonic();
    let report = place.collect_with(CollectOptions::default().with_offline(true)).await;
    assert_eq!((report.sessions_ended, place.host.monotonic()), (1, began));
}

#[tokio::test]
async fn what_another_collector_has_begun_is_finished() {
    let place = Place::new().await;
    place.put("a/gone", noise(1, 3000)).await;
    let condemned = files(&place.backend, "packs/").await;
    place.put("a/stays", noise(2, 3000)).await;
    place.store.delete(&at("a/gone")).await.expect("delete");
    place.host.advance(GRACE * 2);
    place.put("a/again", noise(1, 3000)).await;
    let all = files(&place.backend, "packs/").await;
    // It listed all of it, and some that is gone already.
    let mut listed = all.clone();
    listed.push(at("packs/ab/abababababababababababababababab"));
    publish_list(&place.backend, &listed).await;
    let report = place.collect().await;
    let left = files(&place.backend, "packs/").await;
    assert!(all.iter().all(|pack| !left.contains(pack)), "{report:#?}");
    assert_eq!(files(&place.backend, "gc/").await, []);
    assert!(!left.contains(&condemned[0]));
    assert!(report.copied_bytes >= 3000);
}

#[tokio::test]
async fn a_version_that_was_listed_and_is_needed_all_the_same_leaves_its_list_standing() {
    let place = Place::new().await;
    for n in 1..=3 {
        place.put("a/name", noise(n, 3000)).await;
    }
    place.store.tag(&namespace("a"), Version::new(1), "one", StoreMode::Create).await.expect("tag");
    place.age();
    let first = files(&place.backend, "names/a/").await.pop().expect("version 1");
    let list = publish_list(&place.backend, std::slice::from_ref(&first)).await;
    place.collect().await;
    assert!(place.backend.exists(&list).await.expect("exists"), "nobody may come to rely on it again");
    place.store.tag(&namespace("a"), Version::new(1), "again", StoreMode::Create).await.expect_err("it is listed");
    place.store.untag(&namespace("a"), "one").await.expect("untag");
    place.age();
    place.collect().await;
    assert!(!place.backend.exists(&list).await.expect("exists"));
    assert!(!place.backend.exists(&first).await.expect("exists"));
}

#[tokio::test]
async fn a_damaged_list_keeps_writers_and_collectors_out_until_it_is_taken_away_offline() {
    let place = Place::new().await;
    place.put("a/name", noise(1, 3000)).await;
    let list = publish_list(&place.backend, &files(&place.backend, "packs/").await).await;
    place.backend.store_bytes(&list, "packs/ab".into()).await.expect("damage");
    for error in [
        place.store.store_bytes(&at("a/new"), "1".into()).await.map(drop).expect_err("who knows what is condemned"),
        place.store.collect(CollectOptions::default()).await.map(drop).expect_err("nor does a collector"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("gc --offline"), "{error}");
    }
    let report = place.store.collect(CollectOptions::default().with_offline(true)).await.expect("collect");
    assert_eq!(report.problems.len(), 1);
    place.put("a/new", "1").await;
}

#[tokio::test]
async fn the_index_forgets_packs_that_are_gone() {
    let place = Place::new().await;
    for n in 0..100 {
        place.put(&format!("a/{n}"), noise(n, 2000)).await;
    }
    let indexes = files(&place.backend, "index/").await;
    assert_eq!(indexes.len(), 1);
    place.age();
    place.collect().await;
    assert_eq!(files(&place.backend, "index/").await, [], "all that it names is gone, and one pack needs none");
}

#[tokio::test]
async fn a_pack_that_was_cut_before_a_list_in_it_is_told_and_the_collection_goes_on() {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    put(&store, "a/chunked", noise(1, 90_000), layout(Layout::Chunked)).await.expect("put");
    let pack = files(&backend, "packs/").await.remove(0);
    put(&store, "b/goes", noise(2, 30_000), layout(Layout::Whole)).await.expect("put");
    store.delete(&at("b/goes")).await.expect("delete");
    let bytes = backend.load_bytes(&pack, ByteRange::All).await.expect("load");
    backend.store_bytes(&pack, bytes.slice(..bytes.len() / 2)).await.expect("damage");
    // This handle knows what was in it.
    let options = CollectOptions::default().with_offline(true).with_grace(Duration::ZERO);
    let report = store.collect(options).await.expect("damage is in the report");
    assert!(report.problems.iter().any(|problem| problem.file == pack), "{:?}", report.problems);
    assert_eq!(files(&backend, "files/").await, [], "what nothing needs goes all the same");
}

/// A place where one machine may see late what another did.
#[derive(Debug)]
struct Lagging;

impl Intercept for Lagging {
    fn capabilities(&self, mut inner: Capabilities) -> Capabilities {
        inner.consistent_listing = false;
        inner
    }
}

#[tokio::test]
async fn where_machines_see_late_what_others_did_a_collection_is_refused_unless_nobody_else_is_there() {
    let place = Place::new().await;
    place.put("a/name", noise(1, 3000)).await;
    place.age();
    place.put("a/name", noise(2, 3000)).await;
    place.age();
    let backend: Backend = Arc::new(Intercepted::with_interceptor(place.backend.clone(), Lagging));
    let wrapped: Backend = Arc::new(PrefixStorage::new(Arc::new(ReadOnlyStorage::new(backend.clone())), at("in")));
    assert!(!wrapped.capabilities().consistent_listing);
    let options = OpenOptions::default().with_host(place.host.clone());
    let store = ContentStorage::open(backend, options).await.expect("open");
    assert!(!store.capabilities().consistent_listing);
    let before = files(&place.backend, "").await;

    let planned = store.collect(CollectOptions::default().with_dry_run(true)).await.expect("it deletes nothing");
    assert!(!planned.condemned.is_empty());
    let error = store.collect(CollectOptions::default()).await.expect_err("others may be there");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("network file system") && error.to_string().contains("gc --offline"), "{error}");
    assert_eq!(files(&place.backend, "").await, before, "nothing was begun");

    let report = store.collect(CollectOptions::default().with_offline(true)).await.expect("collect");
    assert_eq!(report.deleted_files, planned.condemned.len() as u64);
    assert_eq!(load(&store, "a/name").await.expect("load"), noise(2, 3000));
}
