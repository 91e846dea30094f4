//! Objects that are open, and local files.

use std::ffi::OsString;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use pyo3::prelude::*;
use strongroom::{ByteRange, ByteStream, Error, ErrorKind, ExternalStorage, Location, ObjectReader, ObjectRef, Result};
use tokio::sync::Mutex;

use crate::bytes::Content;
use crate::operation::Operation;

/// What is larger is no piece of what is read one after the other.
const AHEAD_MAX_BYTES: u64 = 8 << 20;
/// How much of a file is read at a time, and how often at once.
const PIECE_BYTES: u64 = 4 << 20;
const PIECES_AT_ONCE: usize = 2;

/// An object that is open for many reads.
#[pyclass(frozen, module = "strongroom._strongroom")]
pub struct Reader {
    size: u64,
    from: From,
    /// What reads on from where the last read ended, in the process that has opened it: another may have it locked for ever.
    ahead: Arc<Mutex<Ahead>>,
    process: u32,
}

#[derive(Clone)]
enum From {
    /// Always the version that was there when it was opened.
    Open(Arc<dyn ObjectReader>),
    Object(Box<ObjectRef>),
    /// As it is when it is read.
    Place(Arc<dyn ExternalStorage>, Location, u64),
}

impl From {
    /// The bytes from `start` to before `end`, as they come.
    async fn stream(&self, start: u64, end: u64) -> Result<ByteStream> {
        let range = ByteRange::Span { start, end };
        let loaded = match self {
            Self::Open(reader) => return Ok(pieces(Arc::clone(reader), start..end)),
            Self::Object(object) => object.load(range).await?,
            Self::Place(storage, location, size) => {
                let loaded = storage.load(location, range).await;
                // What is smaller now does not have the range.
                let is_other = match &loaded {
                    Ok(loaded) => loaded.size != *size,
                    Err(error) => error.kind() == ErrorKind::Invalid,
                };
                if is_other {
                    let detail = "it was replaced since it was opened; open it again";
                    return Err(Error::new(ErrorKind::Changed, "load", location, detail));
                }
                loaded?
            }
        };
        Ok(loaded.into_stream())
    }
}

fn pieces(reader: Arc<dyn ObjectReader>, range: Range<u64>) -> ByteStream {
    let end = range.end;
    let starts = range.step_by(PIECE_BYTES as usize);
    let read = move |start: u64| {
        let reader = Arc::clone(&reader);
        async move { reader.read(start..end.min(start + PIECE_BYTES)).await }
    };
    stream::iter(starts).map(read).buffered(PIECES_AT_ONCE).boxed()
}

/// Whoever reads one piece after the other gets them from one stream, which fetches ahead and verifies each byte once.
#[derive(Default)]
struct Ahead {
    /// Where the last read ended.
    position: u64,
    stream: Option<ByteStream>,
    /// What came of it already and was not asked for.
    rest: Bytes,
}

impl Ahead {
    async fn read(&mut self, from: &From, start: u64, end: u64, size: u64) -> Result<Bytes> {
        // Given up in the middle, it is not where it says, so it is taken out until then.
        let before = std::mem::take(self);
        let mut ahead = match (start == before.position && start > 0, before.stream) {
            (true, Some(stream)) => Self { stream: Some(stream), ..before },
            (true, None) => Self { stream: Some(from.stream(start, size).await?), ..Self::default() },
            // The first piece, or somebody who jumps: nothing more may be wanted.
            (false, _) => Self { stream: Some(from.stream(start, end).await?), ..Self::default() },
        };
        let read = ahead.take(end - start).await?;
        let goes_on = start == before.position && start > 0;
        *self = Self { position: end, stream: ahead.stream.filter(|_| goes_on), rest: ahead.rest };
        Ok(read)
    }

    /// So many bytes that come next.
    async fn take(&mut self, length: u64) -> Result<Bytes> {
        let wanted = usize::try_from(length).unwrap_or(usize::MAX);
        let mut taken = BytesMut::new();
        loop {
            let next = self.rest.split_to(self.rest.len().min(wanted - taken.len()));
            if taken.is_empty() && next.len() == wanted {
                return Ok(next);
            }
            taken.extend_from_slice(&next);
            if taken.len() == wanted {
                return Ok(taken.freeze());
            }
            let next = match &mut self.stream {
                Some(stream) => stream.try_next().await?,
                None => None,
            };
            let ends = || Error::new(ErrorKind::Corrupt, "load", "an object", "it ends before its end");
            self.rest = next.ok_or_else(ends)?;
        }
    }
}

impl Reader {
    fn new(size: u64, from: From) -> Self {
        Self { size, from, ahead: Arc::default(), process: std::process::id() }
    }

    pub async fn of_location(storage: Arc<dyn ExternalStorage>, location: Location) -> Result<Self> {
        Ok(match storage.reader(&location).await? {
            Some(reader) => Self::new(reader.size(), From::Open(reader)),
            None => {
                let size = storage.metadata(&location).await?.size;
                Self::new(size, From::Place(storage, location, size))
            }
        })
    }

    pub fn of_object(object: ObjectRef) -> Self {
        Self::new(object.size(), From::Object(Box::new(object)))
    }
}

#[pymethods]
impl Reader {
    #[getter]
    fn size(&self) -> u64 {
        self.size
    }

    /// The bytes from `start` to before `end`, fewer at the end of the object.
    fn read(&self, start: u64, end: u64) -> Operation {
        let (start, end) = (start.min(self.size), end.min(self.size));
        let (from, ahead, size) = (self.from.clone(), Arc::clone(&self.ahead), self.size);
        let is_own = self.process == std::process::id();
        let content = async move {
            match end.saturating_sub(start) {
                0 => Ok(Content::Here(Bytes::new())),
                1..=AHEAD_MAX_BYTES if is_own => {
                    Ok(Content::Here(ahead.lock().await.read(&from, start, end, size).await?))
                }
                length => Ok(Content::ToCome(length, from.stream(start, end).await?)),
            }
        };
        Operation::of_what_comes(content)
    }
}

/// A local file with an object's content.
#[pyclass(frozen, module = "strongroom._strongroom")]
pub struct LocalPath {
    path: PathBuf,
    held: StdMutex<Option<strongroom::LocalPath>>,
}

impl LocalPath {
    pub fn new(held: strongroom::LocalPath) -> Self {
        Self { path: held.path().into(), held: StdMutex::new(Some(held)) }
    }
}

#[pymethods]
impl LocalPath {
    fn __fspath__(&self) -> OsString {
        self.path.clone().into_os_string()
    }

    /// From now on the file may go.
    fn close(&self, py: Python<'_>) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(held));
    }
}
