//! What came of units: plain data, to be saved and read back.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strongroom_storage::{Error, ErrorKind, Result};

use crate::receipt::Receipt;

/// The text that a unit wrote into its `stdout` or `stderr` directory, by file name.
pub type Captured = BTreeMap<String, String>;

/// What came of one unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitResult {
    /// The unit's name.
    pub unit: String,
    /// Its result, or why its last attempt failed.
    pub outcome: Result<UnitSuccess, UnitFailure>,
    /// The attempts that failed before.
    pub earlier: Vec<UnitFailure>,
    /// True if the work was not done now: the result was there for the same inputs.
    pub reused: bool,
    /// What went wrong without harm to the result, in cleaning up for example.
    pub warnings: Vec<String>,
}

/// An attempt that did its work and published its files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitSuccess {
    /// The name of the attempt: `dag/unit.1`.
    pub attempt: String,
    /// What the work returned.
    pub value: Value,
    /// The files in shared storage, under the unit's name.
    pub shared: Receipt,
    /// The files in permanent storage, under the unit's name.
    pub permanent: Receipt,
    /// What it wrote into its `stdout` directory.
    pub stdout: Captured,
    /// What it wrote into its `stderr` directory.
    pub stderr: Captured,
}

/// An attempt that failed. Nothing of it is under the unit's own name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitFailure {
    /// The name of the attempt: `dag/unit.1`; the unit's if it could not begin.
    pub attempt: String,
    /// Why: the unit's own error if it has one, with its causes.
    pub error: String,
    /// What else went wrong: registered files that were never written, partial files that could not be kept.
    pub notes: Vec<String>,
    /// The partial files that were kept in shared storage, under the attempt's name.
    pub shared: Receipt,
    /// The partial files that were kept in permanent storage, under the attempt's name.
    pub permanent: Receipt,
    /// What it wrote into its `stdout` directory.
    pub stdout: Captured,
    /// What it wrote into its `stderr` directory.
    pub stderr: Captured,
}

impl UnitFailure {
    pub(crate) fn new(attempt: impl fmt::Display, error: &(dyn StdError + 'static)) -> Self {
        Self {
            attempt: attempt.to_string(),
            error: with_causes(error),
            notes: Vec::new(),
            shared: Receipt::default(),
            permanent: Receipt::default(),
            stdout: Captured::new(),
            stderr: Captured::new(),
        }
    }
}

impl fmt::Display for UnitFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {}: {}", self.attempt, self.error)?;
        self.notes.iter().try_for_each(|note| write!(f, "; note: {note}"))
    }
}

impl StdError for UnitFailure {}

/// What came of the units of a DAG.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DagResult {
    /// The units that were run or whose results were there, in the order in which they ended.
    pub units: Vec<UnitResult>,
    /// The units that were not begun because another one had failed.
    pub not_run: Vec<String>,
    /// What went wrong without harm to the results, in clearing shared storage for example.
    pub warnings: Vec<String>,
}

impl DagResult {
    /// What came of the unit called `name`, if it was run.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&UnitResult> {
        self.units.iter().find(|result| result.unit == name)
    }

    /// This, if no unit failed.
    ///
    /// # Errors
    /// The failure that was the first.
    pub fn into_result(self) -> Result<Self, Box<UnitFailure>> {
        match self.units.iter().find_map(|result| result.outcome.as_ref().err()) {
            Some(failure) => Err(Box::new(failure.clone())),
            None => Ok(self),
        }
    }

    /// What the work of the unit called `name` returned.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if it failed or was not run; [`ErrorKind::Invalid`] if it returned something else than a `T`.
    pub fn value<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let missing = |detail: String| Error::new(ErrorKind::Missing, "get result", name, detail);
        let result = self.get(name).ok_or_else(|| missing("the unit was not run".into()))?;
        match &result.outcome {
            Ok(success) => read(&success.value, "get result", name),
            Err(failure) => Err(missing(format!("the unit failed: {failure}"))),
        }
    }
}

/// Reads a JSON value as a `T`.
pub(crate) fn read<T: DeserializeOwned>(value: &Value, operation: &'static str, subject: &str) -> Result<T> {
    T::deserialize(value).map_err(|error| {
        let detail = format!("it is no {}: {error}", std::any::type_name::<T>());
        Error::new(ErrorKind::Invalid, operation, subject, detail).with_source(error)
    })
}

/// An error and its causes, on one line.
pub(crate) fn with_causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
