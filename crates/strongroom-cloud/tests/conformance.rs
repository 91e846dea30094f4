//! The promises of a backend, kept by this one over the client's own storage in memory, and by a content store on it.

use std::sync::Arc;

use object_store::memory::InMemory;
use strongroom_cloud::ObjectStorage;
use strongroom_content::{ContentConfig, ContentStorage, OpenOptions};
use strongroom_storage::ExternalStorage;
use strongroom_testkit::conformance::Place;
use strongroom_testkit::conformance_tests;

fn place() -> Place {
    let client: Arc<InMemory> = Arc::default();
    Place::new(move || {
        let storage = ObjectStorage::of_plain_client(client.clone(), "some/prefix/", "memory");
        std::future::ready(Ok(Arc::new(storage) as Arc<dyn ExternalStorage>))
    })
}

conformance_tests!(plain, async || place());

conformance_tests!(content_on_plain, async || {
    let below = Arc::new(place());
    Place::new(move || {
        let below = Arc::clone(&below);
        async move {
            let (config, options) = (ContentConfig::default(), OpenOptions::default());
            Ok(Arc::new(ContentStorage::create(below.open().await?, config, options).await?) as _)
        }
    })
});
