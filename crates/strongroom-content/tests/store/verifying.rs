//! Verification of all data: how fast, what it remembers, and beside those who take things away.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use strongroom_content::{
    CollectOptions, ContentStorage, Layout, OpenOptions, PutOptions, VerifyOptions, VerifyReport,
};
use strongroom_storage::{ByteRange, ErrorKind, ExternalStorage, FileStorage, Host, MemoryStorage};
use strongroom_testkit::{Operation, TestHost};

use crate::support::{Backend, assert_no_problems, at, files, layout, load, memory, noise, put, small_chunks};
use crate::traps::{all_sprung, trap, trapped};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A store with content of each kind, a cache, and a clock that tests move.
struct Place {
    host: Arc<TestHost>,
    backend: Backend,
    cache: Backend,
}

impl Place {
    async fn new() -> Self {
        let host = Arc::new(TestHost::new(1));
        let backend: Backend = Arc::new(MemoryStorage::with_host(host.clone()));
        let options = OpenOptions::default().with_host(host.clone());
        let store = ContentStorage::create(backend.clone(), small_chunks(), options).await.expect("create");
        for n in 0..20 {
            put(&store, &format!("a/packed-{n}"), noise(n, 5000), PutOptions::default()).await.expect("put");
        }
        put(&store, "a/chunked", noise(100, 300_000), layout(Layout::Chunked)).await.expect("put");
        for n in 0..5 {
            put(&store, &format!("a/whole-{n}"), noise(200 + n, 50_000), layout(Layout::Whole)).await.expect("put");
        }
        host.advance(DAY);
        Self { host, backend, cache: memory() }
    }

    async fn open(&self) -> ContentStorage {
        let options = OpenOptions::default().with_host(self.host.clone()).with_cache(self.cache.clone());
        ContentStorage::open(self.backend.clone(), options).await.expect("open")
    }

    /// By a handle that knows nothing but the cache.
    async fn verify(&self, options: VerifyOptions) -> VerifyReport {
        self.open().await.verify(options.with_data(true)).await.expect("verify")
    }

    async fn flip(&self, file: &strongroom_storage::Location, byte: usize) {
        let mut bytes = self.backend.load_bytes(file, ByteRange::All).await.expect("load").to_vec();
        bytes[byte] ^= 1;
        self.backend.store_bytes(file, bytes.into()).await.expect("damage");
    }
}

/// All of the content, and that of the object in chunks a second time.
const ALL: std::ops::Range<u64> = 950_000..970_000;

#[tokio::test]
async fn what_was_read_not_long_ago_is_skipped_if_that_is_asked_for() {
    let place = Place::new().await;
    let first = place.verify(VerifyOptions::default().with_older_than(7 * DAY)).await;
    assert_no_problems(&first, "nothing was read before");
    assert!(ALL.contains(&first.bytes_read), "{first:?}");
    place.host.advance(DAY);
    let again = place.verify(VerifyOptions::default().with_older_than(7 * DAY)).await;
    assert_eq!((again.bytes_read, again.packs, again.files), (0, first.packs, first.files));
    assert!((645_000..670_000).contains(&again.bytes_skipped), "{again:?}");
    // Nor is anything forgotten by skipping it.
    place.host.advance(DAY);
    assert_eq!(place.verify(VerifyOptions::default().with_older_than(7 * DAY)).await.bytes_read, 0);
    place.host.advance(6 * DAY);
    let later = place.verify(VerifyOptions::default().with_older_than(7 * DAY)).await;
    assert!(
        (645_000..670_000).contains(&later.bytes_read),
        "its time is over, but not for what never changes: {later:?}"
    );
    let all = place.verify(VerifyOptions::default()).await;
    assert_eq!((all.bytes_read, all.bytes_skipped), (later.bytes_read, 0), "all is read if nothing else is said");
    place.host.set_now(std::time::UNIX_EPOCH + TestHost::START);
    assert!(place.verify(VerifyOptions::default().with_older_than(7 * DAY)).await.bytes_read > 0, "a clock set back");
}

