//! Interleavings under a seed: processes whose operations take turns, on machines whose clocks differ, which stall and die.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeFrom;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use strongroom_storage::{
    Capabilities, Error, ErrorKind, ExternalStorage, Host, Result, StoreOptions, Stored, unblock_inline,
};

use crate::host::TestHost;
use crate::intercept::{Intercept, Intercepted, Outcome};
use crate::operation::Operation;

/// Numbers that follow from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Those of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of the numbers below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    /// Whether it comes to what happens so many times in a thousand.
    pub fn per_mille(&mut self, times: u64) -> bool {
        self.below(1000) < times
    }

    /// One of `items`, of which there is one at least.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let at = self.below(items.len() as u64);
        &items[usize::try_from(at).unwrap_or(0)]
    }
}

/// What may go wrong in a simulation, and how often.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Weather {
    /// How far a step moves the clock, at most.
    pub step: Duration,
    /// How many steps in a thousand a process stalls at, and for how long.
    pub stalls: (u64, Vec<Duration>),
    /// The processes that stall.
    pub stalling: RangeFrom<usize>,
    /// How many steps in a thousand a process dies at.
    pub deaths: u64,
    /// How many operations in a thousand are refused.
    pub refusals: u64,
    /// Of how many in a thousand the answer is lost.
    pub lost_answers: u64,
    /// How many in a thousand get lost themselves, so that nobody knows whether they will yet be done.
    pub lost_requests: u64,
}

impl Weather {
    /// Nothing goes wrong; each step takes as long as `step`, at most.
    #[must_use]
    pub fn calm(step: Duration) -> Self {
        Self {
            step,
            stalls: (0, vec![Duration::ZERO]),
            stalling: 0..,
            deaths: 0,
            refusals: 0,
            lost_answers: 0,
            lost_requests: 0,
        }
    }
}

/// A world in which everything that happens follows from a seed. A clone is the same world.
///
/// Processes are futures. Each operation on a storage that [`storage`](Self::storage) gives waits for its turn, each
/// [`sleep`](Host::sleep) for its time; which is next, the dice say. Everything is done by the thread that calls
/// [`step`](Self::step), also work that blocks.
#[derive(Clone)]
pub struct Simulation(Arc<Mutex<World>>);

struct World {
    dice: Dice,
    weather: Weather,
    now: Duration,
    gates: BTreeMap<u64, Gate>,
    next_gate: u64,
    opened: BTreeSet<u64>,
    processes: Vec<Option<Process>>,
    steps: u64,
    trace: u64,
}

struct Gate {
    process: usize,
    ready: Duration,
    waker: Waker,
}

struct Process {
    future: BoxFuture<'static, ()>,
    woken: Arc<Woken>,
    stalled_until: Duration,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A process went on.
    Went(usize),
    /// A process died.
    Died(usize),
    /// There is no process that could.
    Idle,
}

impl Simulation {
    /// A world with this seed.
    #[must_use]
    pub fn new(seed: u64, weather: Weather) -> Self {
        unblock_inline(true);
        Self(Arc::new(Mutex::new(World {
            dice: Dice::new(seed),
            weather,
            now: Duration::ZERO,
            gates: BTreeMap::new(),
            next_gate: 0,
            opened: BTreeSet::new(),
            processes: Vec::new(),
            steps: 0,
            trace: 0,
        })))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since the beginning of the world.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.world().now
    }

