//! Objects in memory: for tests, prototypes, and to show how little a backend has to do.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use crate::digest::Digests;
use crate::error::{Error, Result};
use crate::host::{Host, SystemHost};
use crate::location::Location;
use crate::options::{
    ByteRange, Capabilities, ListOptions, ListedObject, Listing, Loaded, Metadata, StoreMode, StoreOptions, Stored,
};
use crate::source::Source;
use crate::storage::ExternalStorage;

/// A backend that keeps objects in memory.
///
/// A clone is another handle on the same objects. Nothing outlives the last handle, so of promise 2 it keeps what memory can.
///
/// ```
/// # use strongroom_storage::{ByteRange, ExternalStorage, Location, MemoryStorage};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> strongroom_storage::Result<()> {
/// let storage = MemoryStorage::new();
/// let location = Location::parse("dag/unit/energy.csv")?;
/// storage.store_bytes(&location, "step,energy".into()).await?;
/// assert_eq!(storage.load_bytes(&location, ByteRange::All).await?, "step,energy");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryStorage {
    objects: Arc<RwLock<Objects>>,
    host: Arc<dyn Host>,
}

type Objects = BTreeMap<Location, Object>;

struct Object {
    content: Bytes,
    modified: SystemTime,
    digests: Digests,
}

impl MemoryStorage {
    /// An empty storage.
    #[must_use]
    pub fn new() -> Self {
        Self::with_host(Arc::new(SystemHost::new()))
    }

    /// An empty storage whose modification times are those of `host`.
    #[must_use]
    pub fn with_host(host: Arc<dyn Host>) -> Self {
        Self { objects: Arc::default(), host }
    }

    fn read(&self) -> RwLockReadGuard<'_, Objects> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Objects> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStorage").field("objects", &self.read().len()).finish_non_exhaustive()
    }
}

impl fmt::Display for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory://")
    }
}

#[async_trait]
impl ExternalStorage for MemoryStorage {
    fn capabilities(&self) -> Capabilities {
        Capabilities { ordered_listing: true, local: true, ..Capabilities::basic() }
    }

    async fn store(&self, location: &Location, source: Source, options: &StoreOptions) -> Result<Stored> {
        let content = source.into_bytes().await?;
        let stored = Stored::of(location, &content, options);
        let object = Object { content, modified: self.host.now(), digests: stored.digests.clone() };
        let mut objects = self.write();
        if options.mode == StoreMode::Create && objects.contains_key(location) {
            return Err(Error::already_exists("store", location));
        }
        objects.insert(location.clone(), object);
        Ok(stored)
    }

    async fn load(&self, location: &Location, range: ByteRange) -> Result<Loaded> {
        let objects = self.read();
        let object = objects.get(location).ok_or_else(|| Error::missing("load", location))?;
        Loaded::slice(location, &object.content, range)
    }

    async fn metadata(&self, location: &Location) -> Result<Metadata> {
        let objects = self.read();
        let object = objects.get(location).ok_or_else(|| Error::missing("metadata", location))?;
        Ok(Metadata::new(object.content.len() as u64)
            .with_modified(Some(object.modified))
            .with_digests(object.digests.clone()))
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        self.write().remove(location).map(drop).ok_or_else(|| Error::missing("delete", location))
    }

    fn iter_contents(&self, prefix: &str) -> BoxStream<'static, Result<Location>> {
        let objects = self.read();
        let found: Vec<_> = objects
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(location, _)| location.as_str().starts_with(prefix))
            .map(|(location, _)| Ok(location.clone()))
            .collect();
        stream::iter(found).boxed()
    }

    async fn list(&self, options: &ListOptions) -> Result<Listing> {
        let prefix = options.prefix.as_str();
        let objects = self.read();
        let mut listing = Listing::default();
        let mut from = match &options.start_after {
            Some(after) if after.as_str() >= prefix => Bound::Excluded(after.clone()),
            _ => Bound::Included(prefix.to_string()),
        };
        while options.limit.is_none_or(|limit| listing.objects.len() + listing.prefixes.len() < limit) {
            let next = objects.range::<str, _>((from.as_ref().map(String::as_str), Bound::Unbounded)).next();
            let Some((location, object)) = next else { break };
            let Some(rest) = location.as_str().strip_prefix(prefix) else { break };
            from = match rest.split_once('/') {
                Some((segment, _)) if options.delimited => {
                    listing.prefixes.push(format!("{prefix}{segment}/"));
                    // The least string that comes after everything below this prefix: '0' follows '/'.
                    Bound::Included(format!("{prefix}{segment}0"))
                }
                _ => {
                    let size = Some(object.content.len() as u64);
                    listing.objects.push(ListedObject::new(location.clone(), size));
                    Bound::Excluded(location.to_string())
                }
            };
        }
        Ok(listing)
    }
}
