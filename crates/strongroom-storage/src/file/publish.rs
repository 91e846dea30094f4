//! Putting a finished file where everybody sees it.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use super::folders::{ATTEMPTS, Folder, refused_at, remove_if_empty};
use super::place::{Place, is_absent};
use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;
use crate::options::{Durability, StoreMode, StoreOptions};

impl Place {
    /// Lets `step` put a file into the folder of `location`, and makes that durable.
    ///
    /// `step` is done again if the folder was removed under it, or if there were only empty folders in its way.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`], [`ErrorKind::Conflict`], and those of the operating system.
    pub(super) fn put(
        &self,
        location: &Location,
        options: &StoreOptions,
        mut step: impl FnMut(&Folder, &str) -> io::Result<()>,
    ) -> Result<()> {
        let path = self.path("store", location)?;
        for _ in 0..ATTEMPTS {
            let folder = self.folder_of(location, options.durability)?;
            match step(&folder, location.file_name()) {
                Ok(()) if options.durability == Durability::Relaxed => return Ok(()),
                Ok(()) => {
                    return self
                        .sync_folder(&folder.file)
                        .map_err(|error| Error::from_io("store", folder.path.display(), error).with_outcome_unknown());
                }
                Err(error) => self.make_way(location, &path, options.mode, error)?,
            }
        }
        Err(refused_at(&path, Errno::NOENT.into()))
    }

    /// After a failed try: `Ok` if it is worth another.
    fn make_way(&self, location: &Location, path: &Path, mode: StoreMode, error: io::Error) -> Result<()> {
        let error = match error.downcast::<Error>() {
            Ok(ours) => return Err(ours),
            Err(error) => error,
        };
        match error.kind() {
            io::ErrorKind::NotFound => return Ok(()),
            io::ErrorKind::AlreadyExists
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::NotADirectory => {}
            _ => return Err(unable(path, error)),
        }
        let conflict = |detail: &str| Err(Error::new(ErrorKind::Conflict, "store", location, detail));
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() => {
                if remove_if_empty(path) {
                    return Ok(());
                }
                conflict("there are objects below this location, so it can't be an object itself; pick another name")
            }
            _ if mode == StoreMode::Overwrite => Ok(()),
            Ok(found) if found.is_file() => Err(Error::already_exists("store", location)),
            Ok(found) if found.is_symlink() => match std::fs::metadata(path) {
                Err(error) if is_absent(&error) => conflict("there is a symlink that leads nowhere; remove it"),
                Ok(target) if target.is_dir() => conflict("there is a symlink to a directory; pick another name"),
                _ => Err(Error::already_exists("store", location)),
            },
            Ok(_) => conflict("there is something that is not a file; pick another name"),
            // It was there a moment ago.
            Err(_) => Err(Error::already_exists("store", location)),
        }
    }
}

/// Why the operating system would not put a file at `path`.
fn unable(path: &Path, error: io::Error) -> Error {
    let detail = match Errno::from_io_error(&error) {
        Some(Errno::XDEV) => "it is on another file system than the root; make a storage of its own there",
        Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            "this file system has neither links nor an exclusive rename, so nothing can be created there exclusively"
        }
        _ => return Error::from_io("store", path.display(), error),
    };
    Error::new(ErrorKind::Unsupported, "store", path.display(), detail).with_source(error)
}
