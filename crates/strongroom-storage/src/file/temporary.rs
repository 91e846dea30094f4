//! Files that are being written and that nobody sees yet.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, ErrorKind as IoKind, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::copy::share_blocks;
use super::folders::{ATTEMPTS, Folder, refused_at};
use super::place::{Place, TEMPORARY_FOLDER};
use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;
use crate::options::{Durability, StoreMode, StoreOptions};
use crate::target::in_the_way;

/// Where open files can be linked from.
pub(super) const OPEN_FILES: &str = "/proc/self/fd";

/// A file that is gone when this is dropped, unless it was published.
#[derive(Debug)]
pub(super) struct Temporary {
    place: Arc<Place>,
    file: File,
    /// Its name; none if it is reached by its descriptor only.
    path: Option<PathBuf>,
    /// The permissions it had, if it is a consumed source: that stays as it was unless it is published.
    source_mode: Option<u32>,
}

impl Temporary {
    /// An empty file, on the file system and with the group and permissions that an object at `location` will have.
    ///
    /// Only the root is made for it: an unfinished store leaves no folders.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`], [`ErrorKind::Unavailable`]; [`ErrorKind::Conflict`] if a part of the location is an object.
    pub(super) fn create(place: &Arc<Place>, location: Option<&Location>) -> Result<Self> {
        #[cfg(target_os = "linux")]
        if place.unnamed_files.load(Ordering::Relaxed) {
            match Self::create_unnamed(place, location)? {
                Some(temporary) => return Ok(temporary),
                None => place.unnamed_files.store(false, Ordering::Relaxed),
            }
        }
        if let Some(location) = location {
            place.check_folders(location)?;
        }
        Self::create_named(place)
    }

