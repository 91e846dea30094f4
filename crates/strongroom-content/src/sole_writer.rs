//! A storage whose service replaces what is there already, for whoever is the only one who writes to it.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::stream::BoxStream;
use strongroom_storage::{
    ByteRange, Capabilities, Error, ExternalStorage, ListOptions, Listing, Loaded, Location, Metadata, Result, Source,
    StoreMode, StoreOptions, Stored,
};
use tokio::sync::Notify;

/// Creates only what is not there, by looking first: within one process it keeps promise 4, and nobody else may write meanwhile.
#[derive(Debug)]
pub(crate) struct SoleWriter {
    inner: Arc<dyn ExternalStorage>,
    /// What is being created.
    creating: Mutex<HashSet<Location>>,
    /// Told when something of it is created, or not any more.
    over: Notify,
}

/// Held while something is looked for and created. Nobody is kept waiting by what has another location: work that was begun with may rest
/// while others do theirs.
struct Turn<'a> {
    storage: &'a SoleWriter,
    location: &'a Location,
}

impl SoleWriter {
    pub(crate) fn new(inner: Arc<dyn ExternalStorage>) -> Self {
        Self { inner, creating: Mutex::default(), over: Notify::new() }
    }

    fn creating(&self) -> MutexGuard<'_, HashSet<Location>> {
        self.creating.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn turn<'a>(&'a self, location: &'a Location) -> Turn<'a> {
        loop {
            // From here on it is told.
            let over = self.over.notified();
            if self.creating().insert(location.clone()) {
                return Turn { storage: self, location };
            }
            over.await;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.storage.creating().remove(self.location);
        self.storage.over.notify_waiters();
    }
}

impl fmt::Display for SoleWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

/// What is not here is done by these.
#[async_trait]
impl ExternalStorage for SoleWriter {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        capabilities.create_if_absent = true;
        capabilities
    }

    async fn store(&self, location: &Location, source: Source, options: &StoreOptions) -> Result<Stored> {
        if options.mode != StoreMode::Create {
            return self.inner.store(location, source, options).await;
        }
        let _turn = self.turn(location).await;
        if self.inner.exists(location).await? {
            return Err(Error::already_exists("store", location));
        }
        self.inner.store(location, source, &options.with_mode(StoreMode::Overwrite)).await
    }

    async fn load(&self, location: &Location, range: ByteRange) -> Result<Loaded> {
        self.inner.load(location, range).await
    }

    async fn metadata(&self, location: &Location) -> Result<Metadata> {
        self.inner.metadata(location).await
    }

    async fn exists(&self, location: &Location) -> Result<bool> {
        self.inner.exists(location).await
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        self.inner.delete(location).await
    }

    async fn delete_all(&self, locations: &[Location]) -> Result<()> {
        self.inner.delete_all(locations).await
    }

    fn iter_contents(&self, prefix: &str) -> BoxStream<'static, Result<Location>> {
        self.inner.iter_contents(prefix)
    }

    async fn list(&self, options: &ListOptions) -> Result<Listing> {
        self.inner.list(options).await
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt, poll};
    use strongroom_storage::MemoryStorage;

    use super::*;

    fn at(text: &str) -> Location {
        Location::parse(text).expect("a location")
    }

    fn storage() -> SoleWriter {
        SoleWriter::new(Arc::new(MemoryStorage::new()))
    }

    /// Bytes that come when `go` is sent, or is gone.
    fn waiting(go: futures::channel::oneshot::Receiver<()>) -> Source {
        Source::stream(futures::stream::once(go.map(|_| Ok("late".into()))).boxed())
    }

    #[tokio::test]
    async fn what_rests_while_it_is_created_keeps_nobody_waiting_for_another_location() {
        let (storage, options) = (storage(), StoreOptions::create());
        let mut resting = Vec::new();
        for n in 0..500 {
            let (go, gone) = futures::channel::oneshot::channel();
            let (storage, options) = (&storage, &options);
            let mut creation =
                async move { storage.store(&at(&format!("a/{n}")), waiting(gone), options).await }.boxed();
            assert!(poll!(&mut creation).is_pending());
            resting.push((go, creation));
        }
        for n in 0..500 {
            storage.store(&at(&format!("b/{n}")), Source::bytes("b"), &options).await.expect("create");
        }
        for (go, creation) in resting {
            drop(go);
            creation.await.expect("create");
        }
    }

    #[tokio::test]
    async fn of_two_who_create_the_same_the_second_waits_and_finds_it_there_or_creates_it_if_the_first_gave_up() {
        for gives_up in [false, true] {
            let (storage, options, location) = (storage(), StoreOptions::create(), at("a/b"));
            let (go, gone) = futures::channel::oneshot::channel();
            let mut first = storage.store(&location, waiting(gone), &options);
            assert!(poll!(&mut first).is_pending());
            let mut second = storage.store(&location, Source::bytes("second"), &options);
            assert!(poll!(&mut second).is_pending());
            if gives_up {
                drop(first);
                second.await.expect("create");
            } else {
                drop(go);
                first.await.expect("create");
                assert!(second.await.expect_err("it is there").is_already_exists());
            }
        }
    }
}
