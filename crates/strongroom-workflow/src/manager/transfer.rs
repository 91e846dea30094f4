//! Stores found files in one batch, and says what was stored.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use strongroom_storage::{
    DigestSet, Error, ErrorKind, ExternalStorage, ListOptions, Location, Result, StoreItem, StoreMode, StoreOptions,
    Stored, unblock,
};

use super::StorageManager;
use crate::handle::Handle;
use crate::namespace::Namespace;
use crate::receipt::{Receipt, ReceiptEntry};
use crate::scratch::{Found, ScratchFile};

/// Files by the location that they go to, so in sorted order.
type Batch = BTreeMap<Location, ScratchFile>;

/// What a transfer did.
#[derive(Debug, Default)]
pub(crate) struct Transfer {
    pub(crate) receipt: Receipt,
    /// The locations at which there was nothing before.
    pub(crate) added: Vec<Location>,
}

/// Stores `found` under `namespace`: all or nothing, as far as the storage can.
pub(super) async fn store(
    manager: &StorageManager,
    namespace: &Namespace,
    found: Found,
    options: &StoreOptions,
) -> Result<Transfer> {
    if let Some(name) = found.missing.first() {
        let path = manager.scratch_dir.join(name.as_str());
        let detail = format!("there is no file {}; write it before the transfer", path.display());
        return Err(Error::new(ErrorKind::Missing, "transfer", namespace.location(name.as_str())?, detail));
    }
    let mut names = Vec::new();
    let mut batch = Batch::new();
    for (name, file) in found.files {
        let location = namespace.location(name.as_str())?;
        batch.insert(location.clone(), file);
        names.push((name, location));
    }
    if batch.is_empty() {
        return Ok(Transfer::default());
    }
    let storage = &*manager.storage;
    let before: BTreeSet<Location> = storage.iter_contents(&namespace.prefix()).try_collect().await?;
    let added: Vec<_> = batch.keys().filter(|location| !before.contains(*location)).cloned().collect();
    let indivisible = storage.capabilities().atomic_batches || batch.len() == 1;
    let stored = match store_batch(storage, batch, options).await {
        Ok(stored) => stored,
        Err(error) if indivisible && !error.may_have_happened() => return Err(error),
        Err(error) => return Err(withdraw(storage, &added, error).await),
    };
    let mut entries = Vec::with_capacity(names.len());
    for (name, location) in names {
        let Some((size, Some(blake3))) = stored.get(&location).map(|stored| (stored.size, stored.digests.blake3))
        else {
            let detail = "the storage did not say what it stored";
            return Err(Error::new(ErrorKind::Internal, "transfer", &location, detail));
        };
        let handle = Handle::new(manager.name.clone(), location);
        entries.push(ReceiptEntry { name: name.to_string(), handle, size, blake3 });
    }
    Ok(Transfer { receipt: Receipt { entries }, added })
}

/// Removes what was added, because of `error`, which it returns.
pub(crate) async fn withdraw(storage: &dyn ExternalStorage, added: &[Location], error: Error) -> Error {
    match storage.delete_all(added).await {
        Ok(()) => error,
        Err(second) => {
            let detail = format!("{}; and what was stored before that can't be withdrawn: {second}", error.detail());
            Error::new(error.kind(), error.operation(), error.subject(), detail)
                .with_source(error)
                .with_outcome_unknown()
        }
    }
}

/// The highest number of an attempt of a unit that has files in `storage`; 0 if there is none.
pub(crate) async fn last_attempt(storage: &dyn ExternalStorage, namespace: &Namespace) -> Result<u32> {
    let prefix = format!("{namespace}.");
    let listing = storage.list(&ListOptions::directory(&prefix)).await?;
    let numbers =
        listing.prefixes.iter().filter_map(|attempt| attempt[prefix.len()..].trim_end_matches('/').parse().ok());
    Ok(numbers.max().unwrap_or(0))
}

async fn store_batch(
    storage: &dyn ExternalStorage,
    batch: Batch,
    options: &StoreOptions,
) -> Result<BTreeMap<Location, Stored>> {
    let options = options.with_digests(options.digests.union(DigestSet::BLAKE3));
    match options.mode {
        StoreMode::Overwrite => store_all(storage, &batch, &options).await,
        StoreMode::Create => store_new(storage, batch, &options).await,
    }
}

async fn store_all(
    storage: &dyn ExternalStorage,
    batch: &Batch,
    options: &StoreOptions,
) -> Result<BTreeMap<Location, Stored>> {
    let items = batch.iter().map(|(location, file)| StoreItem::new(location.clone(), file.source())).collect();
    let stored = storage.store_all(items, options).await?;
    Ok(stored.into_iter().map(|stored| (stored.location.clone(), stored)).collect())
}

/// Stores what is not there yet; what is there must be the same.
async fn store_new(
    storage: &dyn ExternalStorage,
    mut batch: Batch,
    options: &StoreOptions,
) -> Result<BTreeMap<Location, Stored>> {
    let mut stored = BTreeMap::new();
    // Each round that loses a race finds at least one more file there, so this many rounds are enough.
    for _ in 0..=batch.len() {
        let mut lost = match store_all(storage, &batch, options).await {
            Ok(rest) => {
                stored.extend(rest);
                return Ok(stored);
            }
            Err(error) if error.is_already_exists() => Some(error),
            Err(error) => return Err(error),
        };
        for (location, file) in std::mem::take(&mut batch) {
            match same_content(storage, &location, &file).await? {
                Some(same) => {
                    stored.insert(location, same);
                    lost = None;
                }
                None => {
                    batch.insert(location, file);
                }
            }
        }
        if let Some(error) = lost {
            return Err(error);
        }
        if batch.is_empty() {
            return Ok(stored);
        }
    }
    Err(Error::new(ErrorKind::Conflict, "transfer", storage, "others keep storing and removing these names; try again"))
}

/// What is at `location` if it is what is in `file`; nothing if there is no object.
async fn same_content(
    storage: &dyn ExternalStorage,
    location: &Location,
    file: &ScratchFile,
) -> Result<Option<Stored>> {
    let there = match storage.digests(location, DigestSet::BLAKE3).await {
        Ok(digests) => digests,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error),
    };
    let file = file.clone();
    let (size, here) = unblock(move || file.digest()).await?;
    match there.blake3 {
        Some(digest) if digest == here => Ok(Some(Stored::new(location.clone(), size, there))),
        other => {
            let other = other.map_or_else(|| "unknown".to_string(), |digest| digest.to_string());
            let detail = format!("there is other content already: its BLAKE3 is {other}, the new file's is {here}");
            Err(Error::new(ErrorKind::AlreadyExists, "transfer", location, detail))
        }
    }
}
