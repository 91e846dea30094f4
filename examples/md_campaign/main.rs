//! A campaign of molecular dynamics whose units keep their files in strongroom.
//!
//! Set-up, equilibration, three replicas side by side and an analysis; one replica fails on purpose and is tried again. Then the
//! campaign gets longer, and only what is new is run.

mod campaign;
mod checkpoint;
mod dcd;
mod fluid;
mod production;
mod random;

use std::sync::Arc;

use anyhow::Result;
use strongroom_storage::MemoryStorage;
use strongroom_workflow::{DagResult, RunOptions, Storages, run_dag};

#[tokio::main]
async fn main() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let storages = Storages::new(Arc::new(MemoryStorage::new()), Arc::new(MemoryStorage::new()));
    let options = RunOptions::new(scratch.path()).with_retries(1);
    for dag in [campaign::first(), campaign::longer()] {
        show(&run_dag(&dag, &storages, &options).await?.into_result()?);
    }
    Ok(())
}

fn show(result: &DagResult) {
    println!("campaign {}", campaign::DAG);
    for unit in &result.units {
        for failure in &unit.earlier {
            println!("  {:18} failed: {failure}", unit.unit);
        }
        if let Ok(success) = &unit.outcome {
            let files = success.shared.entries.len() + success.permanent.entries.len();
            println!("  {:18} {files} files{}", unit.unit, if unit.reused { ", already there" } else { "" });
        }
    }
}
