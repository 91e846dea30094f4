//! `strongroom init`

use std::time::Duration;

use clap::Args;
use serde_json::json;
use strongroom::{ContentConfig, Result};

use crate::args::{CompressionWord, DigestWord, LayoutWord, SharingWord, digest_set};
use crate::context::Context;
use crate::exit::Exit;

/// Make a store, if there is none yet
///
/// What a store is made with holds for all its users and stays so: of a store that is there already, nothing is changed.
///
/// With --shared, what anybody stores from now on has the permissions to be shared, whatever their umask; without it, the umask
/// of each decides. The store's own folder says so by its permissions, which its owner can set so at any time by another init.
/// The group is the one that the folder has.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  strongroom init                                      in ./.strongroom
  strongroom -s /data/store init --layout chunked      share what versions of large files have in common
  strongroom -s /data/store init --shared group        for all of the folder's group

For another group than your own, give it the folder first:
  mkdir /data/store && chgrp GROUP /data/store
What is in a store keeps its permissions when that is shared later. To share that too (for all: g+rwX,o+rX):
  chmod -R g+rwX /data/store && find /data/store -type d -exec chmod g+s {} +")]
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
    /// Who may use it besides you, whatever the umask
    #[arg(long, value_name = "WITH")]
    shared: Option<SharingWord>,
}

pub async fn run(args: InitArgs, context: &Context) -> Result<Exit> {
    if let Some(shared) = args.shared {
        context.share(shared.into()).await?;
    }
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
    let (url, shared) = (context.url(), args.shared.map(SharingWord::as_str));
    context.output.json_result(|| json!({ "store": url, "id": store.id(), "made": made, "shared": shared }))?;
    if !context.output.is_json() {
        let with = match args.shared {
            Some(SharingWord::Group) => "; what is put there from now on is shared with its group",
            Some(SharingWord::All) => {
                "; what is put there from now on is shared with its group, and everybody may read it"
            }
            None => "",
        };
        context.output.note(&match made {
            true => format!("made a store in {url}{with}"),
            false => format!("there is a store in {url} already; it stays as it was made{with}"),
        });
    }
    Ok(Exit::Done)
}