    /// How many steps were made.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.world().steps
    }

    /// A number that two runs have in common if the same happened in both.
    #[must_use]
    pub fn trace(&self) -> u64 {
        self.world().trace
    }

    /// How many processes live.
    #[must_use]
    pub fn living(&self) -> usize {
        self.world().processes.iter().flatten().count()
    }

    /// The number of the next process.
    #[must_use]
    pub fn next_process(&self) -> usize {
        self.world().processes.len()
    }

    /// Rolls the world's dice.
    pub fn dice<T>(&self, roll: impl FnOnce(&mut Dice) -> T) -> T {
        roll(&mut self.world().dice)
    }

    /// Changes what may go wrong from now on.
    pub fn set_weather(&self, weather: Weather) {
        self.world().weather = weather;
    }

    /// Starts a process.
    pub fn start(&self, future: impl Future<Output = ()> + Send + 'static) {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let process = Process { future: future.boxed(), woken, stalled_until: Duration::ZERO };
        self.world().processes.push(Some(process));
    }

    /// `inner` as the process of this number sees it.
    #[must_use]
    pub fn storage(&self, inner: &Arc<dyn ExternalStorage>, process: usize) -> Intercepted<Turns> {
        Intercepted::with_interceptor(inner.clone(), Turns { simulation: self.clone(), process, watch: None })
    }

    /// The same, with somebody who learns of each operation that took effect, at once.
    #[must_use]
    pub fn watched_storage(
        &self,
        inner: &Arc<dyn ExternalStorage>,
        process: usize,
        watch: Arc<dyn Watch>,
    ) -> Intercepted<Turns> {
        Intercepted::with_interceptor(inner.clone(), Turns { simulation: self.clone(), process, watch: Some(watch) })
    }

    /// The machine of a process, whose wall clock is that of the world and `skew` more, or less.
    #[must_use]
    pub fn host(&self, process: usize, seed: u64, skew: i64) -> Arc<dyn Host> {
        let random = TestHost::new(seed.wrapping_mul(1_000_003).wrapping_add(process as u64 + 1));
        Arc::new(Machine { simulation: self.clone(), process, skew, random })
    }

    /// Lets one of those who can go on do so.
    pub fn step(&self) -> Step {
        self.poll_woken();
        let process = {
            let mut world = self.world();
            world.steps += 1;
            let step = u64::try_from(world.weather.step.as_micros()).unwrap_or(u64::MAX);
            let passed = world.dice.below(step + 1);
            world.now += Duration::from_micros(passed);
            let Some(gate) = world.next_gate() else { return Step::Idle };
            let Some(Gate { process, waker, .. }) = world.gates.remove(&gate) else { return Step::Idle };
            world.trace = world.trace.rotate_left(5) ^ (gate << 8) ^ process as u64;
            let (deaths, (stalls, lengths)) = (world.weather.deaths, world.weather.stalls.clone());
            if world.dice.per_mille(deaths) {
                let dead = world.processes[process].take();
                drop(world);
                drop(dead);
                return Step::Died(process);
            }
            if world.weather.stalling.contains(&process) && world.dice.per_mille(stalls) {
                let until = world.now + *world.dice.pick(&lengths);
                if let Some(Some(process)) = world.processes.get_mut(process) {
                    process.stalled_until = until;
                }
            }
            world.opened.insert(gate);
            waker.wake();
            process
        };
        self.poll_woken();
        Step::Went(process)
    }

    /// Polls the processes that were woken until all wait for their turns.
    fn poll_woken(&self) {
        loop {
            let next = {
                let mut world = self.world();
                let is_woken = |process: &Option<Process>| {
                    process.as_ref().is_some_and(|process| process.woken.0.swap(false, Ordering::SeqCst))
                };
                world.processes.iter().position(is_woken).and_then(|at| Some((at, world.processes[at].take()?)))
            };
            let Some((at, mut process)) = next else { return };
            let waker = Waker::from(process.woken.clone());
            let is_over = process.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
            if !is_over {
                self.world().processes[at] = Some(process);
            }
        }
    }

    fn gate(&self, process: usize, time: Duration) -> GateFuture {
        GateFuture { simulation: self.clone(), process, time, gate: None }
    }
}

impl World {
    /// One of the gates that can be opened; if there is none, time passes until there is.
    fn next_gate(&mut self) -> Option<u64> {
        let ready_at = |world: &Self, gate: &Gate| {
            let process = world.processes.get(gate.process)?.as_ref()?;
            Some(gate.ready.max(process.stalled_until))
        };
        let times: Vec<(u64, Duration)> =
            self.gates.iter().filter_map(|(id, gate)| Some((*id, ready_at(self, gate)?))).collect();
        let earliest = times.iter().map(|(_, ready)| *ready).min()?;
        self.now = self.now.max(earliest);
        let ready: Vec<u64> = times.iter().filter(|(_, ready)| *ready <= self.now).map(|(id, _)| *id).collect();
        Some(*self.dice.pick(&ready))
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let world = self.world();
        f.debug_struct("Simulation").field("now", &world.now).field("steps", &world.steps).finish_non_exhaustive()
    }
}

