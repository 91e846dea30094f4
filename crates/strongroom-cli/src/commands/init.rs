//! `strongroom init`

use std::time::Duration;

use clap::Args;
use serde_json::json;
use strongroom::{ContentConfig, Result};

use crate::args::{CompressionWord, DigestWord, LayoutWord, digest_set};
use crate::context::Context;
use crate::exit::Exit;

/// Make a store, if there is none yet
///
/// What a store is made with holds for all its users and stays so: of a store that is there already, nothing is changed.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  strongroom init                                      in ./.strongroom
  strongroom -s /data/store init --layout chunked      share what versions of large files have in common")]
pub struct InitArgs {
    /// How objects of more than 1 MiB are kept
    #[arg(long, value_name = "LAYOUT", default_value = "auto")]
    layout: LayoutWord,
    /// When chunks are compressed
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    compression: CompressionWord,
    /// Digests to compute of everything, besides BLAKE3
    #[arg(long, value_name = "DIGEST,...", value_delimiter = ',')]
    digests: Vec<DigestWord>,
    /// How long what was replaced or removed stays for certain
    #[arg(long, value_name = "TIME", default_value = "36h", value_parser = humantime::parse_duration)]
    grace: Duration,
}

pub async fn run(args: InitArgs, context: &Context) -> Result<Exit> {
    let (store, made) = match context.open().await {
        Err(error) if error.is_missing() => {
            let config = ContentConfig::default()
                .with_layout(args.layout.into())
                .with_compression(args.compression.into())
                .with_digests(digest_set(&args.digests))
                .with_grace(args.grace);
            (context.create(config).await?, true)
        }
        opened => (opened?, false),
    };
    let url = context.url();
    context.output.json_result(|| json!({ "store": url, "id": store.id(), "made": made }))?;
    if !context.output.is_json() {
        context.output.note(&match made {
            true => format!("made a store in {url}"),
            false => format!("there is a store in {url} already; it stays as it was made"),
        });
    }
    Ok(Exit::Done)
}
