//! `strongroom diff`

use clap::Args;
use serde_json::{Value, json};
use strongroom::content::Difference;
use strongroom::{ContentStorage, Result, Snapshot, Version};

use crate::context::Context;
use crate::exit::Exit;
use crate::format::{line, object_json};
use crate::lookup;

/// List what is different between two versions
///
/// With one version given, between that and the newest one; with none, what the newest one changed. Prints A for what was
/// added, D for what was removed and M for what has other content or other facts beside it. Of two namespaces, names are
/// compared without the namespace.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  strongroom diff run7/unit1                   what the newest version changed
  strongroom diff run7/unit1@3                 what changed since version 3
  strongroom diff run7/unit1@3 run7/unit1@5    between two versions
  strongroom diff run7/unit1 run8/unit1        between two namespaces")]
pub struct DiffArgs {
    /// The earlier one
    #[arg(value_name = "NAMESPACE[@VERSION]")]
    before: String,
    /// The later one
    #[arg(value_name = "NAMESPACE[@VERSION]")]
    after: Option<String>,
}

pub async fn run(args: DiffArgs, context: &Context) -> Result<Exit> {
    let store = context.open().await?;
    let (before, after) = snapshots(&store, &args).await?;
    for difference in before.diff(&after).await? {
        context.output.result(|| text(&difference), || json(&difference))?;
    }
    Ok(Exit::Done)
}

async fn snapshots(store: &ContentStorage, args: &DiffArgs) -> Result<(Snapshot, Snapshot)> {
    let (namespace, at) = lookup::namespace_at(&args.before)?;
    if let Some(after) = &args.after {
        let (other, other_at) = lookup::namespace_at(after)?;
        return Ok((lookup::snapshot(store, &namespace, at).await?, lookup::snapshot(store, &other, other_at).await?));
    }
    let newest = store.snapshot(&namespace).await?;
    let before = match at {
        Some(_) => lookup::snapshot(store, &namespace, at).await?,
        None => {
            let previous = Version::new(newest.version().get().saturating_sub(1));
            store.snapshot_at(&namespace, previous).await?
        }
    };
    Ok((before, newest))
}

fn text(difference: &Difference) -> String {
    let letter = match difference {
        Difference::Added(_) => "A",
        Difference::Removed(_) => "D",
        _ => "M",
    };
    line(&format!("{letter}\t"), difference.object().location().as_str())
}

fn json(difference: &Difference) -> Value {
    let location = difference.object().location().as_str();
    let (change, before, after) = match difference {
        Difference::Added(after) => ("added", None, Some(after)),
        Difference::Removed(before) => ("removed", Some(before), None),
        Difference::Changed { before, after } => ("changed", Some(before), Some(after)),
        _ => ("changed", None, None),
    };
    json!({ "change": change, "location": location, "before": before.map(object_json), "after": after.map(object_json) })
}
