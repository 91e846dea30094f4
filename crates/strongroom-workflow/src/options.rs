//! How units are run.

use std::path::PathBuf;

/// How units are run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunOptions {
    /// Where scratch directories are made. It may be used by many runs at once.
    pub scratch_dir: PathBuf,
    /// How often a unit that failed is tried again; by default not at all.
    pub retries: u32,
    /// How many units run at once; by default as many as there are processors.
    pub parallel: usize,
    /// Leave the scratch directories; by default they are removed.
    pub keep_scratch: bool,
    /// Leave what the DAG has in shared storage; by default it is removed when the DAG ends.
    pub keep_shared: bool,
    /// Store what a failed attempt has registered under the attempt's own name; by default it is.
    pub keep_partial: bool,
    /// Take results that are there already for the same inputs, and remember new ones; by default both are done.
    pub reuse_results: bool,
}

impl RunOptions {
    /// The defaults, with scratch directories in `scratch_dir`.
    pub fn new(scratch_dir: impl Into<PathBuf>) -> Self {
        Self {
            scratch_dir: scratch_dir.into(),
            retries: 0,
            parallel: std::thread::available_parallelism().map_or(1, Into::into),
            keep_scratch: false,
            keep_shared: false,
            keep_partial: true,
            reuse_results: true,
        }
    }

    /// The same with another number of retries.
    #[must_use]
    pub fn with_retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    /// The same with another number of units at once; 0 means 1.
    #[must_use]
    pub fn with_parallel(self, parallel: usize) -> Self {
        Self { parallel, ..self }
    }

    /// The same, leaving the scratch directories or not.
    #[must_use]
    pub fn with_keep_scratch(self, keep_scratch: bool) -> Self {
        Self { keep_scratch, ..self }
    }

    /// The same, leaving what is in shared storage or not.
    #[must_use]
    pub fn with_keep_shared(self, keep_shared: bool) -> Self {
        Self { keep_shared, ..self }
    }

    /// The same, storing what failed attempts have registered or not.
    #[must_use]
    pub fn with_keep_partial(self, keep_partial: bool) -> Self {
        Self { keep_partial, ..self }
    }

    /// The same, using results again or not.
    #[must_use]
    pub fn with_reuse_results(self, reuse_results: bool) -> Self {
        Self { reuse_results, ..self }
    }
}