/// Waits for its turn.
struct GateFuture {
    simulation: Simulation,
    process: usize,
    time: Duration,
    gate: Option<u64>,
}

impl Future for GateFuture {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let simulation = self.simulation.clone();
        let mut world = simulation.world();
        let id = match self.gate {
            Some(id) => id,
            None => {
                let id = world.next_gate;
                world.next_gate += 1;
                self.gate = Some(id);
                let ready = world.now + self.time;
                world.gates.insert(id, Gate { process: self.process, ready, waker: context.waker().clone() });
                return Poll::Pending;
            }
        };
        if world.opened.remove(&id) {
            self.gate = None;
            return Poll::Ready(());
        }
        if let Some(gate) = world.gates.get_mut(&id) {
            gate.waker = context.waker().clone();
        }
        Poll::Pending
    }
}

impl Drop for GateFuture {
    fn drop(&mut self) {
        if let Some(id) = self.gate {
            let mut world = self.simulation.world();
            world.gates.remove(&id);
            world.opened.remove(&id);
        }
    }
}

/// Somebody who learns of operations.
pub trait Watch: fmt::Debug + Send + Sync + 'static {
    /// An operation is about to take effect; it may be kept from it.
    ///
    /// # Errors
    /// Any; the storage then never sees the operation.
    fn before(&self, process: usize, operation: &Operation) -> Result<()> {
        let _ = (process, operation);
        Ok(())
    }

    /// An operation took effect, and stored what is given.
    fn after(&self, process: usize, operation: &Operation, stored: &[Stored]);
}

/// Operations that wait for their turns.
#[derive(Debug)]
pub struct Turns {
    simulation: Simulation,
    process: usize,
    watch: Option<Arc<dyn Watch>>,
}

#[async_trait]
impl Intercept for Turns {
    async fn before(&self, operation: &Operation) -> Result<Outcome> {
        self.simulation.gate(self.process, Duration::ZERO).await;
        if let Some(watch) = &self.watch {
            watch.before(self.process, operation)?;
        }
        let mut world = self.simulation.world();
        let Weather { refusals, lost_answers, lost_requests, .. } = world.weather;
        let failed =
            || Error::new(ErrorKind::Unavailable, operation.verb(), operation.subject(), "the network is down");
        if world.dice.per_mille(refusals) {
            return Err(failed());
        }
        if world.dice.per_mille(lost_requests) {
            return Err(failed().with_outcome_unknown());
        }
        let mut outcome = Outcome::default();
        if world.dice.per_mille(lost_answers) {
            outcome.lost_answer = Some(failed().with_outcome_unknown());
        }
        Ok(outcome)
    }

    fn succeeded(&self, operation: &Operation, stored: &[Stored]) {
        if let Some(watch) = &self.watch {
            watch.after(self.process, operation, stored);
        }
    }

    fn capabilities(&self, inner: Capabilities) -> Capabilities {
        inner
    }

    fn store_options(&self, given: &StoreOptions) -> StoreOptions {
        *given
    }
}

/// One process's clocks and randomness.
struct Machine {
    simulation: Simulation,
    process: usize,
    skew: i64,
    random: TestHost,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("process", &self.process).finish_non_exhaustive()
    }
}

impl Host for Machine {
    fn now(&self) -> SystemTime {
        let (time, skew) = (TestHost::START + self.simulation.now(), Duration::from_secs(self.skew.unsigned_abs()));
        SystemTime::UNIX_EPOCH + if self.skew < 0 { time.saturating_sub(skew) } else { time + skew }
    }

    fn monotonic(&self) -> Duration {
        self.simulation.now()
    }

    fn fill_random(&self, bytes: &mut [u8]) -> Result<()> {
        self.random.fill_random(bytes)
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.simulation.gate(self.process, time).boxed()
    }
}
