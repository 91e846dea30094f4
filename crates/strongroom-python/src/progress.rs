//! What Python wants to hear while something goes on.

use std::pin::pin;
use std::time::Duration;

use pyo3::prelude::*;
use strongroom::TargetFile;

use crate::held::Held;

/// How often it is told how much of a file is written.
const OFTEN: Duration = Duration::from_millis(100);

/// A callable that takes how much of how much is done, in bytes.
pub struct Progress(Held<Py<PyAny>>);

impl Progress {
    pub fn new(callable: Py<PyAny>) -> Self {
        Self(callable.into())
    }

    /// What it raises is said and ends nothing.
    pub fn tell(&self, done: u64, total: u64) {
        Python::attach(|py| {
            if let Err(error) = self.0.call1(py, (done, total)) {
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
