//! Folders: made when they are needed, durable before anything is put into them.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::SystemTime;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::place::{Place, TEMPORARY_FOLDER, failed};
use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;
use crate::options::Durability;

/// How often to begin again when somebody else removes the folders that were just made.
pub(super) const ATTEMPTS: usize = 100;

/// How many folders to remember as durable; after that many, all are forgotten, which only costs time.
const REMEMBERED_FOLDERS: usize = 1 << 16;

/// What tells a folder from one that took its path and inode number later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FolderIdentity {
    device: u64,
    inode: u64,
    created: Option<SystemTime>,
}

impl FolderIdentity {
    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino(), created: metadata.created().ok() }
    }
}

/// An open folder that an object is put into.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

impl Folder {
    /// True if `file` stands here as `name`.
    pub(super) fn holds(&self, name: &str, file: &File) -> bool {
        let node = |metadata: Metadata| (metadata.dev(), metadata.ino());
        match (file.metadata(), std::fs::symlink_metadata(self.path.join(name))) {
            (Ok(file), Ok(there)) => node(file) == node(there),
            _ => false,
        }
    }
}

impl Place {
    /// Opens the folder of `location`, made if need be; with [`Durability::Synced`] it is itself durable.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if a part of the location is an object.
    pub(super) fn folder_of(&self, location: &Location, durability: Durability) -> Result<Folder> {
        let path = self.folder_path(location);
        for _ in 0..ATTEMPTS {
            let opened = open_folder(&path).and_then(|file| {
                if durability == Durability::Synced {
                    self.sync_ancestors(&path, &file)?;
                }
                Ok(file)
            });
            match opened {
                Ok(file) => return Ok(Folder { file, path }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.make(&path, durability).map_err(|error| self.refused(location, &path, error))?;
                }
                Err(error) => return Err(self.refused(location, &path, error)),
            }
        }
        Err(self.refused(location, &path, io::ErrorKind::NotFound.into()))
    }

    pub(super) fn folder_path(&self, location: &Location) -> PathBuf {
        match location.as_str().rsplit_once('/') {
            Some((parent, _)) => self.root.join(parent),
            None => self.root.clone(),
        }
    }

    /// Makes a folder, and those above it that are missing.
    pub(super) fn make(&self, path: &Path, durability: Durability) -> io::Result<()> {
        let made = match DirBuilder::new().mode(0o777).create(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let Some(parent) = path.parent() else { return Err(error) };
                self.make(parent, durability)?;
                DirBuilder::new().mode(0o777).create(path)
            }
            other => other,
        };
        match made {
            Ok(()) => self.share_folder(path)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            // Somebody removed the folder above in between. The caller finds the folder missing and comes again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
        let above_root = !path.starts_with(&self.root);
        match path.parent() {
            Some(parent) if above_root && durability == Durability::Synced => self.sync_entries(parent, None),
            _ => Ok(()),
        }
    }

