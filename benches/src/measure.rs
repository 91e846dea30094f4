//! Time: by the clock on the wall, and by the processors that this process and its children had.

use std::time::Instant;

use anyhow::Result;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};

/// What one run took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub seconds: f64,
    pub cpu_seconds: f64,
}

/// Does `work` under the stopwatch.
pub fn time<T>(work: impl FnOnce() -> Result<T>) -> Result<(Sample, T)> {
    let (cpu, start) = (cpu_seconds()?, Instant::now());
    let done = work()?;
    let seconds = start.elapsed().as_secs_f64();
    Ok((Sample { seconds, cpu_seconds: cpu_seconds()? - cpu }, done))
}

/// The processor time of this process and of those children that have ended, in seconds.
fn cpu_seconds() -> Result<f64> {
    let of = |usage: Usage| usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    let used = of(getrusage(UsageWho::RUSAGE_SELF)?) + of(getrusage(UsageWho::RUSAGE_CHILDREN)?);
    Ok(used as f64 / 1e6)
}

/// The value in the middle; the mean of two if there are two.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_not_moved_by_one_slow_run() {
        assert_eq!(median([3.0, 900.0, 1.0, 2.0, 2.5]), 2.5);
        assert_eq!(median([4.0, 1.0, 3.0, 2.0]), 2.5);
        assert!(median([]).is_nan());
    }

    #[test]
    fn the_processor_time_of_children_counts() {
        let mut child = std::process::Command::new("sh");
        let spin = child.args(["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"]);
        let (sample, status) = time(|| Ok(spin.status()?)).unwrap();
        assert!(status.success());
        assert!(sample.cpu_seconds > 0.005, "{sample:?}");
    }
}
