//! What a unit has while it runs: a scratch directory, shared and permanent storage, inputs and the results before it.

mod folder;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use strongroom_storage::{ByteRange, Error, ErrorKind, LocalPath, Location, Result, StoreOptions, blocking, unblock};

use crate::handle::Handle;
use crate::manager::{self, StorageManager, loaded_dir};
use crate::namespace::Namespace;
use crate::receipt::Receipt;
use crate::resource::Resource;
use crate::result::{self, Captured};
use crate::storages::{StorageName, Storages};

use folder::AttemptFolder;

/// One attempt of a unit.
///
/// To the unit it gives a place to write, two managers to register files with, and everything before it. The engine that made
/// it calls [`publish`](Self::publish) or [`keep_partial`](Self::keep_partial), then [`close`](Self::close);
/// [`run_unit`](crate::run_unit) is such an engine. Dropped without that, it publishes nothing and removes its directories.
#[derive(Debug)]
pub struct UnitContext {
    /// A directory of this attempt's own.
    pub scratch: PathBuf,
    /// For files that units of the same DAG need; gone when the DAG ends.
    pub shared: StorageManager,
    /// For files that are to stay.
    pub permanent: StorageManager,
    /// A directory for files whose text becomes [`UnitSuccess::stdout`](crate::UnitSuccess::stdout); it is read whole.
    pub stdout: PathBuf,
    /// A directory for files whose text becomes [`UnitSuccess::stderr`](crate::UnitSuccess::stderr); it is read whole.
    pub stderr: PathBuf,
    /// The unit's inputs.
    pub inputs: Value,
    /// The results of the units that this one is after, by name.
    pub results: BTreeMap<String, Value>,
    number: u32,
    namespace: Namespace,
    storages: Storages,
    folder: AttemptFolder,
}

/// What an attempt has stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// In shared storage.
    pub shared: Receipt,
    /// In permanent storage.
    pub permanent: Receipt,
}

impl UnitContext {
    /// Begins the next attempt of a unit: its number is one that no attempt has in `storages` or below `scratch_dir`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if `storages` has no `shared` or no `permanent` one; those of listing storages and of making
    /// directories.
    pub async fn create(namespace: &Namespace, storages: &Storages, scratch_dir: &Path) -> Result<Self> {
        Self::create_after(0, namespace, storages, scratch_dir).await
    }

    /// Like [`create`](Self::create), with a number greater than `number`.
    pub(crate) async fn create_after(
        number: u32,
        namespace: &Namespace,
        storages: &Storages,
        scratch_dir: &Path,
    ) -> Result<Self> {
        let (shared, permanent) = (StorageName::shared(), StorageName::permanent());
        let used = [storages.get(&shared)?, storages.get(&permanent)?];
        let mut last = number;
        for storage in used {
            last = last.max(manager::last_attempt(&**storage, namespace).await?);
        }
        let (folder, number) = AttemptFolder::create(scratch_dir, namespace, last.saturating_add(1)).await?;
        let manager = |name: &StorageName| -> Result<_> {
            let manager = StorageManager::new(folder.scratch(), storages.get(name)?.clone(), namespace.clone());
            Ok(manager.with_storage_name(name.clone()))
        };
        Ok(Self {
            scratch: folder.scratch(),
            shared: manager(&shared)?,
            permanent: manager(&permanent)?,
            stdout: folder.stdout(),
            stderr: folder.stderr(),
            inputs: Value::Null,
            results: BTreeMap::new(),
            number,
            namespace: namespace.clone(),
            storages: storages.clone(),
            folder,
        })
    }

    /// The same with inputs and with the results of the units before.
    #[must_use]
    pub fn with_inputs(mut self, inputs: Value, results: BTreeMap<String, Value>) -> Self {
        self.inputs = inputs;
        self.results = results;
        self
    }

    /// The same, leaving its directories when it ends or not.
    #[must_use]
    pub fn with_keep_scratch(mut self, keep: bool) -> Self {
        self.folder.keep(keep);
        self
    }

    /// The number of this attempt, from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Where a successful attempt publishes: `dag/unit`.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The name of this attempt: `dag/unit.2`.
    #[must_use]
    pub fn attempt(&self) -> String {
        format!("{}.{}", self.namespace, self.number)
    }

