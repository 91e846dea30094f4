//! Promise 9: dropping a future at any await leaves no half object and no litter.

use bytes::Bytes;
use strongroom_storage::{ByteRange, ExternalStorage, Location, Source, StoreItem, StoreOptions};
use tempfile::NamedTempFile;

use super::Place;
use super::failure::{Checked, Failure, Verdict, ensure};
use super::probe::{at, content, expect_object, names, polled, streamed};
use super::source::{local, write_file};

/// A future that is not done after so many polls is dropped for good.
const MOST_POLLS: usize = 48;

pub(super) async fn promise_9_a_dropped_store_leaves_the_old_object_or_the_new(place: &Place) -> Checked {
    let storage = place.open().await?;
    let file = NamedTempFile::new().map_err(local)?;
    let (old, new) = (content(1, 3000), content(2, 300_000));
    write_file(file.path(), &new)?;
    let mut left: Vec<(Location, bool)> = Vec::new();
    for kind in ["bytes", "stream", "path"] {
        for polls in 1..=MOST_POLLS {
            let source = || match kind {
                "bytes" => Source::bytes(new.clone()),
                "stream" => streamed(&new),
                _ => Source::path(file.path()),
            };
            // Work that has begun may run to its end later, so every drop has locations of its own.
            let (fresh, used) = (at(&format!("new/{kind}/{polls}")), at(&format!("old/{kind}/{polls}")));
            storage.store_bytes(&used, old.clone()).await?;
            let options = StoreOptions::default();
            let created = polled(storage.store(&fresh, source(), &options), polls).await.transpose()?;
            let replaced = polled(storage.store(&used, source(), &options), polls).await.transpose()?;
            expect_one_of(&*storage, &fresh, &[&new], created.is_none()).await?;
            expect_one_of(&*storage, &used, &[&old, &new], false).await?;
            left.extend([(fresh, true), (used, false)]);
            if created.is_some() && replaced.is_some() {
                break;
            }
        }
    }
    for (location, fresh) in &left {
        let contents: &[&Bytes] = if *fresh { &[&new] } else { &[&old, &new] };
        expect_one_of(&*storage, location, contents, *fresh).await?;
    }
    expect_no_litter(&*storage, &left).await?;
    Ok(Verdict::Kept)
}

pub(super) async fn promise_9_a_dropped_create_can_be_tried_again(place: &Place) -> Checked {
    let storage = place.open().await?;
    if !storage.capabilities().create_if_absent {
        return Ok(Verdict::NotMade("create_if_absent"));
    }
    let (first, second) = (content(1, 200_000), content(2, 1000));
    let mut left = Vec::new();
    for polls in 1..=MOST_POLLS {
        let location = at(&format!("create/{polls}"));
        let options = StoreOptions::create();
        let created = polled(storage.store(&location, streamed(&first), &options), polls).await.transpose()?;
        let again = storage.store(&location, second.clone().into(), &options).await;
        match again {
            Ok(_) => {
                ensure!(created.is_none(), "an object was created twice");
                expect_object(&*storage, &location, &second).await?;
            }
            Err(error) if error.is_already_exists() => expect_object(&*storage, &location, &first).await?,
            Err(error) => return Err(error.into()),
        }
        left.push((location, false));
        if created.is_some() {
            break;
        }
    }
    expect_no_litter(&*storage, &left).await?;
    Ok(Verdict::Kept)
}

pub(super) async fn promise_9_a_dropped_delete_or_batch_leaves_whole_objects(place: &Place) -> Checked {
    let storage = place.open().await?;
    let (old, new) = (content(1, 3000), content(2, 4000));
    let mut left = Vec::new();
    for polls in 1..=MOST_POLLS {
        let location = |name: &str| at(&format!("batch-{polls}/{name}"));
        let batch = [location("a"), location("b"), location("c")];
        let items = || batch.iter().map(|location| StoreItem::new(location.clone(), streamed(&new))).collect();
        let gone = location("gone");
        storage.store_bytes(&gone, old.clone()).await?;
        let deleted = polled(storage.delete(&gone), polls).await.transpose()?;
        expect_one_of(&*storage, &gone, &[&old], true).await?;

        let options = StoreOptions::default();
        let stored = polled(storage.store_all(items(), &options), polls).await.transpose()?;
        if storage.capabilities().atomic_batches {
            // In one look: work that goes on may publish between two.
            let seen = names(&*storage, &format!("batch-{polls}/")).await?;
            let there = batch.iter().filter(|location| seen.contains(*location)).count();
            ensure!(there == 0 || there == batch.len(), "of an atomic batch that was dropped, {there} are there");
        }
        for location in &batch {
            expect_one_of(&*storage, location, &[&new], stored.is_none()).await?;
        }
        left.extend(batch.into_iter().chain([gone]).map(|location| (location, true)));
        if deleted.is_some() && stored.is_some() {
            break;
        }
    }
    expect_no_litter(&*storage, &left).await?;
    Ok(Verdict::Kept)
}

async fn expect_one_of(
    storage: &dyn ExternalStorage,
    location: &Location,
    contents: &[&Bytes],
    may_be_absent: bool,
) -> Checked<()> {
    match storage.load_bytes(location, ByteRange::All).await {
        Ok(bytes) => {
            let known = contents.iter().any(|content| **content == bytes);
            ensure!(known, "{location} has {} bytes that nobody stored, after a future was dropped", bytes.len());
            Ok(())
        }
        Err(error) if error.is_missing() && may_be_absent => Ok(()),
        Err(error) if error.is_missing() => Err(Failure::new(format!("{location} is gone after a future was dropped"))),
        Err(error) => Err(error.into()),
    }
}

/// Only these are listed, and those that must be there are.
async fn expect_no_litter(storage: &dyn ExternalStorage, left: &[(Location, bool)]) -> Checked<()> {
    let found = names(storage, "").await?;
    let litter: Vec<_> = found.iter().filter(|name| left.iter().all(|(location, _)| location != *name)).collect();
    ensure!(litter.is_empty(), "dropped futures left {litter:?}");
    let lost: Vec<_> = left.iter().filter(|(location, absent)| !absent && !found.contains(location)).collect();
    ensure!(lost.is_empty(), "after futures were dropped the listing lacks {lost:?}");
    Ok(())
}
