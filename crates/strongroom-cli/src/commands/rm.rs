//! `strongroom rm`

use clap::Args;
use futures::TryStreamExt;
use serde_json::json;
use strongroom::{Address, ContentStorage, Error, ErrorKind, Location, Result};

use crate::context::Context;
use crate::exit::Exit;
use crate::format::{count, line};
use crate::lookup;

/// Remove names
///
/// What they stood for stays in the history, and its content in the store, until `gc` takes it away: `strongroom log` and
/// `restore` bring it back. If one of the names is not there, none is removed.
#[derive(Args, Debug)]
pub struct RmArgs {
    /// Which
    #[arg(required = true, value_name = "LOCATION|PREFIX")]
    locations: Vec<String>,
    /// All objects below each PREFIX too
    #[arg(short, long)]
    recursive: bool,
    /// Only print what would be removed
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// What the history says of it
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    message: String,
}

pub async fn run(args: RmArgs, context: &Context) -> Result<Exit> {
    let store = context.open().await?;
    let mut locations = Vec::new();
    for text in &args.locations {
        if Address::is_digest(text) {
            let detail = "content goes when no name stands for it and it is collected; name a location";
            return Err(Error::new(ErrorKind::Invalid, "rm", text, detail));
        }
        find(&store, &Location::parse(text)?, args.recursive, &mut locations).await?;
    }
    locations.sort();
    locations.dedup();
    if !args.dry_run {
        let mut batch = store.batch().with_message(args.message);
        for location in &locations {
            batch.remove(location.clone());
        }
        batch.commit().await?;
    }
    for location in &locations {
        let text = || if args.dry_run { line("", location.as_str()) } else { String::new() };
        context.output.result(text, || json!({ "location": location.as_str(), "removed": !args.dry_run }))?;
    }
    if !args.dry_run && !context.output.is_json() {
        let names = count(locations.len() as u64, "name", "names");
        context.output.note(&format!("removed {names}; history and content stay until `strongroom gc`"));
    }
    Ok(Exit::Done)
}

async fn find(store: &ContentStorage, location: &Location, recursive: bool, found: &mut Vec<Location>) -> Result<()> {
    let exact = match store.find(location).await {
        Ok(object) => Some(object.location().clone()),
        Err(error) if error.is_missing() => None,
        Err(error) => return Err(error),
    };
    let has_exact = exact.is_some();
    found.extend(exact);
    if has_exact && !recursive {
        return Ok(());
    }
    let before = found.len();
    let mut below = store.objects(&lookup::below(location));
    while let Some(object) = below.try_next().await? {
        if !recursive {
            let detail = "there is no object of this name, but there are some below it; -r removes those";
            return Err(Error::new(ErrorKind::Missing, "rm", location, detail));
        }
        found.push(object.location().clone());
    }
    if !has_exact && found.len() == before {
        return Err(lookup::nothing_below(location));
    }
    Ok(())
}
