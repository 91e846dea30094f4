//! Many processes that commit to one store at once, while others collect and verify it in a loop.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use strongroom_content::Namespace;
use strongroom_storage::ByteRange;

use crate::action::{Actor, noise};
use crate::checks::verify_is_sound;
use crate::image::Dice;
use crate::recording::{quick_folder, runtime};
use crate::worker::{Answer, Worker};

const SEED: u64 = 20_260_106;
const PROCESSES: u64 = 8;
/// The shortest that there are: what was replaced a second ago may go, and who says nothing for as long is given up.
const POLICY: &str = "init 1 1";
/// Content comes from a pool, so that it becomes garbage and is stored again by somebody else, while it is collected.
const POOL: u64 = 60;
/// So many collections must have deleted something.
const COLLECTIONS: u64 = 2;
/// After so many commits one process is stopped in the middle of one, for longer than its lease.
const STOPPED_AFTER: u64 = 120;

/// The digest of what stands under a name; nothing if it was removed.
type Value = Option<String>;

#[derive(Default)]
struct Ledger {
    /// What stands under a name at the newest version at which that is known.
    newest: BTreeMap<String, (u64, Value)>,
    /// The versions of each namespace that were acknowledged.
    versions: BTreeMap<String, BTreeSet<u64>>,
    acknowledged: u64,
    reads: u64,
}

impl Ledger {
    /// At this version of its namespace, these stand. Who puts what stands already makes no version of its own.
    fn add(&mut self, namespace: &str, version: u64, values: &[(String, Value)]) {
        self.acknowledged += 1;
        self.versions.entry(namespace.into()).or_default().insert(version);
        for (location, value) in values {
            let known = self.newest.entry(location.clone()).or_insert((version, value.clone()));
            assert!(known.0 != version || known.1 == *value, "version {version} says two things of {location}");
            if known.0 < version {
                *known = (version, value.clone());
            }
        }
    }
}

/// What goes on beside the writers.
#[derive(Default)]
struct Beside {
    /// How many writers have done what they have to.
    done: AtomicU64,
    collections: AtomicU64,
    deleted: AtomicU64,
    ended: AtomicU64,
    stops: AtomicU64,
    verifications: AtomicU64,
    is_over: AtomicBool,
}

impl Beside {
    fn is_enough(&self) -> bool {
        self.done.load(Ordering::SeqCst) >= PROCESSES && self.collections.load(Ordering::SeqCst) >= COLLECTIONS
    }
}

/// Content of the pool: its seed, size and layout.
fn pooled(number: u64) -> (u64, usize, &'static str) {
    match number % 6 {
        0 => (number, 30, "auto"),
        1 | 2 => (number, 700 + 50 * number as usize, "auto"),
        3 => (number, 4000, "auto"),
        4 => (number, 30_000, "chunked"),
        _ => (number, 20_000, "whole"),
    }
}

fn digest(seed: u64, size: usize) -> Value {
    Some(blake3::hash(&noise(seed, size)).to_string())
}

/// What process `id` is told next, and what stands under which names then.
fn order(id: u64, own: &BTreeMap<String, Value>, dice: &mut Dice) -> (String, Vec<(String, Value)>) {
    let (seed, size, layout) = pooled(dice.roll(POOL));
    let put =
        |location: String| (format!("put {location} {seed} {size} {layout}"), vec![(location, digest(seed, size))]);
    let slot = format!("own/{id}/slot-{}", dice.roll(12));
    match dice.roll(10) {
        0..=2 => put(format!("shared/all/slot-{}", dice.roll(12))),
        3 => put(format!("shared/all/of-{id}-{}", dice.roll(200))),
        4 => put(format!("root-{}", dice.roll(4))),
        5 | 6 => put(slot),
        7 => {
            let prefix = format!("own/{id}/batch-{}", dice.roll(5));
            let seed = 1000 + 7 * dice.roll(POOL);
            let name = |at: u64| (format!("{prefix}/{at:05}"), digest(seed + at, 500));
            (format!("batch {prefix} 20 {seed} 500"), (0..20).map(name).collect())
        }
        8 if own.get(&slot).is_some_and(Option::is_some) => (format!("rm {slot}"), vec![(slot, None)]),
        8 => put(slot),
        _ => match own.iter().find(|(name, value)| **name >= slot && value.is_some()) {
            Some((from, value)) => {
                let to = format!("shared/copies/{id}-{}", dice.roll(20));
                (format!("cp {from} {to}"), vec![(to, value.clone())])
            }
            None => put(slot),
        },
    }
}

/// Dice with which the next order is to put something under a name of the process's own.
fn next_of_its_own(id: u64, own: &BTreeMap<String, Value>, mut dice: Dice) -> Dice {
    loop {
        let (line, _) = order(id, own, &mut Dice(dice.0));
        if line.starts_with("put own/") {
            return dice;
        }
        dice.roll(2);
    }
}

