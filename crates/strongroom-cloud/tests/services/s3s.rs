//! S3: s3s-fs, in this process. It keeps what one client alone can see, and says nothing of races.
//!
//! Where an object has to be new it looks whether there is one, and writes then: of several creators several succeed. An object
//! and what is known of it are written one after the other. So nothing is tried here that has two requests about one object under way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, S3CopyIfNotExists};
use object_store::{BackoffConfig, RetryConfig};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use strongroom_cloud::ObjectStorage;
use strongroom_testkit::conformance::Place;
use strongroom_testkit::model;

use crate::cases::check_all_but;
use crate::{content_on, loopback};

pub const BUCKET: &str = "test";
/// What is about requests beside each other.
const RACES: &[&str] = &[
    "promise_1_readers_see_whole_objects_while_they_are_overwritten",
    "promise_1_an_object_appears_when_all_of_it_is_there",
    "promise_1_an_object_that_goes_while_it_is_read_is_read_whole_or_fails",
    "promise_1_racing_overwrites_leave_one_of_them",
    "promise_4_of_racing_creators_exactly_one_succeeds",
    "promise_9_a_dropped_store_leaves_the_old_object_or_the_new",
    "promise_9_a_dropped_create_can_be_tried_again",
    "promise_9_a_dropped_delete_or_batch_leaves_whole_objects",
    "neighbours_come_and_go_without_disturbing_each_other",
];

/// What it breaks, always: its objects are files of their names, and it says `500` to everything that a file system does not do.
const BROKEN: &[&str] = &[
    // `a` and `a/b` can't both be there. For this random operations can't agree with a map either.
    "an_object_below_another_is_kept_or_a_conflict",
    // A folder can't be read.
    "promise_6_a_part_of_a_name_is_missing",
    // It makes a file name of the whole name.
    "promise_7_the_longest_names_are_kept_or_refused",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_backend_keeps_what_one_client_can_see_of_a_file_system() {
    check_all_but(RACES, BROKEN, place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_content_store_keeps_all_that_one_client_can_see() {
    check_all_but(RACES, &[], async || content_on(place().await)).await;
}

#[test]
fn random_operations_on_a_content_store_agree_with_a_map() {
    model::assert_agrees(file!(), async || content_on(place().await));
}

/// A server of its own, which ends with the place.
pub async fn place() -> Place {
    let (address, guard) = serve().await;
    let open = move || std::future::ready(Ok(Arc::new(storage(address)) as _));
    Place::new(open).with_guard(guard)
}

/// Where it serves, until the other value is dropped.
pub async fn serve() -> (SocketAddr, impl Send + 'static) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join(BUCKET)).expect("make a bucket");
    let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).expect("the folder is there"));
    service.set_auth(SimpleAuth::from_single("key", "secret"));
    let (address, server) = loopback::serve(service.build()).await;
    (address, (server, folder))
}

/// It does not wait long before it tries again: what it gets `500` for is there to stay, or is over at once.
fn storage(address: SocketAddr) -> ObjectStorage {
    rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
    let [init_backoff, max_backoff] = [1, 10].map(Duration::from_millis);
    let backoff = BackoffConfig { init_backoff, max_backoff, base: 2. };
    let client = AmazonS3Builder::new()
        .with_endpoint(format!("http://{address}"))
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_access_key_id("key")
        .with_secret_access_key("secret")
        .with_bucket_name(BUCKET)
        .with_copy_if_not_exists(S3CopyIfNotExists::Multipart)
        .with_retry(RetryConfig { backoff, max_retries: 4, ..RetryConfig::default() });
    ObjectStorage::of_client(client.build().expect("a client"), "some/prefix/", BUCKET)
}
