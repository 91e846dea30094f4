//! `strongroom restore`

use clap::Args;
use strongroom::{Result, StoreMode};

use crate::context::Context;
use crate::exit::Exit;
use crate::transfer::{TransferOptions, plan, transfer};

/// Make a name stand again for what it stood for at an earlier version
///
/// No content is copied, and history goes on: the old state is one more version. With -r, all that was below LOCATION comes
/// back; names that were added since stay.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  strongroom log run7/unit1                            which versions there are
  strongroom restore run7/unit1/energy.csv --at 3      as it was at version 3
  strongroom restore -r run7/unit1 --at submitted      everything, as it was when it was tagged")]
pub struct RestoreArgs {
    /// Which name
    location: String,
    /// The version or tag that it stands again for
    #[arg(long, value_name = "VERSION|TAG")]
    at: String,
    /// All objects that were below LOCATION
    #[arg(short, long)]
    recursive: bool,
    /// What the history says of it
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
}

pub async fn run(args: RestoreArgs, context: &Context) -> Result<Exit> {
    let store = context.open().await?;
    let (location, at) = (args.location.trim_end_matches('/'), args.at.as_str());
    let transfers = plan(&store, location, location, args.recursive, Some(at)).await?;
    let message = args.message.unwrap_or_else(|| format!("as it was at {at}"));
    let options = TransferOptions { mode: StoreMode::Overwrite, remove: false, message };
    transfer(&store, transfers, &options, &context.output).await?;
    Ok(Exit::Done)
}
