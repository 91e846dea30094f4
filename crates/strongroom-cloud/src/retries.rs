//! How often something is tried again.

use std::time::Duration;

use object_store::{BackoffConfig, RetryConfig};
use strongroom_storage::{Host, Result, SystemHost};

/// The first pause, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(10)];

/// So often, and not longer than that after the first time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retries {
    pub times: usize,
    pub at_most_for: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { times: 8, at_most_for: Duration::from_secs(60) }
    }
}

impl Retries {
    /// The same for what the client tries again by itself.
    pub(crate) fn of_the_client(self) -> RetryConfig {
        let [init_backoff, max_backoff] = PAUSES;
        RetryConfig {
            backoff: BackoffConfig { init_backoff, max_backoff, base: 2. },
            max_retries: self.times,
            retry_timeout: self.at_most_for,
        }
    }

    /// A pause after something failed for the time `failed` (counted from 0), which began at `begun`; `false` if that was the last.
    pub(crate) async fn pause(self, host: &SystemHost, begun: Duration, failed: usize) -> Result<bool> {
        if failed >= self.times || host.monotonic().saturating_sub(begun) > self.at_most_for {
            return Ok(false);
        }
        let mut chance = [0; 2];
        host.fill_random(&mut chance)?;
        let [first, longest] = PAUSES;
        // Many writers that failed together must not come back together.
        let pause = first.saturating_mul(1 << failed.min(16)).min(longest);
        host.sleep(pause.mul_f64(f64::from(u16::from_le_bytes(chance)) / f64::from(u16::MAX))).await;
        Ok(true)
    }
}
