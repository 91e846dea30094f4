//! How fast are small objects read in a random order, every byte verified?
//!
//! One by one, beside opening and reading separate files and beside the local backend of `object_store`, neither of which
//! verifies; in batches beside the same. disk-objectstore gets a tenth of the objects where it reads one by one.

use std::fs;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStoreExt, path::Path};
use strongroom::{ByteRange, ContentConfig, ContentStorage, ExternalStorage, Location};

use super::store_many::put_all;
use crate::bench::Bench;
use crate::data::{Noise, Objects, location};
use crate::measure::time;
use crate::python::ObjectStore;
use crate::race::{Amount, Race};
use crate::table::{Goal, Table};

/// How many objects a program asks for at once that reads in batches.
const BATCH: usize = 1000;

pub fn answer(bench: &Bench, table: &mut Table) -> Result<()> {
    let (count, size) = (bench.options.objects, bench.options.small);
    let fewer = count.div_ceil(10);
    let python = ObjectStore::prepare(bench, table)?;
    let folder = bench.scratch_for_many()?;
    let store = bench.create(&folder.join("store"), ContentConfig::default())?;
    let objects = Objects::new(count, size);
    put_all(bench, &store, &objects, count)?;
    let files = folder.join("files");
    fs::create_dir(&files)?;
    for index in 0..count {
        fs::write(files.join(index.to_string()), objects.get(index))?;
    }
    drop(objects);
    if let Some(python) = &python {
        python.store(&folder, count, size)?;
    }
    let mut order: Vec<usize> = (0..count).collect();
    Noise::new(5).shuffle(&mut order);
    let locations: Vec<Location> = order.iter().map(|index| location(0, *index)).collect();
    let local = LocalFileSystem::new_with_prefix(&files)?;
    let expected = count as u64 * size;

    let mut race = Race::new(bench);
    let amount = Amount::Objects(count);
    let one_by_one = race.enter("one by one", amount, || {
        let read = async {
            let mut bytes = 0;
            for location in &locations {
                bytes += store.load_bytes(location, ByteRange::All).await?.len() as u64;
            }
            Ok(bytes)
        };
        let (sample, bytes) = time(|| bench.block_on(read))?;
        ensure!(bytes == expected);
        Ok(sample)
    });
    let in_batches = race.enter("in batches", amount, || {
        let (sample, bytes) = time(|| bench.block_on(load_in_batches(&store, &locations, BATCH)))?;
        ensure!(bytes == expected);
        Ok(sample)
    });
    let at_once = race.enter("at once", amount, || {
        let (sample, bytes) = time(|| bench.block_on(load_in_batches(&store, &locations, count)))?;
        ensure!(bytes == expected);
        Ok(sample)
    });
    let raw = race.enter("open and read", amount, || {
        let read = || {
            let mut bytes = 0;
            for index in &order {
                bytes += fs::read(files.join(index.to_string()))?.len() as u64;
            }
            Ok(bytes)
        };
        let (sample, bytes) = time(read)?;
        ensure!(bytes == expected);
        Ok(sample)
    });
    let crate_local = race.enter("object_store", amount, || {
        let read = async {
            let mut bytes = 0;
            for index in &order {
                bytes += local.get(&Path::from(index.to_string())).await?.bytes().await?.len() as u64;
            }
            Ok(bytes)
        };
        let (sample, bytes) = time(|| bench.block_on(read))?;
        ensure!(bytes == expected);
        Ok(sample)
    });
    let packed = python.as_ref().map(|python| {
        let folder = &folder;
        let each =
            race.enter("disk-objectstore, each", Amount::Objects(fewer), move || python.ask("read", folder, fewer));
        (each, race.enter("disk-objectstore, all", amount, move || python.ask("read-all", folder, count)))
    });
    let figures = race.run()?;

    let rival = "`open` and `read` of files, not verified";
    let work = "random reads, one by one";
    table.compare(work, &figures[one_by_one], rival, &figures[raw], Goal::SpeedAtLeast(1.0));
    table.compare(work, &figures[one_by_one], "`object_store`, local", &figures[crate_local], Goal::None);
    if let Some((each, _)) = packed {
        table.compare(work, &figures[one_by_one], "disk-objectstore", &figures[each], Goal::SpeedAtLeast(50.0));
    }
    let work = format!("random reads, {BATCH} at once");
    table.compare(&work, &figures[in_batches], rival, &figures[raw], Goal::SpeedAtLeast(1.5));
    let work = "random reads, all at once";
    table.compare(work, &figures[at_once], rival, &figures[raw], Goal::SpeedAtLeast(1.5));
    if let Some((_, all)) = packed {
        table.compare(work, &figures[at_once], "disk-objectstore, one call", &figures[all], Goal::SpeedAtLeast(10.0));
    }
    Ok(())
}

async fn load_in_batches(store: &ContentStorage, locations: &[Location], batch: usize) -> Result<u64> {
    let mut bytes = 0;
    for locations in locations.chunks(batch) {
        let found: Option<Vec<_>> = store.find_all(locations).await?.into_iter().collect();
        let mut loaded = store.load_all(found.context("an object is missing")?);
        while let Some((_, object)) = loaded.next().await {
            bytes += object?.len() as u64;
        }
    }
    Ok(bytes)
}
