//! Google Cloud Storage, of which there is no server to be had.
//!
//! On a fake of ours everything is kept: so the client, and what we believe of the service, agree. On moto, which knows only S3 but is
//! not ours, all is kept for which the two services have the same words; it overwrites what should be new by Google's.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::service::service_fn;
use strongroom_testkit::conformance::Place;
use strongroom_testkit::conformance_tests;
use tokio::task::JoinSet;

use crate::cases::check_all_but;
use crate::fake_gcs::{BUCKET, FakeGcs, TOKEN};
use crate::{Settings, content_on, further_tests, loopback, moto, place, settings};

/// What moto overwrites.
const CREATIONS: &[&str] = &[
    "promise_4_of_racing_creators_exactly_one_succeeds",
    "promise_4_creating_what_exists_changes_nothing",
    "a_batch_that_fails_stops_there_or_leaves_nothing",
    "a_consumed_file_is_stored_or_left_alone",
    "store_named_puts_content_where_its_namer_says",
];

/// Where it is a matter of time whether something is created twice.
const DROPPED_CREATIONS: &[&str] = &["promise_9_a_dropped_create_can_be_tried_again"];

conformance_tests!(backend, async || fake().await);
conformance_tests!(content, async || content_on(fake().await));
further_tests!(fake);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moto_keeps_all_but_creations() {
    let Some(url) = moto::url() else { return };
    let bucket = format!("gs://{}", moto::BUCKET);
    check_all_but(DROPPED_CREATIONS, CREATIONS, async || place(&bucket, Some(reach(&url)))).await;
}

/// What a client needs to know to reach a server.
pub fn reach(url: &str) -> Settings {
    settings([("google_base_url", url), ("google_bearer_token", TOKEN), ("google_allow_http", "true")])
}

/// A fake of its own, which ends with the place.
pub async fn fake() -> Place {
    let (address, server) = serve().await;
    place(&format!("gs://{BUCKET}"), Some(reach(&format!("http://{address}")))).with_guard(server)
}

/// Where one serves, until the other value is dropped.
pub async fn serve() -> (SocketAddr, JoinSet<()>) {
    let fake = Arc::new(FakeGcs::default());
    let answer = move |request| {
        let fake = Arc::clone(&fake);
        async move { fake.answer(request).await }
    };
    loopback::serve(service_fn(answer)).await
}
