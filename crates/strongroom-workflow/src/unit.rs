//! A unit of work, and the DAG that it is part of.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::context::UnitContext;

/// What a unit's work may fail with: any error.
pub type UnitError = Box<dyn StdError + Send + Sync>;

/// A unit's work: an ordinary blocking function, as simulation codes are. It runs on a thread where it may block.
pub(crate) type Work = dyn Fn(&Arc<UnitContext>) -> Result<Value, UnitError> + Send + Sync;

/// A unit of work: a name, what it needs, and what it does.
///
/// ```
/// # use serde_json::json;
/// # use strongroom_workflow::Unit;
/// let unit = Unit::new("average", |context| {
///     let energies = context.load(&context.result("replica-1")?)?;
///     let handle = context.permanent.register("average.txt")?;
///     std::fs::write(context.scratch.join("average.txt"), format!("{} bytes", energies.len()))?;
///     Ok(json!(handle))
/// })
/// .with_inputs(json!({ "skip": 100, "version": 1 }))
/// .after("replica-1");
/// # let _ = unit;
/// ```
#[derive(Clone)]
pub struct Unit {
    pub(crate) name: String,
    pub(crate) inputs: Value,
    pub(crate) dependencies: Vec<String>,
    pub(crate) work: Arc<Work>,
}

impl Unit {
    /// A unit that does `work` and gives its result to the units after it. After a failure `work` may be called again, in a new
    /// context.
    pub fn new(
        name: impl Into<String>,
        work: impl Fn(&UnitContext) -> Result<Value, UnitError> + Send + Sync + 'static,
    ) -> Self {
        Self::of_shared(name, move |context| work(context))
    }

    /// The same for work that holds on to its context, as a face for another language does. When the work is done, the context's
    /// directories go, and what is registered then is not stored.
    pub fn of_shared(
        name: impl Into<String>,
        work: impl Fn(&Arc<UnitContext>) -> Result<Value, UnitError> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), inputs: Value::Null, dependencies: Vec::new(), work: Arc::new(work) }
    }

    /// The same with inputs.
    ///
    /// A result is used again when name, inputs, and the results and files of its dependencies are the same. A change of the
    /// code is not seen, nor one of files that `work` reads by itself: put a version, or a digest, into the inputs.
    #[must_use]
    pub fn with_inputs(self, inputs: Value) -> Self {
        Self { inputs, ..self }
    }

    /// The same, to run after the unit called `name`.
    #[must_use]
    pub fn after(mut self, name: impl Into<String>) -> Self {
        self.dependencies.push(name.into());
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unit")
            .field("name", &self.name)
            .field("inputs", &self.inputs)
            .field("dependencies", &self.dependencies)
            .finish_non_exhaustive()
    }
}

/// Units with a name in common; checked when they are run.
#[derive(Clone, Debug)]
pub struct Dag {
    pub(crate) name: String,
    pub(crate) units: Vec<Unit>,
}

impl Dag {
    /// A DAG without units.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), units: Vec::new() }
    }

    /// The same with one more unit. The order does not matter.
    #[must_use]
    pub fn with(mut self, unit: Unit) -> Self {
        self.units.push(unit);
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}