#[tokio::test]
async fn what_is_damaged_new_or_changed_since_is_read_all_the_same() {
    let place = Place::new().await;
    let (pack, whole) =
        (files(&place.backend, "packs/").await[0].clone(), files(&place.backend, "files/").await[0].clone());
    place.flip(&pack, 100).await;
    let week = || VerifyOptions::default().with_older_than(7 * DAY);
    for round in 0..2 {
        let report = place.verify(week()).await;
        assert_eq!(report.problems.iter().filter(|problem| problem.file == pack).count(), 1, "{round}: {report:?}");
    }
    place.flip(&pack, 100).await;
    let mended = place.verify(week()).await;
    assert_no_problems(&mended, "mended");
    assert!(mended.bytes_read < 10_000, "{mended:?}");

    // A file that was replaced since, and one that is new.
    place.host.advance(Duration::from_secs(5));
    place.flip(&whole, 7).await;
    put(&place.open().await, "a/new", noise(999, 4000), PutOptions::default()).await.expect("put");
    let report = place.verify(week()).await;
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert_eq!(report.problems[0].file, whole);
    assert!((54_000..60_000).contains(&report.bytes_read), "{report:?}");
}

#[tokio::test]
async fn a_verification_that_was_interrupted_goes_on_where_it_was() {
    let place = Place::new().await;
    let store = place.open().await;
    let (sender, stopped) = futures::channel::oneshot::channel();
    let sender = Mutex::new(Some(sender));
    let progress = Arc::new(move |files, _| {
        if files >= 15
            && let Some(sender) = sender.lock().expect("the sender").take()
        {
            sender.send(()).expect("somebody waits");
        }
    });
    // So slow that what it finds is written down meanwhile.
    let options = VerifyOptions::default().with_data(true).with_rate(1000).with_progress(progress);
    let verification = std::pin::pin!(store.verify(options));
    let first = futures::future::select(verification, stopped).await;
    assert!(matches!(first, futures::future::Either::Right(_)), "it is interrupted");
    drop(first);

    let rest = place.verify(VerifyOptions::default()).await;
    assert_no_problems(&rest, "the rest");
    assert!(rest.bytes_skipped > 0 && rest.bytes_read > 0, "{rest:?}");
    let content = rest.bytes_read + rest.bytes_skipped;
    assert!(ALL.contains(&content), "each byte once: {rest:?}");
    let all = place.verify(VerifyOptions::default()).await;
    assert_eq!(all.bytes_skipped, 0, "there is none to go on with");

    // A cache that is gone does no harm.
    place.cache.delete_all(&files(&place.cache, "").await).await.expect("delete");
    assert_eq!(place.verify(VerifyOptions::default().with_older_than(30 * DAY)).await.bytes_skipped, 0);
}

#[tokio::test]
async fn a_rate_bounds_how_fast_content_is_read() {
    let place = Place::new().await;
    let before = place.host.monotonic();
    let report = place.verify(VerifyOptions::default().with_rate(10_000)).await;
    let took = (place.host.monotonic() - before).as_secs();
    let expected = report.bytes_read / 10_000;
    // What is read last need not be waited for, and each pack has some bytes beside its items.
    assert!((expected.saturating_sub(31)..=expected + 1).contains(&took), "{took} s for {report:?}");
    let before = place.host.monotonic();
    place.open().await.verify(VerifyOptions::default().with_rate(1)).await.expect("verify");
    assert_eq!(place.host.monotonic(), before, "content is not read");
}

