//! `strongroom verify`

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use strongroom::content::{Problem, VerifyReport};
use strongroom::{Location, Result, VerifyOptions};

use crate::args;
use crate::context::Context;
use crate::exit::Exit;
use crate::format::{count, line, size};
use crate::progress::Bar;

/// Check the store; exit with 5 if anything is damaged or lost
///
/// All histories are read, and what the newest and the tagged versions need must be there. Prints what is wrong with which file
/// of the store, and which objects can't be read for it.
///
/// With --data all content is read, on all processors. One that was interrupted goes on where it was, if it began within a week.
/// What was read when is kept in the cache (STRONGROOM_CACHE); without one, all is read each time.
///
/// Others may go on reading, writing and collecting.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  strongroom verify                                  that everything is there
  strongroom verify --data                           and that every byte is what it was
  strongroom verify --data --older-than 30d          what was not read for a month, as a nightly job does
  strongroom verify --data --rate 50M                no faster than 50 MiB a second")]
pub struct VerifyArgs {
    /// Read all content and check every byte, not only that it is there
    #[arg(long)]
    data: bool,
    /// Read only what was last read, and found to be sound, longer ago than this; 0s for all
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, requires = "data")]
    older_than: Option<Duration>,
    /// Read no more than so many bytes a second, with K, M, G or T for KiB, MiB, GiB or TiB
    #[arg(long, value_name = "BYTES", value_parser = args::bytes, requires = "data")]
    rate: Option<u64>,
}

pub async fn run(args: VerifyArgs, context: &Context) -> Result<Exit> {
    let store = context.open().await?;
    let bar = Bar::new(&context.output, "verify", None);
    let mut options = VerifyOptions::default().with_data(args.data).with_progress(bar.progress());
    (options.older_than, options.bytes_per_second) = (args.older_than, args.rate);
    let report = store.verify(options).await?;
    drop(bar);
    context.output.result(|| problems(&report.problems), || json(&report, args.data))?;
    if !context.output.is_json() {
        context.output.note(&summary(&report, args.data));
    }
    Ok(if report.is_sound() { Exit::Done } else { Exit::Integrity })
}

/// What is wrong, a line for each file and for each object that can't be read for it.
pub fn problems(problems: &[Problem]) -> String {
    let mut lines = Vec::new();
    for Problem { kind, file, detail, affected, .. } in problems {
        lines.push(format!("{kind}  {file}: {detail}"));
        lines.extend(affected.iter().map(|location| line("  affects  ", location.as_str())));
    }
    lines.join("\n")
}

fn summary(report: &VerifyReport, data: bool) -> String {
    let objects = count(report.objects, "object", "objects");
    let namespaces = count(report.namespaces, "namespace", "namespaces");
    let files = count(report.packs + report.files + report.runs, "file", "files");
    let looked = match data {
        true if report.bytes_skipped > 0 => {
            format!("{} of content read, {} not long ago", size(report.bytes_read), size(report.bytes_skipped))
        }
        true => format!("{} of content read", size(report.bytes_read)),
        false => "content not read; --data does".to_string(),
    };
    let result = match report.problems.len() {
        0 => "sound".to_string(),
        problems => count(problems as u64, "problem", "problems"),
    };
    format!("{result}: {objects} in {namespaces}, {files} of the store, {looked}")
}

/// The same as JSON.
pub fn problems_json(problems: &[Problem]) -> Vec<Value> {
    problems
        .iter()
        .map(|problem| {
            json!({
                "kind": problem.kind.as_str(),
                "file": problem.file.as_str(),
                "detail": problem.detail,
                "affected": problem.affected.iter().map(Location::as_str).collect::<Vec<_>>(),
            })
        })
        .collect()
}

fn json(report: &VerifyReport, data: bool) -> Value {
    json!({
        "sound": report.is_sound(),
        "data": data,
        "namespaces": report.namespaces,
        "runs": report.runs,
        "objects": report.objects,
        "packs": report.packs,
        "files": report.files,
        "bytes_read": report.bytes_read,
        "bytes_skipped": report.bytes_skipped,
        "problems": problems_json(&report.problems),
    })
}
