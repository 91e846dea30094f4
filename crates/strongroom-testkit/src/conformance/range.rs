//! Promise 10: a bounded read gives only that range. How much is transferred for it can't be seen from here.

use strongroom_storage::{ByteRange, ErrorKind, ExternalStorage, StoreOptions};

use super::Place;
use super::failure::{Checked, Verdict, ensure};
use super::probe::{at, content, expect_kind, expect_same, streamed};

pub(super) async fn promise_10_a_range_gives_those_bytes_and_no_others(place: &Place) -> Checked {
    let storage = place.open().await?;
    for length in [1, 1000, (3 << 20) + 7] {
        expect_ranges(&*storage, length).await?;
    }
    Ok(Verdict::Kept)
}

async fn expect_ranges(storage: &dyn ExternalStorage, length: usize) -> Checked<()> {
    let (location, content) = (at(&format!("range/{length}")), content(length as u64, length));
    storage.store(&location, streamed(&content), &StoreOptions::default()).await?;
    let end = length as u64;
    let ranges = [
        (ByteRange::All, 0..end),
        ((0..end).into(), 0..end),
        ((0..1).into(), 0..1),
        ((end - 1..end).into(), end - 1..end),
        ((end / 3..end / 2).into(), end / 3..end / 2),
        ((end / 2..end + 1000).into(), end / 2..end),
        ((end / 2..u64::MAX).into(), end / 2..end),
        ((0..0).into(), 0..0),
        ((end / 2..end / 2).into(), end / 2..end / 2),
        ((end..end + 5).into(), end..end),
        ((end..end).into(), end..end),
        (ByteRange::From(0), 0..end),
        (ByteRange::From(end / 2), end / 2..end),
        (ByteRange::From(end), end..end),
        (ByteRange::Last(0), end..end),
        (ByteRange::Last(1), end - 1..end),
        (ByteRange::Last(end / 2), end - end / 2..end),
        (ByteRange::Last(end), 0..end),
        (ByteRange::Last(end + 1), 0..end),
        (ByteRange::Last(u64::MAX), 0..end),
    ];
    for (range, expected) in ranges {
        let loaded = storage.load(&location, range).await?;
        let (size, given) = (loaded.size, loaded.range.clone());
        ensure!(size == end, "an object of {end} bytes opened at {range} says that it has {size}");
        ensure!(given == expected, "the range {range} of {end} bytes is opened as {given:?}, not {expected:?}");
        let bytes = loaded.into_bytes().await?;
        let slice = &content[to_usize(expected.start)..to_usize(expected.end)];
        expect_same(&location, &bytes, slice)?;
        expect_same(&location, &storage.load_bytes(&location, range).await?, slice)?;
    }
    let wrong = [
        (end + 1..end + 2).into(),
        ByteRange::From(end + 1),
        ByteRange::From(u64::MAX),
        ByteRange::Span { start: 1, end: 0 },
        ByteRange::Span { start: end + 5, end: end + 1 },
    ];
    for range in wrong {
        let what = format!("the range {range} of {end} bytes");
        expect_kind(storage.load(&location, range).await, ErrorKind::Invalid, &what)?;
    }
    Ok(())
}

fn to_usize(offset: u64) -> usize {
    usize::try_from(offset).expect("the contents of the cases are small")
}
