//! `strongroom du`

use clap::Args;
use serde_json::{Value, json};
use strongroom::Result;
use strongroom::content::Usage;

use crate::context::Context;
use crate::exit::Exit;
use crate::format::{line, size};
use crate::lookup;

/// Print how much there is
///
/// For each namespace, and for all together: the number of objects, their sizes added up, and the same with equal content
/// counted once, where it comes first. Then, what the store takes, history and all.
#[derive(Args, Debug)]
pub struct DuArgs {
    /// Print numbers of bytes instead of KiB, MiB and so on
    #[arg(short, long)]
    bytes: bool,
}

pub async fn run(args: DuArgs, context: &Context) -> Result<Exit> {
    let store = context.open().await?;
    let usage = store.usage().await?;
    context.output.result(|| table(&usage, args.bytes), || json(&usage))?;
    Ok(Exit::Done)
}

fn table(usage: &Usage, exact: bool) -> String {
    let bytes = |number: u64| if exact { number.to_string() } else { size(number) };
    let row = |objects: &str, logical: &str, unique: &str| format!("{objects:>10}  {logical:>14}  {unique:>14}  ");
    let mut lines = vec![row("objects", "logical", "unique") + "namespace"];
    for each in &usage.namespaces {
        let before = row(&each.objects.to_string(), &bytes(each.logical_bytes), &bytes(each.unique_bytes));
        lines.push(line(&before, lookup::shown(&each.namespace)));
    }
    lines.push(row(&usage.objects.to_string(), &bytes(usage.logical_bytes), &bytes(usage.unique_bytes)) + "all");
    lines.push(format!("stored: {} in {} files", bytes(usage.stored_bytes), usage.stored_files));
    lines.join("\n")
}

fn json(usage: &Usage) -> Value {
    let namespaces: Vec<Value> = usage
        .namespaces
        .iter()
        .map(|each| {
            json!({
                "namespace": each.namespace.as_str(),
                "objects": each.objects,
                "logical_bytes": each.logical_bytes,
                "unique_bytes": each.unique_bytes,
            })
        })
        .collect();
    json!({
        "objects": usage.objects,
        "logical_bytes": usage.logical_bytes,
        "unique_bytes": usage.unique_bytes,
        "stored_bytes": usage.stored_bytes,
        "stored_files": usage.stored_files,
        "namespaces": namespaces,
    })
}
