//! Promise 1: a reader sees the whole object or none, also while it is overwritten.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use strongroom_storage::{ByteRange, Error, ErrorKind, ExternalStorage, Location, Source, StoreOptions};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::failure::{Checked, Failure, Verdict, ensure};
use super::probe::{at, content, expect_names, expect_object, pieces};
use super::{Place, finished};

const VERSIONS: usize = 12;

/// How long a source waits for others, where a backend need not let them go on.
const PATIENCE: Duration = Duration::from_millis(50);

pub(super) async fn promise_1_readers_see_whole_objects_while_they_are_overwritten(place: &Place) -> Checked {
    let location = at("atomic/overwritten");
    let versions: Arc<Vec<Bytes>> = Arc::new((0..VERSIONS).map(version).collect());
    let writer = place.open().await?;
    writer.store_bytes(&location, versions[0].clone()).await?;

    let (reads, seen) = watch::channel(0_u64);
    let reads = Arc::new(reads);
    let (done, ask) = watch::channel(false);
    let mut readers = JoinSet::new();
    for _ in 0..3 {
        let (storage, versions, location) = (place.open().await?, Arc::clone(&versions), location.clone());
        let (reads, ask) = (Arc::clone(&reads), ask.clone());
        readers.spawn(async move {
            while !*ask.borrow() {
                read_once(&*storage, &location, &versions).await?;
                reads.send_modify(|reads| *reads += 1);
                tokio::task::yield_now().await;
            }
            read_once(&*storage, &location, &versions[VERSIONS - 1..]).await
        });
    }
    for (index, content) in versions.iter().enumerate() {
        let source = if index % 3 == 0 { content.clone().into() } else { while_read(content, &seen) };
        if let Err(error) = writer.store(&location, source, &StoreOptions::default()).await {
            // A reader that found a fault is the better reason.
            let _ = done.send(true);
            finished(readers).await?;
            return Err(error.into());
        }
    }
    let _ = done.send(true);
    finished(readers).await?;
    expect_object(&*writer, &location, &versions[VERSIONS - 1]).await?;
    Ok(Verdict::Kept)
}

/// Contents of different lengths, so that a mixture of two of them shows.
fn version(index: usize) -> Bytes {
    content(index as u64, 150_000 + 7_001 * (index * 7 % VERSIONS))
}

/// `content` in pieces, each of which comes when there were some reads since the last. A backend may well let readers wait
/// for the end of a store; then it comes anyway.
fn while_read(content: &Bytes, reads: &watch::Receiver<u64>) -> Source {
    let pieces: Vec<_> = content.chunks(60_000).map(|piece| content.slice_ref(piece)).collect();
    let reads = reads.clone();
    Source::stream(stream::iter(pieces).then(move |piece| {
        let mut reads = reads.clone();
        async move {
            let before = *reads.borrow_and_update();
            let _ = tokio::time::timeout(PATIENCE, reads.wait_for(|now| *now >= before + 4)).await;
            Ok(piece)
        }
    }))
}

async fn read_once(storage: &dyn ExternalStorage, location: &Location, versions: &[Bytes]) -> Checked<()> {
    match storage.load_bytes(location, ByteRange::All).await {
        Ok(bytes) => ensure!(versions.contains(&bytes), "a reader got {} bytes that nobody stored", bytes.len()),
        // A backend that reads in several requests may find out in the middle.
        Err(error) if error.kind() == ErrorKind::Changed => {}
        Err(error) => return Err(error.into()),
    }
    match storage.load_bytes(location, (70_000..140_000).into()).await {
        Ok(bytes) => {
            let known = versions.iter().any(|version| bytes == version[70_000..140_000]);
            ensure!(known, "a reader of a range got {} bytes that nobody stored", bytes.len());
        }
        Err(error) if error.kind() == ErrorKind::Changed => {}
        Err(error) => return Err(error.into()),
    }
    let size = storage.metadata(location).await?.size;
    let known = versions.iter().any(|version| version.len() as u64 == size);
    ensure!(known, "the metadata of an object that is overwritten says {size} bytes, which nobody stored");
    ensure!(storage.exists(location).await?, "an object that is overwritten is gone for a moment");
    Ok(())
}

