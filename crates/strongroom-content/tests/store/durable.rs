//! What others have stored is made durable before something is acknowledged because of it.

use std::sync::Arc;

use strongroom_content::{ContentConfig, Layout, PutOptions, Version};
use strongroom_storage::{ErrorKind, FileStorage, StoreMode};
use strongroom_testkit::{Fault, FaultyStorage, Operation, RecordingStorage};

use crate::support::{Backend, create, layout, namespace, noise, open, put};

/// What was made durable since the last time: how many packs, files and versions.
fn made_durable(recording: &RecordingStorage) -> [usize; 3] {
    let made: Vec<Operation> =
        recording.take().into_iter().filter(|operation| matches!(operation, Operation::MakeDurable { .. })).collect();
    let locations: Vec<&str> =
        made.iter().flat_map(|operation| operation.locations()).map(|location| location.as_str()).collect();
    ["packs/", "files/", "names/"].map(|prefix| locations.iter().filter(|name| name.starts_with(prefix)).count())
}

#[tokio::test]
async fn content_and_versions_of_others_are_made_durable_before_they_are_relied_on_and_ones_own_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let files: Backend = Arc::new(FileStorage::new(folder.path()));
    let one = create(&files, ContentConfig::default()).await;
    put(&one, "a/small", noise(1, 5000), PutOptions::default()).await.expect("put");
    put(&one, "a/large", noise(2, 2 << 20), layout(Layout::Whole)).await.expect("put");

    let recording = RecordingStorage::new(files.clone());
    let other = open(&(Arc::new(recording.clone()) as Backend)).await;
    put(&other, "b/small", noise(1, 5000), PutOptions::default()).await.expect("put");
    assert_eq!(made_durable(&recording), [1, 0, 0]);
    put(&other, "b/large", noise(2, 2 << 20), layout(Layout::Whole)).await.expect("put");
    assert_eq!(made_durable(&recording)[1], 1);
    // By now both are known to be.
    put(&other, "b/small too", noise(1, 5000), PutOptions::default()).await.expect("put");
    assert_eq!(made_durable(&recording), [0, 0, 0]);
    // Nothing changes here, and that rests on a version of the other.
    put(&other, "a/small", noise(1, 5000), PutOptions::default()).await.expect("put");
    assert_eq!(made_durable(&recording), [0, 0, 1]);
    put(&other, "a/small", noise(1, 5000), PutOptions::default()).await.expect("put");
    assert_eq!(made_durable(&recording), [0, 0, 0]);
    // A tag is nothing without its version.
    put(&one, "c/small", noise(4, 20), PutOptions::default()).await.expect("put");
    other.tag(&namespace("c"), Version::new(1), "first", StoreMode::Create).await.expect("tag");
    assert_eq!(made_durable(&recording), [0, 0, 1]);
    other.tag(&namespace("c"), Version::new(1), "again", StoreMode::Create).await.expect("tag");
    assert_eq!(made_durable(&recording), [0, 0, 0]);
    // A version never outlasts the one before.
    put(&one, "d/one", noise(5, 20), PutOptions::default()).await.expect("put");
    put(&other, "d/other", noise(6, 20), PutOptions::default()).await.expect("put");
    assert_eq!(made_durable(&recording), [0, 0, 1]);
    put(&other, "d/other too", noise(7, 20), PutOptions::default()).await.expect("put");
    assert_eq!(made_durable(&recording), [0, 0, 0]);
    // What a handle has stored itself is durable.
    put(&other, "b/new", noise(3, 5000), PutOptions::default()).await.expect("put");
    put(&other, "b/new too", noise(3, 5000), PutOptions::default()).await.expect("put");
    assert_eq!(made_durable(&recording), [0, 0, 0]);
}

#[tokio::test]
async fn what_can_not_be_made_durable_is_not_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let files: Backend = Arc::new(FileStorage::new(folder.path()));
    let one = create(&files, ContentConfig::default()).await;
    put(&one, "a/small", noise(1, 5000), PutOptions::default()).await.expect("put");

    let faulty = FaultyStorage::new(files.clone());
    let other = open(&(Arc::new(faulty.clone()) as Backend)).await;
    let fails = |operation: &Operation| matches!(operation, Operation::MakeDurable { .. });
    faulty.fail_all(Fault::Refused(ErrorKind::Unavailable), fails);
    for location in ["b/small", "a/small"] {
        let error = put(&other, location, noise(1, 5000), PutOptions::default()).await.expect_err("not durable");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{location}");
    }
    faulty.heal();
    // The version was made, and nobody was told so.
    faulty.fail_nth_such(0, Fault::AnswerLost(ErrorKind::Unavailable), |operation| {
        operation.locations().iter().any(|location| location.as_str().starts_with("names/b/"))
    });
    faulty.fail_nth_such(1, Fault::Refused(ErrorKind::Unavailable), fails);
    let error =
        put(&other, "b/small", noise(1, 5000), PutOptions::default()).await.expect_err("not known to be durable");
    assert!(error.may_have_happened(), "{error:?}");
    put(&other, "b/small", noise(1, 5000), PutOptions::default()).await.expect("again");
}
