//! How much memory does a process need that stores or loads something large?

use anyhow::{Context, Result};
use strongroom::ContentConfig;

use crate::bench::Bench;
use crate::data::location;
use crate::fresh;
use crate::measure::median;
use crate::table::{Goal, Table};

pub fn answer(bench: &Bench, table: &mut Table) -> Result<()> {
    let sources = bench.scratch()?;
    let file = bench.noise_file(sources.path(), bench.options.large)?;
    let file = file.to_str().context("the folder's path is not UTF-8")?;
    let stream = bench.options.stream.to_string();
    let location = location(0, 0);
    for layout in ["whole", "chunked"] {
        let (mut stored, mut streamed, mut loaded) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..bench.options.repeats {
            let folder = bench.scratch()?;
            bench.create(folder.path(), ContentConfig::default())?;
            let store = folder.path().to_str().context("the folder's path is not UTF-8")?;
            let location = location.as_str();
            stored.push(ask(&["fresh-store", store, location, file, layout])?);
            streamed.push(ask(&["fresh-stream", store, location, &stream, layout])?);
            loaded.push(ask(&["fresh-load", store, location])?);
        }
        let what = [("storing a file", stored), ("storing a longer stream", streamed), ("loading it", loaded)];
        for (work, mebibytes) in what {
            let goal = Goal::ValueAtMost(256.0);
            table.value(&format!("peak memory while {work}, {layout}"), median(mebibytes), "MiB", goal);
        }
    }
    Ok(())
}

fn ask(arguments: &[&str]) -> Result<f64> {
    let needed = fresh::ask(arguments)?;
    eprintln!("  {}: {:.2} s, {} bytes", arguments[0], needed.seconds, needed.memory_bytes);
    Ok(needed.memory_bytes as f64 / f64::from(1 << 20))
}
