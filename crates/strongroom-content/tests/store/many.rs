//! Many objects at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use strongroom_content::{ContentStorage, Layout, PutOptions};
use strongroom_storage::{ErrorKind, ExternalStorage, Location, Result};
use strongroom_testkit::RecordingStorage;

use crate::support::{Backend, at, bucket, create, files, layout, memory, noise, open, put, small_chunks};

async fn load_all(store: &ContentStorage, locations: &[Location]) -> BTreeMap<usize, Result<Bytes>> {
    let objects = store.find_all(locations).await.expect("find").into_iter().map(|object| object.expect("there"));
    store.load_all(objects.collect()).collect().await
}

#[tokio::test]
async fn objects_that_are_kept_in_every_way_are_found_and_read_together() {
    let store = create(&memory(), small_chunks()).await;
    let mut batch = store.batch();
    let contents = [
        ("a/inline", noise(1, 20), PutOptions::default()),
        ("a/packed", noise(2, 4096), PutOptions::default()),
        ("b/chunked", noise(3, 100_000), layout(Layout::Chunked)),
        ("b/whole", noise(4, 2 << 20), layout(Layout::Whole)),
        ("empty", Bytes::new(), PutOptions::default()),
    ];
    for (location, bytes, options) in &contents {
        batch.put(at(location), bytes.clone(), options.clone());
    }
    batch.commit().await.expect("commit");
    let mut locations: Vec<Location> = contents.iter().map(|(location, ..)| at(location)).collect();
    let read = load_all(&store, &locations).await;
    assert_eq!(read.len(), contents.len());
    for (position, bytes) in read {
        assert_eq!(bytes.expect("sound"), contents[position].1, "{}", contents[position].0);
    }
    locations.insert(2, at("a/nothing"));
    let found = store.find_all(&locations).await.expect("find");
    let there: Vec<bool> = found.iter().map(Option::is_some).collect();
    assert_eq!(there, [true, true, false, true, true, true]);
    assert_eq!(store.exists_all(&locations).await.expect("look"), there);
    store.delete_all(&locations[..1]).await.expect("delete");
    assert_eq!(store.exists_all(&locations).await.expect("look"), [false, true, false, true, true, true]);
    assert_eq!(found[5].as_ref().map(|object| object.location().as_str()), Some("empty"));
}

#[tokio::test]
async fn a_thousand_objects_of_one_namespace_take_few_requests() {
    let inner = bucket(&memory());
    let recording = RecordingStorage::new(inner.clone());
    let store = create(&inner, small_chunks()).await;
    let locations: Vec<Location> = (0..1000).map(|n| at(&format!("a/{n}"))).collect();
    let mut batch = store.batch();
    for (n, location) in locations.iter().enumerate() {
        batch.put(location.clone(), noise(n as u64, 4096), PutOptions::default());
    }
    batch.commit().await.expect("commit");
    let cold = open(&(Arc::new(recording.clone()) as Backend)).await;
    recording.take();
    let found = cold.find_all(&locations).await.expect("find");
    assert!(recording.take().len() <= 14, "the head, the run and its blocks");
    let mut shuffled: Vec<_> = found.into_iter().flatten().collect();
    shuffled.reverse();
    let read: BTreeMap<usize, Result<Bytes>> = cold.load_all(shuffled).collect().await;
    assert_eq!(recording.take().len(), 4, "4 MB by requests of 1 MiB");
    for (position, bytes) in read {
        assert_eq!(bytes.expect("sound"), noise(999 - position as u64, 4096));
    }
}

#[tokio::test]
async fn an_object_that_is_lost_leaves_the_others_readable() {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    for n in 0..3 {
        put(&store, &format!("a/{n}"), noise(n, 4096), PutOptions::default()).await.expect("put");
    }
    let lost = files(&backend, "packs/").await[0].clone();
    backend.delete(&lost).await.expect("delete");
    let read = load_all(&store, &[at("a/0"), at("a/1"), at("a/2")]).await;
    let errors: Vec<_> = read.values().filter_map(|bytes| bytes.as_ref().err()).collect();
    assert_eq!(read.len(), 3);
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].kind(), ErrorKind::Corrupt);
    assert!(errors[0].to_string().starts_with("load a/"), "{}", errors[0]);
}
