//! Promise 4: of any number of racing creators exactly one succeeds.

use std::sync::Arc;

use strongroom_storage::{ErrorKind, StoreOptions};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::failure::{Checked, Failure, Verdict, ensure};
use super::probe::{at, content, expect_kind, expect_names, expect_object, streamed};
use super::{Place, finished_with};

const CREATORS: usize = 32;

pub(super) async fn promise_4_of_racing_creators_exactly_one_succeeds(place: &Place) -> Checked {
    let storage = place.open().await?;
    if !storage.capabilities().create_if_absent {
        return Ok(Verdict::NotMade("create_if_absent"));
    }
    let handles = [Arc::clone(&storage), place.open().await?, place.open().await?, place.open().await?];
    for round in 0..4 {
        let location = at(&format!("create/{round}"));
        let start = Arc::new(Barrier::new(CREATORS));
        let mut creators = JoinSet::new();
        for creator in 0..CREATORS {
            let (storage, start, location) = (Arc::clone(&handles[creator % 4]), Arc::clone(&start), location.clone());
            creators.spawn(async move {
                let content = content(creator as u64, 500 + creator);
                let source = if creator % 3 == 0 { streamed(&content) } else { content.clone().into() };
                start.wait().await;
                match storage.store(&location, source, &StoreOptions::create()).await {
                    Ok(_) => Ok(Some(content)),
                    Err(error) if error.is_already_exists() => Ok(None),
                    Err(error) => Err(error.into()),
                }
            });
        }
        let winners: Vec<_> = finished_with(creators).await?.into_iter().flatten().collect();
        let [winner] = winners.as_slice() else {
            return Err(Failure::new(format!("{} of {CREATORS} racing creators succeeded", winners.len())));
        };
        expect_object(&*storage, &location, winner).await?;
    }
    Ok(Verdict::Kept)
}

pub(super) async fn promise_4_creating_what_exists_changes_nothing(place: &Place) -> Checked {
    let (storage, other) = (place.open().await?, place.open().await?);
    if !storage.capabilities().create_if_absent {
        return Ok(Verdict::NotMade("create_if_absent"));
    }
    let location = at("create/again");
    let (old, new) = (content(1, 3000), content(2, 2000));
    storage.store(&location, old.clone().into(), &StoreOptions::create()).await?;
    for storage in [&storage, &other] {
        for source in [new.clone().into(), streamed(&new)] {
            let result = storage.store(&location, source, &StoreOptions::create()).await;
            let error = expect_kind(result, ErrorKind::AlreadyExists, "creating what exists")?;
            ensure!(!error.may_have_happened(), "the error says that the create may have happened: {error}");
            expect_object(&**storage, &location, &old).await?;
        }
    }
    expect_names(&*other, "", std::slice::from_ref(&location)).await?;

    other.delete(&location).await?;
    storage.store(&location, new.clone().into(), &StoreOptions::create()).await?;
    expect_object(&*other, &location, &new).await?;
    storage.store(&location, old.clone().into(), &StoreOptions::default()).await?;
    expect_object(&*other, &location, &old).await?;
    Ok(Verdict::Kept)
}
