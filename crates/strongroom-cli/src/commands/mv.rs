//! `strongroom mv`

use clap::Args;
use strongroom::{Address, Error, ErrorKind, Result};

use crate::context::Context;
use crate::exit::Exit;
use crate::transfer::{TransferArgs, plan, transfer};

/// Give an object, or all below a name, another name
///
/// In one namespace the old names go in the same step as the new ones come. Between two, the new ones come first. An old name
/// that somebody gave to another object meanwhile stays, and mv fails. Where DEST ends with /, the name goes below it.
#[derive(Args, Debug)]
pub struct MvArgs {
    /// What: a location
    source: String,
    /// The new name
    dest: String,
    #[command(flatten)]
    transfer: TransferArgs,
}

pub async fn run(args: MvArgs, context: &Context) -> Result<Exit> {
    if Address::is_digest(&args.source) {
        let detail = "a digest is not a name that could be moved; `strongroom cp` gives its content a name";
        return Err(Error::new(ErrorKind::Invalid, "mv", args.source, detail));
    }
    let store = context.open().await?;
    let transfers = plan(&store, &args.source, &args.dest, args.transfer.recursive, None).await?;
    transfer(&store, transfers, &args.transfer.into_options(true), &context.output).await?;
    Ok(Exit::Done)
}
