//! Bytes on their way from and to Python.

use bytes::{BufMut, Bytes, BytesMut};
use futures::{FutureExt, TryStreamExt};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use strongroom::{ByteStream, Error, ErrorKind, Loaded, Result, blocking};

use crate::error;
use crate::held::Held;
use crate::operation::until_interrupted;

/// What is larger goes into Python's memory piece by piece, as it is read.
const SMALL_BYTES: u64 = 1 << 20;
/// What is given and no larger than this is copied.
const COPIED_BYTES: usize = 64 << 10;

/// Content given by Python, which gives us everything as a `bytes`. Nobody can write to that, so if it is large it is not copied; a copy
/// of a small one costs less than to tell Python when we are done with it.
pub fn taken(data: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let data = data
        .cast::<PyBytes>()
        .map_err(|_| PyTypeError::new_err(format!("content is bytes, not {}", data.get_type())))?;
    let content = data.as_bytes();
    if content.len() <= COPIED_BYTES {
        return Ok(Bytes::copy_from_slice(content));
    }
    Ok(Bytes::from_owner(Given(Held::from(PyBackedBytes::from(data.clone())))))
}

/// Large content that Python has given.
struct Given(Held<PyBackedBytes>);

impl AsRef<[u8]> for Given {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Content for Python.
pub enum Content {
    Here(Bytes),
    /// So many bytes that are still to be read.
    ToCome(u64, ByteStream),
}

impl Content {
    /// What was opened; read at once if it is small.
    pub async fn of(loaded: Loaded) -> Result<Self> {
        let length = loaded.range.end - loaded.range.start;
        Ok(match length > SMALL_BYTES {
            true => Self::ToCome(length, loaded.into_stream()),
            false => Self::Here(loaded.into_bytes().await?),
        })
    }

    /// The same, when all of it is here: for callers that must not be kept waiting later.
    pub async fn arrived(self) -> Result<Self> {
        let Self::ToCome(length, mut stream) = self else { return Ok(self) };
        let mut room = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
        while let Some(piece) = stream.try_next().await? {
            room.extend_from_slice(&piece);
        }
        if room.len() as u64 == length { Ok(Self::Here(room.freeze())) } else { Err(wrong_length()) }
    }

    /// As Python's `bytes`. What is to come is waited for.
    pub fn given(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let bytes = match self {
            Self::Here(bytes) => PyBytes::new(py, &bytes),
            Self::ToCome(length, stream) => PyBytes::new_with(py, length.try_into()?, |room| {
                let filled = py.detach(|| blocking::wait(until_interrupted(fill(room, stream).boxed())))?;
                filled.map_err(error::raised)
            })?,
        };
        Ok(bytes.into_any().unbind())
    }
}

/// Writes exactly what comes into `room`.
async fn fill(mut room: &mut [u8], mut stream: ByteStream) -> Result<()> {
    while let Some(piece) = stream.try_next().await? {
        if piece.len() > room.len() {
            return Err(wrong_length());
        }
        room.put_slice(&piece);
    }
    if room.is_empty() { Ok(()) } else { Err(wrong_length()) }
}

fn wrong_length() -> Error {
    Error::new(ErrorKind::Internal, "load", "content", "it has another length than was said")
}
