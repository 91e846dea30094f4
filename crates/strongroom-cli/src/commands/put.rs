//! `strongroom put`

use std::path::PathBuf;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use futures::stream;
use strongroom::content::BatchReceipt;
use strongroom::{
    Batch, ContentStorage, Error, ErrorKind, Location, Namespace, PutOptions, Result, Source, StoreMode, unblock,
};

use crate::args::{DigestWord, LayoutWord, digest_set};
use crate::context::Context;
use crate::exit::{Exit, Tally};
use crate::format::{count, digests_json, line, size};
use crate::lookup;
use crate::progress::Bar;
use crate::scan::{self, Found, Scan};

/// How much of stdin is taken at a time.
const PIECE_BYTES: usize = 1 << 20;

/// Store a file, a folder, or what comes by stdin
///
/// A file is stored as LOCATION, or under its own name; where LOCATION ends with /, under its own name below it. Of a folder,
/// every file is stored below LOCATION by its path in the folder. All that belongs to one namespace appears at once:
/// everything, if LOCATION has two segments or more. If anything in the folder can't be stored, nothing is.
///
/// Whether a file may be executed, and its time, are kept; symbolic links in a folder are kept as links and not followed. One
/// that is named on the command line is followed. Folders without files leave no trace. A file that changes while it is read
/// is an error.
///
/// Prints the digest and location of what was stored, as b3sum does.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  strongroom put traj.xtc run7/unit1/                  as run7/unit1/traj.xtc
  strongroom put results run7/unit1                    results/energy.csv as run7/unit1/energy.csv
  zcat big.gz | strongroom put - run7/unit1/big        what comes by stdin
  strongroom put --new params.json run7/params.json    exit with 6 if there is one already")]
