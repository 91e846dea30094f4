//! `strongroom gc`

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use strongroom::Result;
use strongroom::content::{CollectOptions, CollectReport, Condemned, Reason};

use crate::commands::verify;
use crate::context::Context;
use crate::exit::Exit;
use crate::format::{count, line, size};
use crate::lookup;
use crate::progress::Bar;

/// Delete what no name needs any more
///
/// The newest version of each namespace stays, and so do versions with a tag, versions that were the newest within the store's
/// grace period, and those that --keep-last and --keep-within ask for. Older versions go, and with them content that nothing else
/// needs. Small packs are merged, and those that are mostly garbage are written anew.
///
/// Others may go on reading and writing. A writer at work is waited for; one that has died is given up when it has given no sign of
/// life for the store's lease (an hour, if not made otherwise). What is interrupted is finished by the next gc.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  strongroom gc --dry-run                  what would go, and why
  strongroom gc --keep-within 30d          keep the history of the last thirty days
  strongroom gc --keep-last 10             or ten versions of each namespace
  strongroom gc --offline --grace 0s       all at once, if nobody else uses the store now")]
pub struct GcArgs {
    /// Only print what would go
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Keep the newest N versions of each namespace
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    keep_last: Option<u64>,
    /// Keep the versions that were the newest within this time
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    keep_within: Option<Duration>,
    /// Another grace period than the store's: a longer one, or with --offline any
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    grace: Option<Duration>,
    /// Nobody else uses the store now: wait for nobody. Needed on file systems that keep listings for a while, as NFS and SMB do;
    /// elsewhere a writer that is there all the same has to begin anew
    #[arg(long)]
    offline: bool,
}

pub async fn run(args: GcArgs, context: &Context) -> Result<Exit> {
    let store = context.open().await?;
    let bar = Bar::steps(&context.output, "reading names");
    let mut options =
        CollectOptions::default().with_dry_run(args.dry_run).with_offline(args.offline).with_progress(bar.collecting());
    (options.keep_last, options.keep_within, options.grace) = (args.keep_last, args.keep_within, args.grace);
    let report = store.collect(options).await?;
    drop(bar);
    context.output.result(|| text(&report), || json(&report, args.dry_run))?;
    if !context.output.is_json() {
        context.output.note(&summary(&report, args.dry_run));
    }
    Ok(if report.problems.is_empty() { Exit::Done } else { Exit::Integrity })
}

fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Unneeded => "unneeded",
        Reason::MostlyUnneeded => "mostly-unneeded",
        Reason::Small => "small",
        Reason::Duplicate => "duplicate",
        Reason::Superseded => "superseded",
        _ => "other",
    }
}

/// Histories of which something goes or is held back, files by why they go, and what is damaged.
fn text(report: &CollectReport) -> String {
    let mut lines = Vec::new();
    for history in report.namespaces.iter().filter(|history| history.superseded > 0 || history.held_back) {
        let held = if history.held_back { "held back: what it needs is damaged  " } else { "" };
        let versions = count(history.superseded, "version", "versions");
        lines.push(line(
            &format!("{versions} of {}  {held}", history.kept + history.superseded),
            lookup::shown(&history.namespace),
        ));
    }
    for reason in [Reason::Superseded, Reason::Unneeded, Reason::Duplicate, Reason::MostlyUnneeded, Reason::Small] {
        let files = || report.condemned.iter().filter(|file| file.reason == reason);
        let number = files().count() as u64;
        if number > 0 {
            let bytes = size(files().map(|file| file.bytes).sum());
            let needed: u64 = files().map(|file| file.needed_bytes).sum();
            let copied =
                if needed > 0 { format!(", of which {} are needed and copied", size(needed)) } else { String::new() };
            lines.push(format!("{}  {}, {bytes}{copied}", word(reason), count(number, "file", "files")));
        }
    }
    let problems = verify::problems(&report.problems);
    lines.extend((!problems.is_empty()).then_some(problems));
    lines.join("\n")
}

fn summary(report: &CollectReport, dry_run: bool) -> String {
    if dry_run {
        let files = count(report.condemned.len() as u64, "file", "files");
        return format!("{files} of the store would go, {} would be freed", size(report.freed_bytes()));
    }
    let ended = match report.sessions_ended {
        0 => String::new(),
        ended => format!("; {} of writers that gave no sign of life ended", count(ended, "session", "sessions")),
    };
    let files = count(report.deleted_files, "file", "files");
    let postponed = match report.postponed.len() as u64 {
        0 => String::new(),
        number => format!(
            "; {} to be merged stay, as there is no room for copies of {}",
            count(number, "file", "files"),
            size(report.postponed.iter().map(|file| file.needed_bytes).sum())
        ),
    };
    format!(
        "{files} of the store deleted, {} freed{ended}{postponed}",
        size(report.deleted_bytes.saturating_sub(report.copied_bytes))
    )
}

fn json(report: &CollectReport, dry_run: bool) -> Value {
    let histories = report.namespaces.iter().map(|history| {
        json!({
            "namespace": history.namespace.as_str(),
            "kept": history.kept,
            "superseded": history.superseded,
            "held_back": history.held_back,
        })
    });
    let files = |files: &[Condemned]| -> Vec<Value> {
        let file = |file: &Condemned| {
            json!({
                "file": file.file.as_str(),
                "bytes": file.bytes,
                "needed_bytes": file.needed_bytes,
                "reason": word(file.reason),
            })
        };
        files.iter().map(file).collect()
    };
    json!({
        "dry_run": dry_run,
        "namespaces": histories.collect::<Vec<_>>(),
        "condemned": files(&report.condemned),
        "postponed": files(&report.postponed),
        "freed_bytes": if dry_run { report.freed_bytes() } else { report.deleted_bytes.saturating_sub(report.copied_bytes) },
        "deleted_files": report.deleted_files,
        "deleted_bytes": report.deleted_bytes,
        "copied_bytes": report.copied_bytes,
        "sessions_ended": report.sessions_ended,
        "problems": verify::problems_json(&report.problems),
    })
}
