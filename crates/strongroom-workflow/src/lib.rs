//! Storage for the units of a workflow: register, transfer, load.
//!
//! A unit of a simulation campaign writes files into a scratch directory of its own. It *registers* those that matter and gets a
//! [`Handle`] for each; when its work is done, all of them are *transferred* to storage under the unit's name, or none; units
//! after it *load* them by handle, from another machine perhaps. All of this works over any
//! [`ExternalStorage`](strongroom_storage::ExternalStorage).
//!
//! ```
//! # use std::sync::Arc;
//! # use serde_json::json;
//! # use strongroom_storage::MemoryStorage;
//! use strongroom_workflow::{Dag, Handle, RunOptions, Storages, Unit, run_dag};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let simulate = Unit::new("simulate", |context| {
//!     let handle = context.shared.register("energy.csv")?;
//!     std::fs::write(context.scratch.join("energy.csv"), "-1.5\n-1.7\n")?;
//!     Ok(json!({ "energies": handle }))
//! });
//! let average = Unit::new("average", |context| {
//!     let results: std::collections::BTreeMap<String, Handle> = context.result("simulate")?;
//!     let text = String::from_utf8(context.load(&results["energies"])?.to_vec())?;
//!     let energies = text.lines().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
//!     Ok(json!(energies.iter().sum::<f64>() / energies.len() as f64))
//! })
//! .after("simulate");
//!
//! # let folder = tempfile::tempdir()?;
//! # let scratch = folder.path();
//! let storages = Storages::new(Arc::new(MemoryStorage::new()), Arc::new(MemoryStorage::new()));
//! let dag = Dag::new("campaign-7").with(simulate).with(average);
//! let result = run_dag(&dag, &storages, &RunOptions::new(scratch)).await?.into_result()?;
//! assert_eq!(result.value::<f64>("average")?, -1.6);
//! # Ok(())
//! # }
//! ```
//!
//! # Three storages
//! | | lives as long as | what for |
//! |---|---|---|
//! | scratch | an attempt of a unit | a local directory to write in |
//! | shared | the DAG | files that other units need |
//! | permanent | it is wanted | results |
//!
//! # What holds
//! * A failed unit publishes nothing under its own name. What it had written can be kept under the name of the attempt,
//!   `dag/unit.2`, and attempts never replace each other's files.
//! * A [`Receipt`] says what a transfer stored, with sizes and digests. Whatever changed since, or while it was transferred, or
//!   is missing, is an error that names the file and both digests.
//! * A handle names its storage and no place, so it outlives serialisation, moves, and the process.
//! * A unit is not run again when its result is there for the same inputs.
//! * However a DAG ends, scratch directories are removed and shared storage is cleared.
//!
//! # What to use
//! | who | uses |
//! |---|---|
//! | the author of a unit | [`UnitContext`]: `scratch`, `shared.register`, `permanent.register`, `load` |
//! | who has a DAG to run on one machine | [`Dag`], [`Unit`], [`run_dag`] |
//! | the author of an engine | [`UnitContext::create`], `publish` or `keep_partial`, `close`; [`clear_shared`] when the DAG ends |
//! | the author of something else | [`StorageManager`], [`Receipt`], [`Storages`] |
//!
//! Async calls want a Tokio runtime. The crate is no scheduler: a unit is a blocking function that runs on this machine, and
//! there are no queues, no resources, no priorities.
#![forbid(unsafe_code)]

mod cache;
mod context;
mod dag;
mod graph;
mod handle;
mod manager;
mod namespace;
mod options;
mod receipt;
mod resource;
mod result;
mod run;
mod scratch;
mod storages;
mod unit;

pub use context::{Published, UnitContext};
pub use dag::{clear_shared, run_dag};
pub use handle::Handle;
pub use manager::StorageManager;
pub use namespace::Namespace;
pub use options::RunOptions;
pub use receipt::{Receipt, ReceiptEntry};
pub use resource::Resource;
pub use result::{Captured, DagResult, UnitFailure, UnitResult, UnitSuccess};
pub use run::run_unit;
pub use storages::{StorageName, Storages};
pub use unit::{Dag, Unit, UnitError};
