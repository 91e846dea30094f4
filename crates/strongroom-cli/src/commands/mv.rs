//! `strongroom mv`

use clap::Args;
use strongroom::{Error, ErrorKind, Result, StoreMode};

use crate::context::Context;
use crate::exit::Exit;
use crate::lookup;
use crate::transfer::{TransferOptions, plan, transfer};

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
    /// All objects below SOURCE
    #[arg(short, long)]
    recursive: bool,
    /// Replace nothing: fail if the name is taken
    #[arg(long)]
    new: bool,
    /// What the history says of it
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    message: String,
}

pub async fn run(args: MvArgs, context: &Context) -> Result<Exit> {
    if lookup::is_digest(&args.source) {
        let detail = "a digest is not a name that could be moved; `strongroom cp` gives its content a name";
        return Err(Error::new(ErrorKind::Invalid, "mv", args.source, detail));
    }
    let store = context.open().await?;
    let transfers = plan(&store, &args.source, &args.dest, args.recursive, None).await?;
    let mode = if args.new { StoreMode::Create } else { StoreMode::Overwrite };
    let options = TransferOptions { mode, remove: true, message: args.message };
    transfer(&store, transfers, &options, &context.output).await?;
    Ok(Exit::Done)
}
