//! How large should chunks be that are cut by content?
//!
//! Data as people have it is edited as people edit it, and stored version by version with each choice of sizes: how much of an
//! edit is new to the store, what does it cost to cut, and what to read?

mod candidate;
mod data;
mod report;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;

use crate::options::size;
use crate::place::Place;
use data::Data;

/// Stores edited data with chunks of several sizes, and measures what each choice costs and saves.
///
/// Prints tables as Markdown, and writes all that was measured as JSON.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo bench -p strongroom-bench --bench chunk_sizes --", max_term_width = 120)]
struct Options {
    /// Only data whose names contain one of these
    #[arg(value_name = "DATA")]
    data: Vec<String>,
    /// Print the names of the data and what each is
    #[arg(long)]
    list: bool,
    /// Everything tiny: shows that it runs, says nothing about sizes
    #[arg(long)]
    smoke: bool,
    /// About how large a version of the data is
    #[arg(long, value_name = "BYTES", value_parser = size, default_value = "256M", default_value_if("smoke", "true", "3M"))]
    size: u64,
    /// Only choices with these averages
    #[arg(long, value_name = "BYTES", value_parser = size, value_delimiter = ',', default_value_if("smoke", "true", "64K"))]
    averages: Vec<u64>,
    /// Where to work
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Where the JSON goes
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

/// Measures what the command line names.
pub fn run() -> Result<()> {
    let options = Options::parse();
    let wanted =
        |data: &&Data| options.data.is_empty() || options.data.iter().any(|part| data.name.contains(part.as_str()));
    if options.list {
        data::ALL.iter().for_each(|data| println!("{:<16} {}", data.name, data.what));
        return Ok(());
    }
    let place = Place::new(options.folder.as_deref())?;
    let mut candidates = candidate::all();
    candidates.retain(|candidate| {
        options.averages.is_empty() || options.averages.contains(&u64::from(candidate.sizes.average))
    });
    let mut outcomes = Vec::new();
    for data in data::ALL.iter().filter(wanted) {
        eprintln!("{}", data.name);
        let folder = place.scratch()?;
        let versions = match (data.make)(&place, folder.path(), options.size).with_context(|| data.name)? {
            Ok(versions) => versions,
            Err(note) => {
                eprintln!("  {note}");
                continue;
            }
        };
        for candidate in &candidates {
            let outcome = candidate.measure(&place, data.name, &versions)?;
            eprintln!("  {}: {}", candidate.name(), outcome.summary());
            outcomes.push(outcome);
        }
    }
    print!("{}", report::markdown(&candidates, &outcomes));
    let path = options.json.unwrap_or_else(|| place.kept("chunk_sizes.json"));
    std::fs::write(&path, serde_json::to_string_pretty(&outcomes)?).with_context(|| path.display().to_string())?;
    eprintln!("written to {}", path.display());
    Ok(())
}
