//! Processes that are killed at any time, while others go on with the same store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use futures::TryStreamExt;
use strongroom_content::{Namespace, Version};
use strongroom_storage::ByteRange;

use crate::action::{Actor, at, noise};
use crate::checks::{verify_is_sound, versions_are_dense};
use crate::image::Dice;
use crate::recording::{quick_folder, runtime};
use crate::worker::{Answer, Worker};

const SEED: u64 = 20_260_102;
/// How many processes work at the same time.
const PROCESSES: u64 = 4;

/// The digest of what stands under a name; nothing if it was removed.
type Value = Option<String>;

/// What the processes were told to do, and what they said that they had done.
#[derive(Default)]
pub struct Ledger {
    tried: BTreeMap<String, BTreeSet<Value>>,
    /// By location and version.
    pub acknowledged: BTreeMap<(String, u64), Value>,
    kills: u64,
}

impl Ledger {
    /// Somebody is told to do it.
    pub fn tries(&mut self, order: &Order) {
        for (location, value) in &order.values {
            self.tried.entry(location.clone()).or_default().insert(value.clone());
        }
    }

    /// It was done, in versions that are told as `namespace=version`.
    pub fn acknowledges(&mut self, order: Order, versions: &str) {
        // Who removes what is not there makes no version.
        let Some((_, version)) = versions.split_once('=') else { return };
        let version = version.parse().expect("a version");
        for (location, value) in order.values {
            self.acknowledged.insert((location, version), value);
        }
    }
}

/// What a process is told, and what stands under which names then.
pub struct Order {
    pub line: String,
    values: Vec<(String, Value)>,
}

fn digest(seed: u64, size: usize) -> Value {
    Some(blake3::hash(&noise(seed, size)).to_string())
}

impl Order {
    /// The next one for process `id`, whose `n`th it is.
    pub fn next(id: u64, n: u64, dice: &mut Dice) -> Self {
        let seed = id * 1_000_000 + n * 100;
        let put = |location: String, size: usize, layout: &str| Self {
            line: format!("put {location} {seed} {size} {layout}"),
            values: vec![(location, digest(seed, size))],
        };
        match dice.roll(8) {
            0 => put(format!("shared/all/{id}-{n}"), 20, "auto"),
            1 => put("shared/all/contended".into(), 3000, "auto"),
            2 => put("contended.bin".into(), 100, "auto"),
            3 => put(format!("own/{id}/slot"), 5000, "auto"),
            4 => put(format!("own/{id}/chunked"), 40_000, "chunked"),
            5 => put(format!("own/{id}/whole"), 30_000, "whole"),
            6 => Self { line: format!("rm own/{id}/slot"), values: vec![(format!("own/{id}/slot"), None)] },
            _ => {
                let prefix = format!("own/{id}/batch-{n}");
                let name = |at: u64| (format!("{prefix}/{at:05}"), digest(seed + at, 500));
                Self { line: format!("batch {prefix} 20 {seed} 500"), values: (0..20).map(name).collect() }
            }
        }
    }
}

/// Lets process number `id` be killed `kills` times, and once work to its end.
fn work(folder: &Path, id: u64, kills: u64, ledger: &Mutex<Ledger>) {
    let mut dice = Dice(SEED + id);
    let mut worker = Worker::start(folder);
    let (mut n, mut left) = (0, kills);
    while left > 0 || dice.roll(10) > 0 {
        n += 1;
        let order = Order::next(id, n, &mut dice);
        ledger.lock().expect("the ledger").tries(&order);
        worker.tell(&order.line);
        let dies = left > 0 && dice.roll(4) == 0;
        if dies {
            std::thread::sleep(Duration::from_micros(dice.roll(40_000)));
            worker.kill();
        }
        let answer = worker.answer();
        if dies {
            left -= 1;
            worker = Worker::start(folder);
        }
        let mut ledger = ledger.lock().expect("the ledger");
        ledger.kills += u64::from(dies);
        match answer {
            Answer::Done(versions) => ledger.acknowledges(order, &versions),
            Answer::None if dies => {}
            answer => unreachable!("process {id}: {}: {answer:?}", order.line),
        }
    }
    worker.finish();
}

/// Checks that each version that was acknowledged has what was acknowledged, and that the newest has that or what came later.
pub async fn check(folder: &Path, ledger: &Ledger) {
    let mut actor = Actor::new(folder);
    let store = actor.store().await.expect("open");
    let mut newest: BTreeMap<&str, (u64, &Value)> = BTreeMap::new();
    for ((location, version), value) in &ledger.acknowledged {
        let at = at(location);
        let snapshot = store.snapshot_at(&Namespace::of(&at), Version::new(*version)).await.expect("a version");
        let found = match snapshot.find(&at).await {
            Ok(object) => {
                let bytes = object.load_bytes(ByteRange::All).await.expect("its bytes");
                Some(blake3::hash(&bytes).to_string())
            }
            Err(error) if error.is_missing() => None,
            Err(error) => unreachable!("{location} at {version}: {error:?}"),
        };
        assert_eq!(found, *value, "{location} at version {version}");
        newest.insert(location, (*version, value));
    }
    let mut listed = BTreeMap::new();
    let mut objects = store.objects("");
    while let Some(object) = objects.try_next().await.expect("list") {
        let bytes = object.load_bytes(ByteRange::All).await.expect("its bytes");
        listed.insert(object.location().to_string(), (object.version().get(), blake3::hash(&bytes).to_string()));
    }
    for (location, (version, digest)) in &listed {
        let tried = ledger.tried.get(location);
        assert!(
            tried.is_some_and(|tried| tried.contains(&Some(digest.clone()))),
            "{location}: nobody has put that there"
        );
        let acknowledged = newest.get(location.as_str()).map_or(0, |(acknowledged, _)| *acknowledged);
        assert!(*version >= acknowledged, "{location}: version {acknowledged} was acknowledged");
    }
    for (location, (version, value)) in newest {
        let removed = ledger.tried[location].contains(&None);
        assert!(listed.contains_key(location) || value.is_none() || removed, "{location}: version {version} is lost");
    }
}

#[test]
fn what_was_acknowledged_is_there_however_many_processes_are_killed() {
    let kills =
        std::env::var("STRONGROOM_TEST_KILLS").map_or(48_u64, |kills| kills.parse().expect("a number of kills"));
    let folder = quick_folder();
    let runtime = runtime();
    runtime.block_on(Actor::new(folder.path()).act("init")).expect("init");
    let ledger = Mutex::new(Ledger::default());
    std::thread::scope(|scope| {
        for id in 0..PROCESSES {
            let (folder, ledger) = (folder.path(), &ledger);
            scope.spawn(move || work(folder, id, kills.div_ceil(PROCESSES), ledger));
        }
    });
    let ledger = ledger.into_inner().expect("the ledger");
    runtime.block_on(async {
        check(folder.path(), &ledger).await;
        versions_are_dense(folder.path()).await.expect("dense");
        verify_is_sound(folder.path()).await.expect("sound");
    });
    eprintln!("{} kills, {} names acknowledged", ledger.kills, ledger.acknowledged.len());
    assert!(ledger.kills >= kills && !ledger.acknowledged.is_empty());
}
