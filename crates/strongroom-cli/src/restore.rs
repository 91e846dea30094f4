//! Objects as files of a local folder: whole or not at all, and nowhere but in that folder.

mod folder;
mod new_file;

use std::collections::HashSet;

use bytes::Bytes;
use futures::{StreamExt, stream};
use strongroom::{Attributes, ByteRange, DigestSet, Error, ErrorKind, ObjectRef, Result, unblock};

pub use folder::Folder;
use new_file::Place;

use crate::exit::Tally;
use crate::format::digests_json;
use crate::output::Output;
use crate::progress::Bar;

/// How many objects are read at once.
const READS_AT_ONCE: usize = 16;
/// Objects up to this many bytes are read first and then written in one step.
const SMALL_BYTES: u64 = 1 << 20;
/// So many small files are written by one thread, one after the other: two that make files in one folder wait for each other.
const FILES_A_STEP: usize = 32;

/// What is left to do for an object.
enum Step {
    Write(Small),
    Done,
}

/// A file or link of which everything is known.
struct Small {
    place: Place,
    attributes: Attributes,
    content: Bytes,
    is_link: bool,
}

/// Restores each object to its path below `folder`.
///
/// Where an object's path leads through another object, it is left out with an error: a path can't be both file and folder.
///
/// # Errors
/// That of writing to stdout; failures of single objects are in the tally.
pub async fn restore_all(folder: &Folder, objects: Vec<(String, ObjectRef)>, output: &Output) -> Result<Tally> {
    let bar = Bar::new(output, "get", Some(objects.iter().map(|(_, object)| object.size()).sum()));
    let mut tally = Tally::default();
    let paths: HashSet<&str> = objects.iter().map(|(path, _)| path.as_str()).collect();
    let mut possible = Vec::with_capacity(objects.len());
    for (path, object) in &objects {
        match path.match_indices('/').map(|(cut, _)| &path[..cut]).find(|ancestor| paths.contains(ancestor)) {
            None => possible.push((path, object)),
            Some(file) => {
                let detail =
                    format!("{file:?} is an object too, and can't be both a file and a folder; get them apart");
                tally.failure(output, &Error::new(ErrorKind::Conflict, "get", object.location(), detail));
            }
        }
    }
    let bar = &bar;
    let mut read = stream::iter(possible)
        .map(|(path, object)| async move { ((path, object), begin(folder, path, object, ByteRange::All, bar).await) })
        .buffer_unordered(READS_AT_ONCE)
        .ready_chunks(FILES_A_STEP);
    let mut next = read.next().await;
    while let Some(step) = next {
        let (names, steps): (Vec<_>, Vec<_>) = step.into_iter().unzip();
        // The next ones are read while these are written.
        let written = unblock(move || Ok(steps.into_iter().map(|step| step.and_then(write)).collect::<Vec<_>>()));
        let (written, following) = futures::join!(written, read.next());
        next = following;
        for ((path, object), result) in names.into_iter().zip(written?) {
            match result {
                Ok(bytes) => {
                    bar.add(bytes);
                    tally.success();
                    output.json_result(|| restored_json(object, &folder.shown(path)))?;
                }
                Err(error) => tally.failure(output, &error),
            }
        }
    }
    Ok(tally)
}

/// What JSON says of a restored object.
pub fn restored_json(object: &ObjectRef, path: &str) -> serde_json::Value {
    let mut map = digests_json(&object.digests());
    map.insert("location".into(), object.location().as_str().into());
    map.insert("path".into(), path.into());
    map.insert("size".into(), object.size().into());
    map.into()
}

/// Restores the bytes `range` of `object` to `path` below `folder`, with what is known of the file that it was.
///
/// A file or link there is replaced, atomically; a folder is not.
///
/// # Errors
/// Those of loading; `Conflict` if a folder is at the path, or a file or a link on the way to it; those of writing.
pub async fn restore(folder: &Folder, path: &str, object: &ObjectRef, range: ByteRange, bar: &Bar) -> Result<()> {
    let step = begin(folder, path, object, range, bar).await?;
    bar.add(unblock(move || write(step)).await?);
    Ok(())
}

/// Reads what is small, and restores what is not.
async fn begin(folder: &Folder, path: &str, object: &ObjectRef, range: ByteRange, bar: &Bar) -> Result<Step> {
    let wanted = range.resolve(object.size(), object.location())?;
    let length = wanted.end - wanted.start;
    let is_whole = length == object.size();
    let attributes = object.attributes().clone();
    let place = folder.place(path);
    let is_link = attributes.symlink() && is_whole;
    if is_link || length <= SMALL_BYTES {
        let content = object.load(range).await?.into_bytes().await?;
        return Ok(Step::Write(Small { place, attributes, content, is_link }));
    }
    let created = attributes.clone();
    let file = unblock(move || place.create(&created)).await?;
    let loading = async {
        if is_whole {
            object.load_into(file.target(), DigestSet::NONE).await
        } else {
            object.load(range).await?.into_file(file.target(), DigestSet::NONE).await
        }
    };
    bar.follow(file.target(), loading).await?;
    unblock(move || file.publish(&attributes)).await?;
    Ok(Step::Done)
}

/// Writes what was read; how many bytes it was. Blocks.
fn write(step: Step) -> Result<u64> {
    let Step::Write(Small { place, attributes, content, is_link }) = step else { return Ok(0) };
    if is_link {
        place.link(&content, &attributes)?;
    } else {
        let file = place.create(&attributes)?;
        file.target().write_at(&content, 0)?;
        file.publish(&attributes)?;
    }
    Ok(content.len() as u64)
}
