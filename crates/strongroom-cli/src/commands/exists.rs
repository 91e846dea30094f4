//! `strongroom exists`

use clap::Args;
use serde_json::json;
use strongroom::Result;

use crate::args::AtArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::lookup;

/// Exit with 0 if there is such an object, with 4 if not
///
/// Prints nothing, or with --json the answer.
#[derive(Args, Debug)]
pub struct ExistsArgs {
    /// Which: a location, or b3: and a digest
    location: String,
    #[command(flatten)]
    at: AtArgs,
}

pub async fn run(args: ExistsArgs, context: &Context) -> Result<Exit> {
    let store = context.open().await?;
    let exists = match lookup::object(&store, &args.location, args.at.as_deref()).await {
        Ok(_) => true,
        Err(error) if error.is_missing() => false,
        Err(error) => return Err(error),
    };
    context.output.json_result(|| json!({ "location": args.location, "exists": exists }))?;
    Ok(if exists { Exit::Done } else { Exit::NotFound })
}
