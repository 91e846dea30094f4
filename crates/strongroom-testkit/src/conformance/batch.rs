//! Batches.

use strongroom_storage::{ErrorKind, StoreItem, StoreOptions};

use super::Place;
use super::failure::{Checked, Verdict, ensure};
use super::probe::{at, content, expect_kind, expect_names, expect_nothing, expect_object, failing, streamed};

pub(super) async fn store_all_stores_in_the_order_given(place: &Place) -> Checked {
    let storage = place.open().await?;
    let nothing = storage.store_all(Vec::new(), &StoreOptions::default()).await?;
    ensure!(nothing.is_empty(), "a batch of nothing stores something");
    let (a, b, c, d) = (at("batch/a"), at("batch/b"), at("batch/c/d"), at("other"));
    let contents: Vec<_> = (0..5).map(|index| content(index, 100 * (1 + index as usize))).collect();
    let items = vec![
        StoreItem::new(a.clone(), contents[0].clone()),
        StoreItem::new(b.clone(), streamed(&contents[1])),
        StoreItem::new(c.clone(), contents[2].clone()),
        StoreItem::new(d.clone(), contents[3].clone()),
        StoreItem::new(a.clone(), contents[4].clone()),
    ];
    let stored = storage.store_all(items, &StoreOptions::default()).await?;
    let told: Vec<_> = stored.iter().map(|stored| (stored.location.clone(), stored.size)).collect();
    let expected = [(a.clone(), 100), (b.clone(), 200), (c.clone(), 300), (d.clone(), 400), (a.clone(), 500)];
    ensure!(told == expected, "store_all tells {told:?}, not {expected:?}");
    expect_object(&*storage, &a, &contents[4]).await?;
    for (location, content) in [&b, &c, &d].into_iter().zip(&contents[1..]) {
        expect_object(&*storage, location, content).await?;
    }
    expect_names(&*storage, "", &[a, b, c, d]).await?;
    Ok(Verdict::Kept)
}

pub(super) async fn a_batch_that_fails_stops_there_or_leaves_nothing(place: &Place) -> Checked {
    let storage = place.open().await?;
    let capabilities = storage.capabilities();
    let (first, second, third) = (at("batch/1"), at("batch/2"), at("batch/3"));
    let content = content(1, 1000);
    for create in [false, true] {
        let (options, kind, source) = if create {
            storage.store_bytes(&second, content.clone()).await?;
            (StoreOptions::create(), ErrorKind::AlreadyExists, content.clone().into())
        } else {
            (StoreOptions::default(), ErrorKind::Unavailable, failing(&content))
        };
        if create && !capabilities.create_if_absent {
            continue;
        }
        let items = vec![
            StoreItem::new(first.clone(), content.clone()),
            StoreItem::new(second.clone(), source),
            StoreItem::new(third.clone(), content.clone()),
        ];
        expect_kind(storage.store_all(items, &options).await, kind, "a batch with an item that fails")?;
        if capabilities.atomic_batches {
            expect_nothing(&*storage, &first).await?;
        } else {
            expect_object(&*storage, &first, &content).await?;
        }
        expect_nothing(&*storage, &third).await?;
        storage.delete_all(&[first.clone(), second.clone()]).await?;
    }
    Ok(Verdict::Kept)
}

pub(super) async fn delete_all_passes_over_what_is_absent(place: &Place) -> Checked {
    let storage = place.open().await?;
    let (a, b, kept) = (at("batch/a"), at("batch/sub/b"), at("batch/kept"));
    for location in [&a, &b, &kept] {
        storage.store_bytes(location, content(1, 10)).await?;
    }
    storage.delete_all(&[]).await?;
    storage.delete_all(&[at("absent"), a.clone(), at("batch/absent/too"), b.clone(), a.clone()]).await?;
    expect_nothing(&*storage, &a).await?;
    expect_nothing(&*storage, &b).await?;
    expect_names(&*storage, "", &[kept]).await?;
    Ok(Verdict::Kept)
}
