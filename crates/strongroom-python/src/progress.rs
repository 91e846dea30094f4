//! What Python wants to hear while something goes on.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pyo3::prelude::*;
use strongroom::TargetFile;

use crate::held::Held;

/// How often it is told how much of a file is written.
const OFTEN: Duration = Duration::from_millis(100);

/// A callable that takes how much of how much is done, in bytes.
pub struct Progress {
    callable: Held<Py<PyAny>>,
    has_raised: AtomicBool,
}

impl Progress {
    pub fn new(callable: Py<PyAny>) -> Self {
        Self { callable: callable.into(), has_raised: AtomicBool::new(false) }
    }

    /// What it raises is said, ends nothing, and is the last that it is told.
    pub fn tell(&self, done: u64, total: u64) {
        if self.has_raised.load(Ordering::Relaxed) {
            return;
        }
        Python::attach(|py| {
            if let Err(error) = self.callable.call1(py, (done, total)) {
                self.has_raised.store(true, Ordering::Relaxed);
                error.write_unraisable(py, None);
            }
        });
    }

    /// Tells how much of `total` bytes is in `file` while `writing` writes it.
    pub async fn follow<T>(&self, file: &TargetFile, total: u64, writing: impl Future<Output = T>) -> T {
        let mut writing = pin!(writing);
        loop {
            if let Ok(done) = tokio::time::timeout(OFTEN, &mut writing).await {
                return done;
            }
            self.tell(file.file().metadata().map_or(0, |found| found.len()), total);
        }
    }
}
