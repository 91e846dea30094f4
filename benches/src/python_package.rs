//! How fast is the Python package, beside plain files and disk-objectstore?
//!
//! The package is built as this program is and installed in a virtual environment in the target folder; `compare.py` asks.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;

use crate::place::Place;
use crate::python::{PACKAGE, interpreter};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/python_package/compare.py");
const BUILDER: &str = "maturin==1.16.0";

/// Measures the Python package beside plain files and disk-objectstore.
///
/// Prints a table as Markdown, and writes all that was measured as JSON.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo bench -p strongroom-bench --bench python --", max_term_width = 120)]
struct Options {
    /// Only work whose names contain one of these
    #[arg(value_name = "WORK")]
    work: Vec<String>,
    /// Everything tiny: shows that it runs, says nothing about speed
    #[arg(long)]
    smoke: bool,
    /// Where to work
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Where the JSON goes
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

/// Measures what the command line names.
pub fn run() -> Result<()> {
    let options = Options::parse();
    let place = Place::new(options.folder.as_deref())?;
    let python = match interpreter(&place, "python-package", &[PACKAGE, BUILDER])? {
        Ok(python) => python,
        Err(note) => bail!("{note}"),
    };
    install(&python)?;
    let folder = place.scratch()?;
    let json = options.json.unwrap_or_else(|| place.kept("python.json"));
    let mut command = Command::new(&python);
    command.arg(SCRIPT).arg(folder.path().join("python")).arg("--json").arg(&json).args(&options.work);
    if options.smoke {
        command.arg("--smoke");
    }
    ensure!(command.status()?.success(), "{command:?} failed");
    eprintln!("written to {}", json.display());
    Ok(())
}

/// Builds the package with what the environment has, and installs it there.
fn install(python: &Path) -> Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace")?;
    let programs = python.parent().context("an environment has a folder of programs")?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([programs.to_path_buf()].into_iter().chain(std::env::split_paths(&path)))?;
    let profile = if cfg!(debug_assertions) { "--profile dev" } else { "--profile release" };
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-build-isolation"];
    let mut command = Command::new(python);
    command.args(install).args(["--no-deps", "--force-reinstall", "."]).current_dir(workspace);
    command.env("PATH", path).env("MATURIN_PEP517_ARGS", profile);
    ensure!(command.status()?.success(), "{command:?} failed");
    Ok(())
}
