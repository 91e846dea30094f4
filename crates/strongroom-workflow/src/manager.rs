//! Moves a unit's files between its scratch directory and a storage.

#[cfg(test)]
mod tests;
mod transfer;

pub(crate) use transfer::{Transfer, last_attempt, withdraw};

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use strongroom_storage::{
    ByteRange, ByteStream, Error, ErrorKind, ExternalStorage, LocalPath, Location, Result, StoreOptions, unblock,
};

use crate::handle::Handle;
use crate::namespace::Namespace;
use crate::receipt::{Receipt, ReceiptEntry};
use crate::resource::Resource;
use crate::scratch::{self, Found};
use crate::storages::{StorageName, Storages};

/// Registers the files of one unit, transfers them to a storage, and loads those of others.
///
/// [`register`](Self::register) says which files of the scratch directory matter; [`transfer`](Self::transfer) stores all of
/// them under `dag/unit/`, in one batch: all or nothing where the storage has
/// [`atomic_batches`](strongroom_storage::Capabilities::atomic_batches), else in sorted order, and withdrawn again on failure.
///
/// ```
/// # use std::sync::Arc;
/// # use strongroom_storage::MemoryStorage;
/// # use strongroom_workflow::{Namespace, StorageManager};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let scratch = tempfile::tempdir()?;
/// let storage = Arc::new(MemoryStorage::new());
/// let manager = StorageManager::new(scratch.path(), storage, Namespace::new("dag", "unit")?);
/// let handle = manager.register("energy.csv")?;
/// std::fs::write(scratch.path().join("energy.csv"), "step,energy\n")?;
/// let receipt = manager.transfer().await?;
/// assert_eq!(receipt.entries[0].size, 12);
/// assert_eq!(manager.load(&handle).await?, "step,energy\n");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct StorageManager {
    scratch_dir: PathBuf,
    storage: Arc<dyn ExternalStorage>,
    name: StorageName,
    namespace: Namespace,
    registry: Mutex<BTreeSet<Location>>,
}

impl StorageManager {
    /// A manager between `scratch_dir` and `storage`, which its handles call `permanent`.
    pub fn new(scratch_dir: impl Into<PathBuf>, storage: Arc<dyn ExternalStorage>, namespace: Namespace) -> Self {
        let scratch_dir = scratch_dir.into();
        let scratch_dir = std::path::absolute(&scratch_dir).unwrap_or(scratch_dir);
        Self { scratch_dir, storage, name: StorageName::permanent(), namespace, registry: Mutex::default() }
    }

    /// The same for a storage that handles call `name`.
    #[must_use]
    pub fn with_storage_name(self, name: StorageName) -> Self {
        Self { name, ..self }
    }

    /// The scratch directory, as an absolute path.
    #[must_use]
    pub fn scratch_dir(&self) -> &Path {
        &self.scratch_dir
    }

    /// The storage.
    #[must_use]
    pub fn storage(&self) -> &Arc<dyn ExternalStorage> {
        &self.storage
    }

    /// What handles call the storage.
    #[must_use]
    pub fn storage_name(&self) -> &StorageName {
        &self.name
    }

    /// Where transferred files go.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Marks a file or a directory of the scratch directory for transfer. It need not exist yet.
    ///
    /// `name` is relative to the scratch directory, or an absolute path in it. Doing it twice changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is outside the scratch directory, or is no legal [`Location`].
    pub fn register(&self, name: impl AsRef<Path>) -> Result<Handle> {
        let name = self.relative(name.as_ref())?;
        let handle = self.handle(&name)?;
        self.registry().insert(name);
        Ok(handle)
    }

    /// Whether `name` is registered: the plain name, not the handle.
    #[must_use]
    pub fn contains(&self, name: impl AsRef<Path>) -> bool {
        self.relative(name.as_ref()).is_ok_and(|name| self.registry().contains(&name))
    }

    /// The registered names, sorted.
    #[must_use]
    pub fn registered(&self) -> Vec<Location> {
        self.registry().iter().cloned().collect()
    }

    /// Stores every registered file, replacing what is there. A directory is stored with all files in it.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if a registered file is not there; [`ErrorKind::Changed`] if a file changes meanwhile;
    /// those of [`ExternalStorage::store_all`]. Then nothing new is visible in the unit's namespace.
    pub async fn transfer(&self) -> Result<Receipt> {
        self.transfer_with(&StoreOptions::default()).await
    }

    /// Like [`transfer`](Self::transfer), with options.
    ///
    /// With [`StoreMode::Create`](strongroom_storage::StoreMode::Create) nothing is replaced: a file that is there already with
    /// the same content is fine, so a transfer whose answer was lost can be repeated.
    ///
    /// # Errors
    /// Those of [`transfer`](Self::transfer), and [`ErrorKind::AlreadyExists`], with both digests, if there is other content.
    pub async fn transfer_with(&self, options: &StoreOptions) -> Result<Receipt> {
        Ok(self.transfer_tracked(options).await?.receipt)
    }

