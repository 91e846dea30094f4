//! An object that a handle refers to, read in whichever way suits.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::{self, StreamExt};
use strongroom_storage::{
    ByteRange, ByteStream, Digest, DigestSet, Error, ErrorKind, ExternalStorage, Hasher, LoadOptions, LocalPath,
    Location, Metadata, Result, unblock,
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
        let folder = path.parent().unwrap_or(folder).to_path_buf();
        unblock(move || {
            std::fs::create_dir_all(&folder).map_err(|error| Error::from_io("write", folder.display(), error))
        })
        .await?;
        let options = LoadOptions::default().with_expected(self.expected);
        self.storage.load_path(&self.location, &path, &options).await?;
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
