//! Python with one package in a virtual environment; disk-objectstore, a rival that is written in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::bench::{Bench, execute};
use crate::measure::Sample;
use crate::place::Place;
use crate::table::Table;

const SCRIPT: &str = include_str!("objectstore.py");
pub const PACKAGE: &str = "disk-objectstore==1.5.0";

/// An interpreter that has `packages`, in a virtual environment in the target folder, which is made if need be.
///
/// If that can't be there is a note instead; in CI it is a failure.
pub fn interpreter(place: &Place, folder: &str, packages: &[&str]) -> Result<Result<PathBuf, String>> {
    let folder = place.kept(folder);
    let (interpreter, done) = (folder.join("bin/python"), folder.join(packages.join(" ")));
    if !done.exists() {
        let installed = execute(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder)).and_then(|()| {
            let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
            execute(Command::new(&interpreter).args(install).args(packages))
        });
        match installed {
            Ok(()) => std::fs::write(&done, "")?,
            Err(error) if std::env::var_os("CI").is_some() => return Err(error),
            Err(error) => {
                let packages = packages.join(" and ");
                return Ok(Err(format!("Without {packages}, which needs Python with venv, and PyPI: {error:#}")));
            }
        }
    }
    Ok(Ok(interpreter))
}

/// disk-objectstore in a virtual environment in the target folder.
pub struct ObjectStore {
    interpreter: PathBuf,
}

impl ObjectStore {
    /// Installs it if need be. `None`, with a note, if that can't be; in CI that is a failure.
    pub fn prepare(bench: &Bench, table: &mut Table) -> Result<Option<Self>> {
        Ok(match interpreter(bench, "python", &[PACKAGE])? {
            Ok(interpreter) => Some(Self { interpreter }),
            Err(note) => {
                table.note(note);
                None
            }
        })
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
