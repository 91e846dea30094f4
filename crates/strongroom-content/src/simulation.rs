//! Writers, readers and collectors on one store, interleaved operation by operation under a seed.
//!
//! It is this crate's own code that runs, on a storage in memory whose operations wait for their turns. What is promised is looked at
//! whenever something was deleted or acknowledged: see [`Oracle`].
//!
//! A seed that fails is run again by `STRONGROOM_SEED=<seed> cargo test -p strongroom-content simulation::one_seed -- --nocapture`,
//! more seeds by `STRONGROOM_SIMULATION=<thousands of steps>`.

mod actors;
mod mutants;
mod oracle;
mod scenes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use strongroom_storage::{ExternalStorage, MemoryStorage};
use strongroom_testkit::{FarStorage, Simulation, Step, Weather};

use crate::collect::CollectOptions;
use crate::config::{ChunkSizes, ContentConfig, OpenOptions};
use crate::mutation::{self, Mutation};
use crate::store::ContentStorage;
use actors::Actor;
use oracle::Oracle;

/// How many processes live at a time.
const PROCESSES: usize = 5;
/// For how many steps new ones are started.
const STEPS: u64 = 900;

/// The circumstances of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Climate {
    /// Sessions last long, and few stall.
    Calm,
    /// Leases and grace periods are hardly longer than a commit, much stalls and dies.
    Harsh,
    /// Versions and snapshots last.
    Patient,
    /// Half of all processes collect.
    Crowded,
}

const CLIMATES: [Climate; 4] = [Climate::Calm, Climate::Harsh, Climate::Patient, Climate::Crowded];

/// How dear requests are, on which it depends which are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Distance {
    /// As with a folder.
    Near,
    /// As with a bucket.
    Far,
}

impl Climate {
    fn config(self) -> ContentConfig {
        let (lease, grace) = match self {
            Self::Calm => (80, 12),
            Self::Harsh => (16, 6),
            Self::Patient => (40, 90),
            Self::Crowded => (30, 8),
        };
        let mut sizes = ChunkSizes::default();
        (sizes.minimum, sizes.average, sizes.maximum) = (256, 1024, 4096);
        ContentConfig::default()
            .with_lease(Duration::from_secs(lease))
            .with_grace(Duration::from_secs(grace))
            .with_chunk_sizes(sizes)
    }

    /// How many of a hundred processes collect.
    fn collectors(self) -> u64 {
        if self == Self::Crowded { 50 } else { 28 }
    }

    fn weather(self) -> Weather {
        let mut weather = Weather::calm(Duration::from_millis(500));
        let (stalls, lengths): (u64, &[u64]) = match self {
            Self::Calm => (10, &[5, 40, 120]),
            Self::Harsh => (25, &[5, 20, 60]),
            Self::Patient => (8, &[5, 60]),
            Self::Crowded => (15, &[5, 20, 80]),
        };
        weather.stalls = (stalls, lengths.iter().map(|seconds| Duration::from_secs(*seconds)).collect());
        weather.deaths = 3;
        (weather.refusals, weather.lost_answers, weather.lost_requests) = (2, 3, 1);
        weather
    }
}

/// What happened in a run.
#[derive(Debug, Default)]
struct Outcome {
    steps: u64,
    trace: u64,
    counts: BTreeMap<String, u64>,
    /// What was promised and not kept.
    broken: Option<String>,
}

/// Does on the spot what needs no turns.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("a storage in memory keeps nobody waiting")
}

/// A world with a store in it.
struct World {
    simulation: Simulation,
    server: Arc<dyn ExternalStorage>,
    oracle: Arc<Oracle>,
}

impl World {
    fn new(seed: u64, weather: Weather, climate: Climate, distance: Distance) -> Self {
        let simulation = Simulation::new(seed, weather);
        let memory: Arc<dyn ExternalStorage> =
            Arc::new(MemoryStorage::with_host(simulation.host(usize::MAX - 1, seed, 0)));
        let server = match distance {
            Distance::Near => memory,
            Distance::Far => Arc::new(FarStorage::new(memory)),
        };
        let options = OpenOptions::default().with_host(simulation.host(usize::MAX - 2, seed, 0));
        at_once(ContentStorage::create(server.clone(), climate.config(), options)).expect("create the store");
        let oracle = Arc::new(Oracle::new(simulation.clone(), server.clone(), climate.config().grace));
        Self { simulation, server, oracle }
    }

    /// Lets those who live go on until nobody does.
    fn play_on(&self) {
        while self.oracle.broken().is_none() {
            match self.simulation.step() {
                Step::Went(_) => {}
                Step::Died(process) => self.oracle.died(process),
                Step::Idle => return,
            }
        }
    }

    /// What came of it, when all is over.
    fn end(&self, title: &str, seed: u64) -> Outcome {
        if self.oracle.broken().is_none() {
            self.oracle.check("in the end");
        }
        if self.oracle.broken().is_none() {
            self.collect_all(seed);
        }
        mutation::set(None);
        Outcome {
            steps: self.simulation.steps(),
            trace: self.simulation.trace(),
            counts: self.oracle.counts(),
            broken: self.oracle.broken().map(|broken| format!("{title}: {broken}")),
        }
    }

