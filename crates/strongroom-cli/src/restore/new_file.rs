//! A file that appears when it is complete.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, futimens, openat, renameat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;
use strongroom::{Attributes, Error, Result, TargetFile};

use super::folder::Folder;

/// Tells apart what this process is writing.
static DRAWN: AtomicU64 = AtomicU64::new(0);

/// Where a file is to be.
#[derive(Clone, Debug)]
pub struct Place {
    folder: Folder,
    path: String,
}

/// A file under a temporary name beside its place; removed unless it is published.
#[derive(Debug)]
pub struct NewFile {
    target: TargetFile,
    name: TemporaryName,
}

#[derive(Debug)]
struct TemporaryName {
    place: Place,
    parent: Arc<OwnedFd>,
    name: String,
    published: bool,
}

impl Place {
    pub(super) fn new(folder: Folder, path: String) -> Self {
        Self { folder, path }
    }

    /// Begins a file. Its permissions are those that the umask gives any new file. Blocks.
    ///
    /// # Errors
    /// As for [`restore`](super::restore).
    pub fn create(self, attributes: &Attributes) -> Result<NewFile> {
        let mode = Mode::from_raw_mode(if attributes.executable() { 0o777 } else { 0o666 });
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (file, name) = self.temporary(|parent, name| openat(parent, name, flags, mode))?;
        let target = TargetFile::new(file.into(), name.place.folder.shown(&name.place.path));
        Ok(NewFile { target, name })
    }

    /// Makes a symbolic link. Blocks.
    ///
    /// # Errors
    /// As for [`restore`](super::restore).
    pub fn link(self, target: &[u8], attributes: &Attributes) -> Result<()> {
        let ((), name) = self.temporary(|parent, name| symlinkat(target, parent, name))?;
        if let Some(times) = attributes.modified().map(timestamps) {
            let set = utimensat(&*name.parent, name.name.as_str(), &times, AtFlags::SYMLINK_NOFOLLOW);
            set.map_err(|error| name.place.failed(error.into()))?;
        }
        name.publish()
    }

    /// Makes something under a name that is not taken.
    fn temporary<T>(self, make: impl Fn(&OwnedFd, &str) -> Result<T, Errno>) -> Result<(T, TemporaryName)> {
        let parent = self.folder.descend(self.path.rsplit_once('/').map_or("", |(parent, _)| parent))?;
        loop {
            let name = format!(".strongroom-{}-{}", std::process::id(), DRAWN.fetch_add(1, Ordering::Relaxed));
            match make(&parent, &name) {
                Ok(made) => return Ok((made, TemporaryName { place: self, parent, name, published: false })),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(self.failed(error.into())),
            }
        }
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::from_io("get", self.folder.shown(&self.path), error)
    }
}

impl NewFile {
    /// What to write to.
    pub fn target(&self) -> &TargetFile {
        &self.target
    }

    /// Gives the file its time and its name. Blocks.
    ///
    /// # Errors
    /// `Conflict` if a folder has the name.
    pub fn publish(self, attributes: &Attributes) -> Result<()> {
        if let Some(times) = attributes.modified().map(timestamps) {
            futimens(self.target.file(), &times).map_err(|error| self.name.place.failed(error.into()))?;
        }
        self.name.publish()
    }
}

impl TemporaryName {
    fn publish(mut self) -> Result<()> {
        let Place { folder, path } = &self.place;
        let name = path.rsplit_once('/').map_or(path.as_str(), |(_, name)| name);
        match renameat(&*self.parent, self.name.as_str(), &*self.parent, name) {
            Ok(()) => {}
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
                return Err(folder.conflict(path, "there is a folder of this name; remove it or get to another DEST"));
            }
            Err(error) => return Err(self.place.failed(error.into())),
        }
        self.published = true;
        Ok(())
    }
}

impl Drop for TemporaryName {
    fn drop(&mut self) {
        if !self.published {
            // There is nobody to tell that it could not be removed.
            let _left = unlinkat(&*self.parent, self.name.as_str(), AtFlags::empty());
        }
    }
}

/// The time of the last change, and that of the last access left alone.
fn timestamps(modified: SystemTime) -> Timestamps {
    let (seconds, nanoseconds) = match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => (i64::try_from(after.as_secs()).unwrap_or(i64::MAX), after.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            let whole = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            match before.subsec_nanos() {
                0 => (-whole, 0),
                rest => (-whole - 1, 1_000_000_000 - rest),
            }
        }
    };
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_before_1970_count_their_nanoseconds_forwards() {
        let time = |time| {
            let modified = timestamps(time).last_modification;
            (modified.tv_sec, modified.tv_nsec)
        };
        assert_eq!(time(UNIX_EPOCH + Duration::new(3, 5)), (3, 5));
        assert_eq!(time(UNIX_EPOCH - Duration::new(3, 0)), (-3, 0));
        assert_eq!(time(UNIX_EPOCH - Duration::new(3, 250_000_000)), (-4, 750_000_000));
    }
}
