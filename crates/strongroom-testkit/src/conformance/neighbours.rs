//! Objects beside, above and below each other.

use std::sync::Arc;

use bytes::Bytes;
use strongroom_storage::{ErrorKind, ExternalStorage, Location, StoreOptions};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::failure::{Checked, Verdict};
use super::probe::{at, content, expect_kind, expect_names, expect_nothing, expect_object};
use super::{Place, finished};

pub(super) async fn an_object_below_another_is_kept_or_a_conflict(place: &Place) -> Checked {
    let storage = place.open().await?;
    let (above, below) = (at("nested/a"), at("nested/a/b/c"));
    let (one, two) = (content(1, 100), content(2, 200));
    for (first, second) in [(&above, &below), (&below, &above)] {
        storage.store_bytes(first, one.clone()).await?;
        if storage.capabilities().nested_locations {
            storage.store_bytes(second, two.clone()).await?;
            expect_object(&*storage, second, &two).await?;
            expect_object(&*storage, first, &one).await?;
            expect_names(&*storage, "", &[above.clone(), below.clone()]).await?;
            storage.delete(second).await?;
        } else {
            for options in [StoreOptions::default(), StoreOptions::create()] {
                let result = storage.store(second, two.clone().into(), &options).await;
                expect_kind(result, ErrorKind::Conflict, &format!("storing {second} where {first} is"))?;
            }
        }
        expect_nothing(&*storage, second).await?;
        expect_object(&*storage, first, &one).await?;
        expect_names(&*storage, "", std::slice::from_ref(first)).await?;
        // What is gone is in nobody's way.
        storage.delete(first).await?;
        storage.store_bytes(second, two.clone()).await?;
        expect_object(&*storage, second, &two).await?;
        storage.delete(second).await?;
        expect_names(&*storage, "", &[]).await?;
    }
    Ok(Verdict::Kept)
}

pub(super) async fn neighbours_come_and_go_without_disturbing_each_other(place: &Place) -> Checked {
    const PAIRS: usize = 4;
    const ROUNDS: usize = 16;
    let storage = place.open().await?;
    let mut left = Vec::new();
    let mut workers = JoinSet::new();
    for pair in 0..PAIRS {
        let meeting = Arc::new(Barrier::new(2));
        for side in 0..2 {
            let (storage, meeting) = (place.open().await?, Arc::clone(&meeting));
            let mine = at(&format!("pair-{pair}/folder/{side}"));
            if side == ROUNDS % 2 {
                left.push((mine.clone(), content(pair as u64, 300)));
            }
            // Each time one stores into a folder while the other removes the only object in it.
            workers.spawn(async move {
                let content = content(pair as u64, 300);
                let mut failure = None;
                for round in 0..=ROUNDS {
                    meeting.wait().await;
                    let done = if (round + side) % 2 == 0 {
                        come(&*storage, &mine, &content).await
                    } else if round > 0 {
                        go(&*storage, &mine).await
                    } else {
                        Ok(())
                    };
                    // The other one would wait for ever.
                    failure = failure.or(done.err());
                }
                failure.map_or(Ok(()), Err)
            });
        }
    }
    finished(workers).await?;
    for (location, content) in &left {
        expect_object(&*storage, location, content).await?;
    }
    let left: Vec<_> = left.into_iter().map(|(location, _)| location).collect();
    expect_names(&*storage, "", &left).await?;
    Ok(Verdict::Kept)
}

async fn come(storage: &dyn ExternalStorage, location: &Location, content: &Bytes) -> Checked<()> {
    storage.store_bytes(location, content.clone()).await?;
    expect_object(storage, location, content).await
}

async fn go(storage: &dyn ExternalStorage, location: &Location) -> Checked<()> {
    storage.delete(location).await?;
    expect_nothing(storage, location).await
}
