//! Runs the units of a DAG, and clears shared storage when it ends.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::stream::{FuturesUnordered, StreamExt};
use futures::{FutureExt, TryStreamExt};
use strongroom_storage::{Location, Result, unblock};

use crate::cache;
use crate::graph::Graph;
use crate::namespace::Namespace;
use crate::options::RunOptions;
use crate::result::{DagResult, UnitResult, UnitSuccess};
use crate::run::run_unit;
use crate::storages::{StorageName, Storages};
use crate::unit::{Dag, Unit};

/// Runs the units of `dag`, each when those that it is after are done, several at once.
///
/// A unit whose result is there already for the same inputs is not run again. After a unit has failed for good no other is
/// begun. At the end what the DAG has in shared storage is removed (see [`clear_shared`]), also after a failure.
///
/// Dropped before its end, this starts nothing more; work that is under way runs to its end and publishes nothing.
///
/// # Errors
/// [`ErrorKind::Invalid`](strongroom_storage::ErrorKind::Invalid), before anything is run, if the DAG has a cycle, a name twice or
/// an unknown dependency, or `storages` has no `shared` or no `permanent` one. That units failed is in the result.
pub async fn run_dag(dag: &Dag, storages: &Storages, options: &RunOptions) -> Result<DagResult> {
    let graph = Graph::new(dag)?;
    storages.get(&StorageName::shared())?;
    storages.get(&StorageName::permanent())?;
    let mut run = Run { dag, graph, storages, options, done: BTreeMap::new(), result: DagResult::default() };
    let known = if options.reuse_results { run.known().await? } else { BTreeMap::new() };
    let ended = run.units(known).await;
    if !options.keep_shared {
        run.result.warnings.extend(clear_shared(&dag.name, storages).await.err().map(|error| error.to_string()));
    }
    let scratch = options.scratch_dir.join(&dag.name);
    unblock(move || {
        // It is not empty if something was to be kept, or another run of this DAG goes on.
        let _ = std::fs::remove_dir(scratch);
        Ok(())
    })
    .await?;
    ended?;
    Ok(run.result)
}

/// Removes what the DAG called `dag` has in shared storage, and returns how many objects that were.
///
/// Any process may call this when the DAG has ended. Nothing is removed where shared storage is also the permanent one: that
/// is found out by storing an object in the one and looking for it in the other.
///
/// # Errors
/// Those of listing, storing and deleting.
pub async fn clear_shared(dag: &str, storages: &Storages) -> Result<usize> {
    let (shared, permanent) = (storages.get(&StorageName::shared())?, storages.get(&StorageName::permanent())?);
    // A label is one segment; without this check an empty one would mean everything.
    let probe = Namespace::new(dag, "shared.probe")?.location("is-this-the-permanent-storage")?;
    let mut found: Vec<Location> = shared.iter_contents(&format!("{dag}/")).try_collect().await?;
    if found.is_empty() || Arc::ptr_eq(shared, permanent) {
        return Ok(0);
    }
    shared.store_bytes(&probe, "".into()).await?;
    let same = permanent.exists(&probe).await;
    if !matches!(same, Ok(false)) {
        shared.delete_all(&[probe]).await?;
        return same.map(|_| 0);
    }
    let removed = found.len();
    found.push(probe);
    shared.delete_all(&found).await?;
    Ok(removed)
}

/// A DAG that is being run.
struct Run<'a> {
    dag: &'a Dag,
    graph: Graph,
    storages: &'a Storages,
    options: &'a RunOptions,
    /// The units that have succeeded, by position.
    done: BTreeMap<usize, UnitSuccess>,
    result: DagResult,
}

