//! The files in a unit's scratch directory, as they are when a transfer begins.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use strongroom_storage::{
    Digest, DigestSet, Error, ErrorKind, FileIdentity, Hasher, Location, PathSource, Result, Source, SourceFile,
};

/// A file to be transferred. It is [`ErrorKind::Changed`] if it is another when it is read.
#[derive(Clone, Debug)]
pub(crate) struct ScratchFile {
    path: PathBuf,
    identity: FileIdentity,
}

impl ScratchFile {
    /// The file as a source to store.
    pub(crate) fn source(&self) -> Source {
        let mut source = Source::path(&self.path);
        if let Source::Path(source) = &mut source {
            source.expected = Some(self.identity.clone());
        }
        source
    }

    /// The size and BLAKE3 of the file. Blocks.
    pub(crate) fn digest(&self) -> Result<(u64, Digest)> {
        let Source::Path(source) = self.source() else {
            return Err(Error::new(ErrorKind::Internal, "read", self.path.display(), "a file is not a path"));
        };
        hash(&source)
    }
}

fn hash(source: &PathSource) -> Result<(u64, Digest)> {
    let mut file = SourceFile::open(source)?;
    let mut hasher = Hasher::new(DigestSet::BLAKE3);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => hasher.update(&buffer[..length]),
        }
    }
    let size = file.finish()?.size();
    match hasher.finish().blake3 {
        Some(digest) => Ok((size, digest)),
        None => Err(Error::new(ErrorKind::Internal, "read", source.path.display(), "no digest was computed")),
    }
}

/// What was found under registered names.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The files, by name: those registered, and all in registered directories.
    pub(crate) files: BTreeMap<Location, ScratchFile>,
    /// The registered names under which there is nothing.
    pub(crate) missing: Vec<Location>,
}

/// Looks for `names` in the directory `scratch`. Blocks.
pub(crate) fn find(scratch: &Path, names: impl IntoIterator<Item = Location>) -> Result<Found> {
    let mut found = Found::default();
    for name in names {
        let path = scratch.join(name.as_str());
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => walk(&name, &path, &mut found)?,
            Ok(metadata) => add(name, path, &metadata, &mut found),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => found.missing.push(name),
            Err(error) => return Err(Error::from_io("transfer", path.display(), error)),
        }
    }
    Ok(found)
}

/// Adds all files below a directory. A symlink to a file stands for the file.
fn walk(name: &Location, folder: &Path, found: &mut Found) -> Result<()> {
    let failed = |path: &Path, error| Error::from_io("transfer", path.display(), error);
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let entry = entry.map_err(|error| failed(folder, error))?;
        let path = entry.path();
        let name = Location::from_path(&Path::new(name.as_str()).join(entry.file_name()))?;
        let link = entry.file_type().map_err(|error| failed(&path, error))?.is_symlink();
        let metadata = fs::metadata(&path).map_err(|error| failed(&path, error))?;
        match metadata.is_dir() {
            true if link => {
                let detail = "a symlink to a directory is not followed; register the directory that it points to";
                return Err(Error::new(ErrorKind::Invalid, "transfer", path.display(), detail));
            }
            true => walk(&name, &path, found)?,
            false => add(name, path, &metadata, found),
        }
    }
    Ok(())
}

fn add(name: Location, path: PathBuf, metadata: &fs::Metadata, found: &mut Found) {
    found.files.insert(name, ScratchFile { path, identity: FileIdentity::of(metadata) });
}
