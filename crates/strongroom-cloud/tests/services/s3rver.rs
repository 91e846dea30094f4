//! S3 as it should not be: s3rver accepts the condition that an object be new, and overwrites it all the same.
//!
//! More is not tried here, because it breaks more: it takes the last bytes of an object for its first ones, which the client finds out;
//! where a listing is folded it sees no folders that have only folders in them, so that namespaces are not found; and it ends at some names.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use strongroom_content::{ContentConfig, ContentStorage, OpenOptions};
use strongroom_storage::{ByteRange, ErrorKind, ExternalStorage, Location, MemoryStorage, Result};
use strongroom_testkit::conformance::Place;
use tempfile::TempDir;

use crate::server::Server;
use crate::{node, place, settings};

type Backend = Arc<dyn ExternalStorage>;

/// A server with a folder for its data; `None`, with a word on stderr, if there can't be one.
fn start() -> Option<(Server, TempDir)> {
    let packages = node::packages()?;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let command = |port: u16| {
        let mut command = node::command(&packages.join("s3rver/bin/s3rver.js"));
        command.args(["--silent", "--address", "127.0.0.1", "--port", &port.to_string(), "--directory"]);
        // Its listings' tokens are made with DES, which OpenSSL has only there.
        command.arg(folder.path()).env("NODE_OPTIONS", "--openssl-legacy-provider");
        command
    };
    Some((Server::start(command, "/test"), folder))
}

fn bucket(server: &Server) -> Place {
    let url = server.url();
    let settings = settings([
        ("aws_access_key_id", "S3RVER"),
        ("aws_secret_access_key", "S3RVER"),
        ("aws_region", "us-east-1"),
        ("aws_endpoint_url", &url),
        ("aws_allow_http", "true"),
    ]);
    place("s3://test", Some(settings))
}

fn at(text: &str) -> Location {
    Location::parse(text).expect("a location")
}

/// What is in a store: content that a name carries, of a pack, and in chunks.
fn content() -> [(Location, Bytes); 3] {
    let bytes = |length| (0u32..).flat_map(|number| (number ^ 0x9e37_79b9).to_le_bytes()).take(length).collect();
    [("a/small", 10), ("a/packed", 10_000), ("b/large", 3_000_000)].map(|(name, length)| (at(name), bytes(length)))
}

async fn create(backend: &Backend) -> Result<ContentStorage> {
    ContentStorage::create(Arc::clone(backend), ContentConfig::default(), OpenOptions::default()).await
}

/// All objects and what is in them.
async fn objects(storage: &dyn ExternalStorage) -> BTreeMap<Location, Bytes> {
    let loaded = storage.iter_contents("").and_then(async |location| {
        let bytes = storage.load_bytes(&location, ByteRange::All).await?;
        Ok((location, bytes))
    });
    loaded.try_collect().await.expect("list and load")
}

async fn expect_content(store: &ContentStorage) {
    for (location, bytes) in content() {
        let loaded = store.load_bytes(&location, ByteRange::All).await.expect("load");
        assert!(loaded == bytes, "{location} is read as it was");
    }
}

#[tokio::test]
async fn a_service_that_overwrites_what_should_be_new_is_read_but_not_written_to() {
    let Some((server, _folder)) = start() else { return };
    let elsewhere: Backend = Arc::new(MemoryStorage::new());
    let store = create(&elsewhere).await.expect("create");
    for (location, bytes) in content() {
        store.store_bytes(&location, bytes).await.expect("store");
    }
    let files = objects(&*elsewhere).await;
    let backend = bucket(&server).open().await.expect("a bucket");
    for (location, bytes) in &files {
        backend.store_bytes(location, bytes.clone()).await.expect("copy");
    }

    let store = ContentStorage::open(Arc::clone(&backend), OpenOptions::default()).await.expect("open");
    let error = store.store_bytes(&at("a/small"), "new".into()).await.expect_err("it is found out");
    assert_eq!((error.kind(), error.may_have_happened()), (ErrorKind::Unsupported, false), "{error:?}");
    assert!(error.to_string().contains("accepts the condition that an object be new and then replaces it"), "{error}");
    assert_eq!(objects(&*backend).await, files, "nothing is lost, and nothing left behind");
    expect_content(&store).await;
}

#[tokio::test]
async fn a_store_that_is_created_where_what_should_be_new_is_overwritten_takes_nothing() {
    let Some((server, _folder)) = start() else { return };
    let backend = bucket(&server).open().await.expect("a bucket");
    let store = create(&backend).await.expect("a store that can be read");
    let files = objects(&*backend).await;
    let error = store.store_bytes(&at("a/small"), "new".into()).await.expect_err("it is found out");
    assert_eq!((error.kind(), error.may_have_happened()), (ErrorKind::Unsupported, false), "{error:?}");
    create(&backend).await.expect("the store that is there");
    assert_eq!(objects(&*backend).await, files);
}

#[tokio::test]
async fn one_writer_alone_who_says_so_may_use_a_service_that_overwrites() {
    let Some((server, _folder)) = start() else { return };
    let place = bucket(&server);
    create(&place.open().await.expect("a bucket")).await.expect("create");
    for (location, bytes) in content() {
        let options = OpenOptions::default().with_single_writer(true);
        let store = ContentStorage::open(place.open().await.expect("a bucket"), options).await.expect("open");
        store.store_bytes(&location, bytes.clone()).await.expect("store");
    }
    let store =
        ContentStorage::open(place.open().await.expect("a bucket"), OpenOptions::default()).await.expect("open");
    expect_content(&store).await;
}