/// Lets process number `id` make `commits` commits, and more until enough was collected.
fn write(folder: &Path, id: u64, commits: u64, ledger: &Mutex<Ledger>, beside: &Beside) {
    let mut dice = Dice(SEED + id);
    let mut worker = Worker::start(folder);
    // What stands under the names that nobody else writes to.
    let mut own: BTreeMap<String, Value> = BTreeMap::new();
    let mut n = 0;
    while !beside.is_enough() {
        let (line, values) = order(id, &own, &mut dice);
        worker.tell(&line);
        // What is its own nobody replaces meanwhile.
        if id == 0 && n % STOPPED_AFTER == STOPPED_AFTER - 1 && line.starts_with("put own/") {
            std::thread::sleep(Duration::from_micros(dice.roll(3000)));
            worker.signal("STOP");
            std::thread::sleep(Duration::from_millis(2500));
            worker.signal("CONT");
            beside.stops.fetch_add(1, Ordering::SeqCst);
        }
        let versions = match worker.answer() {
            Answer::Done(versions) => versions,
            answer => unreachable!("process {id}: {line}: {answer:?}"),
        };
        let (namespace, version) = versions.split_once('=').expect("a version");
        let version: u64 = version.parse().expect("a number");
        ledger.lock().expect("the ledger").add(namespace, version, &values);
        own.extend(values.into_iter().filter(|(location, _)| location.starts_with("own/")));
        n += 1;
        if id == 0 && n % STOPPED_AFTER == STOPPED_AFTER - 1 {
            // The next one is about a name of its own.
            dice = next_of_its_own(id, &own, dice);
        }
        if n == commits {
            beside.done.fetch_add(1, Ordering::SeqCst);
        }
        if n % 8 == 0
            && let Some((location, Some(digest))) = own.iter().nth(dice.roll(own.len() as u64) as usize)
        {
            assert_eq!(
                worker.ask(&format!("read {location}")),
                Answer::Done(digest.clone()),
                "process {id}: {location}"
            );
            ledger.lock().expect("the ledger").reads += 1;
        }
    }
    worker.finish();
}

/// Collects again and again.
fn collect(folder: &Path, beside: &Beside) {
    let mut worker = Worker::start(folder);
    while !beside.is_over.load(Ordering::SeqCst) {
        match worker.ask("gc") {
            Answer::Done(counts) => {
                let (deleted, ended) = counts.split_once(' ').expect("two numbers");
                let (deleted, ended): (u64, u64) = (deleted.parse().expect("files"), ended.parse().expect("sessions"));
                beside.collections.fetch_add(u64::from(deleted > 0), Ordering::SeqCst);
                beside.deleted.fetch_add(deleted, Ordering::SeqCst);
                beside.ended.fetch_add(ended, Ordering::SeqCst);
            }
            answer => unreachable!("gc: {answer:?}"),
        }
    }
    worker.finish();
}

/// Verifies again and again.
fn verify(folder: &Path, beside: &Beside) {
    let mut worker = Worker::start(folder);
    while !beside.is_over.load(Ordering::SeqCst) {
        match worker.ask("verify") {
            Answer::Done(_) => beside.verifications.fetch_add(1, Ordering::SeqCst),
            answer => unreachable!("verify: {answer:?}"),
        };
    }
    worker.finish();
}

/// Checks that exactly what was acknowledged last stands under each name, and that versions are the commits' own.
async fn check(folder: &Path, ledger: &Ledger, sessions_ended: u64) -> u64 {
    let mut actor = Actor::new(folder);
    let store = actor.store().await.expect("open");
    let mut listed = BTreeMap::new();
    let mut objects = store.objects("");
    while let Some(object) = objects.try_next().await.expect("list") {
        let bytes = object.load_bytes(ByteRange::All).await.expect("its bytes");
        listed.insert(object.location().to_string(), blake3::hash(&bytes).to_string());
    }
    for (location, (version, value)) in &ledger.newest {
        assert_eq!(listed.remove(location), *value, "{location}, of version {version}");
    }
    assert_eq!(listed, BTreeMap::new(), "nobody has put that there");
    let mut made_again = 0;
    for (namespace, versions) in &ledger.versions {
        let namespace = Namespace::parse(namespace).expect("a namespace");
        let head = store.snapshot(&namespace).await.expect("snapshot").version().get();
        assert_eq!(Some(&head), versions.last(), "{namespace}: all that stands was acknowledged");
        made_again += head - versions.len() as u64;
    }
    // A commit is made again, as a version of its own, when its session was ended by a collector.
    assert!(made_again == 0 || sessions_ended > 0, "{made_again} versions are nobody's");
    made_again
}

#[test]
fn many_processes_commit_beside_collections_and_verifications_and_nothing_is_lost() {
    let commits = std::env::var("STRONGROOM_TEST_COMMITS").map_or(150, |commits| commits.parse().expect("a number"));
    let folder = quick_folder();
    let runtime = runtime();
    runtime.block_on(Actor::new(folder.path()).act(POLICY)).expect("init");
    let (ledger, beside) = (Mutex::new(Ledger::default()), Beside::default());
    std::thread::scope(|scope| {
        let (folder, ledger, beside) = (folder.path(), &ledger, &beside);
        let care = [scope.spawn(move || collect(folder, beside)), scope.spawn(move || verify(folder, beside))];
        let writers: Vec<_> =
            (0..PROCESSES).map(|id| scope.spawn(move || write(folder, id, commits, ledger, beside))).collect();
        let written: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        beside.is_over.store(true, Ordering::SeqCst);
        care.into_iter().for_each(|thread| thread.join().expect("care"));
        written.into_iter().for_each(|writer| writer.expect("a writer"));
    });
    let ledger = ledger.into_inner().expect("the ledger");
    let count = |number: &AtomicU64| number.load(Ordering::SeqCst);
    let made_again = runtime.block_on(async {
        let made_again = check(folder.path(), &ledger, count(&beside.ended)).await;
        verify_is_sound(folder.path()).await.expect("sound");
        made_again
    });
    let versions: usize = ledger.versions.values().map(BTreeSet::len).sum();
    eprintln!(
        "{} commits, {versions} versions, {} names, {} reads; {} collections deleted {} files; {} stops, {} sessions ended, {made_again} commits made again; \
         {} verifications",
        ledger.acknowledged,
        ledger.newest.len(),
        ledger.reads,
        count(&beside.collections),
        count(&beside.deleted),
        count(&beside.stops),
        count(&beside.ended),
        count(&beside.verifications),
    );
    assert!(ledger.acknowledged >= PROCESSES * commits);
}
