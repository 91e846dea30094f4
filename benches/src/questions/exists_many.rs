//! Are these objects there? Asked for many by one process, one by one and all at once.

use anyhow::{Result, ensure};
use strongroom::{ContentConfig, ExternalStorage, Location};

use super::store_many::put_all;
use crate::bench::Bench;
use crate::data::{Noise, Objects, location};
use crate::measure::time;
use crate::python::ObjectStore;
use crate::race::{Amount, Race};
use crate::table::{Goal, Table};

pub fn answer(bench: &Bench, table: &mut Table) -> Result<()> {
    let count = bench.options.objects;
    let python = ObjectStore::prepare(bench, table)?;
    let folder = bench.scratch()?;
    let store = bench.create(&folder.path().join("store"), ContentConfig::default())?;
    put_all(bench, &store, &Objects::new(count, bench.options.small), count)?;
    if let Some(python) = &python {
        python.store(folder.path(), count, bench.options.small)?;
    }
    let mut locations: Vec<Location> = (0..count).map(|index| location(0, index)).collect();
    Noise::new(5).shuffle(&mut locations);

    let mut race = Race::new(bench);
    let amount = Amount::Objects(count);
    let at_once = race.enter("at once", amount, || {
        let (sample, found) = time(|| Ok(bench.block_on(store.exists_all(&locations))?))?;
        ensure!(found.iter().all(|found| *found));
        Ok(sample)
    });
    let one_by_one = race.enter("one by one", amount, || {
        let look = async {
            for location in &locations {
                ensure!(store.exists(location).await?);
            }
            Ok(())
        };
        Ok(time(|| bench.block_on(look))?.0)
    });
    let packed = python
        .as_ref()
        .map(|python| race.enter("disk-objectstore", amount, || python.ask("exists", folder.path(), count)));
    let figures = race.run()?;
    // One by one, each asks whether there is something newer, which one call for all need not.
    let goals = [Goal::SpeedAtLeast(20.0), Goal::None];
    for ((work, entry), goal) in
        [("exists, all at once", at_once), ("exists, one by one", one_by_one)].into_iter().zip(goals)
    {
        match packed {
            Some(packed) => {
                table.compare(work, &figures[entry], "disk-objectstore, one call", &figures[packed], goal);
            }
            None => table.value(work, figures[entry].rate(), "/s", Goal::None),
        }
    }
    Ok(())
}
