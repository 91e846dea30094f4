//! Local files that objects are loaded into.

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::NamedTempFile;

use crate::error::{Error, ErrorKind, Result};
use crate::file::reserve;
use crate::options::{Durability, LoadOptions, StoreMode};
use crate::unblock;

/// How much is written at a time, in bytes: as much as `cp` does. Linux takes memory for a larger write in larger pieces, and
/// such memory is several times slower to get in virtual machines whose host gives it out on demand.
const WRITE_BYTES: usize = 256 << 10;

/// A local file that an object is loaded into: open for reading and writing, empty, and nobody else's.
///
/// A clone is the same file. What its methods fail with is an error of the operation `write`.
#[derive(Clone, Debug)]
pub struct TargetFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: File,
    path: PathBuf,
}

impl TargetFile {
    /// The open `file`, which errors call `path`.
    pub fn new(file: File, path: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Inner { file, path: path.into() }))
    }

    /// The open file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.0.file
    }

    /// Sets room aside for `size` bytes, where that makes writing them faster. The file stays empty. Blocks.
    pub fn reserve(&self, size: u64) {
        reserve(&self.0.file, size);
    }

    /// Writes `bytes` from the byte `offset` on. Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] and others of the operating system.
    pub fn write_at(&self, bytes: &[u8], mut offset: u64) -> Result<()> {
        for piece in bytes.chunks(WRITE_BYTES) {
            self.0.file.write_all_at(piece, offset).map_err(|error| self.failed(error))?;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    /// Makes the file empty again. Blocks.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn clear(&self) -> Result<()> {
        self.0.file.set_len(0).map_err(|error| self.failed(error))
    }

    pub(crate) fn failed(&self, error: io::Error) -> Error {
        Error::from_io("write", self.0.path.display(), error)
    }
}

/// A local file in the making: under a name of its own beside its place, and gone when this is dropped, unless it was published.
#[derive(Debug)]
pub struct NewFile {
    temporary: NamedTempFile,
    target: TargetFile,
    path: PathBuf,
}

impl NewFile {
    /// Begins the file that is to be at `path`. Its permissions are those that the umask gives any new file, or those of the file that
    /// it is going to replace.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if there is no such folder, or `path` names no file; [`ErrorKind::Conflict`] if there is a folder, a
    /// device, or something else that is no file; those of the operating system.
    pub async fn create(path: &Path) -> Result<Self> {
        let path = path.to_path_buf();
        unblock(move || Self::begin(path)).await
    }

    fn begin(path: PathBuf) -> Result<Self> {
        if path.file_name().is_none() {
            let detail = "this names no file; name one in that folder";
            return Err(Error::new(ErrorKind::Invalid, "write", path.display(), detail));
        }
        let replaced = std::fs::symlink_metadata(&path).ok();
        if let Some(in_the_way) = replaced.as_ref().and_then(|found| in_the_way(found, &path)) {
            return Err(Error::new(ErrorKind::Conflict, "write", path.display(), in_the_way));
        }
        // Opened here: of an error that it has put words around, `tempfile` does not tell the code.
        let open = |path: &Path| File::options().read(true).write(true).create_new(true).mode(0o666).open(path);
        let begun = tempfile::Builder::new()
            .prefix(".strongroom-")
            .make_in(folder_of(&path), open)
            .and_then(|temporary| Ok((temporary.as_file().try_clone()?, temporary)));
        match begun {
            Ok((file, temporary)) => {
                let target = TargetFile::new(file, path.clone());
                if let Some(replaced) = replaced.filter(Metadata::is_file) {
                    let permissions = Permissions::from_mode(replaced.mode() & 0o777);
                    target.file().set_permissions(permissions).map_err(|error| target.failed(error))?;
                }
                Ok(Self { temporary, target, path })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let detail = "there is no such folder; make it first";
                Err(Error::new(ErrorKind::Invalid, "write", path.display(), detail).with_source(error))
            }
            Err(error) => Err(Error::from_io("write", path.display(), error)),
        }
    }

    /// What to write to.
    #[must_use]
    pub fn target(&self) -> &TargetFile {
        &self.target
    }

    /// Puts the file in its place, as `options` say. A link to a file that is there is replaced, not followed.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if there should be none and is; [`ErrorKind::Conflict`] if there is a folder; those of the
    /// operating system.
    pub async fn publish(self, options: &LoadOptions) -> Result<()> {
        let (mode, synced) = (options.mode, options.durability == Durability::Synced);
        unblock(move || {
            let Self { temporary, target, path } = self;
            if synced {
                target.file().sync_all().map_err(|error| target.failed(error))?;
            }
            let put = match mode {
                StoreMode::Overwrite => temporary.persist(&path),
                StoreMode::Create => temporary.persist_noclobber(&path),
            };
            put.map_err(|refused| match refused.error.kind() {
                io::ErrorKind::IsADirectory | io::ErrorKind::DirectoryNotEmpty => {
                    let detail = "there is a folder of this name; remove it, or pick another name";
                    Error::new(ErrorKind::Conflict, "write", path.display(), detail).with_source(refused.error)
                }
                _ => target.failed(refused.error),
            })?;
            if synced {
                let sync = || File::open(folder_of(&path))?.sync_all();
                sync().map_err(|error| target.failed(error).with_outcome_unknown())?;
            }
            Ok(())
        })
        .await
    }
}

/// Why what is at `path` can't be replaced by a file: a folder would not be one any more, nor a device or a pipe what it is for.
pub(crate) fn in_the_way(found: &Metadata, path: &Path) -> Option<&'static str> {
    if found.is_dir() {
        return Some("there is a folder of this name; remove it, or pick another name");
    }
    if found.is_symlink() {
        let leads_to_folder = std::fs::metadata(path).is_ok_and(|target| target.is_dir());
        return leads_to_folder.then_some("there is a link to a folder of this name; remove it, or pick another name");
    }
    (!found.is_file()).then_some("there is something of this name that is not a file; remove it, or pick another name")
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_new_file_has_the_permissions_of_any_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, other) = (folder.path().join("new"), folder.path().join("other"));
        let new = NewFile::create(&path).await.expect("begun");
        new.target().write_at(b"content", 0).expect("written");
        assert!(!path.exists(), "it is not there before it is published");
        new.publish(&LoadOptions::default()).await.expect("published");
        std::fs::write(&other, "content").expect("written");
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode();
        assert_eq!(mode(&path), mode(&other));
        assert_eq!(std::fs::read(path).expect("there"), b"content");
    }

    #[tokio::test]
    async fn what_is_private_stays_so_when_it_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("private");
        std::fs::write(&path, "old").expect("written");
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("set");
        let new = NewFile::create(&path).await.expect("begun");
        new.publish(&LoadOptions::default()).await.expect("published");
        assert_eq!(std::fs::metadata(&path).expect("there").mode() & 0o777, 0o640);
        assert_eq!(std::fs::read(path).expect("there"), b"");
    }

    #[tokio::test]
    async fn what_is_no_file_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("folder")).expect("made");
        std::os::unix::fs::symlink("folder", at("link")).expect("made");
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), fifo, rustix::fs::Mode::RUSR, 0).expect("made");
        for name in ["folder", "folder/", "link", "fifo"] {
            let refused = NewFile::create(&at(name)).await.expect_err(name);
            assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
        }
        for none in ["", ".", "/", "folder/.."] {
            assert_eq!(NewFile::create(Path::new(none)).await.expect_err(none).kind(), ErrorKind::Invalid);
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 3);
    }
}
