//! The promises of a backend, kept by this one on servers, and by a content store on it.
//!
//! A module for each server says what it is good for, and what it does not keep. Each is started once, and ends with this process.

mod at_once;
mod azurite;
mod cases;
mod collection;
mod fake_gcs;
mod garbled;
mod gcs;
mod large;
mod loopback;
mod manager;
mod matrix;
mod moto;
mod node;
#[path = "../../../../tests/python/mod.rs"]
mod python;
mod s3;
mod s3rver;
mod s3s;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use strongroom_cloud::ObjectStorage;
use strongroom_content::{ContentConfig, ContentStorage, OpenOptions};
use strongroom_storage::ExternalStorage;
use strongroom_testkit::conformance::Place;

/// What a client needs to know to reach a server.
type Settings = Vec<(String, String)>;

fn settings<const N: usize>(settings: [(&str, &str); N]) -> Settings {
    settings.map(|(key, value)| (key.into(), value.into())).into()
}

/// A prefix of its own in a bucket; in memory where there is no server, so that nothing is said of any.
fn place(bucket: &str, settings: Option<Settings>) -> Place {
    static PLACES: AtomicU64 = AtomicU64::new(0);
    let Some(settings) = settings else { return Place::of(Arc::new(strongroom_storage::MemoryStorage::new())) };
    let url = format!("{bucket}/place-{}", PLACES.fetch_add(1, Ordering::Relaxed));
    Place::new(move || {
        let storage = ObjectStorage::builder(&url).with_settings(settings.clone()).open();
        std::future::ready(storage.map(|storage| Arc::new(storage) as Arc<dyn ExternalStorage>))
    })
}

/// What stores and workflows do with a service, besides what its backend and a content store there promise.
macro_rules! further_tests {
    ($place:expr) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn a_large_object_is_created_once() {
            crate::large::check_created_once($place().await).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn what_nothing_needs_is_collected_beside_writers() {
            crate::collection::check_collection($place().await).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn units_of_a_workflow_exchange_files() {
            crate::manager::check_manager($place().await, $place().await).await;
        }
    };
}
use further_tests;

/// A content store there.
fn content_on(place: Place) -> Place {
    content_with(place, OpenOptions::default)
}

fn content_with(place: Place, options: fn() -> OpenOptions) -> Place {
    let below = Arc::new(place);
    Place::new(move || {
        let below = Arc::clone(&below);
        async move {
            let config = ContentConfig::default();
            Ok(Arc::new(ContentStorage::create(below.open().await?, config, options()).await?) as _)
        }
    })
}
