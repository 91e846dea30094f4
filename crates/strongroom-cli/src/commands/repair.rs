//! `strongroom repair`

use clap::Args;
use serde_json::{Value, json};
use strongroom::Result;
use strongroom::content::{Dropped, RepairOptions, RepairReport};

use crate::commands::verify;
use crate::context::Context;
use crate::exit::Exit;
use crate::format::{count, line, size};
use crate::progress::Bar;

/// Mend what is lost or damaged; exit with 5 if anything still is
///
/// All content is read, before and after. What is damaged in one place and sound in another is stored anew. What is sound nowhere in
/// this store is taken from the one that --from names: content by its digest, from whatever store has it; histories only from a mirror
/// of this store or a copy of its files. Nothing sound is ever replaced. Damaged files stay until the next gc, and nobody relies on
/// them any more.
///
/// Without --drop-lost no name is changed. With it, a name whose content is lost for good gets back the newest content that it had
/// before and that can be read, or is removed; each is printed.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  strongroom verify --data                     what is wrong
  strongroom repair --from /backup/store       mend what the other store has
  strongroom repair --drop-lost --dry-run      what would be dropped
  strongroom repair --drop-lost                make the rest a sound store again")]
pub struct RepairArgs {
    /// Another store that may have what is lost here: a path or a URL
    #[arg(long, value_name = "STORE")]
    from: Option<String>,
    /// Give names whose content is lost for good what they had before, or remove them
    #[arg(long)]
    drop_lost: bool,
    /// Only print what is wrong and what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub async fn run(args: RepairArgs, context: &Context) -> Result<Exit> {
    let store = context.open().await?;
    let bar = Bar::new(&context.output, "repair", None);
    let mut options = RepairOptions::default()
        .with_drop_lost(args.drop_lost)
        .with_dry_run(args.dry_run)
        .with_progress(bar.progress());
    if let Some(from) = &args.from {
        options = options.with_from(context.open_at(from).await?);
    }
    let report = store.repair(options).await?;
    drop(bar);
    context.output.result(|| text(&report), || json(&report, args.dry_run))?;
    if !context.output.is_json() {
        context.output.note(&summary(&report, &args));
    }
    Ok(if report.is_sound() { Exit::Done } else { Exit::Integrity })
}

/// What was put back and dropped, and what is wrong still.
fn text(report: &RepairReport) -> String {
    let mut lines: Vec<String> = report.runs.iter().map(|file| format!("mended  {file}")).collect();
    lines.extend(report.dropped.iter().map(|Dropped { location, lost, restored, .. }| match restored {
        Some(version) => line(&format!("restored as of {version}, version {lost} is lost  "), location.as_str()),
        None => line(&format!("removed, version {lost} is lost  "), location.as_str()),
    }));
    let left = verify::problems(&report.left);
    lines.extend((!left.is_empty()).then_some(left));
    lines.join("\n")
}

fn summary(report: &RepairReport, args: &RepairArgs) -> String {
    if report.found.is_empty() && report.mended == 0 {
        return "sound: nothing to repair".to_string();
    }
    let problems = count(report.found.len() as u64, "problem", "problems");
    if args.dry_run {
        return format!("{problems}; nothing was written");
    }
    let mended = count(report.mended, "object", "objects");
    let mut summary = format!("{problems} found; {mended} mended, {} read for that", size(report.bytes_read));
    if !report.condemned.is_empty() {
        let files = count(report.condemned.len() as u64, "damaged file", "damaged files");
        summary += &format!("; {files} of the store go with the next `strongroom gc`");
    }
    if !report.left.is_empty() {
        summary += &format!("; {} left", count(report.left.len() as u64, "problem", "problems"));
        summary += match (&args.from, args.drop_lost) {
            (None, _) => ": give another store that has it with --from",
            (_, false) => ": give another store with --from, or drop what is lost with --drop-lost",
            (_, true) => ": give another store with --from",
        };
    }
    summary
}

fn json(report: &RepairReport, dry_run: bool) -> Value {
    let dropped = report.dropped.iter().map(|dropped| {
        json!({
            "location": dropped.location.as_str(),
            "lost": dropped.lost.get(),
            "restored": dropped.restored.map(|version| version.get()),
        })
    });
    let files = |files: &[strongroom::Location]| files.iter().map(|file| file.to_string()).collect::<Vec<_>>();
    json!({
        "dry_run": dry_run,
        "sound": report.is_sound(),
        "found": verify::problems_json(&report.found),
        "runs": files(&report.runs),
        "mended": report.mended,
        "unmended": report.unmended,
        "bytes_read": report.bytes_read,
        "condemned": files(&report.condemned),
        "index_files": files(&report.index_files),
        "dropped": dropped.collect::<Vec<_>>(),
        "left": verify::problems_json(&report.left),
    })
}