pub struct PutArgs {
    /// What to store; - for stdin
    #[arg(value_name = "FILE|DIR|-")]
    source: PathBuf,
    /// Where
    location: Option<String>,
    /// Replace nothing: fail if one of the names is taken
    #[arg(long)]
    new: bool,
    /// How objects of more than 1 MiB are kept; as the store does it if not given
    #[arg(long)]
    layout: Option<LayoutWord>,
    /// Digests to compute and keep, besides BLAKE3 and those of the store
    #[arg(long, value_name = "DIGEST,...", value_delimiter = ',')]
    digests: Vec<DigestWord>,
    /// What the history says of it
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    message: String,
    /// What to do with symbolic links in a folder
    #[arg(long, value_name = "HOW", default_value = "store")]
    symlinks: Symlinks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Symlinks {
    /// Store them as links
    Store,
    /// Store nothing if there are any
    Refuse,
}

pub async fn run(args: PutArgs, context: &Context) -> Result<Exit> {
    if args.source.as_os_str() == "-" {
        return put_stdin(&args, context).await;
    }
    if args.source.is_dir() {
        return put_folder(&args, context).await;
    }
    put_file(&args, context).await
}

async fn put_stdin(args: &PutArgs, context: &Context) -> Result<Exit> {
    let location = match args.location.as_deref() {
        Some(text) if !text.ends_with('/') => lookup::target(text)?,
        _ => {
            let detail = "what comes by stdin has no name of its own; give a LOCATION that does not end with /";
            return Err(Error::new(ErrorKind::Invalid, "put", "-", detail));
        }
    };
    let store = context.open_to_put().await?;
    let bar = Bar::new(&context.output, "put", None);
    let source = Source::stream(stream::try_unfold((), |()| async {
        let piece = unblock(|| scan::read_stdin(PIECE_BYTES)).await?;
        Ok((!piece.is_empty()).then(|| (Bytes::from(piece), ())))
    }));
    let mut batch = args.batch(&store, &bar);
    batch.put(location, source, args.options());
    let receipt = batch.commit().await?;
    drop(bar);
    print(&receipt, context)?;
    Ok(Exit::Done)
}

async fn put_file(args: &PutArgs, context: &Context) -> Result<Exit> {
    let found = Found::file(&args.source)?;
    let location = match args.location.as_deref() {
        Some(text) if !text.ends_with('/') => lookup::target(text)?,
        Some(text) => lookup::target_for(text, scan::own_name(&args.source)?.as_str())?,
        None => scan::own_name(&args.source)?,
    };
    let store = context.open_to_put().await?;
    let bar = Bar::new(&context.output, "put", Some(found.size));
    let mut batch = args.batch(&store, &bar);
    args.add(&mut batch, location, found);
    let receipt = batch.commit().await?;
    drop(bar);
    print(&receipt, context)?;
    Ok(Exit::Done)
}

async fn put_folder(args: &PutArgs, context: &Context) -> Result<Exit> {
    let base = match args.location.as_deref() {
        Some(text) if !text.ends_with('/') => lookup::target(text)?,
        Some(text) => lookup::target_for(text, scan::own_name(&args.source)?.as_str())?,
        None => scan::own_name(&args.source)?,
    };
    let store = context.open_to_put().await?;
    let folder = args.source.clone();
    let itself = strongroom::local_root(context.url())?;
    let refuse_links = args.symlinks == Symlinks::Refuse;
    let Scan { found, bad, skipped } = unblock(move || {
        let itself = itself.as_deref().and_then(scan::identity_of_folder);
        Ok(scan::scan(&folder, itself, refuse_links))
    })
    .await?;
    for path in skipped {
        context.output.note(&format!("left out {}, which is the store itself", path.display()));
    }
    let mut tally = Tally::default();
    bad.iter().for_each(|error| tally.failure(&context.output, error));
    let mut located = Vec::with_capacity(found.len());
    for found in found {
        match found.location(&base) {
            Ok(location) => located.push((location, found)),
            Err(error) => tally.failure(&context.output, &error),
        }
    }
    if tally.exit() != Exit::Done {
        context.output.note("nothing was stored, because not all of the folder can be");
        return Ok(tally.exit());
    }
    let total = located.iter().map(|(_, found)| found.size).sum();
    let files = count(located.len() as u64, "file", "files");
    let bar = Bar::new(&context.output, "put", Some(total));
    let mut batch = args.batch(&store, &bar);
    for (location, found) in located {
        args.add(&mut batch, location, found);
    }
    let receipt = batch.commit().await?;
    drop(bar);
    print(&receipt, context)?;
    if !context.output.is_json() {
        context.output.note(&format!("stored {files}, {}, from {}", size(total), args.source.display()));
    }
    Ok(Exit::Done)
}

impl PutArgs {
    fn batch(&self, store: &ContentStorage, bar: &Bar) -> Batch {
        store.batch().with_message(self.message.as_str()).with_progress(bar.progress())
    }

    fn options(&self) -> PutOptions {
        let mode = if self.new { StoreMode::Create } else { StoreMode::Overwrite };
        let options = PutOptions::default().with_mode(mode).with_digests(digest_set(&self.digests));
        match self.layout {
            Some(layout) => options.with_layout(layout.into()),
            None => options,
        }
    }

    fn add(&self, batch: &mut Batch, location: Location, found: Found) {
        // A link is content of its own, to be kept as any small thing.
        let options = match found.attributes.symlink() {
            true => {
                let mut options = self.options();
                options.layout = None;
                options
            }
            false => self.options(),
        };
        let options = options.with_attributes(found.attributes.clone());
        batch.put(location, found.into_source(), options);
    }
}

fn print(receipt: &BatchReceipt, context: &Context) -> Result<()> {
    for stored in &receipt.stored {
        context.output.result(
            || {
                let digest = stored.digests.blake3.map(|digest| digest.to_string()).unwrap_or_default();
                line(&format!("{digest}  "), stored.location.as_str())
            },
            || {
                let mut map = digests_json(&stored.digests);
                let version = receipt.versions.get(&Namespace::of(&stored.location)).map(|version| version.get());
                map.insert("location".into(), stored.location.as_str().into());
                map.insert("size".into(), stored.size.into());
                map.insert("version".into(), version.into());
                map.into()
            },
        )?;
    }
    Ok(())
}
