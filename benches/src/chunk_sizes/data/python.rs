//! Tables as Python's libraries write them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{EDITS, version_path};
use crate::bench::execute;
use crate::place::Place;
use crate::python::interpreter;

const SCRIPT: &str = include_str!("tables.py");
const PACKAGE: &str = "pyarrow==26.0.1";

pub fn make(place: &Place, folder: &Path, kind: &str, size: u64) -> Result<Result<Vec<PathBuf>, String>> {
    let interpreter = match interpreter(place, "python-tables", &[PACKAGE])? {
        Ok(interpreter) => interpreter,
        Err(note) => return Ok(Err(note)),
    };
    let versions: Vec<PathBuf> = (0..=EDITS).map(|version| version_path(folder, version)).collect();
    execute(Command::new(interpreter).args(["-c", SCRIPT, kind, &size.to_string()]).args(&versions))?;
    Ok(Ok(versions))
}
