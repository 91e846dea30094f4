//! What a library takes from the machine besides storage: time and randomness.

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime};

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::error::{Error, ErrorKind, Result};
use crate::unblock;

/// Time and randomness, handed in so that tests and simulations decide them.
pub trait Host: Debug + Send + Sync + 'static {
    /// The wall clock. For display and retention only: no protocol compares two machines' clocks.
    fn now(&self) -> SystemTime;

    /// A clock that only goes forward, from an arbitrary start, also while the machine sleeps: what was known of a store before that
    /// is old afterwards.
    fn monotonic(&self) -> Duration;

    /// Fills `bytes` with random ones that nobody else will ever draw.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if the machine has no source of randomness.
    fn fill_random(&self, bytes: &mut [u8]) -> Result<()>;

    /// Waits until the monotonic clock has gone forward by `time`, or a little more.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()>;
}

/// The operating system's clocks and randomness.
#[derive(Debug)]
pub struct SystemHost {
    start: Instant,
}

impl SystemHost {
    /// A host whose monotonic clock starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemHost {
    fn default() -> Self {
        Self::new()
    }
}

/// `Instant` stands still while the machine sleeps.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn monotonic_since(_start: Instant) -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn monotonic_since(start: Instant) -> Duration {
    start.elapsed()
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads clock and randomness")]
impl Host for SystemHost {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn monotonic(&self) -> Duration {
        monotonic_since(self.start)
    }

    fn fill_random(&self, bytes: &mut [u8]) -> Result<()> {
        getrandom::fill(bytes).map_err(|error| {
            Error::new(ErrorKind::Internal, "draw", "randomness", "the machine gave none").with_source(error)
        })
    }

    /// On a thread, so that the runtime need not have timers.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        unblock(move || {
            std::thread::sleep(time);
            Ok(())
        })
        // Where the runtime is shutting down, nobody waits any more.
        .map(Result::unwrap_or_default)
        .boxed()
    }
}
