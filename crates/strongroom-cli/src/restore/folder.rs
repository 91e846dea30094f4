//! The folder that things are restored to. Everything in it is reached from its open handle, segment by segment and never
//! through a link, so that nothing is written elsewhere, whatever links were there or are restored meanwhile.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, mkdirat, openat, statat};
use rustix::io::Errno;
use strongroom::{Error, ErrorKind, Result};

use super::new_file::Place;

/// How many folders are kept open.
const OPEN_MAX: usize = 128;

/// A local folder.
#[derive(Clone, Debug)]
pub struct Folder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    root: Arc<OwnedFd>,
    open: Mutex<HashMap<String, Arc<OwnedFd>>>,
}

impl Folder {
    /// Opens the folder at `path`; makes it, and those above it, if it is not there. Blocks.
    ///
    /// # Errors
    /// `Conflict` if there is a file; those of the operating system.
    pub fn open(path: &Path) -> Result<Self> {
        let opened = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let failed = |error| Error::from_io("get", opened.display(), error);
        if opened.exists() && !opened.is_dir() {
            let detail = "this is a file, and a folder is needed here; name another DEST";
            return Err(Error::new(ErrorKind::Conflict, "get", opened.display(), detail));
        }
        std::fs::create_dir_all(opened).map_err(failed)?;
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let root = openat(CWD, opened, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
        Ok(Self(Arc::new(Inner { path: path.into(), root: Arc::new(root), open: Mutex::default() })))
    }

    /// The folder `name` in this one, made if it is not there. Blocks.
    ///
    /// # Errors
    /// `Conflict` if there is a file or a link; those of the operating system.
    pub fn below(&self, name: &str) -> Result<Self> {
        let root = self.descend(name)?;
        Ok(Self(Arc::new(Inner { path: self.0.path.join(name), root, open: Mutex::default() })))
    }

    /// The file `path` in this folder, which need not be there.
    pub fn place(&self, path: &str) -> Place {
        Place::new(self.clone(), path.into())
    }

    /// A path in this folder, for people.
    pub fn shown(&self, path: &str) -> String {
        self.0.path.join(path).display().to_string()
    }

    /// The open folder `path` below this one, made if it is not there.
    pub(super) fn descend(&self, path: &str) -> Result<Arc<OwnedFd>> {
        if path.is_empty() {
            return Ok(self.0.root.clone());
        }
        if let Some(known) = self.0.open.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Ok(known.clone());
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = Arc::new(self.enter(&*self.descend(parent)?, name, path)?);
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= OPEN_MAX {
            open.clear();
        }
        open.insert(path.into(), folder.clone());
        Ok(folder)
    }

    fn enter(&self, parent: &OwnedFd, name: &str, path: &str) -> Result<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let open = || openat(parent, name, flags, Mode::empty());
        let opened = match open() {
            Err(Errno::NOENT) => match mkdirat(parent, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => open(),
                Err(error) => Err(error),
            },
            opened => opened,
        };
        opened.map_err(|error| match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Symlink => self.conflict(
                path,
                "this is a symbolic link, and nothing is written through those; remove it or get to another DEST",
            ),
            Ok(found) if FileType::from_raw_mode(found.st_mode) != FileType::Directory => {
                self.conflict(path, "this is a file, and a folder is needed here; remove it or get to another DEST")
            }
            _ => Error::from_io("get", self.shown(path), error.into()),
        })
    }

    pub(super) fn conflict(&self, path: &str, detail: &str) -> Error {
        Error::new(ErrorKind::Conflict, "get", self.shown(path), detail)
    }
}
