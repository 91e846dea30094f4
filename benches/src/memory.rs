//! How much memory this process has had at once, by Linux.

use anyhow::{Context, Result};

/// The most so far, in bytes.
pub fn peak_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    peak(&status).context("/proc/self/status has no VmHWM")
}

fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_in_bytes() {
        assert_eq!(peak("VmPeak:\t  900 kB\nVmHWM:\t     12 kB\n"), Some(12 << 10));
        assert_eq!(peak("VmPeak:\t  900 kB\n"), None);
    }
}
