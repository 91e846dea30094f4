//! `strongroom rebuild`

use clap::Args;
use serde_json::json;
use strongroom::content::RebuildOptions;
use strongroom::{Location, Result};

use crate::commands::verify;
use crate::context::Context;
use crate::exit::Exit;
use crate::format::{count, line};
use crate::progress::Bar;

/// Name content whose names are lost: lost+found/<digest>
///
/// For a store of which only packs/ and files/ are left; `strongroom init` makes it a store again. All content is read, and what no
/// version on record names gets its digest as its name, in one commit: objects in chunks, whole files, and chunks that belong to no
/// object. Names, attributes and objects of up to 256 bytes are lost with names/. Prints what was named; exits with 5 if anything is
/// damaged, which gets no name.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  strongroom --store /data/left init && strongroom --store /data/left rebuild
  strongroom rebuild --dry-run                 what would be named")]
pub struct RebuildArgs {
    /// Only print what would be named
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub async fn run(args: RebuildArgs, context: &Context) -> Result<Exit> {
    let store = context.open().await?;
    let bar = Bar::new(&context.output, "rebuild", None);
    let options = RebuildOptions::default().with_dry_run(args.dry_run).with_progress(bar.progress());
    let report = store.rebuild(options).await?;
    drop(bar);
    let text = || {
        let mut lines: Vec<String> = report.named.iter().map(|location| line("", location.as_str())).collect();
        let problems = verify::problems(&report.problems);
        lines.extend((!problems.is_empty()).then_some(problems));
        lines.join("\n")
    };
    let value = || {
        json!({
            "dry_run": args.dry_run,
            "named": report.named.iter().map(Location::to_string).collect::<Vec<_>>(),
            "problems": verify::problems_json(&report.problems),
        })
    };
    context.output.result(text, value)?;
    if !context.output.is_json() {
        let named = count(report.named.len() as u64, "object", "objects");
        let would = if args.dry_run { "would be named" } else { "named" };
        context.output.note(&format!("{named} without a name {would}"));
    }
    Ok(if report.problems.is_empty() { Exit::Done } else { Exit::Integrity })
}
