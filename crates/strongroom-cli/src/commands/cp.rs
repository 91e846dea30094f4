//! `strongroom cp`

use clap::Args;
use strongroom::Result;

use crate::args::AtArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::transfer::{TransferArgs, plan, transfer};

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
    #[command(flatten)]
    transfer: TransferArgs,
    #[command(flatten)]
    at: AtArgs,
}

pub async fn run(args: CpArgs, context: &Context) -> Result<Exit> {
    let store = context.open().await?;
    let transfers = plan(&store, &args.source, &args.dest, args.transfer.recursive, args.at.as_deref()).await?;
    transfer(&store, transfers, &args.transfer.into_options(false), &context.output).await?;
    Ok(Exit::Done)
}