pub(super) async fn promise_1_an_object_that_goes_while_it_is_read_is_read_whole_or_fails(place: &Place) -> Checked {
    let (reader, writer) = (place.open().await?, place.open().await?);
    let location = at("atomic/read");
    let (old, new) = (content(1, 5 << 20), content(2, 5 << 20));
    for overwrite in [true, false] {
        writer.store_bytes(&location, old.clone()).await?;
        let loaded = reader.load(&location, ByteRange::All).await?;
        if overwrite {
            writer.store_bytes(&location, new.clone()).await?;
        } else {
            writer.delete(&location).await?;
        }
        if let Ok(bytes) = loaded.into_bytes().await {
            let whole = bytes == old || (overwrite && bytes == new);
            ensure!(whole, "an open reader got a mixture when the object was replaced or removed");
        }
    }
    Ok(Verdict::Kept)
}

pub(super) async fn promise_1_racing_overwrites_leave_one_of_them(place: &Place) -> Checked {
    const WRITERS: u64 = 16;
    let location = at("atomic/raced");
    let contents: Vec<_> = (0..WRITERS).map(|index| content(index, 200_000 - 3001 * index as usize)).collect();
    let (halfway, _) = watch::channel(0);
    let halfway = Arc::new(halfway);
    let mut writers = JoinSet::new();
    for content in &contents {
        let (storage, location, source) = (place.open().await?, location.clone(), in_step(content, &halfway, WRITERS));
        writers.spawn(async move {
            storage.store(&location, source, &StoreOptions::default()).await?;
            Ok(())
        });
    }
    finished(writers).await?;
    let storage = place.open().await?;
    let bytes = storage.load_bytes(&location, ByteRange::All).await?;
    let Some(winner) = contents.iter().find(|content| **content == bytes) else {
        return Err(Failure::new("racing writers left an object that none of them stored"));
    };
    expect_object(&*storage, &location, winner).await?;
    expect_names(&*storage, "", &[location]).await?;
    Ok(Verdict::Kept)
}

/// `content` in two halves; the second comes when all writers have given the first, unless the backend takes few at a time.
fn in_step(content: &Bytes, halfway: &Arc<watch::Sender<u64>>, writers: u64) -> Source {
    let (first, second) = (content.slice(..100_000), content.slice(100_000..));
    let halfway = Arc::clone(halfway);
    let rest = stream::once(async move {
        halfway.send_modify(|arrived| *arrived += 1);
        let _ = tokio::time::timeout(PATIENCE, halfway.subscribe().wait_for(|arrived| *arrived >= writers)).await;
        Ok(second)
    });
    Source::stream(stream::iter([Ok(first)]).chain(rest))
}

pub(super) async fn promise_1_an_object_appears_when_all_of_it_is_there(place: &Place) -> Checked {
    let (writer, reader) = (place.open().await?, place.open().await?);
    let (location, other) = (at("atomic/growing"), content(3, 3 << 20));
    // The source itself looks, each time that it is asked for more.
    let looks = stream::iter(0..).then({
        let (reader, location) = (Arc::clone(&reader), location.clone());
        move |_| {
            let (reader, location) = (Arc::clone(&reader), location.clone());
            async move { reader.exists(&location).await }
        }
    });
    let source = pieces(&other).zip(looks).map(|(piece, seen)| match seen? {
        true => Err(Error::already_exists("look for", "a half object")),
        false => piece,
    });
    let stored = writer.store(&location, Source::stream(source), &StoreOptions::default()).await;
    if let Err(error) = stored {
        ensure!(!error.is_already_exists(), "an object is there before all of it was given");
        return Err(error.into());
    }
    expect_object(&*reader, &location, &other).await?;
    Ok(Verdict::Kept)
}
