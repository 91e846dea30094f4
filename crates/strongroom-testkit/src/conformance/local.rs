//! Objects written to local files.

use std::path::Path;

use bytes::Bytes;
use strongroom_storage::{Digest, DigestSet, Durability, ErrorKind, LoadOptions, Source, StoreMode, unblock};
use tempfile::TempDir;

use super::Place;
use super::failure::{Checked, Failure, Verdict, ensure};
use super::probe::{at, content, expect_kind, polled};
use super::record::expect_digests;
use super::source::{local, write_file};

/// A future that is not done after so many polls is dropped for good.
const MOST_POLLS: usize = 48;
/// Work that had begun when its future was dropped is over after other work was done so often.
const MOST_ROUNDS: usize = 100_000;

pub(super) async fn load_path_writes_the_content_over_what_was_there(place: &Place) -> Checked {
    let storage = place.open().await?;
    let folder = TempDir::new().map_err(local)?;
    let (source, path) = (folder.path().join("source"), folder.path().join("loaded"));
    for length in [0, 1000, (3 << 20) + 1, (9 << 20) + 77] {
        let (location, content) = (at(&format!("load/{length}")), content(length as u64, length));
        write_file(&source, &content)?;
        storage.store(&location, Source::path(&source), &Default::default()).await?;
        for digests in [DigestSet::NONE, DigestSet::BLAKE3, DigestSet::ALL] {
            let copied = storage.load_path(&location, &path, &LoadOptions::default().with_digests(digests)).await?;
            expect_file(&path, &content)?;
            ensure!(copied.size == length as u64, "{} bytes are said to be loaded, and are {length}", copied.size);
            expect_digests(&location, &copied.digests, &content, digests)?;
        }
        std::fs::remove_file(&path).map_err(local)?;
        let options = LoadOptions::default().with_mode(StoreMode::Create).with_durability(Durability::Synced);
        let options = options.with_expected(Some(Digest::of(&content)));
        storage.load_path(&location, &path, &options).await?;
        expect_file(&path, &content)?;
    }
    let (elsewhere, link) = (folder.path().join("elsewhere"), folder.path().join("link"));
    write_file(&elsewhere, b"old")?;
    std::os::unix::fs::symlink(&elsewhere, &link).map_err(local)?;
    storage.load_path(&at("load/1000"), &link, &LoadOptions::default()).await?;
    ensure!(!link.is_symlink(), "a link in the place of the file is left, and should be replaced");
    expect_file(&link, &content(1000, 1000))?;
    expect_file(&elsewhere, b"old")?;
    expect_entries(folder.path(), &["elsewhere", "link", "loaded", "source"]).await?;
    Ok(Verdict::Kept)
}

pub(super) async fn load_path_that_fails_leaves_what_was_there(place: &Place) -> Checked {
    let storage = place.open().await?;
    let folder = TempDir::new().map_err(local)?;
    let (location, absent) = (at("load/a"), at("load/absent"));
    storage.store_bytes(&location, content(1, 100_000)).await?;
    let path = folder.path().join("there");
    write_file(&path, b"old")?;
    let create = LoadOptions::default().with_mode(StoreMode::Create);
    let expected = LoadOptions::default().with_expected(Some(Digest::of(b"something else")));
    for (location, options, kind, what) in [
        (&absent, LoadOptions::default(), ErrorKind::Missing, "loading what is absent"),
        (&location, create, ErrorKind::AlreadyExists, "loading over a file that should not be there"),
        (&location, expected, ErrorKind::Changed, "loading something else than expected"),
    ] {
        expect_kind(storage.load_path(location, &path, &options).await, kind, what)?;
        expect_file(&path, b"old")?;
    }
    let below = folder.path().join("folder");
    std::fs::create_dir(&below).map_err(local)?;
    let options = LoadOptions::default();
    expect_kind(storage.load_path(&location, &below, &options).await, ErrorKind::Conflict, "loading over a folder")?;
    let lost = folder.path().join("no/such/folder");
    let into_nowhere = storage.load_path(&location, &lost, &options).await;
    expect_kind(into_nowhere, ErrorKind::Invalid, "loading into a folder that is not there")?;
    let new = folder.path().join("new");
    expect_kind(storage.load_path(&absent, &new, &options).await, ErrorKind::Missing, "loading what is absent")?;
    expect_entries(folder.path(), &["folder", "there"]).await?;
    Ok(Verdict::Kept)
}

pub(super) async fn promise_9_a_dropped_load_path_leaves_the_old_file_or_the_new(place: &Place) -> Checked {
    let storage = place.open().await?;
    let folder = TempDir::new().map_err(local)?;
    let (location, path, new) = (at("load/a"), folder.path().join("there"), content(1, 9 << 20));
    storage.store_bytes(&location, new.clone()).await?;
    write_file(&path, b"old")?;
    for polls in 1..=MOST_POLLS {
        let loaded = polled(storage.load_path(&location, &path, &LoadOptions::default()), polls).await.transpose()?;
        let found = Bytes::from(std::fs::read(&path).map_err(local)?);
        let known = found == new || (found == "old" && loaded.is_none());
        ensure!(known, "after a future was dropped, the file has {} bytes that nobody stored", found.len());
        if loaded.is_some() {
            break;
        }
    }
    expect_entries(folder.path(), &["there"]).await?;
    Ok(Verdict::Kept)
}

fn expect_file(path: &Path, content: &[u8]) -> Checked<()> {
    let found = std::fs::read(path).map_err(local)?;
    let (length, expected) = (found.len(), content.len());
    ensure!(found == content, "the file has {length} bytes that are not the {expected} that it should have");
    Ok(())
}

/// Fails unless these, and no others, are in the folder when everything that was begun is over.
async fn expect_entries(folder: &Path, expected: &[&str]) -> Checked<()> {
    let mut names = Vec::new();
    for _ in 0..MOST_ROUNDS {
        names.clear();
        for entry in std::fs::read_dir(folder).map_err(local)? {
            names.push(entry.map_err(local)?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        if names == expected {
            return Ok(());
        }
        unblock(|| Ok(())).await?;
    }
    Err(Failure::new(format!("the folder has {names:?}, and should have {expected:?}")))
}
