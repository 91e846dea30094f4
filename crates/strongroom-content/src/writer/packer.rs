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
use crate::mutation::{self, Mutation};
use crate::nonce::Nonce;
use crate::pack::PackBuilder;
use crate::paths;
use crate::record::{DigestMap, Kind};
use crate::session::Epoch;

/// A pack that is being filled or stored. When it is durable, its location is known.
pub(super) type Pack = Group<PackBuilder, Result<Location>>;

type Key = (Kind, Digest);

/// What is in packs that are not durable yet.
type Pending = DigestMap<Key, Leaving>;

/// Something in a pack on its way out. A pack that nobody waits for any more is given up.
#[derive(Debug)]
struct Leaving {
    found: Found,
    pack: Weak<Pack>,
    /// The epoch in which it was added, when the pack was not begun with yet.
    epoch: u64,
}

impl Leaving {
    /// What a session may rely on that began in the epoch `since`: a pack that is stored after the session has begun, or not at
    /// all. One that was begun with before may stand in a list that the session knows nothing of.
    fn for_session(&self, since: u64) -> Option<(Found, Arc<Pack>)> {
        (self.epoch >= since).then(|| self.pack.upgrade()).flatten().map(|pack| (self.found, pack))
    }
}

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
    epoch: Epoch,
    groups: Groups<PackBuilder, Result<Location>>,
    pending: Arc<Mutex<Pending>>,
}

impl Packer {
    pub(crate) fn new(
        backend: Arc<dyn ExternalStorage>,
        host: Arc<dyn Host>,
        catalog: Arc<Catalog>,
        epoch: Epoch,
    ) -> Self {
        Self { backend, host, catalog, epoch, groups: Groups::default(), pending: Arc::default() }
    }

    /// Where content is that is on its way out, for a session that began in the epoch `since`. Who relies on it waits for its
    /// pack.
    pub(super) fn find(&self, kind: Kind, digest: &Digest, since: u64) -> Option<(Found, Arc<Pack>)> {
        lock(&self.pending).get(&(kind, *digest))?.for_session(since)
    }

    /// Adds to the pack that is being filled, unless another task just did with the same chunk. A pack that is full is begun
    /// with.
    pub(super) fn add(&self, item: Item, since: u64) -> Result<(Found, Arc<Pack>)> {
        let mut pending = lock(&self.pending);
        let key = (item.kind, item.digest);
        // Two lists of an object may differ in where they say that its chunks are.
        if item.kind == Kind::Chunk
            && let Some(known) = pending.get(&key).and_then(|leaving| leaving.for_session(since))
        {
            return Ok(known);
        }
        let new = || match mutation::is(Mutation::ReuseNames) {
            false => PackBuilder::new(&*self.host),
            true => Ok(PackBuilder::named(Nonce::from_bytes(*item.digest.as_bytes().first_chunk().expect("32 bytes")))),
        };
        let ((place, is_full), pack) = self.groups.add(new, |builder| {
            let place = builder.add(item.digest, item.kind, item.method, item.stored, item.size);
            (place, builder.is_full())
        })?;
        let found = Found { digest: item.digest, kind: item.kind, place, size: item.size };
        pending.insert(key, Leaving { found, pack: Arc::downgrade(&pack), epoch: self.epoch.now() });
        drop(pending);
        if is_full {
            self.groups.begin(&pack, |builder| self.store(builder));
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

    /// Does `work`, and meanwhile goes on with full packs. On a local backend they go on by themselves. Elsewhere each holds one of so many
    /// requests, which `work` may wait for.
    pub(crate) async fn driving<T>(&self, work: BoxFuture<'_, T>) -> T {
        if self.backend.capabilities().local { work.await } else { self.groups.driving(work).await }
    }

    fn store(&self, builder: PackBuilder) -> BoxFuture<'static, Result<Location>> {
        let (backend, catalog) = (self.backend.clone(), self.catalog.clone());
        let keys = builder.records().iter().map(|record| (record.kind, record.digest)).collect();
        let over = Over { pack: builder.nonce(), keys, pending: self.pending.clone() };
        async move {
            let _over = over;
            // At once, not on another thread: then the backend would not begin to store it before somebody waits for it.
            let mut pack = builder.finish();
            let location = paths::pack(&pack.nonce)?;
            let source = Source::Pieces(std::mem::take(&mut pack.pieces));
            match backend.store(&location, source, &paths::once()).await {
                Err(error) if error.is_already_exists() && mutation::is(Mutation::ReuseNames) => {}
                stored => drop(stored?),
            }
            catalog.stored_pack(Table { pack: pack.nonce, records: pack.records });
            Ok(location)
        }
        .boxed()
    }
}

/// Takes what is in a pack from what is pending when storing it is over, however that ends.
struct Over {
    pack: Nonce,
    keys: Vec<Key>,
    pending: Arc<Mutex<Pending>>,
}

impl Drop for Over {
    fn drop(&mut self) {
        let mut pending = lock(&self.pending);
        for key in &self.keys {
            if pending.get(key).is_some_and(|leaving| leaving.found.place.pack == self.pack) {
                pending.remove(key);
            }
        }
    }
}

fn lock(pending: &Mutex<Pending>) -> MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use strongroom_storage::MemoryStorage;
    use strongroom_testkit::TestHost;

    use super::*;
    use crate::cache::Cache;

    #[test]
    fn a_session_relies_on_no_pack_that_may_have_been_begun_with_before_it() {
        let (backend, host): (Arc<dyn ExternalStorage>, Arc<dyn Host>) =
            (Arc::new(MemoryStorage::new()), Arc::new(TestHost::new(1)));
        let epoch = Epoch::default();
        let catalog = Arc::new(Catalog::new(backend.clone(), host.clone(), &Cache::none()));
        let packer = Packer::new(backend, host, catalog, epoch.clone());
        let digest = Digest::of(b"chunk");
        let item = Item { kind: Kind::Chunk, digest, size: 5, method: Method::Plain, stored: "chunk".into() };
        let first = epoch.now();
        let (_, _pack) = packer.add(item.clone(), first).expect("it is added");
        assert!(packer.find(Kind::Chunk, &digest, first).is_some());

        let second = epoch.next();
        assert!(packer.find(Kind::Chunk, &digest, second).is_none());
        // It is added once more, after the session has begun, and can be relied on by both.
        let (_, _again) = packer.add(item, second).expect("it is added");
        for session in [first, second] {
            assert!(packer.find(Kind::Chunk, &digest, session).is_some());
        }
    }
}
