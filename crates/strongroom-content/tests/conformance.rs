//! A content store keeps the promises of every storage, over backends that can more and less.

use std::sync::Arc;

use strongroom_content::{ContentConfig, ContentStorage, Layout, OpenOptions};
use strongroom_storage::{ExternalStorage, MemoryStorage};
use strongroom_testkit::conformance::Place;
use strongroom_testkit::{UnorderedStorage, conformance_tests};

/// Handles that share nothing but the backend.
async fn place(backend: Arc<dyn ExternalStorage>, config: ContentConfig) -> Place {
    Place::new(move || {
        let (backend, config) = (backend.clone(), config.clone());
        async move {
            let store = ContentStorage::create(backend, config, OpenOptions::default()).await?;
            Ok(Arc::new(store) as Arc<dyn ExternalStorage>)
        }
    })
}

conformance_tests!(in_memory, || place(Arc::new(MemoryStorage::new()), ContentConfig::default()));

conformance_tests!(in_memory_with_large_objects_whole, || {
    place(Arc::new(MemoryStorage::new()), ContentConfig::default().with_layout(Layout::Whole))
});

conformance_tests!(on_a_backend_without_ordered_listing, || {
    place(Arc::new(UnorderedStorage::new(Arc::new(MemoryStorage::new()))), ContentConfig::default())
});
