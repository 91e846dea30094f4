//! Objects so large that they are sent in parts, and that what is new gets its name by a copy.

use bytes::Bytes;
use strongroom_storage::{ByteRange, ErrorKind, Location, Source, StoreOptions};
use strongroom_testkit::conformance::Place;

/// More than is created by one request.
const LENGTH: usize = (64 << 20) + 17;

/// Who creates it first does, who comes later changes nothing, and who replaces it does.
///
/// They come one after the other: moto looks whether there is one, and takes its time then, so that of two at the same time both succeed.
pub async fn check_created_once(place: Place) {
    let location = Location::parse("large/object").expect("a location");
    let [old, new] = [1, 2].map(|number: u8| Bytes::from(vec![number; LENGTH]));
    let storage = place.open().await.expect("open");
    let create =
        async |content: &Bytes| storage.store(&location, Source::bytes(content.clone()), &StoreOptions::create()).await;
    create(&old).await.expect("create");
    let error = create(&new).await.expect_err("it is there");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    assert!(storage.load_bytes(&location, ByteRange::All).await.expect("load") == old, "it is as it was created");
    storage.store_bytes(&location, new.clone()).await.expect("replace");
    let end = storage.load_bytes(&location, ByteRange::Last(100)).await.expect("load");
    assert!(end == new[..100], "it is replaced");
}