    /// Gives a folder that was just made the permissions it should have.
    fn share_folder(&self, path: &Path) -> io::Result<()> {
        if path.starts_with(&self.root) {
            let mode = std::fs::metadata(path)?.mode() & 0o7777;
            let wanted = self.folder_mode(mode)?;
            if wanted != mode {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(wanted))?;
            }
        }
        Ok(())
    }

    /// Makes the root, and the folders above it that are missing.
    pub(super) fn make_root(&self) -> Result<()> {
        let made = self.make(&self.root, Durability::Synced);
        made.map_err(|error| Error::from_io("store", self.root.display(), error))
    }

    /// Makes the folder of temporary files. Who may write to the root may write to it.
    pub(super) fn make_temporary_folder(&self) -> Result<()> {
        let path = self.root.join(TEMPORARY_FOLDER);
        let made = self.make(&path, Durability::Relaxed).and_then(|()| {
            let root = std::fs::metadata(&self.root)?;
            let folder = std::fs::metadata(&path)?;
            if folder.uid() != rustix::process::geteuid().as_raw() {
                return Ok(());
            }
            if folder.gid() != root.gid() {
                // Only members of the root's group may do this; others keep their own group.
                let _ = std::os::unix::fs::chown(&path, None, Some(root.gid()));
            }
            let wanted = (root.mode() & 0o7777) | 0o700;
            if folder.mode() & 0o7777 != wanted {
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(wanted))?;
            }
            Ok(())
        });
        made.map_err(|error| Error::from_io("store", path.display(), error))
    }

    /// Makes a folder among the temporary files that nobody else will ever use.
    pub(super) fn make_private_folder(&self) -> Result<PathBuf> {
        for _ in 0..ATTEMPTS {
            let path = self.temporary_path()?;
            let made = DirBuilder::new().mode(0o777).create(&path);
            match made.and_then(|()| self.share_folder(&path)) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.make_temporary_folder()?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::from_io("path", path.display(), error)),
            }
        }
        Err(refused_at(&self.root.join(TEMPORARY_FOLDER), io::ErrorKind::NotFound.into()))
    }

    /// Makes durable that there are objects at `locations`: the entries of their folders, and these.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if a folder is gone; those of the operating system.
    pub(super) fn make_durable(&self, locations: &[Location]) -> Result<()> {
        let folders: BTreeMap<PathBuf, &Location> =
            locations.iter().map(|location| (self.folder_path(location), location)).collect();
        for (path, location) in folders {
            let synced = open_folder(&path).and_then(|folder| {
                self.sync_ancestors(&path, &folder)?;
                self.sync_folder(&folder)
            });
            synced.map_err(|error| failed("store", location, &path, error))?;
        }
        Ok(())
    }

    /// Makes the entries of a folder and of its ancestors up to the root durable, once for each folder.
    ///
    /// Another process may have made any of them and not have come so far.
    fn sync_ancestors(&self, path: &Path, folder: &File) -> io::Result<()> {
        let mut path = path;
        let mut identity = FolderIdentity::of(&folder.metadata()?);
        let mut durable = Vec::new();
        while self.synced.lock().unwrap_or_else(PoisonError::into_inner).get(path) != Some(&identity) {
            durable.push((path.to_path_buf(), identity));
            let Some(parent) = path.parent() else { break };
            self.sync_entries(parent, Some(folder))?;
            if path == self.root {
                break;
            }
            path = parent;
            identity = FolderIdentity::of(&std::fs::metadata(path)?);
        }
        if !durable.is_empty() {
            let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
            if synced.len() + durable.len() > REMEMBERED_FOLDERS {
                synced.clear();
            }
            synced.extend(durable);
        }
        Ok(())
    }

    /// Makes the entries of the folder at `path` durable. If it may not be opened, the whole file system of `below`.
    pub(super) fn sync_entries(&self, path: &Path, below: Option<&File>) -> io::Result<()> {
        match open_folder(path) {
            Ok(file) => self.sync_folder(&file),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                #[cfg(target_os = "linux")]
                if let Some(below) = below {
                    rustix::fs::syncfs(below)?;
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the entries of an open folder durable.
    pub(super) fn sync_folder(&self, folder: &File) -> io::Result<()> {
        match (self.config.sync)(folder) {
            // Some file systems have no such thing for folders: their entries are as durable as they get.
            Err(error)
                if matches!(Errno::from_io_error(&error), Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// Why the folder of `location`, or the one at `path` above it, can't be made or opened.
    pub(super) fn refused(&self, location: &Location, path: &Path, error: io::Error) -> Error {
        match self.check_folders(location) {
            Ok(()) => refused_at(path, error),
            Err(conflict) => conflict,
        }
    }

    /// Checks that none of the folders above `location` is a file; they may be missing.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`]
    pub(super) fn check_folders(&self, location: &Location) -> Result<()> {
        let conflict = |detail: String| Err(Error::new(ErrorKind::Conflict, "store", location, detail));
        let ends = location.as_str().match_indices('/').map(|(end, _)| &location.as_str()[..end]);
        for parent in std::iter::once("").chain(ends) {
            let path = self.root.join(parent);
            match std::fs::metadata(&path) {
                Ok(found) if found.is_dir() => {}
                Ok(_) if parent.is_empty() => {
                    return conflict(format!("{} is not a directory; pick another root", self.root.display()));
                }
                Ok(_) => {
                    return conflict(format!("{parent} is an object, so nothing can be below it; pick another name"));
                }
                Err(_) if path.is_symlink() => {
                    return conflict(format!("{} is a symlink that leads nowhere; remove it", path.display()));
                }
                Err(_) => break,
            }
        }
        Ok(())
    }
}

/// Why a folder can't be made or opened.
pub(super) fn refused_at(path: &Path, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        let detail = "somebody keeps removing this folder; try again when they are done";
        return Error::new(ErrorKind::Unavailable, "store", path.display(), detail).with_source(error);
    }
    Error::from_io("store", path.display(), error)
}

fn open_folder(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

/// Removes the folder at `path` if it and all in it are empty folders. Says whether it is gone.
///
/// Who is just about to put something into one of them makes it again.
pub(super) fn remove_if_empty(path: &Path) -> bool {
    match std::fs::remove_dir(path) {
        Ok(()) => return true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
        Err(_) => return false,
    }
    let Ok(entries) = std::fs::read_dir(path) else { return false };
    for entry in entries {
        let Ok(entry) = entry else { return false };
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) || !remove_if_empty(&entry.path()) {
            return false;
        }
    }
    std::fs::remove_dir(path).is_ok()
}