#[tokio::test]
async fn verification_waits_for_no_collector_and_takes_nothing_that_went_meanwhile_for_lost() {
    for data in [false, true] {
        let place = Place::new().await;
        let store = place.open().await;
        for name in ["a/packed-3", "a/chunked", "a/whole-2"] {
            store.delete(&at(name)).await.expect("delete");
        }
        let storage = trapped(&place.backend);
        // The names were read; now they are replaced, and what they stood for goes before it is read.
        let lists_packs =
            |operation: &Operation| matches!(operation, Operation::Iterate { prefix } if prefix == "packs/");
        let reads_pack = |operation: &Operation| match operation {
            Operation::Load { location, .. } => location.as_str().starts_with("packs/"),
            _ => false,
        };
        let collection = |store: ContentStorage, n: u64| async move {
            put(&store, "a/packed-1", noise(500 + n, 3000), PutOptions::default()).await.expect("put");
            store.delete(&at(&format!("a/whole-{n}"))).await.expect("delete");
            let options = CollectOptions::default().with_offline(true).with_grace(Duration::ZERO);
            let report = store.collect(options).await.expect("collect");
            assert!(report.deleted_files > 3, "{report:?}");
        };
        trap(&storage, lists_packs, 0, collection(store.clone(), 0));
        trap(&storage, reads_pack, 0, collection(store.clone(), 1));
        let options = OpenOptions::default().with_host(place.host.clone());
        let beside = ContentStorage::open(Arc::new(storage.clone()), options).await.expect("open");
        let report = beside.verify(VerifyOptions::default().with_data(data)).await.expect("verify");
        assert_no_problems(&report, "nothing is lost");
        assert!(all_sprung(&storage));
        assert_eq!(report.objects, 21, "as it is now: {report:?}");
    }
}

#[tokio::test]
async fn what_is_really_lost_is_found_beside_a_collector() {
    let place = Place::new().await;
    let pack = files(&place.backend, "packs/").await[4].clone();
    let storage = trapped(&place.backend);
    let reads_pack = |operation: &Operation| match operation {
        Operation::Load { location, .. } => location.as_str().starts_with("packs/"),
        _ => false,
    };
    trap(&storage, reads_pack, 0, {
        let (backend, pack) = (place.backend.clone(), pack.clone());
        async move { backend.delete(&pack).await.expect("delete") }
    });
    let options = OpenOptions::default().with_host(place.host.clone());
    let store = ContentStorage::open(Arc::new(storage.clone()), options).await.expect("open");
    let report = store.verify(VerifyOptions::default().with_data(true)).await.expect("verify");
    assert!(all_sprung(&storage));
    let problem = report.problems.iter().find(|problem| problem.file == pack).expect("it is said");
    assert_eq!((problem.kind, problem.affected.len()), (ErrorKind::Missing, 1), "{problem:?}");
}

/// The real clock, real files, several threads.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_store_is_read_in_parallel_on_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend: Backend = Arc::new(FileStorage::new(folder.path()));
    let store = crate::support::create(&backend, strongroom_content::ContentConfig::default()).await;
    put(&store, "a/chunked", noise(1, 40 << 20), layout(Layout::Chunked)).await.expect("put");
    for n in 0..4 {
        put(&store, &format!("a/whole-{n}"), noise(2 + n, 3 << 20), layout(Layout::Whole)).await.expect("put");
    }
    let report = crate::support::verify(&backend, true).await;
    assert_no_problems(&report, "sound");
    assert!(report.bytes_read >= (40 * 2 + 12) << 20, "each byte, and the chunked object as a whole: {report:?}");
    let pack = files(&backend, "packs/").await[0].clone();
    let mut bytes = backend.load_bytes(&pack, ByteRange::All).await.expect("load").to_vec();
    bytes[5 << 20] ^= 1;
    backend.store_bytes(&pack, bytes.into()).await.expect("damage");
    let report = crate::support::verify(&backend, true).await;
    let found: Vec<_> = report.problems.iter().map(|problem| &problem.file).collect();
    assert_eq!(found, [&pack], "{report:?}");
    assert!(load(&store, "a/whole-3").await.is_ok());
}
