//! Commits to one content store by several handles, beside a collector, on a wire on which all that can happen does.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::{join_all, select};
use strongroom_content::{
    Batch, BatchReceipt, ChunkSizes, CollectOptions, ContentConfig, ContentStorage, Layout, Namespace, OpenOptions,
    PutOptions, VerifyOptions, Version,
};
use strongroom_storage::{ByteRange, Digest, ErrorKind, ExternalStorage, Location, Result, StoreMode};
use strongroom_testkit::Dice;

use crate::fault::Weather;
use crate::support::{Place, Seed, at, content, seeds};

const WRITERS: u32 = 3;
/// So many commits of each before a collector begins.
const BEFORE: u32 = 6;
/// So many at least beside it; one of them more, until it has deleted something, if it is to.
const BESIDE: u32 = 6;
/// So many are no use any more.
const MOST: u32 = 300;
/// So many requests of a thousand meet with something.
const FAULTS: u64 = 120;
/// How many names there are that are put again and again.
const SLOTS: u64 = 3;
/// More versions than there are.
const ALL: u64 = 1 << 20;

/// What came of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Acknowledged(Version),
    Unknown,
    Failed,
}

/// A commit: what it says in the history, the names that it puts and nobody else does, and one that all put.
#[derive(Clone, Debug)]
struct Done {
    message: String,
    namespace: Namespace,
    own: Vec<(Location, Digest)>,
    slot: (Location, Digest),
    outcome: Outcome,
}

/// What the writers of a run have done, and the collector.
#[derive(Default)]
struct Ledger {
    done: RefCell<Vec<Done>>,
    collected: RefCell<Collected>,
    keeps_all: bool,
}

#[derive(Clone, Debug, Default)]
struct Collected {
    collections: u64,
    deleted: u64,
    ended: u64,
    failed: u64,
}

struct Writer<'a> {
    number: u32,
    store: ContentStorage,
    tasks: u32,
    dice: Dice,
    step: u32,
    ledger: &'a Ledger,
}

/// Something of the writer's number `mark`, inline, packed, chunked or whole.
fn piece(mark: u32) -> (Bytes, PutOptions) {
    let (length, layout) = match mark % 5 {
        0 => (40, Layout::Auto),
        1 | 2 => (700 + (mark % 1000) as usize, Layout::Auto),
        3 => (60_000, Layout::Chunked),
        _ => (20_000, Layout::Whole),
    };
    (content(mark, length), PutOptions::default().with_layout(layout))
}

impl Done {
    fn after(self, result: Result<BatchReceipt>) -> Self {
        let outcome = match result {
            Ok(receipt) => Outcome::Acknowledged(receipt.versions[&self.namespace]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "nothing else can come of it: {error:?}");
                if error.may_have_happened() { Outcome::Unknown } else { Outcome::Failed }
            }
        };
        Self { outcome, ..self }
    }
}

impl Writer<'_> {
    async fn begin(&mut self) {
        while self.step < BEFORE {
            self.commit().await;
        }
    }

    async fn go_on(&mut self) {
        let is_enough = || {
            let collected = self.ledger.collected.borrow();
            collected.collections > 0 && (self.ledger.keeps_all || collected.deleted > 0)
        };
        while self.step < BEFORE + BESIDE || self.number == 1 && self.step < MOST && !is_enough() {
            self.commit().await;
            if self.dice.per_mille(300) {
                self.read().await;
            }
        }
    }

    /// As many commits at once as the handle has tasks.
    async fn commit(&mut self) {
        let begun: Vec<(Batch, Done)> = (0..self.tasks).map(|_| self.begin_one()).collect();
        let ended =
            join_all(begun.into_iter().map(|(batch, done)| async move { done.after(batch.commit().await) })).await;
        self.ledger.done.borrow_mut().extend(ended);
    }

    fn begin_one(&mut self) -> (Batch, Done) {
        let (number, step) = (self.number, self.step);
        let id = format!("{number}-{step}");
        self.step += 1;
        let group = if self.dice.per_mille(600) { "shared/all".into() } else { format!("own/{number}") };
        let namespace = Namespace::parse(&group).expect("a namespace");
        // What has no message of its own may share its version with others.
        let message = if self.dice.per_mille(700) { format!("commit {id}") } else { String::new() };
        let mut batch = self.store.batch().with_message(message.clone());
        let mut own = Vec::new();
        let mark = 10_000 * (number + 1) + 10 * step;
        for at_once in 0..1 + u32::try_from(self.dice.below(3)).unwrap_or(0) {
            let (bytes, options) = piece(mark + at_once);
            let location = at(&format!("{group}/of-{id}-{at_once}"));
            own.push((location.clone(), Digest::of(&bytes)));
            batch.put(location, bytes, options.with_mode(StoreMode::Create));
        }
        let (bytes, options) = piece(mark + 9);
        let slot = (at(&format!("{group}/slot-{}", self.dice.below(SLOTS))), Digest::of(&bytes));
        batch.put(slot.0.clone(), bytes, options);
        (batch, Done { message, namespace, own, slot, outcome: Outcome::Unknown })
    }

    /// Something that was acknowledged.
    async fn read(&mut self) {
        let done = self.dice.pick(&self.ledger.done.borrow()).clone();
        let (location, digest) = self.dice.pick(&done.own);
        match self.store.load_bytes(location, ByteRange::All).await {
            Ok(bytes) => assert_eq!(Digest::of(&bytes), *digest, "{location} has other bytes"),
            Err(error) if matches!(done.outcome, Outcome::Acknowledged(_)) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{location} was acknowledged: {error:?}");
            }
            Err(_) => {}
        }
    }
}

