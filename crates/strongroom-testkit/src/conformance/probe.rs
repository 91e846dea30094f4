//! What the cases ask a storage, and what they store.

use std::collections::BTreeSet;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use strongroom_storage::{ByteRange, Error, ErrorKind, ExternalStorage, Location, Result, Source};

use super::failure::{Checked, Failure, ensure};

/// The location `text`.
pub(crate) fn at(text: &str) -> Location {
    Location::parse(text).expect("the cases use legal locations")
}

/// `length` bytes that can't be compressed and are different for each seed.
pub(crate) fn content(seed: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into()
}

/// `content` in pieces of odd lengths, with empty ones and with waits between them.
pub(crate) fn pieces(content: &Bytes) -> impl Stream<Item = Result<Bytes>> + Send + use<> {
    let mut rest = content.clone();
    let mut pieces = vec![Bytes::new()];
    for length in [1, 4095, 70_001].into_iter().cycle() {
        if rest.is_empty() {
            break;
        }
        pieces.push(rest.split_to(length.min(rest.len())));
        if length == 1 {
            pieces.push(Bytes::new());
        }
    }
    futures::stream::iter(pieces).then(|piece| async {
        tokio::task::yield_now().await;
        Ok(piece)
    })
}

/// `content` as a stream in pieces.
pub(crate) fn streamed(content: &Bytes) -> Source {
    Source::stream(pieces(content))
}

/// `content` as a stream that fails when all of it was given.
pub(crate) fn failing(content: &Bytes) -> Source {
    let error = Error::new(ErrorKind::Unavailable, "read", "the source", "it fails, as the test wants it");
    Source::stream(pieces(content).chain(futures::stream::iter([Err(error)])))
}

/// Fails unless `result` is an error of `kind`.
pub(crate) fn expect_kind<T>(result: Result<T>, kind: ErrorKind, what: &str) -> Checked<Error> {
    match result {
        Err(error) if error.kind() == kind => Ok(error),
        Err(error) => Err(Failure::new(format!("{what} is {}, not {kind}: {error}", error.kind()))),
        Ok(_) => Err(Failure::new(format!("{what} succeeds and should be {kind}"))),
    }
}

/// Fails unless the object at `location` is `expected`, however it is looked at.
pub(crate) async fn expect_object(storage: &dyn ExternalStorage, location: &Location, expected: &Bytes) -> Checked<()> {
    let loaded = storage.load(location, ByteRange::All).await?;
    let size = expected.len() as u64;
    ensure!(loaded.size == size, "{location} is opened with {} bytes, and has {size}", loaded.size);
    ensure!(loaded.range == (0..size), "{location} is opened as {:?}, and is 0..{size}", loaded.range);
    let bytes = loaded.into_bytes().await?;
    expect_same(location, &bytes, expected)?;
    let size = storage.metadata(location).await?.size;
    ensure!(size == expected.len() as u64, "{location} has {} bytes by its metadata, not {size}", expected.len());
    ensure!(storage.exists(location).await?, "{location} is there and exists says no");
    Ok(())
}

/// Fails unless the bytes are the same.
pub(crate) fn expect_same(location: &Location, bytes: &[u8], expected: &[u8]) -> Checked<()> {
    let (read, stored) = (bytes.len(), expected.len());
    ensure!(read == stored, "{location}: {stored} bytes were stored, {read} are read");
    if bytes != expected {
        let differs = bytes.iter().zip(expected).position(|(a, b)| a != b).unwrap_or_default();
        return Err(Failure::new(format!("{location}: what is read differs from byte {differs} on")));
    }
    Ok(())
}

/// Fails unless there is nothing at `location`, however it is looked at.
pub(crate) async fn expect_nothing(storage: &dyn ExternalStorage, location: &Location) -> Checked<()> {
    expect_kind(storage.load(location, ByteRange::All).await, ErrorKind::Missing, &format!("load {location}"))?;
    ensure!(!storage.exists(location).await?, "{location} is absent and exists says yes");
    let listed = names(storage, location.as_str()).await?;
    ensure!(!listed.contains(location), "{location} is absent and listed");
    Ok(())
}

/// The locations under a string prefix. Fails if one is listed twice, or does not begin with it.
pub(crate) async fn names(storage: &dyn ExternalStorage, prefix: &str) -> Checked<BTreeSet<Location>> {
    let mut names = BTreeSet::new();
    let mut stream = storage.iter_contents(prefix);
    while let Some(name) = stream.try_next().await? {
        ensure!(name.as_str().starts_with(prefix), "{name} is listed and does not begin with {prefix:?}");
        ensure!(names.insert(name.clone()), "{name} is listed twice");
    }
    Ok(names)
}

/// Fails unless these, and no others, are listed.
pub(crate) async fn expect_names(storage: &dyn ExternalStorage, prefix: &str, expected: &[Location]) -> Checked<()> {
    let found = names(storage, prefix).await?;
    let expected: BTreeSet<_> = expected.iter().cloned().collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    let surplus: Vec<_> = found.difference(&expected).collect();
    ensure!(missing.is_empty(), "a listing of {prefix:?} lacks {missing:?}");
    ensure!(surplus.is_empty(), "a listing of {prefix:?} shows {surplus:?}, which should not be there");
    Ok(())
}

/// Polls `future` so many times and then drops it; `None` if it was not done by then.
pub(crate) async fn polled<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            left = left.saturating_sub(1);
            if left == 0 { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}
