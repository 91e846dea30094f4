//! How fast are many small objects stored in one batch, durably?
//!
//! The limit is to write the same bytes as one file. disk-objectstore puts them straight into a pack and syncs it. cacache
//! writes a file for each, and syncs nothing; it and Python are slow, so they get a tenth of the objects.

use std::fs::File;
use std::io::Write;

use anyhow::Result;
use strongroom::{ContentConfig, ContentStorage, PutOptions};

use crate::bench::{Bench, WRITE_BYTES, sync};
use crate::data::{Objects, location};
use crate::measure::time;
use crate::python::ObjectStore;
use crate::race::{Amount, Race};
use crate::table::{Goal, Table};

pub fn answer(bench: &Bench, table: &mut Table) -> Result<()> {
    let (count, size) = (bench.options.objects, bench.options.small);
    let objects = Objects::new(count, size);
    let fewer = count.div_ceil(10);
    let python = ObjectStore::prepare(bench, table)?;

    let mut race = Race::new(bench).settled();
    let batch = race.enter("one batch", Amount::Objects(count), || {
        let folder = bench.scratch()?;
        let store = bench.create(folder.path(), ContentConfig::default())?;
        Ok(time(|| put_all(bench, &store, &objects, count))?.0)
    });
    let one_file = race.enter("one file", Amount::Objects(count), || {
        let folder = bench.scratch()?;
        let path = folder.path().join("all");
        let write = || {
            let mut file = File::create(&path)?;
            objects.all().chunks(WRITE_BYTES).try_for_each(|piece| file.write_all(piece))?;
            sync(&path)
        };
        Ok(time(write)?.0)
    });
    let cache = race.enter("cacache", Amount::Objects(fewer), || {
        let folder = bench.scratch_for_many()?;
        let write = || -> Result<()> {
            for index in 0..fewer {
                cacache::write_sync(&folder, location(0, index).as_str(), objects.get(index))?;
            }
            Ok(())
        };
        Ok(time(write)?.0)
    });
    let packed = python.as_ref().map(|python| {
        race.enter("disk-objectstore", Amount::Objects(fewer), || python.store(&bench.scratch_for_many()?, fewer, size))
    });
    let figures = race.run()?;

    let work = "small objects in one batch, durable";
    let ours = &figures[batch];
    let rival = "the same bytes as one file, fsync";
    table.compare(work, ours, rival, &figures[one_file], Goal::SpeedAtLeast(0.6));
    if let Some(packed) = packed {
        let rival = "disk-objectstore, straight to a pack, fsync";
        table.compare(work, ours, rival, &figures[packed], Goal::SpeedAtLeast(5.0));
    }
    table.compare(work, ours, "cacache, nothing synced", &figures[cache], Goal::SpeedAtLeast(10.0));
    Ok(())
}

/// Stores the first `count` objects in one batch.
pub fn put_all(bench: &Bench, store: &ContentStorage, objects: &Objects, count: usize) -> Result<()> {
    let mut batch = store.batch();
    for index in 0..count {
        batch.put(location(0, index), objects.source(index), PutOptions::default());
    }
    bench.block_on(batch.commit())?;
    Ok(())
}
