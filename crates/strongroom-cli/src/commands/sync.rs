//! `strongroom sync`

use clap::Args;
use serde_json::{Value, json};
use strongroom::content::{MirrorOptions, MirrorReport, SyncOptions, SyncReport};
use strongroom::{Location, Result};

use crate::commands::verify;
use crate::context::Context;
use crate::exit::Exit;
use crate::format::{count, line, size};
use crate::progress::Bar;

/// Bring what one store has into another
///
/// The names in TO come to have what they have in FROM: the newest version, with attributes and digests. What TO has already is not
/// copied again, whatever its name there. Each namespace that differs gets one commit on the history of TO; where nothing differs,
/// nothing is written. FROM is only read. Names that FROM does not have stay, unless --delete is given. Tags stay where they are.
///
/// With --mirror, TO gets the history of FROM instead: the same versions and tags, and the same files, of which each is verified. It has
/// to be empty at first, and nobody else may write to it.
///
/// Others may use both stores meanwhile. What is interrupted goes on where it was when it is called again.
///
/// Prints a line for each name that was put (+) or removed (-). What is damaged in FROM is left out and told, and the exit code is 5.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  strongroom --store /backup/store init                once
  strongroom sync .strongroom /backup/store            copy what is new and what was changed
  strongroom sync --delete .strongroom /backup/store   and remove there what is not here any more
  strongroom sync -n A B run7/                         what would be done below run7/
  strongroom sync --mirror .strongroom /backup/mirror  the same files, versions and tags")]
pub struct SyncArgs {
    /// The store to read: a path or a URL
    from: String,
    /// The store to write to, which must be there
    to: String,
    /// Only what is stored under names that begin so
    #[arg(default_value = "")]
    prefix: String,
    /// Remove in TO the names that FROM does not have
    #[arg(long)]
    delete: bool,
    /// Copy files and history as they are: TO is empty, or a mirror of FROM already. Tags too. Nothing is ever deleted in a mirror
    #[arg(long, conflicts_with_all = ["delete", "message", "prefix"])]
    mirror: bool,
    /// Only print what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// What the history of TO says of it; by default which version of FROM it is
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
}

pub async fn run(args: SyncArgs, context: &Context) -> Result<Exit> {
    let (from, to) = (context.open_at(&args.from).await?, context.open_at(&args.to).await?);
    let bar = Bar::new(&context.output, "sync", None);
    if args.mirror {
        let options = MirrorOptions::default().with_dry_run(args.dry_run).with_progress(bar.progress());
        let report = to.mirror_from(&from, options).await?;
        drop(bar);
        return print_mirrored(&report, args.dry_run, context);
    }
    let mut options = SyncOptions::default()
        .with_prefix(args.prefix)
        .with_delete(args.delete)
        .with_dry_run(args.dry_run)
        .with_progress(bar.progress());
    options.message = args.message;
    let report = to.sync_from(&from, options).await?;
    drop(bar);
    context.output.result(|| text(&report), || json(&report, args.dry_run))?;
    if !context.output.is_json() {
        context.output.note(&summary(&report, args.dry_run));
    }
    Ok(if report.problems.is_empty() { Exit::Done } else { Exit::Integrity })
}

fn text(report: &SyncReport) -> String {
    let mut lines = Vec::new();
    for namespace in &report.namespaces {
        lines.extend(namespace.put.iter().map(|location| line("+  ", location.as_str())));
        lines.extend(namespace.removed.iter().map(|location| line("-  ", location.as_str())));
    }
    let problems = verify::problems(&report.problems);
    lines.extend((!problems.is_empty()).then_some(problems));
    lines.join("\n")
}

fn summary(report: &SyncReport, dry_run: bool) -> String {
    let (put, removed) = (count(report.put(), "name", "names"), count(report.removed(), "name", "names"));
    let namespaces = count(report.namespaces.len() as u64, "namespace", "namespaces");
    if report.namespaces.is_empty() && report.problems.is_empty() {
        return format!("nothing differs: {} compared", count(report.compared, "object", "objects"));
    }
    if dry_run {
        return format!("{put} would be put and {removed} removed in {namespaces}");
    }
    let left = match report.problems.len() {
        0 => String::new(),
        _ => "; some content is damaged in FROM and was left out, `strongroom repair` may mend it".to_string(),
    };
    format!(
        "{put} put and {removed} removed in {namespaces}; {} read, {} stored{left}",
        size(report.bytes_read),
        size(report.bytes_stored)
    )
}

fn print_mirrored(report: &MirrorReport, dry_run: bool, context: &Context) -> Result<Exit> {
    let files = || report.content.iter().chain(&report.runs);
    let text = || {
        let mut lines: Vec<String> = files().map(|file| format!("+  {file}")).collect();
        let problems = verify::problems(&report.problems);
        lines.extend((!problems.is_empty()).then_some(problems));
        lines.join("\n")
    };
    let value = || {
        let names = |files: &[Location]| files.iter().map(Location::to_string).collect::<Vec<_>>();
        json!({
            "dry_run": dry_run,
            "content": names(&report.content),
            "runs": names(&report.runs),
            "bytes": report.bytes,
            "problems": verify::problems_json(&report.problems),
        })
    };
    context.output.result(text, value)?;
    if !context.output.is_json() {
        let number = count(files().count() as u64, "file", "files");
        let left = match report.problems.len() {
            0 => String::new(),
            problems => format!("; {} not copied because of damage", count(problems as u64, "file", "files")),
        };
        context.output.note(&match dry_run {
            true => format!("{number} of the store would be copied{left}"),
            false => format!("{number} of the store copied, {}{left}", size(report.bytes)),
        });
    }
    Ok(if report.problems.is_empty() { Exit::Done } else { Exit::Integrity })
}

fn json(report: &SyncReport, dry_run: bool) -> Value {
    let names = |locations: &[Location]| locations.iter().map(Location::to_string).collect::<Vec<_>>();
    let namespaces = report.namespaces.iter().map(|namespace| {
        json!({
            "namespace": namespace.namespace.as_str(),
            "source": namespace.source.get(),
            "version": namespace.version.get(),
            "put": names(&namespace.put),
            "removed": names(&namespace.removed),
        })
    });
    json!({
        "dry_run": dry_run,
        "namespaces": namespaces.collect::<Vec<_>>(),
        "compared": report.compared,
        "bytes_read": report.bytes_read,
        "bytes_stored": report.bytes_stored,
        "problems": verify::problems_json(&report.problems),
    })
}
