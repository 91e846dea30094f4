//! Objects that are named by their content.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use strongroom_storage::{ContentNamer, Digest, Error, ErrorKind, Location, Result, Source, StoreOptions};
use tempfile::NamedTempFile;

use super::Place;
use super::failure::{Checked, Verdict, ensure};
use super::probe::{at, content, expect_kind, expect_names, expect_object, failing, streamed};
use super::source::{local, write_file};

/// Names content by its digest, and remembers what it was shown.
#[derive(Default)]
struct Namer {
    seen: Arc<Mutex<Vec<u8>>>,
    /// Grows this file when it is asked for the name.
    grows: Option<PathBuf>,
    refuses: bool,
}

impl ContentNamer for Namer {
    fn update(&mut self, bytes: &[u8]) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }

    fn location(&mut self) -> Result<Location> {
        if self.refuses {
            return Err(Error::new(ErrorKind::Denied, "name", "the content", "refused, as the test wants it"));
        }
        if let Some(path) = &self.grows {
            let mut file = std::fs::File::options()
                .append(true)
                .open(path)
                .map_err(|error| Error::from_io("grow", path.display(), error))?;
            file.write_all(b"more").map_err(|error| Error::from_io("grow", path.display(), error))?;
        }
        Ok(named(&self.seen.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn named(content: &[u8]) -> Location {
    at(&format!("named/{}", Digest::of(content)))
}

fn sources(content: &Bytes, file: &Path) -> Checked<[Source; 3]> {
    write_file(file, content)?;
    Ok([Source::bytes(content.clone()), streamed(content), Source::path(file)])
}

pub(super) async fn store_named_puts_content_where_its_namer_says(place: &Place) -> Checked {
    let storage = place.open().await?;
    let file = NamedTempFile::new().map_err(local)?;
    let mut locations = Vec::new();
    for length in [0, 1000, (2 << 20) + 5] {
        let content = content(length as u64, length);
        for source in sources(&content, file.path())? {
            let what = format!("{source:?}");
            let namer = Namer::default();
            let seen = Arc::clone(&namer.seen);
            let stored = storage.store_named(source, Box::new(namer), &StoreOptions::default()).await?;
            let shown = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
            ensure!(shown == content, "the namer of {what} is not shown every byte once and in order");
            let (location, size) = (stored.location, stored.size);
            ensure!(location == named(&content), "{what} is stored at {location}, not where its namer says");
            ensure!(size == length as u64, "a store of {length} bytes says that it stored {size}");
            expect_object(&*storage, &location, &content).await?;
            locations.push(location);
        }
    }
    expect_names(&*storage, "", &locations).await?;

    if storage.capabilities().create_if_absent {
        for source in sources(&content(1000, 1000), file.path())? {
            let result = storage.store_named(source, Box::new(Namer::default()), &StoreOptions::create()).await;
            expect_kind(result, ErrorKind::AlreadyExists, "creating named content that is there")?;
        }
    }
    Ok(Verdict::Kept)
}

pub(super) async fn store_named_stores_nothing_when_its_namer_or_source_fails(place: &Place) -> Checked {
    let storage = place.open().await?;
    let file = NamedTempFile::new().map_err(local)?;
    let content = content(1, 100_000);
    for source in sources(&content, file.path())? {
        let namer = Namer { refuses: true, ..Namer::default() };
        let result = storage.store_named(source, Box::new(namer), &StoreOptions::default()).await;
        expect_kind(result, ErrorKind::Denied, "a store whose namer refuses")?;
    }
    let result = storage.store_named(failing(&content), Box::new(Namer::default()), &StoreOptions::default()).await;
    expect_kind(result, ErrorKind::Unavailable, "a named store from a stream that fails")?;
    let absent = Source::path(file.path().with_extension("absent"));
    let result = storage.store_named(absent, Box::new(Namer::default()), &StoreOptions::default()).await;
    expect_kind(result, ErrorKind::Missing, "a named store of a file that is not there")?;
    expect_names(&*storage, "", &[]).await?;
    Ok(Verdict::Kept)
}

pub(super) async fn store_named_stores_what_its_namer_saw_or_nothing(place: &Place) -> Checked {
    let storage = place.open().await?;
    let file = NamedTempFile::new().map_err(local)?;
    let content = content(1, 3 << 20);
    write_file(file.path(), &content)?;
    let namer = Namer { grows: Some(file.path().to_path_buf()), ..Namer::default() };
    match storage.store_named(Source::path(file.path()), Box::new(namer), &StoreOptions::default()).await {
        Ok(stored) => {
            ensure!(stored.location == named(&content), "a file that grew is stored under another name");
            expect_object(&*storage, &stored.location, &content).await?;
        }
        Err(error) if error.kind() == ErrorKind::Changed => expect_names(&*storage, "", &[]).await?,
        Err(error) => return Err(error.into()),
    }
    Ok(Verdict::Kept)
}
