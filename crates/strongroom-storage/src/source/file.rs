//! A local file that is read as a source: opened so that nothing can hang, and checked not to change meanwhile.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use rustix::io::Errno;

use super::{PathSource, not_a_file};
use crate::buffer::Room;
use crate::error::{Error, ErrorKind, Result};
use crate::file::{Onlooker, Seen, look};

/// What tells one state of a file from another without reading it: size, modification time, and on Unix device, inode and
/// change time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    size: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    node: (u64, u64, i64, i64),
}

impl FileIdentity {
    /// The identity in `metadata`.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        Self {
            size: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            node: (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The file's size, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The file's modification time, where the system has one.
    #[must_use]
    pub fn modified(&self) -> Option<SystemTime> {
        self.modified
    }
}

/// An open source file.
#[derive(Debug)]
pub struct SourceFile {
    file: File,
    path: PathBuf,
    identity: FileIdentity,
    taken: u64,
}

impl SourceFile {
    /// Opens a regular file for reading. Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is none; [`ErrorKind::Invalid`] if it is a directory, a FIFO, a socket or a device;
    /// [`ErrorKind::Denied`] if it may not be read; [`ErrorKind::Changed`] if it is not the expected one.
    pub fn open(source: &PathSource) -> Result<Self> {
        let path = &source.path;
        let file = open_without_waiting(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Error::new(ErrorKind::Missing, "read", path.display(), "there is no such file").with_source(error)
            }
            _ => match std::fs::metadata(path) {
                Ok(metadata) => match check_regular(path, &metadata) {
                    Ok(()) => Error::from_io("read", path.display(), error),
                    Err(special) => special,
                },
                Err(_) => Error::from_io("read", path.display(), error),
            },
        })?;
        let metadata = file.metadata().map_err(|error| Error::from_io("read", path.display(), error))?;
        check_regular(path, &metadata)?;
        let identity = FileIdentity::of(&metadata);
        if source.expected.as_ref().is_some_and(|expected| *expected != identity) {
            return Err(changed(path));
        }
        Ok(Self { file, path: path.clone(), identity, taken: 0 })
    }

    /// Reads the next bytes; 0 at the end. Blocks.
    ///
    /// # Errors
    /// That of the operating system; [`ErrorKind::Changed`] if there are more bytes than there were at the beginning.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match self.file.read(buffer) {
                Ok(length) => {
                    self.taken += length as u64;
                    if self.taken > self.identity.size {
                        return Err(changed(&self.path));
                    }
                    return Ok(length);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::from_io("read", self.path.display(), error)),
            }
        }
    }

    /// Shows up to `length` more bytes to each onlooker, on a thread of its own if there are several. False if that is all.
    /// Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`] if the file was cut; those of reading.
    pub fn show(&mut self, length: u64, onlookers: Vec<Onlooker<'_>>) -> Result<bool> {
        let range = self.taken..self.taken.saturating_add(length).min(self.identity.size);
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => changed(&self.path),
            _ => Error::from_io("read", self.path.display(), error),
        };
        look(Seen { file: &self.file, failed: &failed }, &range, onlookers)?;
        self.file.seek(SeekFrom::Start(range.end)).map_err(failed)?;
        self.taken = range.end;
        Ok(self.taken < self.identity.size)
    }

    /// Reads up to `length` more bytes, without filling memory with zeros first; none at the end. Blocks.
    pub(super) fn read_piece(&mut self, length: usize) -> Result<Bytes> {
        let mut piece = Room::new(length);
        loop {
            match rustix::io::read(&self.file, piece.left()) {
                Ok(length) => {
                    self.taken += length as u64;
                    if self.taken > self.identity.size {
                        return Err(changed(&self.path));
                    }
                    return Ok(piece.into_bytes(length));
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(Error::from_io("read", self.path.display(), error.into())),
            }
        }
    }

    /// Checks, after the last byte was read, that the file is still what it was. Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`] if the file was written, cut, grown or replaced since it was opened.
    pub fn finish(self) -> Result<FileIdentity> {
        if self.taken != self.identity.size {
            return Err(changed(&self.path));
        }
        self.check_unchanged()?;
        Ok(self.identity)
    }

    /// Checks that the open file, and the file that stands under the path now, are what was opened. Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`] if not; those of the operating system if that can't be found out.
    pub fn check_unchanged(&self) -> Result<()> {
        for now in [self.file.metadata(), std::fs::metadata(&self.path)] {
            match now {
                Ok(now) if FileIdentity::of(&now) == self.identity => {}
                // There is nothing, or something else, where it was.
                Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    return Err(Error::from_io("read", self.path.display(), error));
                }
                _ => return Err(changed(&self.path)),
            }
        }
        Ok(())
    }

    /// The file as it was when it was opened.
    #[must_use]
    pub fn identity(&self) -> &FileIdentity {
        &self.identity
    }

    /// The open file, for a faster way of copying than [`read`](Self::read). Who uses it calls
    /// [`check_unchanged`](Self::check_unchanged) instead of [`finish`](Self::finish).
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// Opening a FIFO waits for a writer unless it is told not to.
fn open_without_waiting(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    options.open(path)
}

fn check_regular(path: &Path, metadata: &Metadata) -> Result<()> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(());
    }
    if kind.is_dir() {
        return Err(not_a_file(path, "a directory", "store the files in it"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Err(not_a_file(path, "a FIFO", "store what it gives as a stream"));
        }
        if kind.is_socket() {
            return Err(not_a_file(path, "a socket", "there is nothing in it to store"));
        }
    }
    Err(not_a_file(path, "a device", "store what it gives as a stream"))
}

fn changed(path: &Path) -> Error {
    Error::new(
        ErrorKind::Changed,
        "read",
        path.display(),
        "the file changed while it was being stored; wait until its writer is done and store it again",
    )
}