/// Collects until it is dropped.
async fn collect(store: &ContentStorage, ledger: &Ledger) {
    let options = CollectOptions::default().with_keep_last(if ledger.keeps_all { ALL } else { 1 });
    loop {
        let result = store.collect(options.clone()).await;
        let mut collected = ledger.collected.borrow_mut();
        match result {
            Ok(report) => {
                assert!(report.problems.is_empty(), "{:?}", report.problems);
                collected.collections += 1;
                collected.deleted += report.deleted_files;
                collected.ended += report.sessions_ended;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "nothing else can come of it: {error:?}");
                collected.failed += 1;
            }
        }
    }
}

fn config() -> ContentConfig {
    let mut sizes = ChunkSizes::default();
    (sizes.minimum, sizes.average, sizes.maximum) = (4 << 10, 8 << 10, 32 << 10);
    ContentConfig::default()
        .with_lease(Duration::from_secs(5))
        .with_grace(Duration::from_secs(1))
        .with_chunk_sizes(sizes)
}

async fn open(storage: impl ExternalStorage) -> ContentStorage {
    let storage: Arc<dyn ExternalStorage> = Arc::new(storage);
    // Opening is no more than reading, which may fail as well.
    ContentStorage::open(storage, OpenOptions::default()).await.expect("open the store")
}

/// Every name, and what stands there.
async fn names(store: &ContentStorage) -> BTreeMap<Location, Digest> {
    let mut names = BTreeMap::new();
    for namespace in store.namespaces("").await.expect("namespaces") {
        let snapshot = store.snapshot(&namespace).await.expect("a snapshot");
        let objects = snapshot.objects("").await.expect("its names");
        let objects: Vec<_> = objects.try_collect().await.expect("its names");
        names.extend(objects.iter().map(|object| (object.location().clone(), object.digest())));
    }
    names
}

/// What was acknowledged stands, what surely failed does not, and nothing else does.
fn check_names(names: &BTreeMap<Location, Digest>, done: &[Done]) {
    let mut slots: BTreeMap<&Location, Vec<&Done>> = BTreeMap::new();
    let mut known = BTreeSet::new();
    for done in done {
        let found: Vec<bool> = done.own.iter().map(|(location, digest)| names.get(location) == Some(digest)).collect();
        match done.outcome {
            Outcome::Acknowledged(_) => assert!(found.iter().all(|found| *found), "it was acknowledged: {done:?}"),
            Outcome::Failed => assert!(!found.contains(&true), "it surely failed: {done:?}"),
            Outcome::Unknown => assert!(found.iter().all(|other| *other == found[0]), "it is there in part: {done:?}"),
        }
        known.extend(done.own.iter().map(|(location, _)| location));
        slots.entry(&done.slot.0).or_default().push(done);
    }
    for (location, puts) in &slots {
        let version = |done: &Done| match done.outcome {
            Outcome::Acknowledged(version) => Some(version),
            Outcome::Unknown | Outcome::Failed => None,
        };
        let newest = puts.iter().filter_map(|done| version(done)).max();
        let found = names.get(*location);
        let may_be = puts.iter().any(|done| {
            let is_last = version(done) == newest && newest.is_some() || done.outcome == Outcome::Unknown;
            is_last && found == Some(&done.slot.1)
        });
        let may_be_nothing = newest.is_none() && found.is_none();
        assert!(may_be || may_be_nothing, "{location} has {found:?} of {puts:#?}");
    }
    for location in names.keys() {
        assert!(known.contains(location) || slots.contains_key(location), "nobody has put {location}");
    }
}

