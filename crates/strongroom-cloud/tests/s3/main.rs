//! The promises of a backend, kept by this one on a real S3 server, and by a content store on it.

mod fleet;
mod moto;
#[path = "../../../../tests/python/mod.rs"]
mod python;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use strongroom_cloud::ObjectStorage;
use strongroom_content::{ContentConfig, ContentStorage, OpenOptions};
use strongroom_storage::ExternalStorage;
use strongroom_testkit::conformance::Place;
use strongroom_testkit::conformance_tests;

use moto::{BUCKET, Moto};

/// A prefix of its own; in memory where there is no server, so that nothing is said of S3.
fn place() -> Place {
    static PLACES: AtomicU64 = AtomicU64::new(0);
    let Some(server) = Moto::get() else { return Place::of(Arc::new(strongroom_storage::MemoryStorage::new())) };
    let url = format!("s3://{BUCKET}/place-{}", PLACES.fetch_add(1, Ordering::Relaxed));
    Place::new(move || {
        let storage = ObjectStorage::builder(&url).with_settings(server.settings()).open();
        std::future::ready(storage.map(|storage| Arc::new(storage) as Arc<dyn ExternalStorage>))
    })
}

conformance_tests!(s3, async || place());

conformance_tests!(content_on_s3, async || {
    let below = Arc::new(place());
    Place::new(move || {
        let below = Arc::clone(&below);
        async move {
            let (config, options) = (ContentConfig::default(), OpenOptions::default());
            Ok(Arc::new(ContentStorage::create(below.open().await?, config, options).await?) as _)
        }
    })
});
