//! `strongroom cp`

use clap::Args;
use strongroom::{Result, StoreMode};

use crate::args::AtArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::transfer::{TransferOptions, plan, transfer};

/// Give an object, or all below a name, another name too
///
/// No content is copied: both names stand for it. Where DEST ends with /, the name goes below it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  strongroom cp run7/unit1/start.gro run8/unit1/       as run8/unit1/start.gro
  strongroom cp -r run7/unit1 run7/unit1.backup        all below it
  strongroom cp b3:4f8a91c2 found/again.dat            content that has lost its name")]
pub struct CpArgs {
    /// What: a location, or b3: and a digest
    source: String,
    /// The other name
    dest: String,
    /// All objects below SOURCE
    #[arg(short, long)]
    recursive: bool,
    /// Replace nothing: fail if the name is taken
    #[arg(long)]
    new: bool,
    #[command(flatten)]
    at: AtArgs,
    /// What the history says of it
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    message: String,
}

pub async fn run(args: CpArgs, context: &Context) -> Result<Exit> {
    let store = context.open().await?;
    let transfers = plan(&store, &args.source, &args.dest, args.recursive, args.at.as_deref()).await?;
    let mode = if args.new { StoreMode::Create } else { StoreMode::Overwrite };
    let options = TransferOptions { mode, remove: false, message: args.message };
    transfer(&store, transfers, &options, &context.output).await?;
    Ok(Exit::Done)
}
