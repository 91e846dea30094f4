//! A Python with the packages that tests need.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The interpreter of a virtual environment in the target folder, which is made when it is missing or has other packages than those in
/// `requirements`, a line each.
///
/// `None`, with a word on stderr, if that can't be; in CI that is a failure.
pub fn interpreter(name: &str, requirements: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    match prepare(&folder, requirements) {
        Ok(()) => Some(python_of(&folder)),
        Err(what) => {
            assert!(std::env::var_os("CI").is_none(), "{what}");
            eprintln!("skipped: {what}; install Python 3.10 or newer with its module venv, and have PyPI in reach");
            None
        }
    }
}

fn prepare(folder: &Path, requirements: &str) -> Result<(), String> {
    let explain = |error: std::io::Error| format!("{}: {error}", folder.display());
    // Tests run side by side, in processes of their own too.
    let lock = File::create(folder.with_extension("lock")).map_err(explain)?;
    lock.lock().map_err(explain)?;
    let done = folder.join("requirements.txt");
    if std::fs::read_to_string(&done).is_ok_and(|known| known == requirements) {
        return Ok(());
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new(python_of(folder)).args(install).args(requirements.lines()))?;
    std::fs::write(&done, requirements).map_err(explain)
}

fn python_of(folder: &Path) -> PathBuf {
    if cfg!(windows) { folder.join("Scripts/python.exe") } else { folder.join("bin/python") }
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}
