//! Promise 5: what is read is what was stored, or an error.

use strongroom_storage::{ByteRange, Error, ErrorKind, Source, StoreOptions};

use super::Place;
use super::failure::{Checked, Verdict, ensure};
use super::probe::{
    at, content, expect_kind, expect_names, expect_nothing, expect_object, expect_same, failing, streamed,
};

pub(super) async fn promise_5_what_is_read_is_what_was_stored(place: &Place) -> Checked {
    let storage = place.open().await?;
    let mib = 1 << 20;
    for length in [0, 1, 255, 256, 257, 4096, 65_537, mib - 1, mib, mib + 1, 2 * mib + 17] {
        let content = content(length as u64, length);
        for (kind, source) in [("bytes", Source::bytes(content.clone())), ("stream", streamed(&content))] {
            let location = at(&format!("honest/{length}.{kind}"));
            let stored = storage.store(&location, source, &StoreOptions::default()).await?;
            let (size, stored_at) = (stored.size, &stored.location);
            ensure!(size == length as u64, "a store of {length} bytes says that it stored {size}");
            ensure!(*stored_at == location, "a store at {location} says that it stored at {stored_at}");
            expect_object(&*storage, &location, &content).await?;
            let bytes = Source::Stream(storage.load_stream(&location).await?).into_bytes().await?;
            expect_same(&location, &bytes, &content)?;
        }
    }
    Ok(Verdict::Kept)
}

pub(super) async fn promise_5_a_large_stream_is_read_as_it_was_stored(place: &Place) -> Checked {
    let storage = place.open().await?;
    let (location, content) = (at("honest/large"), content(7, (24 << 20) + 12_345));
    storage.store(&location, streamed(&content), &StoreOptions::default()).await?;
    expect_object(&*storage, &location, &content).await?;
    let range = 8_000_000..17_000_000;
    let bytes = storage.load_bytes(&location, (range.start as u64..range.end as u64).into()).await?;
    expect_same(&location, &bytes, &content[range])?;
    Ok(Verdict::Kept)
}

pub(super) async fn promise_5_a_stream_that_fails_stores_nothing(place: &Place) -> Checked {
    let storage = place.open().await?;
    let (old_at, new_at) = (at("honest/old"), at("honest/new"));
    let old = content(1, 5000);
    storage.store_bytes(&old_at, old.clone()).await?;
    // At once, within what a backend may collect first, and after it.
    for given in [0, 3000, 6 << 20] {
        for options in [StoreOptions::default(), StoreOptions::create()] {
            let result = storage.store(&new_at, failing(&content(2, given)), &options).await;
            let error = expect_kind(result, ErrorKind::Unavailable, "storing from a stream that fails")?;
            ensure!(!error.may_have_happened(), "the error says that the store may have happened: {error}");
            expect_nothing(&*storage, &new_at).await?;
        }
        let result = storage.store(&old_at, failing(&content(2, given)), &StoreOptions::default()).await;
        expect_kind(result, ErrorKind::Unavailable, "overwriting from a stream that fails")?;
        expect_object(&*storage, &old_at, &old).await?;
        expect_names(&*storage, "", std::slice::from_ref(&old_at)).await?;
    }
    Ok(Verdict::Kept)
}

pub(super) async fn promise_5_an_empty_object_is_an_object(place: &Place) -> Checked {
    let storage = place.open().await?;
    let (by_bytes, by_stream) = (at("empty/bytes"), at("empty/stream"));
    let none = Source::stream(futures::stream::empty::<Result<_, Error>>());
    storage.store_bytes(&by_bytes, content(0, 0)).await?;
    storage.store(&by_stream, none, &StoreOptions::default()).await?;
    for location in [&by_bytes, &by_stream] {
        expect_object(&*storage, location, &content(0, 0)).await?;
        for range in [ByteRange::From(0), ByteRange::Last(5), (0..5).into()] {
            let bytes = storage.load_bytes(location, range).await?;
            ensure!(bytes.is_empty(), "the range {range} of an empty object has {} bytes", bytes.len());
        }
        expect_kind(storage.load_bytes(location, (1..2).into()).await, ErrorKind::Invalid, "a range behind the end")?;
    }
    expect_names(&*storage, "", &[by_bytes, by_stream]).await?;
    Ok(Verdict::Kept)
}
