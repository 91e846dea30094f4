//! Files that are being written and that nobody sees yet.

use std::fs::{File, Permissions};
use std::io::{self, ErrorKind as IoKind, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::folders::{ATTEMPTS, Folder, refused_at};
use super::place::{Place, TEMPORARY_FOLDER};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::options::{Durability, StoreMode, StoreOptions};

/// Where open files can be linked from.
const OPEN_FILES: &str = "/proc/self/fd";

/// A file that is gone when this is dropped, unless it was published.
#[derive(Debug)]
pub(super) struct Temporary {
    place: Arc<Place>,
    file: File,
    /// Its name; none if it is reached by its descriptor only.
    path: Option<PathBuf>,
}

impl Temporary {
    /// An empty file, on the file system and with the group and permissions that an object at `location` will have.
    ///
    /// Only the root is made for it: an unfinished store leaves no folders.
    ///
    /// # Errors
    /// [`Denied`](crate::ErrorKind::Denied), [`Unavailable`](crate::ErrorKind::Unavailable); [`Conflict`](crate::ErrorKind::Conflict) if a part of the location is an object.
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
        if !Path::new(OPEN_FILES).is_dir() {
            return Ok(None);
        }
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
        for _ in 0..ATTEMPTS {
            let path = place.temporary_path()?;
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            match rustix::fs::open(&path, flags, Mode::from(0o666)) {
                Ok(file) => return Self::new(place, file.into(), Some(path)),
                Err(Errno::NOENT) => place.make_temporary_folder()?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(Error::from_io("store", path.display(), error.into())),
            }
        }
        Err(Error::from_io("store", place.root.join(TEMPORARY_FOLDER).display(), IoKind::ResourceBusy.into()))
    }

    fn new(place: &Arc<Place>, file: File, path: Option<PathBuf>) -> Result<Self> {
        let temporary = Self { place: place.clone(), file, path };
        let shared = temporary.share();
        shared.map_err(|error| Error::from_io("store", temporary.describe(), error))?;
        Ok(temporary)
    }

    /// Gives the file the permissions it should have.
    fn share(&self) -> io::Result<()> {
        let mode = self.file.metadata()?.mode() & 0o7777;
        let wanted = self.place.config.shared.file_mode(mode);
        if wanted == mode { Ok(()) } else { self.file.set_permissions(Permissions::from_mode(wanted)) }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// What to call it in an error.
    pub(super) fn describe(&self) -> impl std::fmt::Display {
        self.path.as_deref().unwrap_or(&self.place.root).display()
    }

    /// Makes the content durable, and then visible at `location`.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists), [`Conflict`](crate::ErrorKind::Conflict), and those of the operating system. After a failed fsync the file
    /// is given up: the kernel may have dropped what it could not write, and would say `Ok` the next time.
    pub(super) fn publish(mut self, location: &Location, options: &StoreOptions) -> Result<()> {
        let place = self.place.clone();
        if options.durability == Durability::Synced {
            (place.config.sync)(&self.file)
                .map_err(|error| Error::from_io("store", place.root.join(location.as_str()).display(), error))?;
        }
        place.put(location, options, |folder, name| match options.mode {
            StoreMode::Create => self.create_at(folder, name),
            StoreMode::Overwrite => self.replace_at(folder, name),
        })
    }

    /// Puts the file where there is none.
    fn create_at(&mut self, folder: &Folder, name: &str) -> io::Result<()> {
        let links = self.file.metadata()?.nlink();
        let Err(error) = self.link(&folder.file, Path::new(name)) else { return Ok(()) };
        // On a network file system the answer to a link that was made may be lost, and asking again says that there is one.
        if self.file.metadata()?.nlink() > links {
            return Ok(());
        }
        let other_folder = Errno::from_io_error(&error) == Some(Errno::XDEV);
        match &self.path {
            // Some file systems have no links, or only within one folder.
            Some(_) if has_no_links(&error) || other_folder => self.rename(folder, name, true),
            None if has_no_links(&error) => {
                self.copy_to_named()?;
                self.create_at(folder, name)
            }
            _ => Err(error),
        }
    }

    /// Puts the file in the place of another, or where there is none.
    fn replace_at(&mut self, folder: &Folder, name: &str) -> io::Result<()> {
        if self.path.is_none() {
            let linked = match self.link(&folder.file, Path::new(name)) {
                Err(error) if error.kind() == IoKind::AlreadyExists => self.give_name(),
                Err(error) => Err(error),
                Ok(()) => return Ok(()),
            };
            match linked {
                Err(error) if has_no_links(&error) => self.copy_to_named()?,
                other => other?,
            }
        }
        self.rename(folder, name, false)
    }

    fn link(&self, folder: impl AsFd, name: &Path) -> io::Result<()> {
        if !self.place.config.links {
            return Err(Errno::PERM.into());
        }
        match &self.path {
            Some(path) => rustix::fs::linkat(CWD, path, folder, name, AtFlags::empty())?,
            None => {
                let open = format!("{OPEN_FILES}/{}", self.file.as_raw_fd());
                rustix::fs::linkat(CWD, open, folder, name, AtFlags::SYMLINK_FOLLOW)?;
            }
        }
        Ok(())
    }

    /// Moves the named file to `name`, where with `exclusive` there must be nothing.
    fn rename(&mut self, folder: &Folder, name: &str, exclusive: bool) -> io::Result<()> {
        let Some(path) = &self.path else { return Err(IoKind::NotFound.into()) };
        if let Err(error) = rename(path, folder, name, exclusive) {
            // As with links, the answer may have been lost and the request sent again.
            if !folder.holds(name, &self.file) {
                return Err(error);
            }
        }
        self.path = None;
        Ok(())
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
                Err(error) => return Err(Error::from_io("store", path.display(), error).into()),
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
        (self.place.config.sync)(&named.file)?;
        *self = named;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // What can't be removed stays in the hidden folder, where it is in nobody's way.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn has_no_links(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK | Errno::INVAL)
    )
}

/// Moves the file at `path` to `name` in `folder`, where with `exclusive` there must be nothing.
pub(super) fn rename(path: &Path, folder: &Folder, name: &str, exclusive: bool) -> io::Result<()> {
    if !exclusive {
        return Ok(rustix::fs::renameat(CWD, path, &folder.file, name)?);
    }
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::RenameFlags;
        Ok(rustix::fs::renameat_with(CWD, path, &folder.file, name, RenameFlags::NOREPLACE)?)
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    Err(Errno::NOSYS.into())
}
