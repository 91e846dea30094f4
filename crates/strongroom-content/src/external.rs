//! A content store is a storage like any other.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use strongroom_storage::{
    ByteRange, Capabilities, Copied, DigestSet, Digests, Error, ExternalStorage, Loaded, LocalPath, Location, Metadata,
    Result, Source, StoreItem, StoreOptions, Stored, TargetFile,
};

use crate::batch::PutOptions;
use crate::namespace::Namespace;
use crate::store::ContentStorage;

#[async_trait]
impl ExternalStorage for ContentStorage {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.backend.capabilities();
        capabilities.ordered_listing = false;
        capabilities.nested_locations = true;
        capabilities.atomic_batches = true;
        capabilities
    }

    /// Stores one object, as a commit of its own. `Durability::Relaxed` is not made use of: a name never stands for bytes
    /// that are not durable.
    async fn store(&self, location: &Location, source: Source, options: &StoreOptions) -> Result<Stored> {
        let mut stored = self.store_all(vec![StoreItem::new(location.clone(), source)], options).await?;
        stored.pop().ok_or_else(|| {
            Error::new(strongroom_storage::ErrorKind::Internal, "store", location, "a batch of one object stored none")
        })
    }

    async fn load(&self, location: &Location, range: ByteRange) -> Result<Loaded> {
        self.find_for("load", location).await?.load(range).await
    }

    async fn load_bytes(&self, location: &Location, range: ByteRange) -> Result<Bytes> {
        self.find_for("load", location).await?.load_bytes(range).await
    }

    async fn load_into(&self, location: &Location, target: &TargetFile, digests: DigestSet) -> Result<Copied> {
        self.find_for("load", location).await?.load_into(target, digests).await
    }

    async fn available_bytes(&self) -> Result<Option<u64>> {
        self.backend().available_bytes().await
    }

    async fn exists(&self, location: &Location) -> Result<bool> {
        let (namespace, name) = Namespace::split_text(location);
        self.inner.names.current_in(namespace).await?.contains(name).await
    }

    async fn metadata(&self, location: &Location) -> Result<Metadata> {
        let object = self.find_for("metadata", location).await?;
        Ok(Metadata::new(object.size()).with_modified(object.stored_at()).with_digests(object.digests()))
    }

    async fn digests(&self, location: &Location, set: DigestSet) -> Result<Digests> {
        self.find_for("digests", location).await?.compute_digests(set).await
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        let mut batch = self.batch().with_operation("delete");
        batch.remove(location.clone());
        batch.commit().await.map(drop)
    }

    fn iter_contents(&self, prefix: &str) -> BoxStream<'static, Result<Location>> {
        self.objects(prefix).map_ok(|object| object.location().clone()).boxed()
    }

    async fn store_all(&self, items: Vec<StoreItem>, options: &StoreOptions) -> Result<Vec<Stored>> {
        let mut batch = self.batch();
        let put = PutOptions::default().with_mode(options.mode).with_digests(options.digests);
        for item in items {
            batch.put(item.location, item.source, put.clone());
        }
        Ok(batch.commit().await?.stored)
    }

    async fn delete_all(&self, locations: &[Location]) -> Result<()> {
        let mut batch = self.batch().with_operation("delete");
        for location in locations {
            batch.remove_if_present(location.clone());
        }
        batch.commit().await.map(drop)
    }

    async fn local_path(&self, location: &Location, name: Option<&str>) -> Result<LocalPath> {
        self.find_for("path", location).await?.local_path(name).await
    }
}

/// What a handle is shared as.
impl From<ContentStorage> for Arc<dyn ExternalStorage> {
    fn from(store: ContentStorage) -> Self {
        Arc::new(store)
    }
}