    /// A file without a name in the nearest folder that exists; `None` where there are no such files.
    #[cfg(target_os = "linux")]
    fn create_unnamed(place: &Arc<Place>, location: Option<&Location>) -> Result<Option<Self>> {
        let nearest = location.map_or_else(|| place.root.clone(), |location| place.folder_path(location));
        let mut folder = nearest.as_path();
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        for _ in 0..ATTEMPTS + Location::MAX_BYTES {
            match rustix::fs::open(folder, flags, Mode::from(0o666)) {
                Ok(file) => return Self::new(place, file.into(), None).map(Some),
                Err(Errno::NOENT) if folder != place.root => folder = folder.parent().unwrap_or(&place.root),
                Err(Errno::NOENT) => place.make_root()?,
                Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOSYS | Errno::INVAL) => return Ok(None),
                Err(error) => {
                    return Err(match location {
                        Some(location) => place.refused(location, folder, error.into()),
                        None => refused_at(folder, error.into()),
                    });
                }
            }
        }
        Err(refused_at(&nearest, Errno::NOENT.into()))
    }

    /// A file with a random name in the hidden folder.
    fn create_named(place: &Arc<Place>) -> Result<Self> {
        let refused = |error| Error::from_io("store", place.root.join(TEMPORARY_FOLDER).display(), error);
        for _ in 0..ATTEMPTS {
            let path = place.temporary_path()?;
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            match rustix::fs::open(&path, flags, Mode::from(0o666)) {
                Ok(file) => return Self::new(place, file.into(), Some(path)),
                Err(Errno::NOENT) => place.make_temporary_folder()?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(refused(error.into())),
            }
        }
        Err(refused(IoKind::ResourceBusy.into()))
    }

    fn new(place: &Arc<Place>, file: File, path: Option<PathBuf>) -> Result<Self> {
        let temporary = Self { place: place.clone(), file, path, source_mode: None };
        let shared = temporary.share();
        shared.map_err(|error| temporary.failed(error))?;
        Ok(temporary)
    }

    /// Gives the file the permissions it should have.
    fn share(&self) -> io::Result<()> {
        let mode = self.file.metadata()?.mode() & 0o7777;
        let wanted = self.place.file_mode(mode)?;
        if wanted == mode { Ok(()) } else { self.file.set_permissions(Permissions::from_mode(wanted)) }
    }

    /// Takes the permission to write from everybody.
    fn forbid_writing(&self) {
        if let Ok(metadata) = self.file.metadata() {
            // It protects from carelessness only: a file system without permissions can keep the object all the same.
            let _ = self.file.set_permissions(Permissions::from_mode(metadata.mode() & 0o7777 & !0o222));
        }
    }

    /// Whether a consumed source can be the object itself: on the same file system, of the same user and group, and under no
    /// other name.
    pub(super) fn is_like(&self, path: &Path, source: &File) -> bool {
        let owner = |found: &Metadata| (found.dev(), found.uid(), found.gid());
        let plain = std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
        plain
            && self.place.sources_move.load(Ordering::Relaxed)
            && matches!((self.file.metadata(), source.metadata()), (Ok(ours), Ok(theirs))
                if theirs.nlink() == 1 && owner(&ours) == owner(&theirs))
    }

    /// The source at `path` in the place of this file, with its permissions.
    pub(super) fn replaced_by(self, path: &Path, source: &File) -> Result<Self> {
        let take = || {
            let (place, file) = (self.place.clone(), source.try_clone()?);
            let source_mode = Some(file.metadata()?.mode());
            let taken = Self { place, file, path: Some(path.to_path_buf()), source_mode };
            taken.file.set_permissions(self.file.metadata()?.permissions())?;
            Ok(taken)
        };
        take().map_err(|error| Error::from_io("store", path.display(), error))
    }

    /// Shares the blocks of `source`, where the file system can.
    pub(super) fn clone_of(&self, source: &File) -> bool {
        share_blocks(source, &self.file)
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Makes the content durable as far as it was written.
    pub(super) fn sync(&self) -> Result<()> {
        (self.place.config.sync)(&self.file).map_err(|error| self.failed(error))
    }

    /// Why the file can't be read or written.
    pub(super) fn failed(&self, error: io::Error) -> Error {
        Error::from_io("store", self.path.as_deref().unwrap_or(&self.place.root).display(), error)
    }

    /// Makes the content durable, and then visible at `location`.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`], [`ErrorKind::Conflict`], and those of the operating system. After a failed fsync the file
    /// is given up: the kernel may have dropped what it could not write, and would say `Ok` the next time.
    pub(super) fn publish(mut self, location: &Location, options: &StoreOptions) -> Result<()> {
        let place = self.place.clone();
        if options.read_only {
            self.forbid_writing();
        }
        if options.durability == Durability::Synced
            && let Err(error) = (place.config.sync)(&self.file)
        {
            if self.source_mode.is_some() {
                place.sources_move.store(false, Ordering::Relaxed);
            }
            return Err(Error::from_io("store", place.root.join(location.as_str()).display(), error));
        }
        place.put(location, options, |folder, name| match options.mode {
            StoreMode::Create => self.create_at(folder, name),
            StoreMode::Overwrite => self.replace_at(folder, name, options),
        })
    }

    /// Puts the file where there is none.
    fn create_at(&mut self, folder: &Folder, name: &str) -> io::Result<()> {
        let links = self.file.metadata()?.nlink();
        let linked = self.link(folder.file.as_fd(), Path::new(name));
        match linked {
            Ok(()) => {}
            // On a network file system the answer to a link that was made may be lost, and asking again says that there is one.
            Err(_) if self.file.metadata()?.nlink() > links => {}
            Err(error) if self.path.is_none() && has_no_links(&error) => {
                self.copy_to_named()?;
                return self.create_at(folder, name);
            }
            // Some file systems have no links, or only within one folder.
            Err(error) if has_no_links(&error) || error.kind() == IoKind::CrossesDevices => {
                return self.rename(folder, name, true);
            }
            Err(error) => return Err(error),
        }
        self.remove_name();
        Ok(())
    }

    /// Puts the file in the place of another, whose permissions it gets, or where there is none.
    fn replace_at(&mut self, folder: &Folder, name: &str, options: &StoreOptions) -> io::Result<()> {
        if self.path.is_none() {
            let linked = match self.link(folder.file.as_fd(), Path::new(name)) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == IoKind::AlreadyExists => self.give_name(),
                Err(error) => Err(error),
            };
            match linked {
                Err(error) if has_no_links(&error) => self.copy_to_named()?,
                other => other?,
            }
        }
        self.prepare_to_replace(&folder.path.join(name), options)?;
        self.rename(folder, name, false)
    }

    /// Gives the file the permissions of the one at `path`, whose place it takes, if that is one.
    fn prepare_to_replace(&self, path: &Path, options: &StoreOptions) -> io::Result<()> {
        // What can't be looked at, or is gone, the rename tells.
        let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
        // A folder may be empty, and then it goes.
        if let Some(in_the_way) = in_the_way(&found, path).filter(|_| !found.is_dir()) {
            return Err(Error::new(ErrorKind::Conflict, "store", path.display(), in_the_way).into());
        }
        if !found.is_file() || options.read_only {
            return Ok(());
        }
        let wanted = self.place.file_mode(found.mode() & 0o777)?;
        if self.file.metadata()?.mode() & 0o7777 == wanted {
            return Ok(());
        }
        self.file.set_permissions(Permissions::from_mode(wanted))?;
        match options.durability {
            Durability::Synced => (self.place.config.sync)(&self.file),
            Durability::Relaxed => Ok(()),
        }
    }

    fn link(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
        let link = self.place.config.link;
        match &self.path {
            Some(path) => link(path, folder, name),
            None => link(&Path::new(OPEN_FILES).join(self.file.as_raw_fd().to_string()), folder, name),
        }
    }

    /// Moves the named file to `name`, where with `exclusive` there must be nothing.
    fn rename(&mut self, folder: &Folder, name: &str, exclusive: bool) -> io::Result<()> {
        let Some(path) = &self.path else { return Err(IoKind::NotFound.into()) };
        let renamed = if exclusive {
            rename_exclusively(path, folder, name)
        } else {
            rustix::fs::renameat(CWD, path, &folder.file, name).map_err(io::Error::from)
        };
        if let Err(error) = renamed {
            // As with links, the answer may have been lost and the request sent again.
            if path.exists() || !folder.holds(name, &self.file) {
                return Err(error);
            }
        }
        self.path = None;
        Ok(())
    }

    fn remove_name(&mut self) {
        if let Some(path) = self.path.take() {
            // What can't be removed stays in the hidden folder, where it is in nobody's way.
            let _ = std::fs::remove_file(path);
        }
    }

    /// Gives the file a name in the hidden folder, so that it can be renamed.
    fn give_name(&mut self) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            let path = self.place.temporary_path()?;
            match self.link(CWD, &path) {
                Ok(()) => {
                    self.path = Some(path);
                    return Ok(());
                }
                Err(error) if error.kind() == IoKind::NotFound => self.place.make_temporary_folder()?,
                Err(error) if has_no_links(&error) || error.kind() == IoKind::CrossesDevices => return Err(error),
                Err(error) => {
                    let folder = self.place.root.join(TEMPORARY_FOLDER);
                    return Err(Error::from_io("store", folder.display(), error).into());
                }
            }
        }
        Err(IoKind::ResourceBusy.into())
    }

    /// Begins anew as a named file, where one without a name turns out not to be of use.
    fn copy_to_named(&mut self) -> io::Result<()> {
        self.place.unnamed_files.store(false, Ordering::Relaxed);
        let named = Self::create_named(&self.place)?;
        (&self.file).seek(SeekFrom::Start(0))?;
        io::copy(&mut &self.file, &mut &named.file)?;
        if self.file.metadata()?.mode() & 0o222 == 0 {
            named.forbid_writing();
        }
        (self.place.config.sync)(&named.file)?;
        *self = named;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        match self.source_mode {
            None => self.remove_name(),
            // Nobody is left to be told.
            Some(mode) if self.path.is_some() => drop(self.file.set_permissions(Permissions::from_mode(mode))),
            Some(_) => {}
        }
    }
}

fn has_no_links(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK | Errno::INVAL)
    )
}

fn rename_exclusively(path: &Path, folder: &Folder, name: &str) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::RenameFlags;
        Ok(rustix::fs::renameat_with(CWD, path, &folder.file, name, RenameFlags::NOREPLACE)?)
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    Err(Errno::NOSYS.into())
}
