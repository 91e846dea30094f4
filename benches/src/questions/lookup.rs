//! How many digests does a process look up each second in a store of many objects, and how much memory does it need?
//!
//! Beside a hash map of the standard library that has all of them in memory.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use strongroom::{ContentConfig, ContentStorage, Digest, PutOptions, Source};

use crate::bench::Bench;
use crate::data::{Noise, location, tiny};
use crate::fresh;
use crate::measure::{median, time};
use crate::race::{Amount, Race};
use crate::table::{Goal, Table};

/// How many objects are stored by a batch.
const BATCH: usize = 100_000;

pub fn answer(bench: &Bench, table: &mut Table) -> Result<()> {
    let count = bench.options.digests;
    let folder = bench.scratch()?;
    let store = bench.create(folder.path(), ContentConfig::default())?;
    bench.block_on(fill(&store, count))?;
    let mut there: Vec<Digest> = (0..count).map(|index| Digest::of(&tiny(index))).collect();
    let absent: Vec<Digest> = there.iter().map(|digest| Digest::of(digest.as_bytes())).collect();
    Noise::new(5).shuffle(&mut there);
    let map: HashMap<Digest, u64> = there.iter().zip(0..).map(|(digest, place)| (*digest, place)).collect();

    let ask = |digests: &[Digest], expected: bool| {
        let (sample, found) = time(|| Ok(bench.block_on(store.contains_digests(digests))?))?;
        ensure!(found.into_iter().all(|there| there == expected));
        Ok(sample)
    };
    let in_map = |digests: &[Digest], expected: bool| {
        let (sample, found) = time(|| Ok(digests.iter().filter(|digest| map.contains_key(*digest)).count()))?;
        ensure!(found == if expected { digests.len() } else { 0 });
        Ok(sample)
    };
    let mut race = Race::new(bench);
    let amount = Amount::Objects(count);
    let ours = [("found", &there, true), ("absent", &absent, false)].map(|(name, digests, expected)| {
        let entry = race.enter(name, amount, move || ask(digests, expected));
        (name, entry, race.enter(&format!("{name}, map"), amount, move || in_map(digests, expected)))
    });
    let figures = race.run()?;
    for (name, entry, rival) in ours {
        let work = format!("digests looked up, {name}, {count} of {count}");
        table.compare(&work, &figures[entry], "a HashMap in memory", &figures[rival], Goal::None);
    }

    let path = folder.path().to_str().context("the folder's path is not UTF-8")?;
    let mut mebibytes = Vec::new();
    for _ in 0..bench.options.repeats {
        let needed = fresh::ask(&["fresh-lookup", path, &count.to_string()])?;
        eprintln!("  {:.4} s, {} bytes", needed.seconds, needed.memory_bytes);
        mebibytes.push(needed.memory_bytes as f64 / f64::from(1 << 20));
    }
    let work = format!("a new process looks up a tenth of {count} digests: memory");
    table.value(&work, median(mebibytes), "MiB", Goal::ValueAtMost(256.0));
    Ok(())
}

async fn fill(store: &ContentStorage, count: usize) -> Result<()> {
    for first in (0..count).step_by(BATCH) {
        let mut batch = store.batch();
        for index in first..count.min(first + BATCH) {
            batch.put(location(first / BATCH, index), Source::bytes(tiny(index)), PutOptions::default());
        }
        batch.commit().await?;
    }
    Ok(())
}
