//! An object that a handle refers to, read in whichever way suits.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::{self, StreamExt};
use strongroom_storage::{
    ByteRange, ByteStream, Digest, DigestSet, Error, ErrorKind, ExternalStorage, Hasher, LocalPath, Location, Metadata,
    Result, unblock,
};

/// An object in a storage: opened as bytes, a range, a stream, or a real local path.
///
/// Where a digest is expected (see [`ReceiptEntry::open`](crate::ReceiptEntry::open)), content that differs is
/// [`ErrorKind::Changed`].
#[derive(Clone, Debug)]
pub struct Resource {
    storage: Arc<dyn ExternalStorage>,
    location: Location,
    expected: Option<Digest>,
}

impl Resource {
    /// The object at `location` in `storage`.
    pub fn new(storage: Arc<dyn ExternalStorage>, location: Location) -> Self {
        Self { storage, location, expected: None }
    }

    /// The same, if its content has this digest.
    #[must_use]
    pub fn with_expected(self, digest: Digest) -> Self {
        Self { expected: Some(digest), ..self }
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// What is known of it without reading it.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is no object; [`ErrorKind::Changed`] if the storage has another digest on record than is
    /// expected.
    pub async fn metadata(&self) -> Result<Metadata> {
        let metadata = self.storage.metadata(&self.location).await?;
        if let Some(digest) = metadata.digests.blake3 {
            self.compare(digest)?;
        }
        Ok(metadata)
    }

    /// All of its bytes.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::load`], and [`ErrorKind::Changed`].
    pub async fn bytes(&self) -> Result<Bytes> {
        let bytes = self.storage.load_bytes(&self.location, ByteRange::All).await?;
        if self.expected.is_some() {
            self.compare(Digest::of(&bytes))?;
        }
        Ok(bytes)
    }

    /// Some of its bytes. Where a digest is expected and the storage has none on record, all of it is read to find out.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::load`], and [`ErrorKind::Changed`].
    pub async fn range(&self, range: impl Into<ByteRange>) -> Result<Bytes> {
        self.check().await?;
        self.storage.load_bytes(&self.location, range.into()).await
    }

    /// Its bytes in pieces. Where a digest is expected, content that differs ends the stream with an error.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::load`]; in the stream also [`ErrorKind::Changed`].
    pub async fn stream(&self) -> Result<ByteStream> {
        let pieces = self.storage.load_stream(&self.location).await?;
        if self.expected.is_none() {
            return Ok(pieces);
        }
        let state = (pieces, Hasher::new(DigestSet::BLAKE3), self.clone());
        Ok(stream::try_unfold(Some(state), |state| async move {
            let Some((mut pieces, mut hasher, resource)) = state else { return Ok(None) };
            match pieces.try_next().await? {
                Some(piece) => {
                    hasher.update(&piece);
                    Ok(Some((piece, Some((pieces, hasher, resource)))))
                }
                None => {
                    if let Some(digest) = hasher.finish().blake3 {
                        resource.compare(digest)?;
                    }
                    Ok(None)
                }
            }
        })
        .boxed())
    }

    /// A real local file with its content, not to be written to.
    ///
    /// Where the storage has local files it is [the storage's](LocalPath), called like the last segment of the location if that
    /// is possible; else the content is loaded to `folder/<location>`.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::load`], those of writing the file, and [`ErrorKind::Changed`].
    pub async fn path(&self, folder: &Path) -> Result<LocalPath> {
        match self.storage.local_path(&self.location, None).await {
            Ok(path) => {
                self.check().await?;
                return Ok(path);
            }
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            Err(error) => return Err(error),
        }
        let path = folder.join(self.location.as_str());
        write_file(self.stream().await?, path.clone()).await?;
        Ok(LocalPath::new(path, ()))
    }

    /// Compares the content with the expected digest, without reading it where the storage has the digest on record.
    async fn check(&self) -> Result<()> {
        if self.expected.is_none() {
            return Ok(());
        }
        match self.storage.digests(&self.location, DigestSet::BLAKE3).await?.blake3 {
            Some(digest) => self.compare(digest),
            None => Err(Error::new(ErrorKind::Internal, "verify", &self.location, "the storage computed no BLAKE3")),
        }
    }

    fn compare(&self, digest: Digest) -> Result<()> {
        match self.expected {
            Some(expected) if expected != digest => {
                let detail = format!("the content changed: BLAKE3 was {expected}, is {digest}");
                Err(Error::new(ErrorKind::Changed, "verify", &self.location, detail))
            }
            _ => Ok(()),
        }
    }
}

/// Writes a stream to a new file, which appears under `path` when it is complete.
async fn write_file(mut pieces: ByteStream, path: PathBuf) -> Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let failed = |path: &Path, error| Error::from_io("write", path.display(), error);
    let mut part = path.clone().into_os_string();
    part.push(format!(".{}-{}.part", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    let part = PathBuf::from(part);
    let mut file = Unfinished { path: part.clone(), file: None };
    file = unblock(move || {
        if let Some(folder) = part.parent() {
            std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        }
        file.file = Some(File::create(&part).map_err(|error| failed(&part, error))?);
        Ok(file)
    })
    .await?;
    while let Some(piece) = pieces.try_next().await? {
        file = unblock(move || {
            if let Some(open) = &mut file.file {
                open.write_all(&piece).map_err(|error| failed(&file.path, error))?;
            }
            Ok(file)
        })
        .await?;
    }
    unblock(move || {
        file.file = None;
        std::fs::rename(&file.path, &path).map_err(|error| failed(&path, error))
    })
    .await
}

/// A file in the making, which is removed again if it is not renamed.
struct Unfinished {
    path: PathBuf,
    file: Option<File>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the rename there is nothing to remove; otherwise it is litter in a folder that goes anyway.
        let _ = std::fs::remove_file(&self.path);
    }
}
