//! The command, for the script that comes with the package, and what both have in common.

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::prelude::*;

use crate::{error, opening};

/// Does what the words say, of which the first is the program's name, and returns the exit code.
#[pyfunction]
pub fn run_command(py: Python<'_>, words: Vec<OsString>) -> u8 {
    py.detach(|| strongroom_cli::run(words))
}

/// Whether a text is meant as a digest, not as a location.
#[pyfunction]
pub fn is_digest(text: &str) -> bool {
    strongroom::Address::is_digest(text)
}

/// A URL, or a path that means the same wherever it is used from.
#[pyfunction]
pub fn absolute(url: &str) -> PyResult<String> {
    opening::absolute(url).map_err(error::raised)
}

/// Where the cache of this user is, if there is to be one.
#[pyfunction]
pub fn cache_folder() -> Option<PathBuf> {
    strongroom::cache_folder()
}
