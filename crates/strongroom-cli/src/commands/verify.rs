//! `strongroom verify`

use clap::Args;
use serde_json::{Value, json};
use strongroom::content::{Problem, VerifyReport};
use strongroom::{Location, Result, VerifyOptions};

use crate::context::Context;
use crate::exit::Exit;
use crate::format::{count, line, size};
use crate::progress::Bar;

/// Check the store; exit with 5 if anything is damaged or lost
///
/// All histories are read, and what the newest and the tagged versions need must be there. Prints what is wrong with which file
/// of the store, and which objects can't be read for it.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Read all content and check every byte, not only that it is there
    #[arg(long)]
    data: bool,
}

pub async fn run(args: VerifyArgs, context: &Context) -> Result<Exit> {
    let store = context.open().await?;
    let bar = Bar::new(&context.output, "verify", None);
    let report = store.verify(VerifyOptions::default().with_data(args.data).with_progress(bar.progress())).await?;
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
        "problems": problems_json(&report.problems),
    })
}
