//! Listing: only the part of the tree that can match is walked, in byte order.

use std::fs::FileType;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};

use super::place::{Place, TEMPORARY_FOLDER, is_absent};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::options::{ListOptions, ListedObject, Listing};
use crate::unblock;

/// How many names are gathered before a listing comes back from its thread.
const BATCH: usize = 1024;

/// The objects whose location begins with `prefix`.
pub(super) fn iter_contents(place: &Arc<Place>, prefix: &str) -> BoxStream<'static, Result<Location>> {
    let (place, prefix) = (place.clone(), prefix.to_string());
    let opened = unblock(move || Walk::open(&place, &prefix, ""));
    stream::once(opened)
        .map_ok(|walk| {
            stream::try_unfold(walk, |mut walk| async move {
                unblock(move || {
                    let mut found = Vec::new();
                    while found.len() < BATCH {
                        match walk.next()? {
                            Some(location) => found.push(Ok(location)),
                            None => break,
                        }
                    }
                    Ok((!found.is_empty()).then_some((stream::iter(found), walk)))
                })
                .await
            })
            .try_flatten()
        })
        .try_flatten()
        .boxed()
}

/// A page of the listing.
pub(super) fn list(place: &Arc<Place>, options: &ListOptions) -> Result<Listing> {
    let mut walk = Walk::open(place, &options.prefix, options.start_after.as_deref().unwrap_or_default())?;
    let mut found = Vec::new();
    while options.limit.is_none_or(|limit| found.len() < limit) {
        let Some(location) = walk.next()? else { break };
        if options.delimited {
            // Of each folder one object says that there is any.
            walk.folders.truncate(1);
        }
        found.push(ListedObject::new(location, None));
    }
    Ok(Listing::of_all(found.into_iter(), options))
}

/// A walk through a tree of folders.
struct Walk {
    /// The folders that are not walked to their ends, outermost first.
    folders: Vec<Folder>,
    /// Only locations after this one are wanted.
    after: String,
}

/// A folder as it was when it was read.
///
/// Read as a whole, because a name that is replaced meanwhile can come up twice.
struct Folder {
    path: PathBuf,
    /// What the locations in it begin with: empty, or ending with `/`.
    prefix: String,
    /// Backwards, so that the next one is the last.
    entries: Vec<Entry>,
}

struct Entry {
    /// That of a folder ends with `/`.
    name: String,
    is_symlink: bool,
}

impl Walk {
    fn open(place: &Place, prefix: &str, after: &str) -> Result<Self> {
        let mut walk = Self { folders: Vec::new(), after: after.into() };
        let (folder, beginning) = match prefix.rfind('/') {
            Some(end) => prefix.split_at(end + 1),
            None => ("", prefix),
        };
        let mut path = place.root.clone();
        if let Some(folder) = folder.strip_suffix('/') {
            // A prefix that no location begins with matches nothing.
            if !Location::parse(folder).is_ok_and(|parsed| parsed.as_str() == folder) {
                return Ok(walk);
            }
            for segment in folder.split('/') {
                path.push(segment);
                if segment == TEMPORARY_FOLDER || !is_folder(&path) {
                    return Ok(walk);
                }
            }
        }
        walk.enter(path, folder.to_string(), beginning)?;
        Ok(walk)
    }

    /// Goes on with what begins with `beginning` in a folder. One that is gone is empty.
    fn enter(&mut self, path: PathBuf, prefix: String, beginning: &str) -> Result<()> {
        match read(&path, beginning) {
            Ok(entries) => self.folders.push(Folder { path, prefix, entries }),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(Error::from_io("list", path.display(), error)),
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Location>> {
        while let Some(folder) = self.folders.last_mut() {
            let Some(Entry { name, is_symlink }) = folder.entries.pop() else {
                self.folders.pop();
                continue;
            };
            let location = format!("{}{name}", folder.prefix);
            let path = folder.path.join(&name);
            if name.ends_with('/') {
                if location > self.after || self.after.starts_with(&location) {
                    self.enter(path, location, "")?;
                }
            } else if location > self.after
                && (!is_symlink || std::fs::metadata(path).is_ok_and(|target| target.is_file()))
                // What is too long was not stored by us, and can't be asked for.
                && let Ok(location) = Location::parse(&location)
            {
                return Ok(Some(location));
            }
        }
        Ok(None)
    }
}

/// The folders, files and symlinks in a folder whose names begin with `beginning`, each once, in descending byte order of
/// the locations that they lead to.
fn read(folder: &Path, beginning: &str) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(mut name) = entry.file_name().into_string() else { continue };
        if !name.starts_with(beginning) || name == TEMPORARY_FOLDER {
            continue;
        }
        // One whose kind can't be told is gone.
        let kind = entry.file_type();
        let is = |what: fn(&FileType) -> bool| kind.as_ref().is_ok_and(what);
        if is(FileType::is_dir) {
            name.push('/');
        } else if !is(FileType::is_file) && !is(FileType::is_symlink) {
            continue;
        }
        entries.push(Entry { name, is_symlink: is(FileType::is_symlink) });
    }
    entries.sort_unstable_by(|a, b| b.name.cmp(&a.name));
    entries.dedup_by(|a, b| a.name == b.name);
    Ok(entries)
}

/// Whether a folder is there, or can't be looked at: then reading it says so.
fn is_folder(path: &Path) -> bool {
    match std::fs::symlink_metadata(path) {
        Ok(found) => found.is_dir(),
        Err(error) => !is_absent(&error),
    }
}
