//! A storage that loses the answer to the creation of a version, and does it some operations later.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use strongroom_storage::{
    ByteRange, Capabilities, Error, ErrorKind, ExternalStorage, Loaded, Location, Metadata, Result, Source,
    StoreOptions, Stored,
};

use crate::support::Backend;

#[derive(Clone, Debug)]
pub struct LaggingStorage {
    inner: Backend,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    lose_next: Option<usize>,
    refuse_afterwards: bool,
    under_way: Option<(usize, Location, Bytes)>,
}

impl LaggingStorage {
    pub fn new(inner: &Backend) -> Self {
        Self { inner: inner.clone(), plan: Arc::default() }
    }

    /// The next version that is created appears before the operation that comes `operations` after it.
    pub fn lose_next_version(&self, operations: usize) {
        self.plan().lose_next = Some(operations);
    }

    /// Versions that are created after that are refused.
    pub fn refuse_versions_afterwards(&self) {
        self.plan().refuse_afterwards = true;
    }

    /// What is still under way arrives.
    pub async fn deliver(&self) {
        let under_way = self.plan().under_way.take();
        if let Some((_, location, bytes)) = under_way {
            let delivered = self.inner.store(&location, bytes.into(), &StoreOptions::create()).await;
            assert!(delivered.is_ok() || self.inner.exists(&location).await.is_ok_and(|there| there));
        }
    }

    async fn tick(&self) {
        let is_due = match &mut self.plan().under_way {
            Some((0, ..)) => true,
            Some((left, ..)) => {
                *left -= 1;
                false
            }
            None => false,
        };
        if is_due {
            self.deliver().await;
        }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for LaggingStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lagging")
    }
}

#[async_trait]
impl ExternalStorage for LaggingStorage {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn store(&self, location: &Location, source: Source, options: &StoreOptions) -> Result<Stored> {
        self.tick().await;
        if !location.as_str().starts_with("names/") {
            return self.inner.store(location, source, options).await;
        }
        let bytes = source.into_bytes().await?;
        let error = |kind, detail| Error::new(kind, "create", location, detail);
        {
            let mut plan = self.plan();
            if let Some(operations) = plan.lose_next.take() {
                plan.under_way = Some((operations, location.clone(), bytes));
                return Err(error(ErrorKind::Unavailable, "no answer").with_outcome_unknown());
            }
            if plan.refuse_afterwards {
                return Err(error(ErrorKind::Denied, "refused"));
            }
        }
        self.inner.store(location, bytes.into(), options).await
    }

    async fn load(&self, location: &Location, range: ByteRange) -> Result<Loaded> {
        self.tick().await;
        self.inner.load(location, range).await
    }

    async fn metadata(&self, location: &Location) -> Result<Metadata> {
        self.tick().await;
        self.inner.metadata(location).await
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        self.tick().await;
        self.inner.delete(location).await
    }

    fn iter_contents(&self, prefix: &str) -> BoxStream<'static, Result<Location>> {
        let (storage, prefix) = (self.clone(), prefix.to_string());
        stream::once(async move {
            storage.tick().await;
            Ok(storage.inner.iter_contents(&prefix))
        })
        .try_flatten()
        .boxed()
    }
}
