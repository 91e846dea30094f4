//! Snapshots: a namespace at one version.

use std::sync::Arc;

use futures::stream::BoxStream;
use strongroom_storage::{Error, ErrorKind, Location, Result};

use crate::names::{LogName, State};
use crate::namespace::Namespace;
use crate::object::ObjectRef;
use crate::store::{ContentStorage, Inner};
use crate::version::Version;

/// A namespace as it was at one version, whatever is committed meanwhile.
///
/// What was acknowledged in it stays readable for the store's grace period after the version was superseded; for longer if it
/// has a tag.
#[derive(Clone, Debug)]
pub struct Snapshot {
    store: Arc<Inner>,
    namespace: Namespace,
    state: Arc<State>,
}

impl ContentStorage {
    /// The newest version of `namespace`; version 0 if nothing was ever committed.
    ///
    /// # Errors
    /// Those of the backend; [`ErrorKind::Corrupt`] if its history is damaged.
    pub async fn snapshot(&self, namespace: &Namespace) -> Result<Snapshot> {
        let state = self.inner.names.current(&LogName::Namespace(namespace.clone()), None).await?;
        Ok(Snapshot { store: self.inner.clone(), namespace: namespace.clone(), state })
    }

    /// `namespace` at `version`.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if that version is not there yet or was collected.
    pub async fn snapshot_at(&self, namespace: &Namespace, version: Version) -> Result<Snapshot> {
        let log = LogName::Namespace(namespace.clone());
        match self.inner.names.at(&log, version.get()).await? {
            Some(state) => {
                Ok(Snapshot { store: self.inner.clone(), namespace: namespace.clone(), state: Arc::new(state) })
            }
            None => Err(Error::new(
                ErrorKind::Missing,
                "open",
                &log,
                format!(
                    "there is no version {version}: it was never made, or it was collected; `strongroom log` lists what there is"
                ),
            )),
        }
    }
}

impl Snapshot {
    /// Which namespace.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Which version.
    #[must_use]
    pub fn version(&self) -> Version {
        Version::new(self.state.version)
    }

    /// The object at `location` in this version.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is none; [`ErrorKind::Invalid`] if the location belongs to another namespace.
    pub async fn find(&self, location: &Location) -> Result<ObjectRef> {
        let (namespace, name) = Namespace::split(location);
        if namespace != self.namespace {
            let what = format!("it is not in namespace {:?}", self.namespace.as_str());
            return Err(Error::new(ErrorKind::Invalid, "find", location, what));
        }
        let entry = self.state.get(name).await?;
        entry
            .and_then(|entry| ObjectRef::named(self.store.clone(), location.clone(), entry))
            .ok_or_else(|| Error::missing("find", location))
    }

    /// The objects in this version whose name in the namespace begins with the string `names`, in order.
    ///
    /// # Errors
    /// Those of reading its runs.
    pub async fn objects(&self, names: &str) -> Result<BoxStream<'static, Result<ObjectRef>>> {
        let merge = self.state.entries(names).await?;
        Ok(self.store.objects_of(self.namespace.clone(), merge, names.to_string()))
    }
}
