//! How a file storage is set up.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD};
use rustix::io::Errno;

use crate::host::{Host, SystemHost};

/// How a [`FileStorage`](crate::FileStorage) is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FileConfig {
    /// Where the random names of temporary files come from.
    pub host: Arc<dyn Host>,
    /// Whether to try temporary files without a name.
    pub(super) unnamed_files: bool,
    /// What gives the file at a path the name in a folder; tests take that away, or lose its answer.
    pub(super) link: fn(&Path, BorrowedFd<'_>, &Path) -> io::Result<()>,
    /// What makes a file or folder durable; tests let it fail.
    pub(super) sync: fn(&File) -> io::Result<()>,
}

impl FileConfig {
    /// The same with another source of randomness.
    #[must_use]
    pub fn with_host(self, host: Arc<dyn Host>) -> Self {
        Self { host, ..self }
    }

    /// The same without files that have no name, and with or without hard links: for tests, as if on a file system that lacks
    /// them.
    #[doc(hidden)]
    #[must_use]
    pub fn without_unnamed_files(self, links: bool) -> Self {
        Self { unnamed_files: false, link: if links { self.link } else { link_without_links }, ..self }
    }
}

impl Default for FileConfig {
    fn default() -> Self {
        Self { host: Arc::new(SystemHost::new()), unnamed_files: cfg!(target_os = "linux"), link, sync: File::sync_all }
    }
}

/// Open files are linked from a symlink in `/proc`, so symlinks are followed.
pub(super) fn link(path: &Path, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
    Ok(rustix::fs::linkat(CWD, path, folder, name, AtFlags::SYMLINK_FOLLOW)?)
}

/// Before a file system can say that it has no links, the kernel says that the name is taken.
fn link_without_links(_: &Path, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Err(Errno::EXIST.into()),
        Err(Errno::NOENT) => Err(Errno::PERM.into()),
        Err(error) => Err(error.into()),
    }
}
