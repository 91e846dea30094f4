//! `strongroom cat`

use clap::Args;
use futures::TryStreamExt;
use strongroom::{ByteRange, ContentStorage, ObjectRef, Result};

use crate::args::{AtArgs, byte_range};
use crate::context::Context;
use crate::exit::{Exit, Tally};
use crate::lookup;
use crate::output::{Output, is_closed_pipe};

/// Print objects' content
///
/// Every byte was checked before it is printed. What can't be read is left out with an error, and the next object is printed.
/// Content is printed as it is, also with --json.
#[derive(Args, Debug)]
pub struct CatArgs {
    /// What to print: locations, or b3: and a digest
    #[arg(required = true, value_name = "LOCATION")]
    locations: Vec<String>,
    #[command(flatten)]
    at: AtArgs,
    /// Only these bytes of each: A..B without B, A-B with it, A.., -N for the last N
    #[arg(long, value_name = "RANGE", value_parser = byte_range, allow_hyphen_values = true)]
    range: Option<ByteRange>,
}

pub async fn run(args: CatArgs, context: &Context) -> Result<Exit> {
    let store = context.open().await?;
    let mut tally = Tally::default();
    for text in &args.locations {
        match cat(&store, text, &args, &context.output).await {
            Ok(()) => tally.success(),
            Err(error) if is_closed_pipe(&error) => return Err(error),
            Err(error) => tally.failure(&context.output, &error),
        }
    }
    Ok(tally.exit())
}

async fn cat(store: &ContentStorage, text: &str, args: &CatArgs, output: &Output) -> Result<()> {
    let object = lookup::object(store, text, args.at.as_deref()).await?;
    print(&object, args.range.unwrap_or_default(), output).await
}

/// Prints the bytes `range` of `object`.
///
/// # Errors
/// Those of loading it, and of writing to stdout.
pub async fn print(object: &ObjectRef, range: ByteRange, output: &Output) -> Result<()> {
    let mut stream = object.load(range).await?.into_stream();
    while let Some(bytes) = stream.try_next().await? {
        output.content(&bytes)?;
    }
    Ok(())
}
