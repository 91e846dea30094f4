//! A campaign of molecular dynamics whose units keep their files in strongroom.
//!
//! ```text
//! cargo run --release --example md_campaign [FOLDER]
//! ```
//!
//! Set-up, equilibration, three replicas side by side and an analysis; one replica fails on purpose and is tried again. Then the
//! campaign gets longer, and only what is new is run and stored. At the end a byte is flipped behind the store's back.
//!
//! The physics is real and checked: energy and momentum are conserved, and a restart is exact, bit by bit. With FOLDER the store
//! stays there: run the example again, or look around with `strongroom --store FOLDER/store ls`. The trajectories are DCD files,
//! for VMD or MDAnalysis.

mod campaign;
mod checkpoint;
mod dcd;
mod fluid;
mod production;
mod random;
mod store;

use std::path::{Path, PathBuf};

use anyhow::Result;
use strongroom::workflow::{DagResult, RunOptions, run_dag};

#[tokio::main]
async fn main() -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let folder = std::env::args_os().nth(1).map_or_else(|| temporary.path().to_path_buf(), PathBuf::from);
    run(&folder).await
}

async fn run(folder: &Path) -> Result<()> {
    let (content, storages) = store::open(folder).await?;
    let options = RunOptions::new(folder.join("scratch")).with_retries(1);

    println!("campaign");
    let first = run_dag(&campaign::first(), &storages, &options).await?.into_result()?;
    show_units(&first);
    let before = store::show(&content).await?;

    println!("\nlonger campaign");
    let longer = run_dag(&campaign::longer(), &storages, &options).await?.into_result()?;
    show_units(&longer);
    let after = store::show(&content).await?;
    let trajectory = longer.get("replica-1-longer").and_then(|unit| unit.outcome.as_ref().ok());
    let size = trajectory.and_then(|success| success.permanent.get("trajectory.dcd")).map_or(0, |entry| entry.size);
    let added = after.stored_bytes.saturating_sub(before.stored_bytes);
    println!(
        "  a trajectory of {:.1} MiB, longer than the one it goes on from, took {:.1} MiB with all else",
        store::mebibytes(size),
        store::mebibytes(added),
    );
    anyhow::ensure!(added < size, "the longer trajectory does not share chunks with the shorter one");

    println!("\na byte is flipped");
    store::survive_a_flipped_byte(folder, &longer).await
}

/// What was run, and what came of it.
fn show_units(result: &DagResult) {
    for unit in &result.units {
        for failure in &unit.earlier {
            let kept = failure.permanent.entries.len();
            println!("  {:16} failed: {} ({kept} files kept as {})", unit.unit, failure.error, failure.attempt);
        }
        let Ok(success) = &unit.outcome else { continue };
        if unit.reused {
            println!("  {:16} is there already", unit.unit);
            continue;
        }
        print!("  {:16} {} files", unit.unit, success.shared.entries.len() + success.permanent.entries.len());
        match result.value::<campaign::Replica>(&unit.unit) {
            Ok(replica) => println!(", {} frames, {}", replica.frames, replica.means),
            Err(_) => println!(),
        }
    }
}
