//! What all questions share: options, a place to work in, and the state that the machine is brought into.

use std::fs::{self, File};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::options::Options;
use crate::place::Place;

/// How much is written at a time, in bytes: as much as `cp` does.
pub const WRITE_BYTES: usize = 256 << 10;

/// What all questions share: a place to work in, and how much work it is to be.
pub struct Bench {
    pub options: Options,
    place: Place,
    many: TempDir,
}

impl Deref for Bench {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Bench {
    pub fn new(options: Options) -> Result<Self> {
        let place = Place::new(options.folder.as_deref())?;
        let many = tempfile::tempdir_in(place.folder())?;
        Ok(Self { options, place, many })
    }

    /// Where the JSON goes.
    pub fn json_path(&self) -> PathBuf {
        self.options.json.clone().unwrap_or_else(|| self.kept("results.json"))
    }

    /// A new folder on the disk that is measured, for many files; it is removed when everything is done.
    ///
    /// For minutes after a file was deleted, ext4 without a journal is slow to make one, because it passes over what was deleted
    /// recently. Who makes many files would pay for the tidiness of those before.
    pub fn scratch_for_many(&self) -> Result<PathBuf> {
        Ok(tempfile::tempdir_in(&self.many)?.keep())
    }

    /// The command line of strongroom, built as this program is.
    pub fn command_line(&self) -> Result<PathBuf> {
        let program = std::env::current_exe()?;
        let built = program.ancestors().nth(2).context("the program is not in a target folder")?.join("strongroom");
        let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--quiet", "--locked", "--package", "strongroom-cli", "--profile", profile, "--target-dir"])
            .arg(program.ancestors().nth(3).context("the program is not in a target folder")?)
            .status()?;
        ensure!(status.success(), "cargo could not build strongroom-cli");
        Ok(built)
    }
}

/// Makes `path` and its folder durable.
pub fn sync(path: &Path) -> Result<()> {
    File::open(path)?.sync_all()?;
    let folder = path.parent().context("a file has a folder")?;
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// The files below `folder`, and their bytes.
pub fn usage(folder: &Path) -> Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                (files, bytes) = (files + 1, bytes + metadata.len());
            }
        }
    }
    Ok((files, bytes))
}

/// Runs a command to its end.
pub fn execute(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
