//! What is known of an object: digests, metadata, and where it lies.

use std::path::Path;

use bytes::Bytes;
use strongroom_storage::{DigestSet, Digests, ErrorKind, ExternalStorage, Location, Source, StoreOptions};
use tempfile::NamedTempFile;

use super::Place;
use super::failure::{Checked, Failure, Verdict, ensure};
use super::probe::{at, content, expect_kind, expect_object, expect_same, streamed};
use super::source::{local, write_file};

pub(super) async fn digests_are_those_of_the_content(place: &Place) -> Checked {
    let storage = place.open().await?;
    let file = NamedTempFile::new().map_err(local)?;
    for length in [0, 1000, (2 << 20) + 3] {
        let content = content(length as u64, length);
        write_file(file.path(), &content)?;
        for (set_name, set) in [("none", DigestSet::NONE), ("md5", DigestSet::MD5), ("all", DigestSet::ALL)] {
            let sources = [Source::bytes(content.clone()), streamed(&content), Source::path(file.path())];
            for (index, source) in sources.into_iter().enumerate() {
                let location = at(&format!("digests/{length}/{set_name}/{index}"));
                let stored = storage.store(&location, source, &StoreOptions::default().with_digests(set)).await?;
                expect_digests(&location, &stored.digests, &content, set)?;
                let digests = storage.digests(&location, DigestSet::ALL).await?;
                expect_digests(&location, &digests, &content, DigestSet::ALL)?;
                let digests = storage.digests(&location, DigestSet::BLAKE3).await?;
                expect_digests(&location, &digests, &content, DigestSet::BLAKE3)?;
                let on_record = storage.metadata(&location).await?.digests;
                expect_digests(&location, &on_record, &content, DigestSet::NONE)?;
                let hexdigest = storage.hexdigest(&location).await?;
                let md5 = Digests::of(&content, DigestSet::MD5).md5.map(|md5| md5.to_string());
                ensure!(Some(&hexdigest) == md5.as_ref(), "the hexdigest of {location} is {hexdigest}, not its MD5");
            }
        }
    }
    Ok(Verdict::Kept)
}

/// Those in `set` are there, and all that are there are right.
pub(super) fn expect_digests(location: &Location, digests: &Digests, content: &[u8], set: DigestSet) -> Checked<()> {
    let right = Digests::of(content, DigestSet::ALL);
    ensure!(set.without(digests).is_empty(), "{location}: of the digests {set:?} only {digests:?} are given");
    let wrong = digests.blake3.is_some_and(|digest| Some(digest) != right.blake3)
        || digests.md5.is_some_and(|digest| Some(digest) != right.md5)
        || digests.sha256.is_some_and(|digest| Some(digest) != right.sha256);
    ensure!(!wrong, "{location}: the digests {digests:?} are wrong, they are {right:?}");
    Ok(())
}

pub(super) async fn digests_follow_an_overwrite(place: &Place) -> Checked {
    let (storage, other) = (place.open().await?, place.open().await?);
    let location = at("digests/overwritten");
    let options = StoreOptions::default().with_digests(DigestSet::ALL);
    for (round, length) in [500, 600, 600].into_iter().enumerate() {
        let content = content(round as u64, length);
        storage.store(&location, content.clone().into(), &options).await?;
        for storage in [&storage, &other] {
            let digests = storage.digests(&location, DigestSet::ALL).await?;
            expect_digests(&location, &digests, &content, DigestSet::ALL)?;
            let size = storage.metadata(&location).await?.size;
            ensure!(size == length as u64, "{location} has {length} bytes, and {size} by its metadata");
        }
    }
    Ok(Verdict::Kept)
}

pub(super) async fn a_local_path_is_a_file_with_the_content(place: &Place) -> Checked {
    let storage = place.open().await?;
    let file = NamedTempFile::new().map_err(local)?;
    let mut given = 0;
    for length in [0, 1000, 5 << 20] {
        let (location, content) = (at(&format!("local/{length}")), content(length as u64, length));
        write_file(file.path(), &content)?;
        storage.store_path(&location, file.path()).await?;
        given += usize::from(expect_local(&*storage, &location, &content).await?);
    }
    if !storage.capabilities().local_paths {
        ensure!(given == 0, "there are local paths, and the capabilities deny it");
        return Ok(Verdict::NotMade("local_paths"));
    }
    ensure!(given > 0, "there is no local path for any object, and the capabilities claim it");
    Ok(Verdict::Kept)
}

/// Each of several holders has the content, and the object is there when all of them are done.
async fn expect_local(storage: &dyn ExternalStorage, location: &Location, content: &Bytes) -> Checked<bool> {
    match storage.local_path(location, None).await {
        Ok(path) => {
            let named = storage.local_path(location, Some("another name.dcd")).await?;
            expect_file(location, path.path(), content)?;
            drop(path);
            expect_file(location, named.path(), content)?;
            drop(named);
            for name in ["", ".", "..", "a/b", "/a", "a/"] {
                let what = format!("a local path called {name:?}");
                expect_kind(storage.local_path(location, Some(name)).await, ErrorKind::Invalid, &what)?;
            }
            expect_object(storage, location, content).await?;
            Ok(true)
        }
        error => {
            expect_kind(error, ErrorKind::Unsupported, "a local path that can't be given")?;
            Ok(false)
        }
    }
}

fn expect_file(location: &Location, path: &Path, content: &[u8]) -> Checked<()> {
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::new(format!("the local path {} can't be read: {error}", path.display())))?;
    expect_same(location, &bytes, content)
}

pub(super) async fn a_read_only_object_is_replaced_and_deleted_like_any_other(place: &Place) -> Checked {
    let storage = place.open().await?;
    let location = at("read/only");
    let file = NamedTempFile::new().map_err(local)?;
    for round in 0..2 {
        let content = content(round, 1000);
        write_file(file.path(), &content)?;
        for source in [Source::bytes(content.clone()), streamed(&content), Source::path(file.path())] {
            storage.store(&location, source, &StoreOptions::default().with_read_only(true)).await?;
            expect_object(&*storage, &location, &content).await?;
        }
        storage.store_bytes(&location, content.clone()).await?;
        expect_object(&*storage, &location, &content).await?;
        storage.store(&location, content.into(), &StoreOptions::default().with_read_only(true)).await?;
        storage.delete(&location).await?;
        ensure!(!storage.exists(&location).await?, "{location} was deleted and is there");
    }
    Ok(Verdict::Kept)
}
