//! The command, for the script that comes with the package.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Does what the words say, of which the first is the program's name, and returns the exit code.
#[pyfunction]
pub fn run_command(py: Python<'_>, words: Vec<OsString>) -> u8 {
    py.detach(|| strongroom_cli::run(words))
}
