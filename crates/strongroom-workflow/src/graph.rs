//! The units of a DAG in dependency order, checked.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_storage::{Error, ErrorKind, Result};

use crate::namespace::Namespace;
use crate::unit::{Dag, Unit};

/// Who needs whom, by position in the DAG's list of units.
#[derive(Debug)]
pub(crate) struct Graph {
    /// Positions, so that every unit comes after those that it needs; otherwise as in the list.
    pub(crate) order: Vec<usize>,
    /// What each unit needs.
    pub(crate) needs: Vec<BTreeSet<usize>>,
    /// What needs each unit.
    pub(crate) needed_by: Vec<BTreeSet<usize>>,
}

impl Graph {
    /// Checks the units of `dag` and orders them.
    pub(crate) fn new(dag: &Dag) -> Result<Self> {
        let mut positions = BTreeMap::new();
        for (position, unit) in dag.units.iter().enumerate() {
            Namespace::new(&dag.name, &unit.name)?;
            if positions.insert(unit.name.as_str(), position).is_some() {
                return Err(invalid(dag, format!("two units are called {}; rename one", unit.name)));
            }
        }
        let mut needs = vec![BTreeSet::new(); dag.units.len()];
        let mut needed_by = needs.clone();
        for (position, unit) in dag.units.iter().enumerate() {
            check_name(dag, unit, &positions)?;
            for name in &unit.dependencies {
                let Some(&needed) = positions.get(name.as_str()) else {
                    return Err(invalid(dag, format!("unit {} is after {name}, which is not in the DAG", unit.name)));
                };
                needs[position].insert(needed);
                needed_by[needed].insert(position);
            }
        }
        let order = order(&needs, &needed_by);
        if let Some(stuck) = (0..dag.units.len()).find(|position| !order.contains(position)) {
            let name = &dag.units[stuck].name;
            return Err(invalid(dag, format!("unit {name} depends on itself, or on units that depend on each other")));
        }
        Ok(Self { order, needs, needed_by })
    }
}

/// A unit can't have the name of another one's attempt (`unit.2`) or of the place of its results (`unit.results`).
fn check_name(dag: &Dag, unit: &Unit, positions: &BTreeMap<&str, usize>) -> Result<()> {
    let Some((other, suffix)) = unit.name.rsplit_once('.') else { return Ok(()) };
    if positions.contains_key(other) && (suffix == "results" || suffix.parse::<u32>().is_ok()) {
        return Err(invalid(dag, format!("the name {} is taken for unit {other}; rename one of them", unit.name)));
    }
    Ok(())
}

/// The positions that can be ordered: all, unless there is a cycle.
fn order(needs: &[BTreeSet<usize>], needed_by: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut waits_for: Vec<usize> = needs.iter().map(BTreeSet::len).collect();
    let mut ready: BTreeSet<usize> = (0..needs.len()).filter(|&position| waits_for[position] == 0).collect();
    let mut order = Vec::with_capacity(needs.len());
    while let Some(position) = ready.pop_first() {
        order.push(position);
        for &next in &needed_by[position] {
            waits_for[next] -= 1;
            if waits_for[next] == 0 {
                ready.insert(next);
            }
        }
    }
    order
}

fn invalid(dag: &Dag, detail: String) -> Error {
    Error::new(ErrorKind::Invalid, "run", &dag.name, detail)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn unit(name: &str, after: &[&str]) -> Unit {
        after.iter().fold(Unit::new(name, |_| Ok(Value::Null)), |unit, name| unit.after(*name))
    }

    fn dag(units: &[(&str, &[&str])]) -> Dag {
        units.iter().fold(Dag::new("dag"), |dag, (name, after)| dag.with(unit(name, after)))
    }

    #[track_caller]
    fn refused(units: &[(&str, &[&str])], part: &str) {
        let error = Graph::new(&dag(units)).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(part), "{error}");
    }

    #[test]
    fn units_come_after_what_they_need_and_otherwise_as_they_were_given() {
        let dag = dag(&[("d", &["b", "c"]), ("c", &["a"]), ("b", &["a", "a"]), ("a", &[]), ("e", &[])]);
        let names: Vec<_> =
            Graph::new(&dag).expect("a DAG").order.iter().map(|&position| dag.units[position].name()).collect();
        assert_eq!(names, ["a", "c", "b", "d", "e"]);
    }

    #[test]
    fn a_dag_that_can_not_be_run_is_refused_before_anything_runs() {
        refused(&[("a", &[]), ("a", &[])], "two units are called a");
        refused(&[("a", &["b"])], "unit a is after b");
        refused(&[("a", &["a"])], "unit a depends on itself");
        refused(&[("x", &[]), ("a", &["b"]), ("b", &["a"])], "unit a depends on itself, or on units");
        refused(&[("a/b", &[])], "one segment");
        refused(&[("", &[])], "empty");
    }

    #[test]
    fn a_unit_can_not_have_the_name_of_anothers_attempt() {
        refused(&[("a", &[]), ("a.2", &[])], "a.2");
        refused(&[("a.results", &[]), ("a", &[])], "a.results");
        assert!(Graph::new(&dag(&[("replica.1", &[]), ("replica.2", &[]), ("a", &[]), ("a.b", &[])])).is_ok());
    }
}
