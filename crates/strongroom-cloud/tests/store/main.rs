//! What a content store promises beyond what a backend does, on a real server: its own tests, with a bucket for memory.

#[path = "../../../strongroom-content/tests/store/arriving.rs"]
mod arriving;
#[path = "../../../strongroom-content/tests/store/collector.rs"]
mod collector;
#[path = "../../../strongroom-content/tests/store/support.rs"]
#[expect(dead_code, reason = "other tests there use it too")]
mod content_support;
#[path = "../../../strongroom-content/tests/store/found.rs"]
mod found;
#[path = "../../../strongroom-content/tests/store/late.rs"]
mod late;
#[path = "../services/moto.rs"]
mod moto;
#[path = "../../../../tests/python/mod.rs"]
mod python;
#[path = "../../../strongroom-content/tests/store/rebuild.rs"]
mod rebuild;
#[path = "../services/server.rs"]
mod server;
#[path = "../../../strongroom-content/tests/store/sessions.rs"]
mod sessions;
#[path = "../../../strongroom-content/tests/store/traps.rs"]
mod traps;
#[path = "../../../strongroom-content/tests/store/verifying.rs"]
mod verifying;

/// What those tests use, with a prefix of its own in the bucket where they ask for memory.
mod support {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use strongroom_cloud::ObjectStorage;

    pub use crate::content_support::*;
    use crate::moto;

    pub fn memory() -> Backend {
        static PLACES: AtomicU64 = AtomicU64::new(0);
        let Some(server) = moto::url() else { return crate::content_support::memory() };
        let url = format!("s3://{}/place-{}", moto::BUCKET, PLACES.fetch_add(1, Ordering::Relaxed));
        Arc::new(ObjectStorage::builder(&url).with_settings(moto::settings(&server)).open().expect("a bucket"))
    }
}
