//! How much slower than `cp` is it to get a large file back, every byte verified?
//!
//! Once by the library, once by the command line. Neither they nor `cp` make it durable.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use strongroom::{ContentConfig, ExternalStorage, Layout, LoadOptions, PutOptions};

use super::store_new::put;
use crate::bench::{Bench, execute};
use crate::data::location;
use crate::measure::time;
use crate::race::{Amount, Race};
use crate::table::{Goal, Table};

pub fn answer(bench: &Bench, table: &mut Table) -> Result<()> {
    let folder = bench.scratch()?;
    let size = bench.options.large;
    let file = bench.noise_file(folder.path(), size)?;
    let command_line = bench.command_line()?;
    let amount = Amount::Bytes(size);
    let target = folder.path().join("target");
    let done = |path: &Path| -> Result<()> {
        ensure!(fs::metadata(path)?.len() == size, "{} is not whole", path.display());
        Ok(fs::remove_file(path)?)
    };

    let mut race = Race::new(bench).settled();
    let mut entries = Vec::new();
    for (name, layout, least) in [("whole", Layout::Whole, 0.9), ("chunked", Layout::Chunked, 0.75)] {
        let path = folder.path().join(name);
        let store = bench.create(&path, ContentConfig::default())?;
        put(bench, &store, &file, PutOptions::default().with_layout(layout))?;
        let (target, command_line) = (&target, &command_line);
        let at = location(0, 0);
        let library = race.enter(name, amount, move || {
            let load = || Ok(bench.block_on(store.load_path(&at, target, &LoadOptions::default()))?);
            let (sample, _) = time(load)?;
            done(target)?;
            Ok(sample)
        });
        entries.push((format!("read back by the library, {name}"), library, least));
        let command = race.enter(&format!("strongroom get, {name}"), amount, move || {
            let mut command = Command::new(command_line);
            command.arg("--quiet").arg("--store").arg(&path).args(["get", location(0, 0).as_str()]).arg(target);
            let (sample, ()) = time(|| execute(&mut command))?;
            done(target)?;
            Ok(sample)
        });
        entries.push((format!("read back by `strongroom get`, {name}"), command, least));
    }
    let copy = race.enter("cp", amount, || {
        let (sample, ()) = time(|| execute(Command::new("cp").arg("--reflink=never").arg(&file).arg(&target)))?;
        done(&target)?;
        Ok(sample)
    });
    let figures = race.run()?;
    for (work, entry, least) in entries {
        table.compare(&work, &figures[entry], "`cp`", &figures[copy], Goal::SpeedAtLeast(least));
    }
    Ok(())
}
