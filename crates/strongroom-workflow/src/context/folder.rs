//! The directories of one attempt: `<scratch>/<dag>/<unit>.<number>/`, with `scratch`, `stdout` and `stderr` in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use strongroom_storage::{Error, Result, unblock};

use crate::namespace::Namespace;

/// Directories that nobody else has, removed when this is dropped.
#[derive(Debug)]
pub(super) struct AttemptFolder {
    path: PathBuf,
    remove: AtomicBool,
}

impl AttemptFolder {
    /// Makes the directories of the first attempt from `number` on that has none yet.
    pub(super) async fn create(scratch_dir: &Path, namespace: &Namespace, number: u32) -> Result<(Self, u32)> {
        let (scratch_dir, namespace) = (scratch_dir.to_path_buf(), namespace.clone());
        unblock(move || {
            let (path, number) = claim(&scratch_dir, &namespace, number)?;
            let folder = Self { path, remove: AtomicBool::new(true) };
            for path in [folder.scratch(), folder.stdout(), folder.stderr()] {
                fs::create_dir(&path).map_err(|error| Error::from_io("make directory", path.display(), error))?;
            }
            Ok((folder, number))
        })
        .await
    }

    pub(super) fn scratch(&self) -> PathBuf {
        self.path.join("scratch")
    }

    pub(super) fn stdout(&self) -> PathBuf {
        self.path.join("stdout")
    }

    pub(super) fn stderr(&self) -> PathBuf {
        self.path.join("stderr")
    }

    /// Leaves the directories when this is dropped, or not.
    pub(super) fn keep(&mut self, keep: bool) {
        *self.remove.get_mut() = !keep;
    }

    /// Removes the directories now.
    pub(super) async fn remove(&self) -> Result<()> {
        if !self.remove.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let path = self.path.clone();
        unblock(move || {
            fs::remove_dir_all(&path).map_err(|error| Error::from_io("remove directory", path.display(), error))
        })
        .await
    }
}

impl Drop for AttemptFolder {
    fn drop(&mut self) {
        if *self.remove.get_mut() {
            // Nobody is left to be told.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Makes a directory that was not there. Its path has no symlinks in it, so that it is what the unit's code sees.
fn claim(scratch_dir: &Path, namespace: &Namespace, mut number: u32) -> Result<(PathBuf, u32)> {
    let failed = |path: &Path, error| Error::from_io("make directory", path.display(), error);
    let parent = scratch_dir.join(namespace.dag());
    loop {
        fs::create_dir_all(&parent).map_err(|error| failed(&parent, error))?;
        let parent = fs::canonicalize(&parent).map_err(|error| failed(&parent, error))?;
        let path = parent.join(format!("{}.{number}", namespace.unit()));
        match fs::create_dir(&path) {
            Ok(()) => return Ok((path, number)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            // Another run of this DAG has ended just now, and has removed the empty parent.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&path, error)),
        }
    }
}