/// What has a message of its own is in the history once; only what a collector has taken for dead may be there again.
async fn check_history(store: &ContentStorage, done: &[Done], ended: u64) {
    let namespaces: BTreeSet<&Namespace> = done.iter().map(|done| &done.namespace).collect();
    let mut again = 0;
    for namespace in namespaces {
        let log = store.log(namespace, None).await.expect("its history");
        let versions: Vec<u64> = log.iter().rev().map(|commit| commit.version.get()).collect();
        assert!(versions.iter().copied().eq(1..=versions.len() as u64), "{namespace}: {versions:?}");
        for done in done.iter().filter(|done| done.namespace == *namespace && !done.message.is_empty()) {
            let found: Vec<Version> =
                log.iter().filter(|commit| commit.message == done.message).map(|commit| commit.version).collect();
            match done.outcome {
                Outcome::Acknowledged(version) => assert!(found.contains(&version), "{done:?}: {found:?}"),
                Outcome::Failed => assert!(found.is_empty(), "{done:?}: {found:?}"),
                Outcome::Unknown => {}
            }
            again += found.len().saturating_sub(1) as u64;
        }
    }
    assert!(again <= ended, "{again} commits were made twice, and {ended} sessions ended");
}

/// Of these the whole history stays.
fn keeps_all(seed: u64) -> bool {
    seed.is_multiple_of(2)
}

async fn run(seed: u64, place: &Place) -> (BTreeMap<&'static str, u64>, Collected) {
    ContentStorage::create(Arc::new(place.clean()), config(), OpenOptions::default()).await.expect("create the store");
    place.proxy.plan().set_weather(Weather::new(seed, FAULTS).with_late_writes());
    let ledger = Ledger { keeps_all: keeps_all(seed), ..Ledger::default() };
    let mut writers = Vec::new();
    for number in 0..WRITERS {
        let (store, dice) = (open(place.storage(8)).await, Dice::new(seed ^ u64::from(number) << 32));
        let tasks = if number == 0 { 2 } else { 1 };
        writers.push(Writer { number, store, tasks, dice, step: 0, ledger: &ledger });
    }
    let collector = open(place.storage(8)).await;
    join_all(writers.iter_mut().map(Writer::begin)).await;
    let writing = join_all(writers.iter_mut().map(Writer::go_on));
    // When the writers are through, the collector dies in the middle of its work.
    drop(select(pin!(writing), pin!(collect(&collector, &ledger))).await);
    place.proxy.wait_for_late_ones();
    place.proxy.plan().clear();

    let Ledger { done, collected, keeps_all } = ledger;
    let (done, collected) = (done.into_inner(), collected.into_inner());
    let store = open(place.clean()).await;
    check_names(&names(&store).await, &done);
    if keeps_all {
        check_history(&store, &done, collected.ended).await;
    }
    let verified = store.verify(VerifyOptions::default().with_data(true)).await.expect("verify");
    assert!(verified.is_sound(), "{:#?}", verified.problems);
    // What all that has left behind can be taken away, and nothing is missing then.
    let all = CollectOptions::default().with_offline(true).with_grace(Duration::ZERO);
    store.collect(all).await.expect("collect");
    check_names(&names(&store).await, &done);
    let verified = store.verify(VerifyOptions::default().with_data(true)).await.expect("verify");
    assert!(verified.is_sound(), "{:#?}", verified.problems);

    let mut counts = BTreeMap::new();
    for done in done {
        let what = match done.outcome {
            Outcome::Acknowledged(_) => "acknowledged",
            Outcome::Unknown => "unknown",
            Outcome::Failed => "failed",
        };
        *counts.entry(what).or_default() += 1;
    }
    (counts, collected)
}

#[tokio::test]
async fn what_is_committed_is_there_once_whatever_befalls_the_requests() {
    for seed in seeds(2) {
        let Some(place) = Place::new() else { return };
        let _told = Seed(seed);
        let (counts, collected) = run(seed, &place).await;
        let faults: u64 = place.proxy.plan().counts().values().sum();
        println!("seed {seed}: {counts:?}, {collected:?}, {faults} faults");
        assert!(counts.get("acknowledged").is_some_and(|count| *count > 0), "{counts:?}");
        assert!(faults > 0 && (keeps_all(seed) || collected.deleted > 0), "{faults} faults, {collected:?}");
    }
}
