//! Units of a workflow. What has a shape of its own (handles, receipts, results) goes as JSON, which both sides know.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use serde_json::Value;
use strongroom::workflow::{
    Dag, Handle, Namespace, RunOptions, StorageManager, StorageName, Storages, Unit, UnitError,
};
use strongroom::{Error, ErrorKind, Result};

use crate::error::{self, Raised};
use crate::held::Held;
use crate::operation::Operation;
use crate::storage::Storage;

/// Between a scratch directory and a storage.
#[pyclass(frozen, module = "strongroom._strongroom")]
pub struct Manager(Of);

#[derive(Clone)]
enum Of {
    Own(Arc<StorageManager>),
    Shared(Arc<strongroom::workflow::UnitContext>),
    Permanent(Arc<strongroom::workflow::UnitContext>),
}

impl Of {
    fn manager(&self) -> &StorageManager {
        match self {
            Self::Own(manager) => manager,
            Self::Shared(context) => &context.shared,
            Self::Permanent(context) => &context.permanent,
        }
    }
}

#[pymethods]
impl Manager {
    #[new]
    fn new(
        py: Python<'_>,
        scratch: PathBuf,
        storage: &Storage,
        dag: &str,
        unit: &str,
        storage_name: &str,
    ) -> PyResult<Self> {
        let namespace = Namespace::new(dag, unit).map_err(error::raised)?;
        let manager = StorageManager::new(scratch, storage.opened(py)?.external(), namespace)
            .with_storage_name(StorageName::new(storage_name).map_err(error::raised)?);
        Ok(Self(Of::Own(Arc::new(manager))))
    }

    #[getter]
    fn scratch_dir(&self) -> PathBuf {
        self.0.manager().scratch_dir().into()
    }

    #[getter]
    fn namespace(&self) -> String {
        self.0.manager().namespace().to_string()
    }

    /// The handle: storage and location.
    fn register(&self, name: PathBuf) -> PyResult<(String, String)> {
        let handle = self.0.manager().register(name).map_err(error::raised)?;
        Ok(parts(&handle))
    }

    fn contains(&self, name: PathBuf) -> bool {
        self.0.manager().contains(name)
    }

    fn registered(&self) -> Vec<String> {
        self.0.manager().registered().iter().map(ToString::to_string).collect()
    }

    /// A receipt, as JSON.
    fn transfer(&self) -> Operation {
        let manager = self.0.clone();
        Operation::of(async move { json(&manager.manager().transfer().await?) })
    }

    fn transfer_file(&self, name: PathBuf) -> Operation {
        let manager = self.0.clone();
        Operation::of(async move { json(&manager.manager().transfer_file(name).await?) })
    }
}

fn parts(handle: &Handle) -> (String, String) {
    (handle.storage().to_string(), handle.location().to_string())
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::new(ErrorKind::Internal, "write", "a result", "it is no JSON").with_source(error))
}

/// One attempt of a unit.
#[pyclass(frozen, module = "strongroom._strongroom")]
pub struct UnitContext(Arc<strongroom::workflow::UnitContext>);

#[pymethods]
impl UnitContext {
    #[getter]
    fn scratch(&self) -> PathBuf {
        self.0.scratch.clone()
    }

    #[getter]
    fn stdout(&self) -> PathBuf {
        self.0.stdout.clone()
    }

    #[getter]
    fn stderr(&self) -> PathBuf {
        self.0.stderr.clone()
    }

    #[getter]
    fn shared(&self) -> Manager {
        Manager(Of::Shared(Arc::clone(&self.0)))
    }

    #[getter]
    fn permanent(&self) -> Manager {
        Manager(Of::Permanent(Arc::clone(&self.0)))
    }

    #[getter]
    fn number(&self) -> u32 {
        self.0.number()
    }

    #[getter]
    fn attempt(&self) -> String {
        self.0.attempt()
    }

    /// As JSON.
    #[getter]
    fn inputs(&self) -> PyResult<String> {
        json(&self.0.inputs).map_err(error::raised)
    }

    /// The results before it by the names of their units, as JSON.
    #[getter]
    fn results(&self) -> PyResult<String> {
        json(&self.0.results).map_err(error::raised)
    }
}

/// A unit as Python gives it: its name, its inputs as JSON, the names of those before it, and its work, which takes a
/// [`UnitContext`] and returns JSON.
type Given = (String, String, Vec<String>, Py<PyAny>);

/// Runs units in their order; the outcome is JSON.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "Python gives each by its name, and nobody else calls it")]
#[pyo3(signature = (name, units, shared, permanent, scratch_dir, *, retries, parallel, keep_scratch, keep_shared, keep_partial,
    reuse_results))]
pub fn run_dag(
    py: Python<'_>,
    name: &str,
    units: Vec<Given>,
    shared: &Storage,
    permanent: &Storage,
    scratch_dir: PathBuf,
    retries: u32,
    parallel: Option<usize>,
    keep_scratch: bool,
    keep_shared: bool,
    keep_partial: bool,
    reuse_results: bool,
) -> PyResult<Operation> {
    let storages = Storages::new(shared.opened(py)?.external(), permanent.opened(py)?.external());
    let mut options = RunOptions::new(scratch_dir)
        .with_retries(retries)
        .with_keep_scratch(keep_scratch)
        .with_keep_shared(keep_shared)
        .with_keep_partial(keep_partial)
        .with_reuse_results(reuse_results);
    if let Some(parallel) = parallel {
        options = options.with_parallel(parallel);
    }
    let mut dag = Dag::new(name);
    for given in units {
        dag = dag.with(unit(given)?);
    }
    let run = async move { json(&strongroom::workflow::run_dag(&dag, &storages, &options).await?) };
    Ok(Operation::of(run))
}

fn unit((name, inputs, before, work): Given) -> PyResult<Unit> {
    let refused = |error| {
        let detail = format!("its inputs are no JSON: {error}");
        error::raised(Error::new(ErrorKind::Invalid, "run", &name, detail))
    };
    let inputs: Value = serde_json::from_str(&inputs).map_err(refused)?;
    let work = Held::from(work);
    let unit = Unit::of_shared(name, move |context| {
        let context = UnitContext(Arc::clone(context));
        let result: Result<String, PyErr> = Python::attach(|py| work.call1(py, (context,))?.extract(py));
        Ok(serde_json::from_str(&result.map_err(|error| UnitError::from(Raised::from(error)))?)?)
    });
    Ok(before.into_iter().fold(unit.with_inputs(inputs), Unit::after))
}
