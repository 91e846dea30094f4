//! `strongroom get`

use std::path::{Path, PathBuf};

use clap::Args;
use futures::TryStreamExt;
use strongroom::{Address, ByteRange, ContentStorage, Error, ErrorKind, Location, ObjectRef, Result, unblock};

use crate::args::{AtArgs, byte_range};
use crate::commands::cat;
use crate::context::Context;
use crate::exit::Exit;
use crate::format::{count, size};
use crate::lookup;
use crate::progress::Bar;
use crate::restore::{Folder, restore, restore_all, restored_json};

/// Restore a file, or a folder of files
///
/// Where there is an object LOCATION, it becomes the file DEST, by default one of its own name here; if DEST is a folder or
/// ends with /, a file in it. Otherwise all objects below PREFIX/ become files in the folder DEST, by default one named as the last
/// segment of PREFIX; `.` is everything in the store. Folders that are needed are made.
///
/// A file appears when it is complete and was checked. Files that are there are replaced, as cp does it; a folder is never
/// replaced by a file. Inside DEST, and where DEST is not given, nothing is written through symbolic links, so that nothing
/// comes to lie elsewhere: a link in the place of a file is replaced, one in the place of a folder is an error. Contents,
/// times, the right to execute, and links come back as they were stored.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  strongroom get run7/unit1/traj.xtc                 to ./traj.xtc
  strongroom get run7/unit1 back                     all below it to back/
  strongroom get run7/unit1 old --at submitted       as it was when it was tagged
  strongroom get run7/unit1/traj.xtc - | tool        to stdout")]
pub struct GetArgs {
    /// What to restore
    #[arg(value_name = "LOCATION|PREFIX")]
    source: String,
    /// Where to; - for stdout
    dest: Option<PathBuf>,
    #[command(flatten)]
    at: AtArgs,
    /// Only these bytes of an object: A..B without B, A-B with it, A.., -N for the last N
    #[arg(long, value_name = "RANGE", value_parser = byte_range, allow_hyphen_values = true)]
    range: Option<ByteRange>,
}

pub async fn run(args: GetArgs, context: &Context) -> Result<Exit> {
    let store = context.open().await?;
    let everything = matches!(args.source.as_str(), "." | "./");
    if everything || args.source.ends_with('/') {
        return get_folder(&args, &store, everything, context).await;
    }
    match lookup::object(&store, &args.source, args.at.as_deref()).await {
        Ok(object) => get_file(&args, &object, context).await,
        Err(error) if error.is_missing() && !Address::is_digest(&args.source) => {
            get_folder(&args, &store, false, context).await
        }
        Err(error) => Err(error),
    }
}

async fn get_file(args: &GetArgs, object: &ObjectRef, context: &Context) -> Result<Exit> {
    let range = args.range.unwrap_or_default();
    let own_name = object.location().file_name().to_string();
    let shown = args.dest.clone().unwrap_or_else(|| PathBuf::from(&own_name));
    if shown.as_os_str() == "-" {
        cat::print(object, range, &context.output).await?;
        return Ok(Exit::Done);
    }
    let dest = args.dest.clone();
    let target = unblock(move || match dest {
        Some(dest) => resolve(&dest, own_name),
        None => Ok(Target::File(Folder::open(Path::new(""))?, own_name)),
    });
    match target.await? {
        Target::Device(file) => write_into(file, &shown, object, range).await?,
        Target::File(folder, name) => {
            let bar = Bar::new(&context.output, "get", Some(object.size()));
            restore(&folder, &name, object, range, &bar).await?;
        }
    }
    context.output.json_result(|| restored_json(object, &shown.display().to_string()))?;
    Ok(Exit::Done)
}

/// Where a single object goes.
enum Target {
    /// A file of this name in this folder.
    File(Folder, String),
    /// Something that takes bytes and is no file, as `/dev/stdout`.
    Device(std::fs::File),
}

/// What a DEST means. A link that the user named is followed. Blocks.
fn resolve(dest: &Path, own_name: String) -> Result<Target> {
    let failed = |error| Error::from_io("get", dest.display(), error);
    let is_folder = dest.as_os_str().to_string_lossy().ends_with('/');
    let dest = match std::fs::metadata(dest) {
        Ok(found) if found.is_dir() => return Ok(Target::File(Folder::open(dest)?, own_name)),
        Ok(found) if found.is_file() => dest.canonicalize().map_err(failed)?,
        Ok(_) => return std::fs::File::options().write(true).open(dest).map(Target::Device).map_err(failed),
        Err(_) if is_folder => return Ok(Target::File(Folder::open(dest)?, own_name)),
        Err(_) => dest.to_path_buf(),
    };
    let name = dest.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        Error::new(
            ErrorKind::Invalid,
            "get",
            format!("{dest:?}"),
            "this can't be the name of a file; name another DEST",
        )
    })?;
    Ok(Target::File(Folder::open(dest.parent().unwrap_or(Path::new("")))?, name.into()))
}

async fn write_into(mut file: std::fs::File, path: &Path, object: &ObjectRef, range: ByteRange) -> Result<()> {
    use std::io::Write;
    let mut stream = object.load(range).await?.into_stream();
    while let Some(bytes) = stream.try_next().await? {
        let written = unblock(move || Ok(file.write_all(&bytes).map(|()| file))).await?;
        file = written.map_err(|error| Error::from_io("get", path.display(), error))?;
    }
    Ok(())
}

async fn get_folder(args: &GetArgs, store: &ContentStorage, everything: bool, context: &Context) -> Result<Exit> {
    let refuse = |detail| Err(Error::new(ErrorKind::Invalid, "get", &args.source, detail));
    let (prefix, own_name) = match everything {
        true if args.at.at.is_some() => return refuse("a version belongs to one namespace; name one with --at"),
        true => (String::new(), None),
        false => {
            let location = Location::parse(&args.source)?;
            (lookup::below(&location), Some(location.file_name().to_string()))
        }
    };
    let dest = match (&args.dest, &own_name) {
        (Some(dest), _) => dest.clone(),
        (None, Some(name)) => name.into(),
        (None, None) => return refuse("everything goes into a folder; name it as DEST"),
    };
    let mut objects = Vec::new();
    let mut found = lookup::objects(store, &prefix, args.at.as_deref()).await?;
    while let Some(object) = found.try_next().await? {
        objects.push((object.location().as_str()[prefix.len()..].to_string(), object));
    }
    if objects.is_empty() && !everything {
        return Err(lookup::nothing_below(&Location::parse(&args.source)?));
    }
    if args.range.is_some() {
        return refuse("a range is one of bytes of one object, and this is not an object but a folder of some");
    }
    if dest.as_os_str() == "-" {
        return refuse("this is not an object but a folder of some, which can't go to stdout; name a folder as DEST");
    }
    let total = objects.iter().map(|(_, object)| object.size()).sum();
    let named = args.dest.clone();
    let folder = unblock(move || match (named, own_name) {
        (None, Some(name)) => Folder::open(Path::new(""))?.below(&name),
        (named, _) => Folder::open(&named.unwrap_or_default()),
    });
    let folder = folder.await?;
    let tally = restore_all(&folder, objects, &context.output).await?;
    if tally.exit() == Exit::Done && !context.output.is_json() {
        let files = count(tally.succeeded(), "file", "files");
        context.output.note(&format!("restored {files}, {}, to {}", size(total), dest.display()));
    }
    Ok(tally.exit())
}
