//! Reading: the first piece says how large the object is, the others are asked for beside each other.

use std::ops::Range;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{Error as ClientError, GetOptions, GetRange, GetResult, ObjectStoreExt};
use strongroom_storage::{ByteRange, Error, Loaded, Location, Result};

use crate::error;
use crate::requests::Watch;
use crate::storage::ObjectStorage;

/// How many bytes are asked for at once.
const PIECE_BYTES: u64 = 8 << 20;
/// How many requests are under way beside the first.
const AT_ONCE: usize = 8;

pub(crate) async fn load(storage: &ObjectStorage, location: &Location, range: ByteRange) -> Result<Loaded> {
    let path = storage.path("load", location)?;
    // What is no range to a service, and the end of an object that may be large, need its size first.
    let first = match range {
        ByteRange::Span { start, end } if end <= start => None,
        ByteRange::Last(length) if length == 0 || length > PIECE_BYTES => None,
        ByteRange::From(u64::MAX) => None,
        ByteRange::All => Some(GetRange::Bounded(0..PIECE_BYTES)),
        ByteRange::Span { start, end } => Some(GetRange::Bounded(start..end.min(start.saturating_add(PIECE_BYTES)))),
        ByteRange::From(start) => Some(GetRange::Bounded(start..start.saturating_add(PIECE_BYTES))),
        ByteRange::Last(length) => Some(GetRange::Suffix(length)),
    };
    let failed = |error| error::of_reading("load", location, error);
    let refused = match first {
        None => None,
        Some(first) => {
            let watch = Watch::default();
            match get(storage, &path, first, None, &watch).await {
                Ok(found) => return loaded(storage, location, range, found),
                // There may be no such bytes, or the service has no such ranges.
                Err(error) if watch.is_about_ranges() || is_about_ranges(storage, &error) => Some(error),
                Err(error) => return Err(failed(error)),
            }
        }
    };
    let meta = storage.service.objects.head(&path).await.map_err(failed)?;
    let wanted = range.resolve(meta.size, location)?;
    if wanted.is_empty() {
        return Ok(Loaded::new(location, meta.size, wanted, stream::empty()));
    }
    if let (Some(error), false) = (refused, matches!(range, ByteRange::Last(_))) {
        return Err(failed(error));
    }
    let first = GetRange::Bounded(wanted.start..wanted.end.min(wanted.start + PIECE_BYTES));
    let found = get(storage, &path, first, meta.e_tag, &Watch::default()).await.map_err(failed)?;
    loaded(storage, location, range, found)
}

/// Whether it may be the range that an error is about. Of another's client nothing more is known.
fn is_about_ranges(storage: &ObjectStorage, error: &ClientError) -> bool {
    match error {
        ClientError::NotFound { .. } => false,
        ClientError::NotSupported { .. } | ClientError::NotImplemented { .. } => true,
        _ => storage.service.requests.is_none(),
    }
}

async fn get(
    storage: &ObjectStorage,
    path: &Path,
    range: GetRange,
    if_match: Option<String>,
    watch: &Watch,
) -> object_store::Result<GetResult> {
    let mut options = GetOptions { range: Some(range), if_match, ..GetOptions::default() };
    options.extensions.insert(watch.clone());
    storage.service.objects.get_opts(path, options).await
}

/// The bytes `range` of an object, the first of which `found` has.
fn loaded(storage: &ObjectStorage, location: &Location, range: ByteRange, found: GetResult) -> Result<Loaded> {
    let wanted = range.resolve(found.meta.size, location)?;
    if found.range.start != wanted.start {
        let detail = format!("the service gave other bytes than were asked for: from {} on", found.range.start);
        return Err(Error::new(strongroom_storage::ErrorKind::Corrupt, "load", location, detail));
    }
    let (path, size, version) = (storage.path("load", location)?, found.meta.size, found.meta.e_tag.clone());
    let rest = pieces(found.range.end.min(wanted.end)..wanted.end);
    let (storage, name) = (storage.clone(), location.clone());
    let others = stream::iter(rest)
        .map(move |piece| {
            let (storage, path, name, version) = (storage.clone(), path.clone(), name.clone(), version.clone());
            async move {
                let failed = |error| error::of_reading("load", &name, error);
                let found =
                    get(&storage, &path, GetRange::Bounded(piece), version, &Watch::default()).await.map_err(failed)?;
                found.bytes().await.map_err(failed)
            }
        })
        .buffered(AT_ONCE);
    let name = location.clone();
    let first = found.into_stream().map_err(move |error| error::of_reading("load", &name, error));
    Ok(Loaded::new(location, size, wanted, first.chain(others)))
}

/// A range in pieces.
fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    let starts = std::iter::successors(Some(range.start), |start| start.checked_add(PIECE_BYTES));
    starts.take_while(move |start| *start < end).map(move |start| start..end.min(start.saturating_add(PIECE_BYTES)))
}