    /// When all is quiet, two collections take away all that is dead, and nothing else.
    fn collect_all(&self, seed: u64) {
        let Self { simulation, server, oracle } = self;
        let options = OpenOptions::default().with_host(simulation.host(usize::MAX - 3, seed, 0));
        let store = at_once(ContentStorage::open(server.clone(), options)).expect("open");
        let all = CollectOptions::default().with_offline(true).with_grace(Duration::ZERO);
        oracle.forget_snapshots();
        let mut last = None;
        for _ in 0..3 {
            match at_once(store.collect(all.clone())) {
                Ok(report) => last = Some(report),
                Err(error) => return oracle.breaks(format!("the last collection fails: {error:?}")),
            }
        }
        let report = last.unwrap_or_default();
        // What a writer that has died left dangling keeps a history from being pruned.
        if report.problems.is_empty() && !report.condemned.is_empty() {
            oracle.breaks(format!("something dead is left: {:#?}", report.condemned));
        }
        oracle.check("after the last collection");
    }
}

/// Runs a seed, with the protocol broken in one way or not.
fn run(seed: u64, climate: Climate, distance: Distance, mutation: Option<Mutation>) -> Outcome {
    mutation::set(mutation);
    let world = World::new(seed, climate.weather(), climate, distance);
    let World { simulation, server, oracle } = &world;
    let mut idle = false;
    while !idle && oracle.broken().is_none() {
        let may_start = simulation.steps() < STEPS && simulation.living() < PROCESSES;
        if may_start && simulation.dice(|dice| dice.per_mille(200)) {
            Actor::start(simulation, server, oracle, seed, climate.collectors());
        }
        match simulation.step() {
            Step::Went(_) => {}
            Step::Died(process) => oracle.died(process),
            Step::Idle => idle = simulation.steps() >= STEPS,
        }
        if simulation.dice(|dice| dice.per_mille(25)) {
            oracle.retry_a_marker();
        }
    }
    world.end(&format!("seed {seed}, {climate:?}, {distance:?}, {mutation:?}"), seed)
}

fn assert_holds(outcome: &Outcome) {
    if let Some(broken) = &outcome.broken {
        panic!("{broken}");
    }
}

/// As many thousand steps as the environment says, or those of every test run.
fn thousands() -> u64 {
    std::env::var("STRONGROOM_SIMULATION").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

#[test]
fn what_is_promised_holds_whoever_comes_between() {
    let first: u64 = std::env::var("STRONGROOM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (mut steps, mut counts, mut runs) = (0, BTreeMap::<String, u64>::new(), 0);
    for seed in first.. {
        let near = CLIMATES.map(|climate| (climate, Distance::Near));
        let far = CLIMATES.get(seed as usize % CLIMATES.len()).map(|climate| (*climate, Distance::Far));
        for (climate, distance) in near.into_iter().chain(far) {
            let outcome = run(seed, climate, distance, None);
            assert_holds(&outcome);
            steps += outcome.steps;
            runs += 1;
            outcome.counts.into_iter().for_each(|(what, count)| *counts.entry(what).or_default() += count);
        }
        let is_enough = steps >= thousands() * 1000;
        if is_enough || (seed - first) % 1000 == 999 {
            println!("seeds {first} to {seed}, {runs} runs, {steps} steps: {counts:?}");
        }
        if is_enough {
            break;
        }
    }
    for what in ["acknowledged", "ended sessions", "deleted packs", "deleted files", "deleted versions", "copied bytes"]
    {
        assert!(counts.get(what).is_some_and(|count| *count > 0), "{what} never came to pass: {counts:?}");
    }
}

#[test]
fn a_seed_gives_the_same_each_time() {
    for climate in CLIMATES {
        let [first, second] = [(); 2].map(|()| run(4711, climate, Distance::Near, None));
        assert_eq!(
            (first.steps, first.trace, first.counts),
            (second.steps, second.trace, second.counts),
            "{climate:?}"
        );
    }
}

#[test]
fn seeds_that_once_failed_hold() {
    for (seed, climate) in [
        (2, Climate::Calm),
        (31, Climate::Patient),
        (36, Climate::Crowded),
        (305, Climate::Crowded),
        (73, Climate::Harsh),
        (83, Climate::Harsh),
        (20292, Climate::Patient),
    ] {
        assert_holds(&run(seed, climate, Distance::Near, None));
    }
}

#[test]
fn one_seed() {
    let Some(seed) = std::env::var("STRONGROOM_SEED").ok().and_then(|text| text.parse().ok()) else { return };
    for climate in CLIMATES {
        for distance in [Distance::Near, Distance::Far] {
            let outcome = run(seed, climate, distance, None);
            println!("{climate:?}, {distance:?}: {outcome:?}");
            assert_holds(&outcome);
        }
    }
}
