//! The folder that holds a file storage, and the rules of paths in it.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Mutex, OnceLock};

use rustix::io::Errno;

use super::cached::{self, Purpose};
use super::config::FileConfig;
use super::file_system::FileSystem;
use super::folders::FolderIdentity;
use super::temporary::OPEN_FILES;
use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;

/// The folder below the root that holds temporary files where those need a name. It is never listed, and no location has
/// it as a segment: the root of another storage may be anywhere below.
pub(super) const TEMPORARY_FOLDER: &str = ".strongroom-tmp";

/// A root folder and what this process knows of it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) root: PathBuf,
    pub(super) config: FileConfig,
    /// The mode of the root as it was when something was first put there; 0 before.
    pub(super) root_mode: AtomicU32,
    /// What the root is on, once it is there.
    file_system: OnceLock<FileSystem>,
    /// Whether temporary files without a name work here, as far as is known.
    pub(super) unnamed_files: AtomicBool,
    /// Whether a consumed source may become the object itself. Not after the fsync of one has failed: the next try would
    /// fsync the same file again.
    pub(super) sources_move: AtomicBool,
    /// The folders whose own entries are known to be durable.
    pub(super) synced: Mutex<HashMap<PathBuf, FolderIdentity>>,
}

impl Place {
    pub(super) fn new(root: &Path, config: FileConfig) -> Self {
        Self {
            // A later change of the working directory must not move the storage.
            root: std::path::absolute(root).unwrap_or_else(|_| root.to_path_buf()),
            file_system: OnceLock::new(),
            root_mode: AtomicU32::new(0),
            unnamed_files: AtomicBool::new(config.unnamed_files && Path::new(OPEN_FILES).is_dir()),
            config,
            sources_move: AtomicBool::new(true),
            synced: Mutex::default(),
        }
    }

    /// The file of the object at `location`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is in a folder of temporary files.
    pub(super) fn path(&self, operation: &'static str, location: &Location) -> Result<PathBuf> {
        if location.segments().any(|segment| segment == TEMPORARY_FOLDER) {
            return Err(Error::new(
                ErrorKind::Invalid,
                operation,
                location,
                format!("{TEMPORARY_FOLDER} is reserved for temporary files; pick another name"),
            ));
        }
        Ok(self.root.join(location.as_str()))
    }

    /// A name in the folder of temporary files that nobody else will ever use.
    pub(super) fn temporary_path(&self) -> Result<PathBuf> {
        let mut nonce = [0; 16];
        self.config.host.fill_random(&mut nonce)?;
        let name = format!("{:032x}", u128::from_be_bytes(nonce));
        Ok(self.root.join(TEMPORARY_FOLDER).join(name))
    }

    /// Opens the file at `path` if it is known without waiting what is there.
    pub(super) fn open_cached(&self, path: &Path, purpose: Purpose) -> Option<io::Result<File>> {
        if self.file_system()? == FileSystem::Local { cached::open(path, purpose) } else { None }
    }

    /// What the root is on; `None` if it is not there yet.
    fn file_system(&self) -> Option<FileSystem> {
        if let Some(known) = self.file_system.get() {
            return Some(*known);
        }
        let found = FileSystem::of(&self.root)?;
        Some(*self.file_system.get_or_init(|| found))
    }

    /// Whether each machine sees at once what another has put below the root.
    pub(super) fn is_coherent(&self) -> bool {
        self.file_system().unwrap_or_else(|| FileSystem::of_nearest(&self.root)) != FileSystem::Lagging
    }

    /// The size and times of the object at `location`, if they are known without waiting; within, nothing if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] as for [`path`](Self::path).
    pub(super) fn look_up_cached(&self, location: &Location) -> Result<Option<Option<Metadata>>> {
        Ok(match self.open_cached(&self.path("metadata", location)?, Purpose::Look) {
            Some(Ok(file)) => file.metadata().ok().map(|metadata| metadata.is_file().then_some(metadata)),
            Some(Err(error)) if is_absent(&error) => Some(None),
            _ => None,
        })
    }

    /// The size and times of the object at `location`, of which only regular files count.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is no such file; [`ErrorKind::Denied`] if it may not be looked at.
    pub(super) fn look_up(&self, operation: &'static str, location: &Location) -> Result<Metadata> {
        let path = self.path(operation, location)?;
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(metadata),
            Ok(_) => Err(Error::missing(operation, location)),
            Err(error) => Err(failed(operation, location, &path, error)),
        }
    }
}

/// True if `error` means that nothing is reached by a path: a part of it is missing or a file, a symlink leads nowhere, or
/// the file system has no such long names.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        || matches!(Errno::from_io_error(error), Some(Errno::LOOP | Errno::NAMETOOLONG))
}

/// The error of reading or removing the object at `location`, kept at `path`.
pub(super) fn failed(operation: &'static str, location: &Location, path: &Path, error: io::Error) -> Error {
    if is_absent(&error) {
        return Error::missing(operation, location).with_source(error);
    }
    Error::from_io(operation, path.display(), error)
}
