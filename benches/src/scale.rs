//! Does one more object, or one more version, cost more when there are many already?
//!
//! A store grows, and at each point of a series 1, 2, 5, 10 … everything is measured: what storing took since the point before,
//! what reading, committing and verifying take now, memory, size. `plot` draws it.

mod objects;
mod plot;
mod record;
mod volume;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::fresh::{self, Work};
use crate::place::Place;
use record::Record;

/// Lets a store grow, and measures whether cost grows with it.
///
/// Each point is printed, and written to a JSON file at once; `plot` draws such files.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo bench -p strongroom-bench --bench scale --", max_term_width = 120)]
struct Options {
    #[command(subcommand)]
    work: What,
    /// Where to work; a folder on the disk that is to be measured
    #[arg(long, value_name = "FOLDER", global = true)]
    folder: Option<PathBuf>,
    /// Where the JSON goes
    #[arg(long, value_name = "FILE", global = true)]
    json: Option<PathBuf>,
    /// Leave the store where it is when everything is done
    #[arg(long, global = true)]
    keep: bool,
    /// Cargo says so
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Many small objects, in batches
    Objects(objects::Objects),
    /// A large volume of files, version by version, in chunks
    Volume(volume::Volume),
    /// Draw what was measured
    Plot(plot::Plot),
    #[command(flatten)]
    Fresh(Work),
}

/// Does what the command line says.
pub fn run() -> Result<()> {
    let options = Options::parse();
    let (name, label) = match &options.work {
        What::Objects(objects) => ("objects", objects.label()),
        What::Volume(volume) => ("volume", volume.label()),
        What::Plot(plot) => return plot.draw(),
        What::Fresh(work) => return fresh::run(work),
    };
    let place = Place::new(options.folder.as_deref())?;
    let folder = place.folder().join(format!("scale-{name}"));
    remove(&folder)?;
    eprintln!("works in {}; if this is interrupted, delete that folder", folder.display());
    fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
    let file = options.json.unwrap_or_else(|| place.kept(&format!("scale-{name}.json")));
    let record = Record::new(name, &label, file);
    match &options.work {
        What::Objects(objects) => objects.run(&place, &folder, record)?,
        What::Volume(volume) => volume.run(&place, &folder, record)?,
        What::Plot(_) | What::Fresh(_) => {}
    }
    if !options.keep {
        remove(&folder)?;
    }
    Ok(())
}

/// Deletes a folder that may be there.
fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context(folder.display().to_string()),
        _ => Ok(()),
    }
}

/// `first` times 1, 2, 5, 10 … as long as that is less than `last`, then `last`.
fn points(first: u64, last: u64) -> Vec<u64> {
    let decades = (0..).map_while(|power| 10u64.checked_pow(power)).map_while(|decade| decade.checked_mul(first));
    let all = decades.flat_map(|decade| [1, 2, 5].map(|times| decade.saturating_mul(times)));
    all.take_while(|point| *point < last).chain([last]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_end_where_they_should() {
        assert_eq!(points(1000, 10_000), [1000, 2000, 5000, 10_000]);
        assert_eq!(points(1000, 2001), [1000, 2000, 2001]);
        assert_eq!(points(1000, 7), [7]);
    }
}
