//! Packs on their way out. The tasks of a handle fill them together: what several store at the same time is made durable at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use strongroom_storage::{Digest, ExternalStorage, Host, Location, Result, Source};

use crate::catalog::{Catalog, Found};
use crate::chunk::Method;
use crate::group::{Group, Groups};
use crate::index::Table;
use crate::pack::PackBuilder;
use crate::paths;
use crate::record::{DigestMap, Kind, Records};

/// A pack that is being filled or stored. When it is durable, its location is known.
pub(super) type Pack = Group<PackBuilder, Result<Location>>;

type Key = (Kind, Digest);

/// What is in packs that are not durable yet. A pack that nobody waits for any more is given up.
type Pending = DigestMap<Key, (Found, Weak<Pack>)>;

/// One thing to be kept in a pack: compressed already, under its digest.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub kind: Kind,
    pub digest: Digest,
    /// Before compression, in bytes.
    pub size: u32,
    pub method: Method,
    pub stored: Bytes,
}

/// The packs that a handle fills.
#[derive(Debug)]
pub(crate) struct Packer {
    backend: Arc<dyn ExternalStorage>,
    host: Arc<dyn Host>,
    catalog: Arc<Catalog>,
    groups: Groups<PackBuilder, Result<Location>>,
    pending: Arc<Mutex<Pending>>,
}

impl Packer {
    pub(crate) fn new(backend: Arc<dyn ExternalStorage>, host: Arc<dyn Host>, catalog: Arc<Catalog>) -> Self {
        Self { backend, host, catalog, groups: Groups::default(), pending: Arc::default() }
    }

    /// Where content is that is on its way out. Who relies on it waits for its pack.
    pub(super) fn find(&self, kind: Kind, digest: &Digest) -> Option<(Found, Arc<Pack>)> {
        let pending = lock(&self.pending);
        let (found, pack) = pending.get(&(kind, *digest))?;
        Some((*found, pack.upgrade()?))
    }

    /// Adds to the pack that is being filled, unless another task just did. A pack that is full is begun with.
    pub(super) fn add(&self, item: Item) -> Result<(Found, Arc<Pack>)> {
        let mut pending = lock(&self.pending);
        let key = (item.kind, item.digest);
        if let Some((found, pack)) = pending.get(&key)
            && let Some(pack) = pack.upgrade()
        {
            return Ok((*found, pack));
        }
        let new = || PackBuilder::new(&*self.host);
        let ((place, is_full), pack) = self.groups.add(new, |builder| {
            let place = builder.add(item.digest, item.kind, item.method, item.stored, item.size);
            (place, builder.is_full())
        })?;
        let found = Found { digest: item.digest, kind: item.kind, place, size: item.size };
        pending.insert(key, (found, Arc::downgrade(&pack)));
        drop(pending);
        if is_full {
            // Asked once, the backend works while the pack's tasks go on.
            drop(self.groups.begin(&pack, |builder| self.store(builder)).now_or_never());
        }
        Ok((found, pack))
    }

    /// Waits until a pack is durable, and gives its location.
    ///
    /// # Errors
    /// Those of the backend, the same to each that waits.
    pub(super) async fn stored(&self, pack: &Arc<Pack>) -> Result<Location> {
        self.groups.done(pack, |builder| self.store(builder)).await
    }

    fn store(&self, builder: PackBuilder) -> BoxFuture<'static, Result<Location>> {
        let (backend, catalog) = (self.backend.clone(), self.catalog.clone());
        let keys = builder.records().iter().map(|record| (record.kind, record.digest)).collect();
        let leaving = Leaving { keys, pending: self.pending.clone() };
        async move {
            let _leaving = leaving;
            let mut pack = builder.finish();
            let location = paths::pack(&pack.nonce)?;
            let source = Source::Pieces(std::mem::take(&mut pack.pieces));
            backend.store(&location, source, &paths::once()).await?;
            let table = Table { packs: [pack.nonce].into(), records: Records::of(&pack.records) };
            catalog.stored_pack(&pack, table);
            Ok(location)
        }
        .boxed()
    }
}

/// What is in a pack that is being stored: pending until that is over, however it ends.
struct Leaving {
    keys: Vec<Key>,
    pending: Arc<Mutex<Pending>>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let mut pending = lock(&self.pending);
        for key in &self.keys {
            pending.remove(key);
        }
    }
}

fn lock(pending: &Mutex<Pending>) -> MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}
