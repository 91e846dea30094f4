//! Puts and removals that appear together.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use strongroom::{ContentStorage, Location, Source, StoreMode};

use crate::convert::{self, Name};
use crate::object::Metadata;
use crate::operation::Operation;
use crate::options::Putting;
use crate::progress::Progress;
use crate::{bytes, source};

/// A link that is made when the batch is committed: what is to be found then.
struct Link {
    to: Location,
    from: Name,
    mode: StoreMode,
}

/// A batch, until it is committed.
#[pyclass(frozen, module = "strongroom._strongroom")]
pub struct Batch {
    store: ContentStorage,
    pending: Mutex<Option<(strongroom::Batch, Vec<Link>)>>,
}

impl Batch {
    pub fn new(store: ContentStorage) -> Self {
        let batch = store.batch();
        Self { store, pending: Mutex::new(Some((batch, Vec::new()))) }
    }

    fn with<T>(&self, change: impl FnOnce(&mut strongroom::Batch, &mut Vec<Link>) -> T) -> PyResult<T> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let (batch, links) = pending.as_mut().ok_or_else(over)?;
        Ok(change(batch, links))
    }

    fn put(&self, location: &Bound<'_, PyAny>, source: Source, how: Putting) -> PyResult<()> {
        let (location, options) = (convert::location(location)?, how.options()?);
        self.with(|batch, _| {
            batch.put(location, source, options);
        })
    }
}

fn over() -> PyErr {
    PyRuntimeError::new_err("this batch is over; begin another one")
}

#[pymethods]
impl Batch {
    fn store_bytes(&self, location: &Bound<'_, PyAny>, data: &Bound<'_, PyAny>, how: Putting) -> PyResult<()> {
        self.put(location, Source::bytes(bytes::taken(data)?), how)
    }

    fn store_path(&self, location: &Bound<'_, PyAny>, path: PathBuf, how: Putting) -> PyResult<()> {
        self.put(location, Source::path(path), how)
    }

    fn store_stream(&self, location: &Bound<'_, PyAny>, pieces: Py<PyAny>, how: Putting) -> PyResult<()> {
        self.put(location, source::of_pieces(pieces), how)
    }

    /// Gives what is at one location another name, without its bytes moving.
    fn copy(&self, from: &Bound<'_, PyAny>, to: &Bound<'_, PyAny>, mode: &str) -> PyResult<()> {
        let link = Link { to: convert::location(to)?, from: convert::name(from)?, mode: convert::mode(mode)? };
        self.with(|_, links| links.push(link))
    }

    fn delete(&self, location: &Bound<'_, PyAny>, missing_ok: bool) -> PyResult<()> {
        let location = convert::location(location)?;
        self.with(|batch, _| {
            if missing_ok {
                batch.remove_if_present(location)
            } else {
                batch.remove(location)
            };
        })
    }

    /// Calls `progress(done, total)` after each object that was taken in; `total` is what is known to come.
    #[pyo3(signature = (message, total, progress=None))]
    fn commit(&self, message: String, total: u64, progress: Option<Py<PyAny>>) -> PyResult<Operation> {
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (mut batch, links) = pending.ok_or_else(over)?;
        batch = batch.with_message(message);
        if let Some(progress) = progress.map(Progress::new) {
            batch = batch.with_progress(Arc::new(move |_, done| progress.tell(done, total.max(done))));
        }
        let store = self.store.clone();
        let committed = async move {
            for Link { to, from, mode } in links {
                let object = match from {
                    Name::Location(location) => store.find(&location).await?,
                    Name::Digest(digest) => store.find_digest(&digest).await?,
                };
                batch.link(to, object, mode);
            }
            batch.commit().await
        };
        Ok(Operation::new(committed, |py, receipt| {
            let versions = receipt.versions.iter();
            let receipt = Receipt {
                stored: receipt.stored.iter().map(Metadata::stored).collect(),
                versions: versions.map(|(namespace, version)| (namespace.as_str().into(), version.get())).collect(),
            };
            Ok(Py::new(py, receipt)?.into_any())
        }))
    }
}

/// What a batch did.
#[pyclass(frozen, get_all, eq, module = "strongroom._strongroom")]
#[derive(Clone, PartialEq)]
pub struct Receipt {
    stored: Vec<Metadata>,
    /// The version of each namespace after it.
    versions: BTreeMap<String, u64>,
}

#[pymethods]
impl Receipt {
    #[new]
    fn new(stored: Vec<PyRef<'_, Metadata>>, versions: BTreeMap<String, u64>) -> Self {
        Self { stored: stored.iter().map(|stored| Metadata::clone(stored)).collect(), versions }
    }

    /// For other processes.
    fn __getnewargs__(&self) -> (Vec<Metadata>, BTreeMap<String, u64>) {
        (self.stored.clone(), self.versions.clone())
    }

    fn __repr__(&self) -> String {
        format!("<strongroom.Receipt of {} objects, versions {:?}>", self.stored.len(), self.versions)
    }
}
