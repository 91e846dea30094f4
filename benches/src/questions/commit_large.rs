//! Does a commit cost more in a namespace with many names than in an empty one, amortised over many commits?
//!
//! Each commit puts one tiny object, so that nothing but the names is written.

use std::cell::Cell;

use anyhow::Result;
use strongroom::{ContentConfig, ContentStorage, ExternalStorage};

use super::open_large::fill;
use crate::bench::Bench;
use crate::data::location;
use crate::measure::{Sample, time};
use crate::race::{Amount, Race};
use crate::table::{Goal, Table};

pub fn answer(bench: &Bench, table: &mut Table) -> Result<()> {
    let folder = bench.scratch_for_many()?;
    let store = bench.create(&folder, ContentConfig::default())?;
    let names = bench.options.commit_names;
    bench.block_on(fill(&store, names, 1))?;
    let (next_name, next_namespace) = (Cell::new(names), Cell::new(1));
    let commits = bench.options.commits;

    let mut race = Race::new(bench);
    let amount = Amount::Objects(commits);
    let large =
        race.enter("large", amount, || commit_each(bench, &store, 0, next_name.replace(next_name.get() + commits)));
    let empty =
        race.enter("empty", amount, || commit_each(bench, &store, next_namespace.replace(next_namespace.get() + 1), 0));
    let figures = race.run()?;
    let work = format!("{commits} commits, one by one, to a namespace of {names} names");
    table.compare(&work, &figures[large], "to an empty one", &figures[empty], Goal::TimeAtMost(3.0));
    Ok(())
}

fn commit_each(bench: &Bench, store: &ContentStorage, namespace: usize, first: usize) -> Result<Sample> {
    let work = async {
        for index in first..first + bench.options.commits {
            store.store_bytes(&location(namespace, index), index.to_string().into()).await?;
        }
        Ok(())
    };
    Ok(time(|| bench.block_on(work))?.0)
}
