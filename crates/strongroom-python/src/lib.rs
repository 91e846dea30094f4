//! The native part of the Python package `strongroom`: it takes arguments, calls the front door, and gives results.
//!
//! What users see are the Python files beside this crate; nothing here has a name that is theirs to use. Every call gives an
//! [`Operation`](operation::Operation), which Python waits for or goes on without.
#![forbid(unsafe_code)]

mod batch;
mod bytes;
mod command;
mod convert;
mod error;
mod held;
mod listing;
mod object;
mod opening;
mod operation;
mod options;
mod progress;
mod reader;
mod snapshot;
mod source;
mod storage;
mod workflow;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _strongroom {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::batch::{Batch, Receipt};
    #[pymodule_export]
    use crate::command::{cache_folder, run_command};
    #[pymodule_export]
    use crate::convert::is_digest;
    #[pymodule_export]
    use crate::listing::Listing;
    #[pymodule_export]
    use crate::object::{Commit, Metadata};
    #[pymodule_export]
    use crate::opening::absolute_url;
    #[pymodule_export]
    use crate::operation::{Operation, Task};
    #[pymodule_export]
    use crate::reader::{LocalPath, Reader};
    #[pymodule_export]
    use crate::snapshot::Snapshot;
    #[pymodule_export]
    use crate::storage::Storage;
    #[pymodule_export]
    use crate::workflow::{Manager, UnitContext, run_dag};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