    /// The inputs as a `T`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if they are something else.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T> {
        result::read(&self.inputs, "read inputs", self.namespace.unit())
    }

    /// The result of the unit called `name` as a `T`, such as a [`Handle`].
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if this unit is not after that one, or the result is something else.
    pub fn result<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let value = self.results.get(name).ok_or_else(|| {
            let detail = format!("unit {} does not depend on it; add .after({name:?})", self.namespace.unit());
            Error::new(ErrorKind::Invalid, "read result", name, detail)
        })?;
        result::read(value, "read result", name)
    }

    /// What `handle` refers to, in whichever storage. Nothing is read yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if there is no storage of the handle's name.
    pub fn open(&self, handle: &Handle) -> Result<Resource> {
        self.storages.open(handle)
    }

    /// All bytes of what `handle` refers to. Blocks, as do the other methods that load.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is nothing; those of [`Resource::bytes`].
    pub fn load(&self, handle: &Handle) -> Result<Bytes> {
        blocking::wait(self.open(handle)?.bytes())
    }

    /// Some bytes of what `handle` refers to. Blocks.
    ///
    /// # Errors
    /// Those of [`Resource::range`].
    pub fn load_range(&self, handle: &Handle, range: impl Into<ByteRange> + Send) -> Result<Bytes> {
        blocking::wait(self.open(handle)?.range(range))
    }

    /// A real local file with the content that `handle` refers to, not to be written to. Blocks.
    ///
    /// # Errors
    /// Those of [`Resource::path`].
    pub fn load_path(&self, handle: &Handle) -> Result<LocalPath> {
        blocking::wait(self.open(handle)?.path(&loaded_dir(&self.scratch, handle.storage())))
    }

    /// The registered files that are not there, by the locations that they would have.
    ///
    /// # Errors
    /// Those of looking there.
    pub async fn missing(&self) -> Result<Vec<Location>> {
        let mut missing = self.shared.missing().await?;
        missing.extend(self.permanent.missing().await?);
        missing.iter().map(|name| self.namespace.location(name.as_str())).collect()
    }

    /// Stores all registered files under the unit's own name, in shared and in permanent storage.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`], before anything is stored, with the names of all registered files that are not there; those of
    /// [`StorageManager::transfer`]. Then nothing new is visible under the unit's name in either storage.
    pub async fn publish(&self) -> Result<Published> {
        let missing = self.missing().await?;
        if let Some(first) = missing.first() {
            let names: Vec<_> = missing.iter().map(Location::as_str).collect();
            let detail = format!("registered, but never written: {}", names.join(", "));
            return Err(Error::new(ErrorKind::Missing, "publish", first, detail));
        }
        let shared = self.shared.transfer_tracked(&StoreOptions::default()).await?;
        match self.permanent.transfer().await {
            Ok(permanent) => Ok(Published { shared: shared.receipt, permanent }),
            Err(error) => Err(manager::withdraw(&**self.shared.storage(), &shared.added, error).await),
        }
    }

    /// Stores those registered files that are there under the attempt's name. Both storages are tried, whatever happens.
    pub async fn keep_partial(&self) -> (Published, Vec<Error>) {
        let (mut kept, mut errors) = (Published::default(), Vec::new());
        for (manager, receipt) in [(&self.shared, &mut kept.shared), (&self.permanent, &mut kept.permanent)] {
            match manager.transfer_partial(self.number).await {
                Ok(stored) => *receipt = stored,
                Err(error) => errors.push(error),
            }
        }
        (kept, errors)
    }

    /// What was written into the directories `stdout` and `stderr`.
    ///
    /// # Errors
    /// Those of reading files.
    pub async fn captured(&self) -> Result<(Captured, Captured)> {
        let (stdout, stderr) = (self.stdout.clone(), self.stderr.clone());
        unblock(move || Ok((read_texts(&stdout)?, read_texts(&stderr)?))).await
    }

    /// Removes the attempt's directories, unless they are to be kept.
    ///
    /// # Errors
    /// Those of removing files.
    pub async fn close(&self) -> Result<()> {
        self.folder.remove().await
    }
}

/// The files directly in a directory, as text; bytes that are no UTF-8 are replaced.
fn read_texts(folder: &Path) -> Result<Captured> {
    let failed = |path: &Path, error| Error::from_io("capture", path.display(), error);
    let mut texts = Captured::new();
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let path = entry.map_err(|error| failed(folder, error))?.path();
        if path.is_file() {
            let bytes = fs::read(&path).map_err(|error| failed(&path, error))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            texts.insert(name, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    Ok(texts)
}
