//! The command, for the script that comes with the package, and what both have in common.

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::prelude::*;

/// Does what the words say, of which the first is the program's name, and returns the exit code.
#[pyfunction]
pub fn run_command(py: Python<'_>, words: Vec<OsString>) -> u8 {
    py.detach(|| strongroom_cli::run(words))
}

/// Where the cache of this user is, if there is to be one.
#[pyfunction]
pub fn cache_folder() -> Option<PathBuf> {
    strongroom::cache_folder()
}
