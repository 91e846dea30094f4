//! What is to be stored: bytes, a local file, or a stream.

mod file;

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

pub use file::{FileIdentity, SourceFile};

use crate::error::{Error, ErrorKind, Result};
use crate::options::ByteStream;

/// How much of a local file is read at a time, in bytes.
const READ_SIZE_BYTES: usize = 1 << 20;

/// Content to be stored.
///
/// A local file must be a regular file (a symlink to one is followed) and must not change while it is read.
#[non_exhaustive]
pub enum Source {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes in memory, in pieces.
    Pieces(Vec<Bytes>),
    /// A local file.
    Path(PathSource),
    /// Bytes that come in pieces.
    Stream(ByteStream),
}

/// A local file as a source.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PathSource {
    /// Where it is.
    pub path: PathBuf,
    /// The caller is done with the file and nobody has it open: a backend may move it instead of copying it. Whether it
    /// is still there afterwards is unspecified.
    pub consume: bool,
    /// The file as the caller saw it before; a file that is another now is [`ErrorKind::Changed`].
    pub expected: Option<FileIdentity>,
}

impl Source {
    /// The local file at `path`.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self::Path(PathSource { path: path.into(), consume: false, expected: None })
    }

    /// The local file at `path`, which a backend may move instead of copying it.
    pub fn consumed_path(path: impl Into<PathBuf>) -> Self {
        Self::Path(PathSource { path: path.into(), consume: true, expected: None })
    }

    /// Bytes in memory.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::Bytes(bytes.into())
    }

    /// Bytes that come in pieces. An error in the stream fails the store, and nothing is stored.
    pub fn stream(stream: impl futures::Stream<Item = Result<Bytes>> + Send + 'static) -> Self {
        Self::Stream(stream.boxed())
    }

    /// The content in pieces of up to 1 MiB, for backends without a faster way.
    ///
    /// The last item is an error if a file changed while it was read, so a backend that publishes only after the stream's end
    /// stores no torn object.
    ///
    /// # Errors
    /// Those of [`SourceFile::open`].
    pub async fn into_stream(self) -> Result<ByteStream> {
        match self {
            Self::Bytes(bytes) => Ok(stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed()),
            Self::Pieces(pieces) => {
                Ok(stream::iter(pieces.into_iter().filter(|piece| !piece.is_empty()).map(Ok)).boxed())
            }
            Self::Stream(stream) => Ok(stream),
            Self::Path(source) => {
                let file = crate::unblock(move || SourceFile::open(&source)).await?;
                Ok(stream::try_unfold(Some(file), |file| async move {
                    let Some(mut file) = file else { return Ok(None) };
                    crate::unblock(move || {
                        let piece = file.read_piece(READ_SIZE_BYTES)?;
                        if piece.is_empty() {
                            file.finish()?;
                            return Ok(None);
                        }
                        Ok(Some((piece, Some(file))))
                    })
                    .await
                })
                .boxed())
            }
        }
    }

    /// The whole content in memory, for backends whose objects are small.
    ///
    /// # Errors
    /// Those of [`SourceFile::open`], and those of the stream.
    pub async fn into_bytes(self) -> Result<Bytes> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            other => {
                let mut stream = other.into_stream().await?;
                let Some(first) = stream.try_next().await? else { return Ok(Bytes::new()) };
                let Some(second) = stream.try_next().await? else { return Ok(first) };
                let mut whole = Vec::from(first);
                whole.extend_from_slice(&second);
                while let Some(piece) = stream.try_next().await? {
                    whole.extend_from_slice(&piece);
                }
                Ok(whole.into())
            }
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Pieces(pieces) => write!(f, "Pieces({} bytes)", pieces.iter().map(Bytes::len).sum::<usize>()),
            Self::Path(source) => f.debug_tuple("Path").field(source).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl From<Bytes> for Source {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Source {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<&'static [u8]> for Source {
    fn from(bytes: &'static [u8]) -> Self {
        Self::Bytes(Bytes::from_static(bytes))
    }
}

impl From<&'static str> for Source {
    fn from(text: &'static str) -> Self {
        Self::Bytes(Bytes::from_static(text.as_bytes()))
    }
}

pub(crate) fn not_a_file(path: &std::path::Path, what: &str, remedy: &str) -> Error {
    Error::new(ErrorKind::Invalid, "read", path.display(), format!("this is {what}, not a file; {remedy}"))
}
