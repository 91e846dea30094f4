//! Many tasks store small objects one by one, each durable when it is acknowledged: how fast is that together?
//!
//! The rival is what a careful program would do without a store: a temporary file, fsync, rename, fsync of the folder, on as
//! many threads.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use strongroom::{ContentConfig, ExternalStorage};
use tokio::task::JoinSet;

use crate::bench::Bench;
use crate::data::{Objects, location};
use crate::measure::{Sample, time};
use crate::race::{Amount, Race};
use crate::table::{Goal, Table};

pub fn answer(bench: &Bench, table: &mut Table) -> Result<()> {
    let tasks = bench.options.tasks;
    let count = tasks * bench.options.task_objects;
    let objects = Objects::new(count, bench.options.small);
    let amount = Amount::Objects(count);

    let mut race = Race::new(bench).settled();
    let one = race.enter("one namespace", amount, || store_each(bench, &objects, 1));
    let many = race.enter("a namespace each", amount, || store_each(bench, &objects, tasks));
    let one_folder = race.enter("files in one folder", amount, || write_each(bench, &objects, 1));
    let many_folders = race.enter("files in a folder each", amount, || write_each(bench, &objects, tasks));
    let figures = race.run()?;

    let work = format!("{tasks} tasks, one namespace, each object durable");
    let rival = "file, fsync, rename, fsync of the one folder";
    table.compare(&work, &figures[one], rival, &figures[one_folder], Goal::SpeedAtLeast(5.0));
    let work = format!("{tasks} tasks, a namespace each, each object durable");
    let rival = "file, fsync, rename, fsync of a folder each";
    table.compare(&work, &figures[many], rival, &figures[many_folders], Goal::SpeedAtLeast(1.0));
    Ok(())
}

fn store_each(bench: &Bench, objects: &Objects, namespaces: usize) -> Result<Sample> {
    let folder = bench.scratch_for_many()?;
    let store = bench.create(&folder, ContentConfig::default())?;
    let each = bench.options.task_objects;
    let work = async {
        let mut tasks = JoinSet::new();
        for task in 0..bench.options.tasks {
            let store = store.clone();
            let own: Vec<_> = (task * each..(task + 1) * each).map(|index| (index, objects.get(index))).collect();
            tasks.spawn(async move {
                for (index, bytes) in own {
                    store.store_bytes(&location(task % namespaces, index), bytes).await?;
                }
                Ok::<_, strongroom::Error>(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok(())
    };
    Ok(time(|| bench.block_on(work))?.0)
}

fn write_each(bench: &Bench, objects: &Objects, folders: usize) -> Result<Sample> {
    let scratch = bench.scratch_for_many()?;
    for folder in 0..folders {
        fs::create_dir(scratch.join(folder.to_string()))?;
    }
    let each = bench.options.task_objects;
    let work = || {
        std::thread::scope(|scope| {
            let start = |task: usize| {
                let folder = scratch.join((task % folders).to_string());
                scope.spawn(move || {
                    (task * each..(task + 1) * each)
                        .try_for_each(|index| write_durably(&folder, &index.to_string(), &objects.get(index)))
                })
            };
            let threads: Vec<_> = (0..bench.options.tasks).map(start).collect();
            threads.into_iter().try_for_each(|thread| thread.join().ok().context("a thread of the rival panicked")?)
        })
    };
    Ok(time(work)?.0)
}

fn write_durably(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let temporary = folder.join(format!(".{name}"));
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(temporary, folder.join(name))?;
    File::open(folder)?.sync_all()?;
    Ok(())
}
