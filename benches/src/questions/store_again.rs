//! Storing a large file that is there already: is it as fast as hashing it, and is nothing written?
//!
//! The rival hashes the file on one thread, reading 1 MiB at a time, with the library that `b3sum` is made of.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Result, ensure};
use strongroom::{ContentConfig, Layout, PutOptions};

use super::store_new::put;
use crate::bench::{Bench, WRITE_BYTES, usage};
use crate::measure::time;
use crate::race::{Amount, Race};
use crate::table::{Goal, Table};

/// A commit writes less than this; content would be more.
const COMMIT_MAX_BYTES: u64 = 64 << 10;

pub fn answer(bench: &Bench, table: &mut Table) -> Result<()> {
    let folder = bench.scratch()?;
    let file = bench.noise_file(folder.path(), bench.options.large)?;
    let amount = Amount::Bytes(bench.options.large);
    let mut race = Race::new(bench);
    let mut entries = Vec::new();
    for (name, layout) in [("whole", Layout::Whole), ("chunked", Layout::Chunked)] {
        let folder = bench.scratch()?;
        let store = bench.create(folder.path(), ContentConfig::default())?;
        let options = PutOptions::default().with_layout(layout);
        put(bench, &store, &file, options.clone())?;
        let file = &file;
        let entry = race.enter(name, amount, move || {
            let before = [usage(&folder.path().join("packs"))?, usage(&folder.path().join("files"))?];
            let all_before = usage(folder.path())?.1;
            let (sample, ()) = time(|| put(bench, &store, file, options.clone()))?;
            let after = [usage(&folder.path().join("packs"))?, usage(&folder.path().join("files"))?];
            ensure!(before == after, "content was written again: {before:?}, then {after:?}");
            let grown = usage(folder.path())?.1.saturating_sub(all_before);
            ensure!(grown < COMMIT_MAX_BYTES, "the store grew by {grown} bytes");
            Ok(sample)
        });
        entries.push((format!("one file again, {name}"), entry));
    }
    let hash = race.enter("BLAKE3", amount, || Ok(time(|| hash(&file))?.0));
    let figures = race.run()?;
    for (work, entry) in entries {
        let goal = Goal::SpeedAtLeast(0.9);
        table.compare(&work, &figures[entry], "BLAKE3 on one thread", &figures[hash], goal);
    }
    Ok(())
}

fn hash(file: &Path) -> Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    read(file, |bytes| {
        hasher.update(bytes);
    })?;
    Ok(hasher.finalize())
}

/// Reads a file as fast as can be: into a buffer that stays in a core's own cache, and that does not begin where large memory does
/// by itself, a few bytes behind the beginning of a page, as some processors copy to there at a third of their speed.
pub fn read(file: &Path, mut take: impl FnMut(&[u8])) -> Result<()> {
    let mut file = File::open(file)?;
    let mut memory = vec![0; 64 + WRITE_BYTES];
    let buffer = &mut memory[64..];
    loop {
        match file.read(buffer)? {
            0 => return Ok(()),
            length => take(&buffer[..length]),
        }
    }
}
