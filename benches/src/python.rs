//! disk-objectstore, a rival that is written in Python.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::bench::{Bench, execute};
use crate::measure::Sample;
use crate::table::Table;

const SCRIPT: &str = include_str!("objectstore.py");
const PACKAGE: &str = "disk-objectstore==1.5.0";

/// disk-objectstore in a virtual environment in the target folder.
pub struct ObjectStore {
    interpreter: PathBuf,
}

impl ObjectStore {
    /// Installs it if need be. `None`, with a note, if that can't be; in CI that is a failure.
    pub fn prepare(bench: &Bench, table: &mut Table) -> Result<Option<Self>> {
        let folder = bench.kept_folder("python");
        let (interpreter, done) = (folder.join("bin/python"), folder.join(PACKAGE));
        if !done.exists() {
            let installed =
                execute(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder)).and_then(|()| {
                    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE];
                    execute(Command::new(&interpreter).args(install))
                });
            match installed {
                Ok(()) => std::fs::write(&done, "")?,
                Err(error) if std::env::var_os("CI").is_some() => return Err(error),
                Err(error) => {
                    table.note(format!("Without disk-objectstore, which needs Python with venv, and PyPI: {error:#}"));
                    return Ok(None);
                }
            }
        }
        Ok(Some(Self { interpreter }))
    }

    /// A new container in `folder` with `count` objects of `size` bytes.
    pub fn store(&self, folder: &Path, count: usize, size: u64) -> Result<Sample> {
        self.run(folder, &["store"], &[&count.to_string(), &size.to_string()])
    }

    /// Reads or looks for `count` of them.
    pub fn ask(&self, work: &str, folder: &Path, count: usize) -> Result<Sample> {
        self.run(folder, &[work], &[&count.to_string()])
    }

    fn run(&self, folder: &Path, work: &[&str], arguments: &[&str]) -> Result<Sample> {
        let mut command = Command::new(&self.interpreter);
        let output = command.args(["-c", SCRIPT]).args(work).arg(folder).args(arguments).output()?;
        ensure!(output.status.success(), "{work:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}
