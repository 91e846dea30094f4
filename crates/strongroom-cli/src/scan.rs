//! What is in a folder that is to be stored.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use strongroom::{Attributes, Error, ErrorKind, FileIdentity, Location, Result, Source};
use walkdir::WalkDir;

/// A file or link that can be stored.
#[derive(Debug)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Its path in the folder that was scanned.
    pub relative: PathBuf,
    /// Its size, in bytes.
    pub size: u64,
    /// What it says of itself besides its bytes.
    pub attributes: Attributes,
    content: Content,
}

#[derive(Debug)]
enum Content {
    File(FileIdentity),
    Link(PathBuf),
}

/// All that is in a folder.
#[derive(Debug, Default)]
pub struct Scan {
    /// What can be stored, in order of the names.
    pub found: Vec<Found>,
    /// Why the rest can't.
    pub bad: Vec<Error>,
    /// The store itself, where it lies in the folder.
    pub skipped: Vec<PathBuf>,
}

/// What tells the folder of a store from others: device and inode.
pub type FolderIdentity = (u64, u64);

/// The identity of the folder at `path`, if there is one.
pub fn identity_of_folder(path: &Path) -> Option<FolderIdentity> {
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

impl Found {
    /// The file at `path`; a link there is followed.
    ///
    /// # Errors
    /// `Missing`, `Denied`; `Invalid` if it is no regular file.
    pub fn file(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, error))?;
        Self::new(path, PathBuf::new(), &metadata)
    }

    fn new(path: &Path, relative: PathBuf, metadata: &Metadata) -> Result<Self> {
        let attributes = Attributes::default().with_modified(metadata.modified().ok());
        let kind = metadata.file_type();
        let (size, attributes, content) = if kind.is_symlink() {
            let target = std::fs::read_link(path).map_err(|error| unreadable(path, error))?;
            (target.as_os_str().len() as u64, attributes.with_symlink(true), Content::Link(target))
        } else if kind.is_file() {
            accessat(CWD, path, Access::READ_OK, AtFlags::EACCESS).map_err(|error| unreadable(path, error.into()))?;
            let executable = metadata.permissions().mode() & 0o100 != 0;
            (metadata.len(), attributes.with_executable(executable), Content::File(FileIdentity::of(metadata)))
        } else {
            return Err(special(path, metadata));
        };
        Ok(Self { path: path.into(), relative, size, attributes, content })
    }

    /// Its content. A file that is another when it is read, or changes meanwhile, is `Changed`.
    pub fn into_source(self) -> Source {
        match self.content {
            Content::Link(target) => Source::bytes(target.as_os_str().as_bytes().to_vec()),
            Content::File(identity) => {
                let mut source = Source::path(self.path);
                if let Source::Path(source) = &mut source {
                    source.expected = Some(identity);
                }
                source
            }
        }
    }

    /// The location of its path below `base`.
    ///
    /// # Errors
    /// `Invalid` if its name is not UTF-8 or makes the location too long.
    pub fn location(&self, base: &Location) -> Result<Location> {
        let location = Location::from_path(&self.relative).and_then(|relative| base.join(relative.as_str()));
        location.map_err(|error| error.in_operation("put", format!("{:?}", self.path)))
    }
}

/// Looks at everything in `folder`. Links are not followed; with `refuse_links` they can't be stored. The folder `store` is
/// left out. Blocks.
pub fn scan(folder: &Path, store: Option<FolderIdentity>, refuse_links: bool) -> Scan {
    let mut scan = Scan::default();
    let mut entries = WalkDir::new(folder).follow_root_links(true).min_depth(1).sort_by_file_name().into_iter();
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_path_buf();
                scan.bad.push(unreadable(&path, error.into()));
                continue;
            }
        };
        let path = entry.path();
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(error) => {
                scan.bad.push(unreadable(path, error.into()));
                continue;
            }
        };
        if metadata.is_dir() {
            if store == Some((metadata.dev(), metadata.ino())) {
                scan.skipped.push(path.into());
                entries.skip_current_dir();
            }
            continue;
        }
        if refuse_links && metadata.is_symlink() {
            let detail = "this is a symbolic link; leave out --symlinks refuse to store it as one";
            scan.bad.push(Error::new(ErrorKind::Invalid, "put", path.display(), detail));
            continue;
        }
        let relative = path.strip_prefix(folder).unwrap_or(path).to_path_buf();
        match Found::new(path, relative, &metadata) {
            Ok(found) => scan.found.push(found),
            Err(error) => scan.bad.push(error),
        }
    }
    scan
}

/// The name that `path` has by itself: for `.` and `..` that of the folder.
///
/// # Errors
/// `Invalid` if it has none, as `/`, or it is not UTF-8; `Missing` if there is no such folder.
pub fn own_name(path: &Path) -> Result<Location> {
    let canonical;
    let name: &OsStr = match path.file_name() {
        Some(name) => name,
        None => {
            canonical = path.canonicalize().map_err(|error| unreadable(path, error))?;
            canonical.file_name().ok_or_else(|| {
                Error::new(ErrorKind::Invalid, "put", path.display(), "it has no name of its own; give a LOCATION")
            })?
        }
    };
    Location::from_path(Path::new(name)).map_err(|error| error.in_operation("put", format!("{path:?}")))
}

/// Up to one piece of stdin; empty at its end. Blocks.
///
/// # Errors
/// That of reading.
pub fn read_stdin(piece_bytes: usize) -> Result<Vec<u8>> {
    let mut piece = Vec::with_capacity(piece_bytes);
    let read = std::io::stdin().lock().take(piece_bytes as u64).read_to_end(&mut piece);
    read.map_err(|error| Error::from_io("read", "standard input", error))?;
    Ok(piece)
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Error::new(ErrorKind::Missing, "put", path.display(), "there is no such file").with_source(error);
    }
    Error::from_io("put", path.display(), error)
}

fn special(path: &Path, metadata: &Metadata) -> Error {
    let kind = metadata.file_type();
    let (what, remedy) = if kind.is_fifo() {
        ("a FIFO", "; to store what it gives, `strongroom put - LOCATION < FIFO`")
    } else if kind.is_socket() {
        ("a socket", "; there is nothing in it to store")
    } else if kind.is_dir() {
        ("a folder", "")
    } else {
        ("a device", "; to store what it gives, `strongroom put - LOCATION < DEVICE`")
    };
    Error::new(ErrorKind::Invalid, "put", path.display(), format!("this is {what}, not a file{remedy}"))
}
