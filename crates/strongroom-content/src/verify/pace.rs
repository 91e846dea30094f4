//! How fast content is read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use strongroom_storage::Host;

/// Lets so many bytes through in a second, or any number.
#[derive(Debug)]
pub(super) struct Pace {
    host: Arc<dyn Host>,
    bytes_per_second: Option<u64>,
    /// When what was let through so far has had its time, by the monotonic clock.
    free_at: Mutex<Duration>,
}

impl Pace {
    pub(super) fn new(host: Arc<dyn Host>, bytes_per_second: Option<u64>) -> Self {
        Self { host, bytes_per_second, free_at: Mutex::default() }
    }

    /// Waits until `bytes` may be read.
    pub(super) async fn take(&self, bytes: u64) {
        let Some(rate) = self.bytes_per_second else { return };
        let now = self.host.monotonic();
        let wait = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let start = now.max(*free_at);
            let nanoseconds = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
            let time = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
            *free_at = start.saturating_add(time);
            start - now
        };
        if !wait.is_zero() {
            self.host.sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use strongroom_testkit::TestHost;

    use super::*;

    #[tokio::test]
    async fn what_is_read_takes_the_time_that_its_rate_gives_it() {
        let host = Arc::new(TestHost::new(1));
        let pace = Pace::new(host.clone(), Some(1000));
        for bytes in [500, 1500, 0, 10_000] {
            pace.take(bytes).await;
        }
        assert_eq!(host.monotonic(), Duration::from_secs(2), "the last bytes are being read now");
        pace.take(1).await;
        assert_eq!(host.monotonic(), Duration::from_secs(12));
        // Time in which nothing was read is not made up for.
        host.advance(Duration::from_secs(100));
        pace.take(2000).await;
        pace.take(1).await;
        assert_eq!(host.monotonic(), Duration::from_secs(114));

        let unlimited = Pace::new(host.clone(), None);
        unlimited.take(u64::MAX).await;
        assert_eq!(host.monotonic(), Duration::from_secs(114));
        Pace::new(host, Some(0)).take(u64::MAX).await;
    }
}
