//! Local files as sources.

use std::io;
use std::path::Path;

use strongroom_storage::{ErrorKind, FileIdentity, Source, StoreOptions};
use tempfile::TempDir;

use super::Place;
use super::failure::{Checked, Failure, Verdict, ensure};
use super::probe::{at, content, expect_kind, expect_names, expect_object};

/// A failure of the machine that runs the cases.
pub(super) fn local(error: io::Error) -> Failure {
    Failure::new(format!("the test can't use its temporary folder: {error}"))
}

pub(super) fn write_file(path: &Path, content: &[u8]) -> Checked<()> {
    std::fs::write(path, content).map_err(local)
}

pub(super) async fn a_local_file_is_copied(place: &Place) -> Checked {
    let storage = place.open().await?;
    let folder = TempDir::new().map_err(local)?;
    for length in [0, 10, 1 << 20, (3 << 20) + 1] {
        let (path, location) = (folder.path().join("source"), at(&format!("path/{length}")));
        let content = content(length as u64, length);
        write_file(&path, &content)?;
        let stored = storage.store_path(&location, &path).await?;
        let (size, stored_at) = (stored.size, stored.location);
        ensure!(size == length as u64, "a store of {length} bytes says that it stored {size}");
        ensure!(stored_at == location, "a store at {location} says that it stored at {stored_at}");
        let after = std::fs::read(&path).map_err(local)?;
        ensure!(after == content, "the source is not what it was");
        // Written to in place: what was linked would change too.
        write_file(&path, b"something else")?;
        expect_object(&*storage, &location, &content).await?;
        std::fs::remove_file(&path).map_err(local)?;
        expect_object(&*storage, &location, &content).await?;
    }
    Ok(Verdict::Kept)
}

pub(super) async fn a_consumed_file_is_stored_or_left_alone(place: &Place) -> Checked {
    let storage = place.open().await?;
    let folder = TempDir::new().map_err(local)?;
    let (path, location) = (folder.path().join("source"), at("path/consumed"));
    for length in [10, 2 << 20] {
        let content = content(length as u64, length);
        write_file(&path, &content)?;
        storage.store(&location, Source::consumed_path(&path), &StoreOptions::default()).await?;
        expect_object(&*storage, &location, &content).await?;
        if storage.capabilities().create_if_absent {
            write_file(&path, b"something else")?;
            let result = storage.store(&location, Source::consumed_path(&path), &StoreOptions::create()).await;
            expect_kind(result, ErrorKind::AlreadyExists, "creating what exists from a file to be consumed")?;
            let left = std::fs::read(&path).is_ok_and(|left| left == b"something else");
            ensure!(left, "a file to be consumed is lost although it was not stored");
            expect_object(&*storage, &location, &content).await?;
        }
    }
    expect_names(&*storage, "", &[location]).await?;
    Ok(Verdict::Kept)
}

pub(super) async fn what_is_no_file_is_refused(place: &Place) -> Checked {
    let storage = place.open().await?;
    let folder = TempDir::new().map_err(local)?;
    let location = at("path/refused");
    let absent = storage.store_path(&location, &folder.path().join("absent")).await;
    expect_kind(absent, ErrorKind::Missing, "storing a file that is not there")?;
    let error =
        expect_kind(storage.store_path(&location, folder.path()).await, ErrorKind::Invalid, "storing a directory")?;
    let shown = folder.path().display().to_string();
    ensure!(error.to_string().contains(&shown), "the error does not name the directory: {error}");
    let special = folder.path().join("special");
    if make_special(&special)? {
        let result = storage.store_path(&location, &special).await;
        expect_kind(result, ErrorKind::Invalid, "storing a FIFO or a socket")?;
    }
    expect_names(&*storage, "", &[]).await?;
    Ok(Verdict::Kept)
}

/// Makes what a careless reader would wait for.
#[cfg(target_os = "linux")]
fn make_special(path: &Path) -> Checked<bool> {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).map_err(|error| local(error.into()))?;
    Ok(true)
}

#[cfg(all(unix, not(target_os = "linux")))]
fn make_special(path: &Path) -> Checked<bool> {
    // The socket's file stays when its listener is dropped.
    std::os::unix::net::UnixListener::bind(path).map_err(local)?;
    Ok(true)
}

#[cfg(not(unix))]
fn make_special(_: &Path) -> Checked<bool> {
    Ok(false)
}

pub(super) async fn a_link_is_followed(place: &Place) -> Checked {
    #[cfg(unix)]
    {
        let storage = place.open().await?;
        let folder = TempDir::new().map_err(local)?;
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        let (location, content) = (at("path/link"), content(1, 5000));
        write_file(&target, &content)?;
        std::os::unix::fs::symlink(&target, &link).map_err(local)?;
        for source in [Source::path(&link), Source::consumed_path(&link)] {
            storage.store(&location, source, &StoreOptions::default()).await?;
            expect_object(&*storage, &location, &content).await?;
        }
        if target.exists() {
            write_file(&target, b"something else")?;
            expect_object(&*storage, &location, &content).await?;
        }
        Ok(Verdict::Kept)
    }
    #[cfg(not(unix))]
    {
        let _ = place;
        Ok(Verdict::NotMade("links need Unix"))
    }
}

pub(super) async fn a_file_that_changed_is_not_stored(place: &Place) -> Checked {
    let storage = place.open().await?;
    let folder = TempDir::new().map_err(local)?;
    let path = folder.path().join("source");
    let (kept_at, new_at, kept) = (at("path/kept"), at("path/new"), content(9, 100));
    storage.store_bytes(&kept_at, kept.clone()).await?;
    for consume in [false, true] {
        write_file(&path, &content(1, 2 << 20))?;
        let seen = FileIdentity::of(&std::fs::metadata(&path).map_err(local)?);
        write_file(&path, &content(2, (2 << 20) + 1))?;
        for location in [&kept_at, &new_at] {
            let mut source = if consume { Source::consumed_path(&path) } else { Source::path(&path) };
            if let Source::Path(source) = &mut source {
                source.expected = Some(seen.clone());
            }
            let result = storage.store(location, source, &StoreOptions::default()).await;
            expect_kind(result, ErrorKind::Changed, "storing a file that is another now")?;
        }
        ensure!(path.exists(), "a file that was not stored is gone");
    }
    expect_object(&*storage, &kept_at, &kept).await?;
    expect_names(&*storage, "", &[kept_at]).await?;
    Ok(Verdict::Kept)
}
