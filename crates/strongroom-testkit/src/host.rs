//! Time and randomness that a test decides.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::BoxFuture;
use strongroom_storage::{Host, Result};

/// A host whose clocks stand still until they are moved, and whose randomness follows from a seed.
///
/// Two hosts with different seeds never draw the same 16 bytes or more; two with the same seed always do.
///
/// ```
/// # use std::time::Duration;
/// # use strongroom_storage::Host;
/// # use strongroom_testkit::TestHost;
/// let host = TestHost::new(7);
/// let before = host.now();
/// host.advance(Duration::from_secs(60));
/// assert_eq!(host.now(), before + Duration::from_secs(60));
/// ```
#[derive(Debug)]
pub struct TestHost {
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now: SystemTime,
    monotonic: Duration,
    draws: u64,
}

impl TestHost {
    /// Where the wall clock of a new host stands: the first second of 2025, UTC.
    pub const START: Duration = Duration::from_secs(1_735_689_600);

    /// A host with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = State { now: SystemTime::UNIX_EPOCH + Self::START, monotonic: Duration::ZERO, draws: 0 };
        Self { seed, state: Mutex::new(state) }
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, time: Duration) {
        let mut state = self.state();
        state.now += time;
        state.monotonic += time;
    }

    /// Sets the wall clock, forward or back, as an administrator does. The monotonic clock does not notice.
    pub fn set_now(&self, now: SystemTime) {
        self.state().now = now;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for TestHost {
    fn now(&self) -> SystemTime {
        self.state().now
    }

    fn monotonic(&self) -> Duration {
        self.state().monotonic
    }

    fn fill_random(&self, bytes: &mut [u8]) -> Result<()> {
        let mut state = self.state();
        state.draws += 1;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes()).update(&state.draws.to_le_bytes());
        hasher.finalize_xof().fill(bytes);
        Ok(())
    }

    /// Lets time pass on both clocks, and others go on meanwhile.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.advance(time);
        tokio::task::yield_now().boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(seed: u64) -> Vec<[u8; 16]> {
        let host = TestHost::new(seed);
        let draw = |_| {
            let mut bytes = [0; 16];
            host.fill_random(&mut bytes).expect("it never fails");
            bytes
        };
        (0..3).map(draw).collect()
    }

    #[test]
    fn randomness_follows_from_the_seed() {
        assert_eq!(draws(1), draws(1));
        let mut all = [draws(1), draws(2)].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 6);
    }

    #[test]
    fn a_changed_wall_clock_leaves_the_monotonic_one() {
        let host = TestHost::new(0);
        host.advance(Duration::from_secs(9));
        host.set_now(SystemTime::UNIX_EPOCH);
        assert_eq!(host.now(), SystemTime::UNIX_EPOCH);
        assert_eq!(host.monotonic(), Duration::from_secs(9));
    }
}
