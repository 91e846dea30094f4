//! Puts and removals that appear together.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use strongroom::content::BatchReceipt;
use strongroom::{Address, ContentStorage, Location, PutOptions, Source, StoreMode};

use crate::convert;
use crate::object::Metadata;
use crate::operation::Operation;
use crate::options::Putting;
use crate::progress::Progress;
use crate::{bytes, source};

/// What is done when the batch is committed, in this order: where a location is named twice, the last counts.
enum Step {
    Put(Location, Source, PutOptions),
    /// What is to be found then.
    Copy {
        from: Address,
        to: Location,
        mode: StoreMode,
    },
    Delete {
        location: Location,
        missing_ok: bool,
    },
}

/// A batch, until it is committed.
#[pyclass(frozen, module = "strongroom._strongroom")]
pub struct Batch {
    store: ContentStorage,
    steps: Mutex<Option<Vec<Step>>>,
}

impl Batch {
    pub fn new(store: ContentStorage) -> Self {
        Self { store, steps: Mutex::new(Some(Vec::new())) }
    }

    fn push(&self, step: Step) -> PyResult<()> {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.as_mut().ok_or_else(over)?.push(step);
        Ok(())
    }

    fn put(&self, location: &Bound<'_, PyAny>, source: Source, how: Putting) -> PyResult<()> {
        self.push(Step::Put(convert::location(location)?, source, how.options()?))
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
        self.push(Step::Copy { from: convert::address(from)?, to: convert::location(to)?, mode: convert::mode(mode)? })
    }

    fn delete(&self, location: &Bound<'_, PyAny>, missing_ok: bool) -> PyResult<()> {
        self.push(Step::Delete { location: convert::location(location)?, missing_ok })
    }

    /// Calls `progress(done, total)` after each object that was taken in; `total` is what is known to come.
    #[pyo3(signature = (message, total, progress=None))]
    fn commit(&self, message: String, total: u64, progress: Option<Py<PyAny>>) -> PyResult<Operation> {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (steps, store) = (steps.ok_or_else(over)?, self.store.clone());
        let mut batch = store.batch().with_message(message);
        if let Some(progress) = progress.map(Progress::new) {
            batch = batch.with_progress(Arc::new(move |_, done| progress.tell(done, total.max(done))));
        }
        let committed = async move {
            for step in steps {
                match step {
                    Step::Put(location, source, options) => batch.put(location, source, options),
                    Step::Copy { from, to, mode } => batch.link(to, store.find_address(&from).await?, mode),
                    Step::Delete { location, missing_ok: true } => batch.remove_if_present(location),
                    Step::Delete { location, missing_ok: false } => batch.remove(location),
                };
            }
            Ok(Receipt::from(batch.commit().await?))
        };
        Ok(Operation::of(committed))
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

impl From<BatchReceipt> for Receipt {
    fn from(receipt: BatchReceipt) -> Self {
        let versions = receipt.versions.iter();
        Self {
            stored: receipt.stored.iter().map(Metadata::stored).collect(),
            versions: versions.map(|(namespace, version)| (namespace.as_str().into(), version.get())).collect(),
        }
    }
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
