//! How much slower than `cp` is it to get a large file back, every byte verified?
//!
//! Once by the library, whose stream goes into a file; once by the command line. Neither they nor `cp` make it durable.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use futures::TryStreamExt;
use strongroom::{ContentConfig, ContentStorage, ExternalStorage, Layout, PutOptions, unblock};

use super::store_new::put;
use crate::bench::{Bench, WRITE_BYTES, execute};
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
        let library = race.enter(name, amount, move || {
            let (sample, ()) = time(|| bench.block_on(load(&store, target)))?;
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

/// Writes an object to a file, while more of it is read.
async fn load(store: &ContentStorage, target: &Path) -> Result<()> {
    let mut stream = store.load_stream(&location(0, 0)).await?;
    let mut file = File::create(target)?;
    let mut next = stream.try_next().await?;
    while let Some(bytes) = next {
        let written = unblock(move || {
            let written = bytes.chunks(WRITE_BYTES).try_for_each(|piece| file.write_all(piece));
            Ok(written.map(|()| file))
        });
        let (written, following) = futures::join!(written, stream.try_next());
        file = written??;
        next = following?;
    }
    Ok(())
}
