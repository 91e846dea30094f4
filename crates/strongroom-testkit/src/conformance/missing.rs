//! Promise 6: what is absent is `Missing` everywhere.

use strongroom_storage::{ByteRange, DigestSet, ErrorKind, ExternalStorage, Location};

use super::Place;
use super::failure::{Checked, Verdict, ensure};
use super::probe::{at, content, expect_kind, expect_nothing, expect_object};

async fn expect_missing(storage: &dyn ExternalStorage, location: &Location) -> Checked<()> {
    expect_nothing(storage, location).await?;
    let errors = [
        ("load_stream", storage.load_stream(location).await.err()),
        ("load_bytes", storage.load_bytes(location, ByteRange::All).await.err()),
        ("load of a range", storage.load_bytes(location, (2..3).into()).await.err()),
        ("metadata", storage.metadata(location).await.err()),
        ("digests", storage.digests(location, DigestSet::ALL).await.err()),
        ("hexdigest", storage.hexdigest(location).await.err()),
        ("delete", storage.delete(location).await.err()),
    ];
    for (what, error) in errors {
        let what = format!("{what} of {location}, which is absent,");
        let error = expect_kind(error.map_or(Ok(()), Err), ErrorKind::Missing, &what)?;
        let named = error.subject().contains(location.as_str());
        ensure!(named, "the error does not say what is missing: {error}");
    }
    let path = storage.local_path(location, None).await;
    let fits = path.err().is_some_and(|error| matches!(error.kind(), ErrorKind::Missing | ErrorKind::Unsupported));
    ensure!(fits, "local_path of {location}, which is absent, is neither Missing nor Unsupported");
    storage.delete_all(std::slice::from_ref(location)).await?;
    Ok(())
}

pub(super) async fn promise_6_what_is_absent_is_missing_everywhere(place: &Place) -> Checked {
    let storage = place.open().await?;
    expect_missing(&*storage, &at("absent")).await?;
    expect_missing(&*storage, &at("absent/in/a/folder")).await?;
    let deleted = at("folder/deleted");
    storage.store_bytes(&deleted, content(1, 100)).await?;
    expect_missing(&*storage, &at("folder/beside")).await?;
    storage.delete(&deleted).await?;
    expect_missing(&*storage, &deleted).await?;
    Ok(Verdict::Kept)
}

pub(super) async fn promise_6_a_part_of_a_name_is_missing(place: &Place) -> Checked {
    let storage = place.open().await?;
    let (location, content) = (at("folder/sub/object"), content(1, 100));
    storage.store_bytes(&location, content.clone()).await?;
    for name in ["folder", "folder/sub", "folder/sub/object/below", "folder/sub/obj"] {
        expect_missing(&*storage, &at(name)).await?;
        expect_object(&*storage, &location, &content).await?;
    }
    Ok(Verdict::Kept)
}
