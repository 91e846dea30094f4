//! Objects that are open, and local files.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use strongroom::{ByteRange, ExternalStorage, Location, ObjectReader, ObjectRef, Result};

use crate::bytes;
use crate::operation::Operation;

/// An object that is open for many reads.
#[pyclass(frozen, module = "strongroom._strongroom")]
pub struct Reader {
    size: u64,
    from: From,
}

#[derive(Clone)]
enum From {
    /// Always the version that was there when it was opened.
    Open(Arc<dyn ObjectReader>),
    Object(Box<ObjectRef>),
    /// As it is when it is read.
    Place(Arc<dyn ExternalStorage>, Location),
}

impl Reader {
    pub async fn of_location(storage: Arc<dyn ExternalStorage>, location: Location) -> Result<Self> {
        Ok(match storage.reader(&location).await? {
            Some(reader) => Self { size: reader.size(), from: From::Open(reader) },
            None => Self { size: storage.metadata(&location).await?.size, from: From::Place(storage, location) },
        })
    }

    pub fn of_object(object: ObjectRef) -> Self {
        Self { size: object.size(), from: From::Object(Box::new(object)) }
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
        let from = self.from.clone();
        let read = async move {
            if start >= end {
                return Ok(::bytes::Bytes::new());
            }
            let range = ByteRange::Span { start, end };
            match from {
                From::Open(reader) => reader.read(start..end).await,
                From::Object(object) => object.load_bytes(range).await,
                From::Place(storage, location) => storage.load_bytes(&location, range).await,
            }
        };
        Operation::new(read, |py, read| bytes::given(py, &read))
    }
}

/// A local file with an object's content.
#[pyclass(frozen, module = "strongroom._strongroom")]
pub struct LocalPath {
    path: PathBuf,
    held: Mutex<Option<strongroom::LocalPath>>,
}

impl LocalPath {
    pub fn new(held: strongroom::LocalPath) -> Self {
        Self { path: held.path().into(), held: Mutex::new(Some(held)) }
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
