//! Reading: the first piece says how large the object is, the others are asked for beside each other.

use std::future::ready;
use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{Error as ClientError, GetOptions, GetRange, GetResult, ObjectStoreExt};
use strongroom_storage::{
    ByteRange, Copied, DigestSet, Digests, Error, ErrorKind, Loaded, Location, Result, TargetFile, unblock,
};

use crate::error;
use crate::requests::Watch;
use crate::storage::ObjectStorage;

/// How many bytes are asked for at once.
const PIECE_BYTES: u64 = 8 << 20;
/// How many requests are under way beside the first.
const AT_ONCE: usize = 8;
/// How many pieces are being written to a file beside that.
const WRITES_AT_ONCE: usize = 2;

/// An object whose first piece the service has begun to give.
struct Begun {
    path: Path,
    size: u64,
    /// What is wanted of it.
    wanted: Range<u64>,
    /// None where nothing is wanted.
    first: Option<GetResult>,
    version: Option<String>,
}

pub(crate) async fn load(storage: &ObjectStorage, location: &Location, range: ByteRange) -> Result<Loaded> {
    let Begun { path, size, wanted, first, version } = begin(storage, location, range).await?;
    let Some(first) = first else { return Ok(Loaded::new(location, size, wanted, stream::empty())) };
    let rest = pieces(first.range.end.min(wanted.end)..wanted.end);
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
    let first = first.into_stream().map_err(move |error| error::of_reading("load", &name, error));
    Ok(Loaded::new(location, size, wanted, first.chain(others)))
}

/// Writes each piece where it belongs as soon as it is there, as long as nobody needs them in order.
pub(crate) async fn load_into(
    storage: &ObjectStorage,
    location: &Location,
    target: &TargetFile,
    digests: DigestSet,
) -> Result<Copied> {
    if !digests.is_empty() {
        return load(storage, location, ByteRange::All).await?.into_file(target, digests).await;
    }
    let Begun { path, size, first, version, .. } = begin(storage, location, ByteRange::All).await?;
    let rest = pieces(first.as_ref().map_or(0, |first| first.range.end)..size).map(|range| (range, None));
    let all = first.map(|first| (first.range.clone(), Some(first))).into_iter().chain(rest);
    let loaded = stream::iter(all).map(async |(range, found)| {
        let failed = |error| error::of_reading("load", location, error);
        let found = match found {
            Some(found) => found,
            None => {
                let wanted = GetRange::Bounded(range.clone());
                get(storage, &path, wanted, version.clone(), &Watch::default()).await.map_err(failed)?
            }
        };
        let pieces: Vec<Bytes> = found.into_stream().map_err(failed).try_collect().await?;
        let length: usize = pieces.iter().map(Bytes::len).sum();
        if length as u64 == range.end - range.start {
            return Ok((range.start, pieces));
        }
        let detail = format!("the service gave {length} bytes of {range:?}");
        Err(Error::new(ErrorKind::Corrupt, "load", location, detail))
    });
    let failure = OnceLock::new();
    let fail = |error| failure.set(error).unwrap_or(());
    loaded
        .buffer_unordered(AT_ONCE)
        .scan((), |(), loaded| ready(loaded.map_err(fail).ok().filter(|_| failure.get().is_none())))
        // Also after a failure it is waited for what is being written: the file may be used again.
        .for_each_concurrent(WRITES_AT_ONCE, async |(mut offset, pieces)| {
            let target = target.clone();
            let written = unblock(move || {
                pieces.iter().try_for_each(|piece| {
                    target.write_at(piece, offset)?;
                    offset += piece.len() as u64;
                    Ok(())
                })
            });
            written.await.unwrap_or_else(fail);
        })
        .await;
    failure.into_inner().map_or_else(|| Ok(Copied::new(size, Digests::default())), Err)
}

async fn begin(storage: &ObjectStorage, location: &Location, range: ByteRange) -> Result<Begun> {
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
                Ok(found) => return begun(path, location, range, found),
                // There may be no such bytes, or the service has no such ranges.
                Err(error) if watch.is_about_ranges() || is_about_ranges(storage, &error) => Some(error),
                Err(error) => return Err(failed(error)),
            }
        }
    };
    let meta = storage.service.objects.head(&path).await.map_err(failed)?;
    let wanted = range.resolve(meta.size, location)?;
    if wanted.is_empty() {
        return Ok(Begun { path, size: meta.size, wanted, first: None, version: None });
    }
    if let (Some(error), false) = (refused, matches!(range, ByteRange::Last(_))) {
        return Err(failed(error));
    }
    let first = GetRange::Bounded(wanted.start..wanted.end.min(wanted.start + PIECE_BYTES));
    let found = get(storage, &path, first, meta.e_tag, &Watch::default()).await.map_err(failed)?;
    begun(path, location, range, found)
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

/// The object whose first bytes of `range` are those that were found.
fn begun(path: Path, location: &Location, range: ByteRange, found: GetResult) -> Result<Begun> {
    let wanted = range.resolve(found.meta.size, location)?;
    if found.range.start != wanted.start {
        let detail = format!("the service gave other bytes than were asked for: from {} on", found.range.start);
        return Err(Error::new(ErrorKind::Corrupt, "load", location, detail));
    }
    Ok(Begun { path, size: found.meta.size, wanted, version: found.meta.e_tag.clone(), first: Some(found) })
}

/// A range in pieces.
fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    let starts = std::iter::successors(Some(range.start), |start| start.checked_add(PIECE_BYTES));
    starts.take_while(move |start| *start < end).map(move |start| start..end.min(start.saturating_add(PIECE_BYTES)))
}
