//! How much slower than `cp` is it to store one new large file, hashed, indexed and durable?
//!
//! The rival copies the file and makes it and its folder durable.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use strongroom::{ContentConfig, ContentStorage, Layout, PutOptions, Source};

use crate::bench::{Bench, execute, sync};
use crate::data::{Text, location};
use crate::measure::{Sample, time};
use crate::place::write_file;
use crate::race::{Amount, Race};
use crate::table::{Goal, Table};

pub fn answer(bench: &Bench, table: &mut Table) -> Result<()> {
    let folder = bench.scratch()?;
    let size = bench.options.large;
    let noise = bench.noise_file(folder.path(), size)?;
    let text = folder.path().join("text");
    let mut lines = Text::new();
    write_file(&text, size, |buffer| lines.fill(buffer))?;

    let mut race = Race::new(bench).settled();
    let amount = Amount::Bytes(size);
    let whole = race.enter("whole", amount, || store_new(bench, &noise, Layout::Whole));
    let chunked = race.enter("chunked", amount, || store_new(bench, &noise, Layout::Chunked));
    let copy = race.enter("cp", amount, || copy(bench, &noise));
    let compressed = race.enter("chunked text", amount, || store_new(bench, &text, Layout::Chunked));
    let copy_text = race.enter("cp text", amount, || self::copy(bench, &text));
    let figures = race.run()?;

    let rival = "`cp`, fsync of file and folder";
    table.compare("one new file, whole", &figures[whole], rival, &figures[copy], Goal::SpeedAtLeast(0.95));
    table.compare("one new file, chunked", &figures[chunked], rival, &figures[copy], Goal::SpeedAtLeast(0.75));
    let work = "one new file of text, chunked, compressed by zstd";
    table.compare(work, &figures[compressed], rival, &figures[copy_text], Goal::None);
    Ok(())
}

fn store_new(bench: &Bench, file: &Path, layout: Layout) -> Result<Sample> {
    let folder = bench.scratch()?;
    let store = bench.create(folder.path(), ContentConfig::default())?;
    Ok(time(|| put(bench, &store, file, PutOptions::default().with_layout(layout)))?.0)
}

/// Stores a file, durably.
pub fn put(bench: &Bench, store: &ContentStorage, file: &Path, options: PutOptions) -> Result<()> {
    let mut batch = store.batch();
    batch.put(location(0, 0), Source::path(file), options);
    bench.block_on(batch.commit())?;
    Ok(())
}

fn copy(bench: &Bench, file: &Path) -> Result<Sample> {
    let folder = bench.scratch()?;
    let target = folder.path().join("copy");
    let (sample, ()) = time(|| {
        execute(Command::new("cp").arg("--reflink=never").arg(file).arg(&target))?;
        sync(&target)
    })?;
    fs::remove_file(target)?;
    Ok(sample)
}