    /// Stores one file or directory, registered or not, replacing what is there.
    ///
    /// # Errors
    /// Those of [`register`](Self::register) and [`transfer`](Self::transfer).
    pub async fn transfer_file(&self, name: impl AsRef<Path>) -> Result<Receipt> {
        let name = self.relative(name.as_ref())?;
        let found = self.found(vec![name]).await?;
        Ok(transfer::store(self, &self.namespace, found, &StoreOptions::default()).await?.receipt)
    }

    /// Stores those registered files that are there under the name of attempt `number`, `dag/unit.2/`, where they replace nothing.
    ///
    /// # Errors
    /// Those of [`transfer_with`](Self::transfer_with) but [`ErrorKind::Missing`].
    pub async fn transfer_partial(&self, number: u32) -> Result<Receipt> {
        let found = Found { missing: Vec::new(), ..self.found(self.registered()).await? };
        Ok(transfer::store(self, &self.namespace.attempt(number)?, found, &StoreOptions::create()).await?.receipt)
    }

    /// The registered names under which there is nothing in the scratch directory, sorted.
    ///
    /// # Errors
    /// Those of looking there.
    pub async fn missing(&self) -> Result<Vec<Location>> {
        Ok(self.found(self.registered()).await?.missing)
    }

    /// What `handle` refers to, whichever unit stored it. Nothing is read yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the handle is one of another storage.
    pub fn open(&self, handle: &Handle) -> Result<Resource> {
        if *handle.storage() == self.name {
            return Ok(Resource::new(self.storage.clone(), handle.location().clone()));
        }
        let detail = format!("the handle is one of the storage {}, this is {}", handle.storage(), self.name);
        Err(Error::new(ErrorKind::Invalid, "open", handle, detail))
    }

    /// What `entry` refers to, which gives the content that the receipt was made for, or [`ErrorKind::Changed`].
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn open_verified(&self, entry: &ReceiptEntry) -> Result<Resource> {
        Ok(self.open(&entry.handle)?.with_expected(entry.blake3))
    }

    /// Reads every file of `receipt` and compares it with what the receipt was made for.
    ///
    /// # Errors
    /// Those of [`Receipt::verify`].
    pub async fn verify(&self, receipt: &Receipt) -> Result<()> {
        receipt.verify(&Storages::default().with(self.name.clone(), self.storage.clone())).await
    }

    /// All bytes of what `handle` refers to.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is nothing; those of [`open`](Self::open) and [`Resource::bytes`].
    pub async fn load(&self, handle: &Handle) -> Result<Bytes> {
        self.open(handle)?.bytes().await
    }

    /// Some bytes of what `handle` refers to.
    ///
    /// # Errors
    /// Those of [`open`](Self::open) and [`Resource::range`].
    pub async fn load_range(&self, handle: &Handle, range: impl Into<ByteRange>) -> Result<Bytes> {
        self.open(handle)?.range(range).await
    }

    /// The bytes of what `handle` refers to, in pieces.
    ///
    /// # Errors
    /// Those of [`open`](Self::open) and [`Resource::stream`].
    pub async fn load_stream(&self, handle: &Handle) -> Result<ByteStream> {
        self.open(handle)?.stream().await
    }

    /// A real local file with the content that `handle` refers to, not to be written to.
    ///
    /// Where the storage has no local files it is loaded to `.loaded/` in the scratch directory.
    ///
    /// # Errors
    /// Those of [`open`](Self::open) and [`Resource::path`].
    pub async fn load_path(&self, handle: &Handle) -> Result<LocalPath> {
        self.open(handle)?.path(&loaded_dir(&self.scratch_dir, &self.name)).await
    }

    /// Stores every registered file, and says at which locations there was nothing before.
    pub(crate) async fn transfer_tracked(&self, options: &StoreOptions) -> Result<Transfer> {
        transfer::store(self, &self.namespace, self.found(self.registered()).await?, options).await
    }

    /// The handle of a plain name, registered or not.
    fn handle(&self, name: &Location) -> Result<Handle> {
        Ok(Handle::new(self.name.clone(), self.namespace.location(name.as_str())?))
    }

    /// The name of a path in the scratch directory.
    fn relative(&self, path: &Path) -> Result<Location> {
        if !path.is_absolute() {
            return Location::from_path(path);
        }
        let inside = path.strip_prefix(&self.scratch_dir).map_err(|_| {
            let detail = format!("it is outside the scratch directory {}", self.scratch_dir.display());
            Error::new(ErrorKind::Invalid, "register", path.display(), detail)
        })?;
        Location::from_path(inside)
    }

    async fn found(&self, names: Vec<Location>) -> Result<Found> {
        let scratch_dir = self.scratch_dir.clone();
        unblock(move || scratch::find(&scratch_dir, names)).await
    }

    fn registry(&self) -> MutexGuard<'_, BTreeSet<Location>> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the files of a storage without local files are loaded to.
pub(crate) fn loaded_dir(scratch_dir: &Path, storage: &StorageName) -> PathBuf {
    scratch_dir.join(".loaded").join(storage.as_str())
}
