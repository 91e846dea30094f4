//! A new process opens a large store and reads one object: how long does it take, and how much memory?
//!
//! The store is in the page cache, and the objects are tiny.

use anyhow::{Context, Result};
use strongroom::{ContentConfig, ContentStorage, PutOptions, Source};
use tokio::task::JoinSet;

use crate::bench::Bench;
use crate::data::location;
use crate::fresh;
use crate::measure::median;
use crate::table::{Goal, Table};

/// How many names a commit makes at most.
const NAMES_A_COMMIT: usize = 100_000;
/// How many commits are made at once.
const COMMITS_AT_ONCE: usize = 32;

pub fn answer(bench: &Bench, table: &mut Table) -> Result<()> {
    for namespaces in [1, bench.options.namespaces.max(1)] {
        let folder = bench.scratch_for_many()?;
        let names = bench.options.names;
        let store = bench.create(&folder, ContentConfig::default())?;
        bench.block_on(fill(&store, names, namespaces))?;
        drop(store);
        let store = folder.to_str().context("the folder's path is not UTF-8")?;
        let (mut milliseconds, mut mebibytes) = (Vec::new(), Vec::new());
        for round in 0..bench.options.repeats {
            let index = round * 7919 % names;
            let needed = fresh::ask(&["fresh-open", store, location(index % namespaces, index).as_str()])?;
            eprintln!("  {namespaces} namespaces: {:.4} s, {} bytes", needed.seconds, needed.memory_bytes);
            milliseconds.push(needed.seconds * 1e3);
            mebibytes.push(needed.memory_bytes as f64 / f64::from(1 << 20));
        }
        let place = if namespaces == 1 { "in one namespace".into() } else { format!("in {namespaces} namespaces") };
        let work = format!("open a store of {names} objects {place}, read one");
        table.value(&work, median(milliseconds), "ms", Goal::ValueAtMost(50.0));
        table.value(&format!("{work}: memory"), median(mebibytes), "MiB", Goal::ValueAtMost(200.0));
    }
    Ok(())
}

/// Puts `names` tiny objects into `namespaces`, evenly.
pub async fn fill(store: &ContentStorage, names: usize, namespaces: usize) -> Result<()> {
    let mut tasks = JoinSet::new();
    for namespace in 0..namespaces {
        let mut own = (namespace..names).step_by(namespaces).peekable();
        while own.peek().is_some() {
            let mut batch = store.batch();
            for index in own.by_ref().take(NAMES_A_COMMIT) {
                let source = Source::bytes(index.to_string().into_bytes());
                batch.put(location(namespace, index), source, PutOptions::default());
            }
            if tasks.len() >= COMMITS_AT_ONCE
                && let Some(done) = tasks.join_next().await
            {
                done??;
            }
            tasks.spawn(async move { batch.commit().await.map(drop) });
        }
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}
