//! What was measured at the points of a run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// A run: a row for each point, its first value how much there was.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    pub work: String,
    /// What tells it from other runs of this work.
    pub label: String,
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<f64>>,
    #[serde(skip)]
    path: PathBuf,
}

/// What was measured, and in which unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub title: String,
    pub unit: String,
}

/// One value of a point.
pub struct Value(pub &'static str, pub &'static str, pub f64);

impl Record {
    pub fn new(work: &str, label: &str, path: PathBuf) -> Self {
        Self { work: work.into(), label: label.into(), columns: Vec::new(), rows: Vec::new(), path }
    }

    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| format!("{} has no run", path.display()))
    }

    /// Adds a point, says so, and writes all points.
    pub fn add(&mut self, values: &[Value]) -> Result<()> {
        let columns =
            values.iter().map(|Value(title, unit, _)| Column { title: (*title).into(), unit: (*unit).into() });
        if self.columns.is_empty() {
            self.columns = columns.collect();
        } else {
            ensure!(columns.eq(self.columns.iter().cloned()), "all points of a run have the same values");
        }
        let shown: Vec<String> =
            values.iter().map(|Value(title, unit, value)| format!("{title} {value:.3} {unit}")).collect();
        println!("{}", shown.join(", "));
        self.rows.push(values.iter().map(|value| value.2).collect());
        let json = serde_json::to_string_pretty(self)?;
        fs::write(&self.path, json).with_context(|| self.path.display().to_string())
    }
}

/// Says on stderr how far a run is, now and then.
pub struct Progress {
    start: Instant,
    said: u64,
}

/// How often it is said, in seconds.
const SAY_EVERY: u64 = 5;

impl Progress {
    pub fn new() -> Self {
        Self { start: Instant::now(), said: 0 }
    }

    pub fn say(&mut self, what: impl FnOnce() -> String) {
        let seconds = self.start.elapsed().as_secs();
        if seconds >= self.said + SAY_EVERY {
            self.said = seconds;
            eprintln!("  {seconds} s: {}", what());
        }
    }
}
