//! Listing: only the part of the tree that can match is walked.

use std::fs::{DirEntry, ReadDir};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};

use super::place::{Place, TEMPORARY_FOLDER, is_absent};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::options::{ListOptions, ListedObject, Listing};
use crate::storage::page;
use crate::unblock;

/// How many names are gathered before a listing comes back from its thread.
const BATCH: usize = 1024;

/// The objects whose location begins with `prefix`.
pub(super) fn iter_contents(place: &Arc<Place>, prefix: &str) -> BoxStream<'static, Result<Location>> {
    let (place, prefix) = (place.clone(), prefix.to_string());
    let opened = unblock(move || Walk::open(&place, &prefix));
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
    let mut walk = Walk::open(place, &options.prefix)?;
    if !options.delimited {
        let mut found = Vec::new();
        while let Some(location) = walk.next()? {
            found.push(ListedObject::new(location, None));
        }
        return Ok(page(found.into_iter(), options));
    }
    // Of each folder one object says that there is any.
    let mut found = Vec::new();
    while let Some(location) = walk.next()? {
        if walk.folders.len() > 1 {
            walk.folders.truncate(1);
        }
        found.push(ListedObject::new(location, None));
    }
    Ok(page(found.into_iter(), options))
}

/// A walk through a tree of folders.
struct Walk {
    /// The folders being read, outermost first.
    folders: Vec<Open>,
    /// What the names in the first of them begin with.
    beginning: String,
}

struct Open {
    entries: ReadDir,
    path: PathBuf,
    /// What the locations in it begin with: empty, or ending with `/`.
    prefix: String,
}

impl Walk {
    fn open(place: &Place, prefix: &str) -> Result<Self> {
        let (folder, beginning) = match prefix.rsplit_once('/') {
            Some((folder, beginning)) => (folder, beginning),
            None => ("", prefix),
        };
        let mut walk = Self { folders: Vec::new(), beginning: beginning.into() };
        let mut path = place.root.clone();
        if prefix.contains('/') {
            // A prefix that no location begins with matches nothing.
            let sound = Location::parse(folder).is_ok_and(|parsed| parsed.as_str() == folder);
            if !sound || folder.split('/').next() == Some(TEMPORARY_FOLDER) {
                return Ok(walk);
            }
            for segment in folder.split('/') {
                path.push(segment);
                if !std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) && !is_denied(&path) {
                    return Ok(walk);
                }
            }
        }
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        walk.enter(path, prefix)?;
        Ok(walk)
    }

    /// Begins to read a folder; one that is gone is empty.
    fn enter(&mut self, path: PathBuf, prefix: String) -> Result<()> {
        match std::fs::read_dir(&path) {
            Ok(entries) => self.folders.push(Open { entries, path, prefix }),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(failed(&path, error)),
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Location>> {
        while let Some(folder) = self.folders.last_mut() {
            let Some(entry) = folder.entries.next() else {
                self.folders.pop();
                continue;
            };
            let entry = entry.map_err(|error| failed(&folder.path, error))?;
            let Some(name) = entry.file_name().to_str().map(str::to_string) else { continue };
            let location = format!("{}{name}", folder.prefix);
            let first = self.folders.len() == 1;
            if (first && !name.starts_with(&self.beginning)) || location == TEMPORARY_FOLDER {
                continue;
            }
            if is_folder(&entry) {
                self.enter(entry.path(), format!("{location}/"))?;
            } else if is_object(&entry)
                // What is too long was not stored by us, and can't be asked for.
                && let Ok(location) = Location::parse(&location)
            {
                return Ok(Some(location));
            }
        }
        Ok(None)
    }
}

fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

/// A file, or a symlink to one.
fn is_object(entry: &DirEntry) -> bool {
    match entry.file_type() {
        Ok(kind) if kind.is_symlink() => std::fs::metadata(entry.path()).is_ok_and(|target| target.is_file()),
        Ok(kind) => kind.is_file(),
        Err(_) => false,
    }
}

/// Whether a path can't be looked at: then reading the folder says so.
fn is_denied(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

fn failed(path: &Path, error: io::Error) -> Error {
    Error::from_io("list", path.display(), error)
}
