//! The storages that handles are opened in, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strongroom_storage::{Error, ErrorKind, ExternalStorage, Result};

use crate::handle::Handle;
use crate::namespace::segment;
use crate::resource::Resource;

/// What a storage is called in handles: `shared`, `permanent`, or a name of your own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StorageName(Arc<str>);

impl StorageName {
    /// `shared`: the storage that lives as long as the DAG.
    #[must_use]
    pub fn shared() -> Self {
        Self("shared".into())
    }

    /// `permanent`: the storage that outlives the DAG.
    #[must_use]
    pub fn permanent() -> Self {
        Self("permanent".into())
    }

    /// A name of your own, for a second permanent storage for example.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is empty, `.`, `..`, longer than 255 bytes, or has a `/` or a NUL.
    pub fn new(name: &str) -> Result<Self> {
        segment(name).map(Self)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StorageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for StorageName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::new(&name)
    }
}

impl From<StorageName> for String {
    fn from(name: StorageName) -> Self {
        name.0.as_ref().into()
    }
}

/// The storages of a process, by the names that handles know them by.
///
/// A handle holds a name and a location, never a place. So a storage can move, or its data be copied to another backend, and
/// every handle opens as before once the name is given to the new place.
///
/// ```
/// # use std::sync::Arc;
/// # use strongroom_storage::MemoryStorage;
/// # use strongroom_workflow::{StorageName, Storages};
/// let storages = Storages::new(Arc::new(MemoryStorage::new()), Arc::new(MemoryStorage::new()))
///     .with(StorageName::new("archive-2025")?, Arc::new(MemoryStorage::new()));
/// assert!(storages.get(&StorageName::permanent()).is_ok());
/// # Ok::<(), strongroom_storage::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Storages(BTreeMap<StorageName, Arc<dyn ExternalStorage>>);

impl Storages {
    /// A shared and a permanent storage. They may be the same; then nothing of it is ever cleared.
    pub fn new(shared: Arc<dyn ExternalStorage>, permanent: Arc<dyn ExternalStorage>) -> Self {
        Self::default().with(StorageName::shared(), shared).with(StorageName::permanent(), permanent)
    }

    /// The same with `storage` under `name`.
    #[must_use]
    pub fn with(mut self, name: StorageName, storage: Arc<dyn ExternalStorage>) -> Self {
        self.0.insert(name, storage);
        self
    }

    /// The storage called `name`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if there is none.
    pub fn get(&self, name: &StorageName) -> Result<&Arc<dyn ExternalStorage>> {
        self.0.get(name).ok_or_else(|| {
            let detail = format!("no storage has this name here; add one with Storages::with (there is: {self})");
            Error::new(ErrorKind::Invalid, "open storage", name, detail)
        })
    }

    /// What `handle` refers to. Nothing is read yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if there is no storage of the handle's name.
    pub fn open(&self, handle: &Handle) -> Result<Resource> {
        Ok(Resource::new(self.get(handle.storage())?.clone(), handle.location().clone()))
    }
}

impl fmt::Display for Storages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.keys().map(StorageName::as_str).collect();
        f.write_str(if names.is_empty() { "none".into() } else { names.join(", ") }.as_str())
    }
}
