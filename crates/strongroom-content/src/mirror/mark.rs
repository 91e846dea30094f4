//! `mirror.json`: whose mirror a store is.

use serde::{Deserialize, Serialize};
use strongroom_storage::{ByteRange, Digest, Error, ErrorKind, ExternalStorage, ListOptions, Result, Source};

use super::Mirror;
use crate::paths;

/// What stands in `mirror.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    /// The id of the store that is mirrored.
    source: String,
    /// The digest of the source's id.
    checksum: String,
}

/// The id of the store that the one in `backend` is a mirror of, if it is one.
///
/// # Errors
/// `Corrupt` if the mark is damaged.
pub(crate) async fn source_of(backend: &dyn ExternalStorage) -> Result<Option<String>> {
    let location = paths::fixed(paths::MIRROR_FILE)?;
    let text = match backend.load_bytes(&location, ByteRange::All).await {
        Ok(text) => text,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error),
    };
    match serde_json::from_slice::<Mark>(&text) {
        Ok(mark) if mark.checksum == checksum(&mark.source) => Ok(Some(mark.source)),
        _ => {
            let damaged = "it is damaged, so it is not known whose mirror this store is; make a new mirror";
            Err(Error::new(ErrorKind::Corrupt, "read", location, damaged))
        }
    }
}

fn checksum(source: &str) -> String {
    Digest::of(source.as_bytes()).to_string()
}

impl Mirror<'_> {
    /// Makes sure that the store is a mirror of the source, or empty.
    pub(super) async fn check_mark(&self) -> Result<()> {
        let (to, from) = (&*self.to.backend, &self.from.descriptor.id);
        let refuse = |detail: &str| Err(Error::new(ErrorKind::Invalid, "mirror", to, detail));
        match source_of(to).await? {
            Some(source) if source == *from => return Ok(()),
            Some(_) => return refuse("it is the mirror of another store; mirror into an empty one"),
            None => {}
        }
        if self.to.descriptor.id == *from {
            return refuse("it is the same store, or a copy of its files; mirror into an empty one");
        }
        for prefix in [paths::NAMES, paths::PACKS, paths::FILES] {
            if !to.list(&ListOptions::prefix(prefix).with_limit(1)).await?.objects.is_empty() {
                return refuse(
                    "it is neither empty nor a mirror; mirror into an empty store, or use `strongroom sync` without --mirror",
                );
            }
        }
        Ok(())
    }

    /// Marks the store as a mirror of the source.
    pub(super) async fn mark(&self) -> Result<()> {
        let source = self.from.descriptor.id.clone();
        let mark = Mark { checksum: checksum(&source), source };
        let unwritable = |error| {
            Error::new(ErrorKind::Internal, "mirror", &self.to.backend, "its mark can't be written").with_source(error)
        };
        let mut text = serde_json::to_vec_pretty(&mark).map_err(unwritable)?;
        text.push(b'\n');
        match self.to.backend.store(&paths::fixed(paths::MIRROR_FILE)?, Source::bytes(text), &paths::once()).await {
            // Whoever was faster may have marked it as another's.
            Err(error) if error.is_already_exists() => self.check_mark().await,
            stored => stored.map(drop),
        }
    }
}
