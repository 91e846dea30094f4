//! `strongroom ls`

use clap::Args;
use futures::TryStreamExt;
use strongroom::{ObjectRef, Result};

use crate::args::AtArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::format::{line, object_json, seconds};
use crate::lookup;

/// List the objects whose locations begin with PREFIX, one a line
///
/// PREFIX is any beginning, not only whole segments: `run` finds run7/log and runs.txt. With --at, a version is that of the
/// namespace that PREFIX is in: of run7/unit1 for `run7/unit1/`.
#[derive(Args, Debug)]
pub struct LsArgs {
    /// What the locations begin with
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,
    /// Print size, time and digest before each
    #[arg(short, long)]
    long: bool,
    #[command(flatten)]
    at: AtArgs,
}

pub async fn run(args: LsArgs, context: &Context) -> Result<Exit> {
    let store = context.open().await?;
    let mut objects = lookup::objects(&store, &args.prefix, args.at.as_deref()).await?;
    while let Some(object) = objects.try_next().await? {
        context.output.result(|| text(&object, args.long), || object_json(&object).into())?;
    }
    Ok(Exit::Done)
}

fn text(object: &ObjectRef, long: bool) -> String {
    let before = match long {
        true => {
            let time = object.stored_at().map(seconds).unwrap_or_default();
            format!("{:>12}  {time}  {}  ", object.size(), object.digest())
        }
        false => String::new(),
    };
    line(&before, object.location().as_str())
}