impl Run<'_> {
    /// Runs what is not `known`.
    async fn units(&mut self, known: BTreeMap<usize, UnitSuccess>) -> Result<()> {
        let mut waiting: Vec<usize> = self.graph.order.clone();
        let mut running = FuturesUnordered::new();
        let mut failed = false;
        loop {
            while !failed && running.len() < self.options.parallel.max(1) {
                let ready =
                    |position: &usize| self.graph.needs[*position].iter().all(|need| self.done.contains_key(need));
                let Some(next) = waiting.iter().position(ready) else { break };
                let position = waiting.remove(next);
                let unit = &self.dag.units[position];
                let (dag, storages, options) = (&self.dag.name, self.storages, self.options);
                let before = self.before(position, &self.done).unwrap_or_default();
                let known = known.get(&position).cloned();
                let needed = !self.graph.needed_by[position].is_empty();
                let result = async move {
                    match known {
                        Some(success) => Ok(reused(unit, success)),
                        None => reuse_or_run(dag, unit, needed, &before, storages, options).await,
                    }
                };
                running.push(result.map(move |result| (position, result)));
            }
            let Some((position, result)) = running.next().await else { break };
            let result = result?;
            match &result.outcome {
                Ok(success) => drop(self.done.insert(position, success.clone())),
                Err(_) => failed = true,
            }
            self.result.units.push(result);
        }
        self.result.not_run = waiting.iter().map(|&position| self.dag.units[position].name.clone()).collect();
        Ok(())
    }

    /// The results of the units that the one at `position` is after, if all of them are in `results`.
    fn before(&self, position: usize, results: &BTreeMap<usize, UnitSuccess>) -> Option<BTreeMap<String, UnitSuccess>> {
        let needs = self.graph.needs[position].iter();
        needs.map(|need| Some((self.dag.units[*need].name.clone(), results.get(need)?.clone()))).collect()
    }

    /// The results that are there and hold, whatever the units that have to run will give.
    ///
    /// A unit whose files in shared storage are gone has to run again only if a unit after it has to.
    async fn known(&self) -> Result<BTreeMap<usize, UnitSuccess>> {
        let mut known = BTreeMap::new();
        let mut shared_gone = BTreeSet::new();
        for &position in &self.graph.order {
            let Some(before) = self.before(position, &known) else { continue };
            let location = cache::location(&self.dag.name, &self.dag.units[position], &before)?;
            // What is the matter with a result that can't be used is told when the unit is run.
            if let Ok(Some(success)) = cache::load(self.storages, &location).await {
                if success.shared.verify_records(self.storages).await.is_err() {
                    shared_gone.insert(position);
                }
                known.insert(position, success);
            }
        }
        loop {
            let unsure = |position: &usize| !known.contains_key(position);
            let drop: Vec<usize> = known
                .keys()
                .copied()
                .filter(|position| {
                    self.graph.needs[*position].iter().any(unsure)
                        || (shared_gone.contains(position) && self.graph.needed_by[*position].iter().any(unsure))
                })
                .collect();
            if drop.is_empty() {
                return Ok(known);
            }
            known.retain(|position, _| !drop.contains(position));
        }
    }
}

/// Uses the result for these inputs if it is there, with all its files that others may need, and runs the unit otherwise.
async fn reuse_or_run(
    dag: &str,
    unit: &Unit,
    needed: bool,
    before: &BTreeMap<String, UnitSuccess>,
    storages: &Storages,
    options: &RunOptions,
) -> Result<UnitResult> {
    let mut warning = None;
    if options.reuse_results {
        match cache::load(storages, &cache::location(dag, unit, before)?).await {
            Ok(Some(success)) if !needed || success.shared.verify_records(storages).await.is_ok() => {
                return Ok(reused(unit, success));
            }
            Ok(_) => {}
            Err(error) => warning = Some(format!("the result that is there is not used: {error}")),
        }
    }
    let mut result = run_unit(dag, unit, before, storages, options).await?;
    result.warnings.extend(warning);
    Ok(result)
}

fn reused(unit: &Unit, success: UnitSuccess) -> UnitResult {
    UnitResult {
        unit: unit.name.clone(),
        outcome: Ok(success),
        earlier: Vec::new(),
        reused: true,
        warnings: Vec::new(),
    }
}
