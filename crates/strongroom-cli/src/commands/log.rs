//! `strongroom log`

use clap::Args;
use serde_json::json;
use strongroom::content::Commit;
use strongroom::{Error, ErrorKind, Namespace, Result};

use crate::context::Context;
use crate::exit::Exit;
use crate::format::{exactly, line, seconds};
use crate::lookup;

/// List the versions of a namespace, the newest first
///
/// The namespace of a location is its first two segments, or all but the last if there are fewer; `.` is that of locations of
/// one segment. Each line has the version, when it was made, how many names it put and removed, by whom, and why.
#[derive(Args, Debug)]
pub struct LogArgs {
    /// Which
    namespace: String,
    /// At most so many
    #[arg(short = 'n', long, value_name = "COUNT")]
    limit: Option<usize>,
}

pub async fn run(args: LogArgs, context: &Context) -> Result<Exit> {
    let store = context.open().await?;
    let namespace = Namespace::parse(&args.namespace)?;
    if store.snapshot(&namespace).await?.version().get() == 0 {
        let detail = "there is no such namespace; `strongroom du` lists them";
        return Err(Error::new(ErrorKind::Missing, "log", lookup::shown(&namespace), detail));
    }
    for commit in store.log(&namespace, args.limit).await? {
        context.output.result(|| text(&commit), || json(&namespace, &commit))?;
    }
    Ok(Exit::Done)
}

fn text(commit: &Commit) -> String {
    let Commit { version, put, removed, author, .. } = commit;
    let before = format!("{version}\t{}\t+{put} -{removed}\t", seconds(commit.time));
    let separator = if commit.message.is_empty() { "" } else { "\t" };
    line(&before, &format!("{author}{separator}{}", commit.message))
}

fn json(namespace: &Namespace, commit: &Commit) -> serde_json::Value {
    json!({
        "namespace": namespace.as_str(),
        "version": commit.version.get(),
        "commit": commit.id.to_string(),
        "time": exactly(commit.time),
        "author": commit.author,
        "message": commit.message,
        "put": commit.put,
        "removed": commit.removed,
    })
}
