//! Objects as files of a local folder: whole or not at all, and nowhere but in that folder.

mod folder;
mod new_file;

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};
use strongroom::{ByteRange, Error, ErrorKind, ObjectRef, Result, unblock};

pub use folder::Folder;

use crate::exit::Tally;
use crate::format::digests_json;
use crate::output::Output;
use crate::progress::Bar;

/// How many objects are restored at once.
const AT_ONCE: usize = 16;
/// Objects up to this many bytes are read first and then written in one step.
const ONE_STEP_BYTES: u64 = 1 << 20;

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
    let mut restored = stream::iter(possible)
        .map(|(path, object)| async move { (path, object, restore(folder, path, object, ByteRange::All, bar).await) })
        .buffer_unordered(AT_ONCE);
    while let Some((path, object, result)) = restored.next().await {
        match result {
            Ok(()) => {
                tally.success();
                output.json_result(|| restored_json(object, &folder.shown(path)))?;
            }
            Err(error) => tally.failure(output, &error),
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
    let loaded = object.load(range).await?;
    let length = loaded.range.end - loaded.range.start;
    let attributes = object.attributes().clone();
    let place = folder.place(path);
    if attributes.symlink() && length == object.size() {
        let target = loaded.into_bytes().await?;
        return unblock(move || place.link(&target, &attributes)).await;
    }
    if length <= ONE_STEP_BYTES {
        let bytes = loaded.into_bytes().await?;
        unblock(move || {
            let mut file = place.create(&attributes)?;
            file.write(&bytes)?;
            file.publish(&attributes)
        })
        .await?;
        bar.add(length);
        return Ok(());
    }
    let mut stream = loaded.into_stream();
    let created = attributes.clone();
    let mut file = unblock(move || place.create(&created)).await?;
    while let Some(bytes) = stream.try_next().await? {
        bar.add(bytes.len() as u64);
        file = unblock(move || file.write(&bytes).map(|()| file)).await?;
    }
    unblock(move || file.publish(&attributes)).await
}
