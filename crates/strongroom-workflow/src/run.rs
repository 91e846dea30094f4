//! Runs one unit: attempts, publishing, cleaning up.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::Value;
use strongroom_storage::{Result, unblock};

use crate::cache;
use crate::context::UnitContext;
use crate::namespace::Namespace;
use crate::options::RunOptions;
use crate::result::{UnitFailure, UnitResult, UnitSuccess};
use crate::storages::Storages;
use crate::unit::{Unit, UnitError, Work};

/// Runs one unit, in as many attempts as it takes and `options` allow.
///
/// `before` holds the results of the units that this one is after. Only an attempt that did its work, and whose registered
/// files could all be stored, publishes under the unit's own name, and is remembered where results are to be used again.
///
/// # Errors
/// [`ErrorKind::Invalid`](strongroom_storage::ErrorKind::Invalid) if the name of the DAG or the unit is no legal label. All else,
/// the failure of storage too, is in the result.
pub async fn run_unit(
    dag: &str,
    unit: &Unit,
    before: &BTreeMap<String, UnitSuccess>,
    storages: &Storages,
    options: &RunOptions,
) -> Result<UnitResult> {
    let namespace = Namespace::new(dag, &unit.name)?;
    let mut warnings = Vec::new();
    let mut earlier = Vec::new();
    let mut number = 0;
    let results: BTreeMap<_, _> = before.iter().map(|(name, success)| (name.clone(), success.value.clone())).collect();
    let outcome = loop {
        let outcome = match UnitContext::create_after(number, &namespace, storages, &options.scratch_dir).await {
            Ok(context) => {
                number = context.number();
                let context = context.with_inputs(unit.inputs.clone(), results.clone());
                attempt(context.with_keep_scratch(options.keep_scratch), &unit.work, options, &mut warnings).await
            }
            Err(error) => Err(UnitFailure::new(&namespace, &error)),
        };
        match outcome {
            Err(failure) if earlier.len() < options.retries as usize => earlier.push(failure),
            outcome => break outcome,
        }
    };
    if let (Ok(success), true) = (&outcome, options.reuse_results) {
        let location = cache::location(dag, unit, before)?;
        warnings.extend(cache::store(storages, &location, success).await.err().map(|error| error.to_string()));
    }
    Ok(UnitResult { unit: unit.name.clone(), outcome, earlier, reused: false, warnings })
}

/// Makes one attempt. Whatever happens, its directories are removed and all that went wrong is told.
async fn attempt(
    context: UnitContext,
    work: &Arc<Work>,
    options: &RunOptions,
    warnings: &mut Vec<String>,
) -> Result<UnitSuccess, UnitFailure> {
    let context = Arc::new(context);
    let mut outcome = match do_work(work, &context).await {
        Ok(value) => publish(&context, value).await,
        Err(error) => Err(explain(&context, error).await),
    };
    if let (Err(failure), true) = (&mut outcome, options.keep_partial) {
        let (kept, errors) = context.keep_partial().await;
        (failure.shared, failure.permanent) = (kept.shared, kept.permanent);
        failure.notes.extend(errors.iter().map(|error| format!("partial files are not kept: {error}")));
    }
    match (context.captured().await, &mut outcome) {
        (Ok((stdout, stderr)), Ok(success)) => (success.stdout, success.stderr) = (stdout, stderr),
        (Ok((stdout, stderr)), Err(failure)) => (failure.stdout, failure.stderr) = (stdout, stderr),
        (Err(error), _) => warnings.push(error.to_string()),
    }
    warnings.extend(context.close().await.err().map(|error| error.to_string()));
    outcome
}

/// Does the unit's work on a thread where it may block. A panic is a failure like others.
async fn do_work(work: &Arc<Work>, context: &Arc<UnitContext>) -> Result<Value, UnitError> {
    let (work, context) = (work.clone(), context.clone());
    let done = unblock(move || {
        Ok(catch_unwind(AssertUnwindSafe(|| work(&context))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
            Err(format!("panicked: {}", text.unwrap_or("with something that is no text")).into())
        }))
    });
    done.await?
}

async fn publish(context: &UnitContext, value: Value) -> Result<UnitSuccess, UnitFailure> {
    let published = context.publish().await.map_err(|error| UnitFailure::new(context.attempt(), &error))?;
    Ok(UnitSuccess {
        attempt: context.attempt(),
        value,
        shared: published.shared,
        permanent: published.permanent,
        stdout: BTreeMap::new(),
        stderr: BTreeMap::new(),
    })
}

/// The unit's own error, with notes on registered files that it did not come to write.
async fn explain(context: &UnitContext, error: UnitError) -> UnitFailure {
    let mut failure = UnitFailure::new(context.attempt(), &*error);
    match context.missing().await {
        Ok(missing) => {
            failure.notes.extend(missing.iter().map(|name| format!("{name} was registered, but never written")));
        }
        Err(error) => failure.notes.push(error.to_string()),
    }
    failure
}
