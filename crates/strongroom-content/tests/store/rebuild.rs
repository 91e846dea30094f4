//! Content whose names are lost gets names again.

use std::collections::BTreeSet;

use strongroom_content::{ContentConfig, Layout, PutOptions, RebuildOptions, RebuildReport, Version};
use strongroom_storage::{ByteRange, Digest, ExternalStorage, StoreMode};

use crate::support::{
    Backend, assert_no_problems, at, commits, create, files, layout, load, memory, namespace, noise, open, put,
    small_chunks, verify,
};

async fn rebuild(backend: &Backend) -> RebuildReport {
    open(backend).await.rebuild(RebuildOptions::default()).await.expect("rebuild")
}

/// A store with objects of each kind, and their contents by their digests.
async fn filled() -> (Backend, Vec<bytes::Bytes>) {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    let contents = vec![noise(1, 3000), noise(2, 90_000), noise(3, 50_000), noise(4, (1 << 20) + 5)];
    let mut batch = store.batch();
    batch
        .put(at("a/packed"), contents[0].clone(), PutOptions::default())
        .put(at("a/chunked"), contents[1].clone(), layout(Layout::Chunked))
        .put(at("a/whole"), contents[2].clone(), layout(Layout::Whole))
        .put(at("a/cells"), contents[3].clone(), layout(Layout::Whole))
        .put(at("a/inline"), "it is lost", PutOptions::default());
    batch.commit().await.expect("commit");
    (backend, contents)
}

#[tokio::test]
async fn where_only_packs_and_files_are_left_each_object_gets_its_digest_as_its_name() {
    let (backend, contents) = filled().await;
    for file in files(&backend, "").await {
        if !["packs/", "files/"].iter().any(|prefix| file.as_str().starts_with(prefix)) {
            backend.delete(&file).await.expect("lose");
        }
    }
    create(&backend, ContentConfig::default()).await;
    let planned = open(&backend).await.rebuild(RebuildOptions::default().with_dry_run(true)).await.expect("plan");
    assert!(commits(&backend).await.is_empty());
    let report = rebuild(&backend).await;
    assert_eq!(planned, report);
    let expected: BTreeSet<String> = contents.iter().map(|bytes| format!("lost+found/{}", Digest::of(bytes))).collect();
    assert_eq!(report.named.iter().map(ToString::to_string).collect::<BTreeSet<_>>(), expected);
    for bytes in &contents {
        let found = load(&open(&backend).await, &format!("lost+found/{}", Digest::of(bytes))).await.expect("load");
        assert!(found == *bytes);
    }
    assert_no_problems(&verify(&backend, true).await, "rebuilt");
    assert_eq!(rebuild(&backend).await.named, [], "all has a name now");
    assert_eq!(commits(&backend).await["lost+found"], 1);
}

#[tokio::test]
async fn what_a_version_on_record_names_is_not_named_again() {
    let (backend, contents) = filled().await;
    assert_eq!(rebuild(&backend).await.named, []);
    let store = open(&backend).await;
    store.tag(&namespace("a"), Version::new(1), "one", StoreMode::Create).await.expect("tag");
    store.delete_all(&["a/packed", "a/chunked"].map(at)).await.expect("delete");
    assert_eq!(rebuild(&backend).await.named, [], "history has it");
    // A history of its own, which is lost.
    put(&store, "b/other", noise(9, 2000), PutOptions::default()).await.expect("put");
    for file in files(&backend, "names/b/").await {
        backend.delete(&file).await.expect("lose");
    }
    let named = rebuild(&backend).await.named;
    assert_eq!(named, [at(&format!("lost+found/{}", Digest::of(&noise(9, 2000))))]);
    assert!(load(&open(&backend).await, "a/whole").await.expect("load") == contents[2]);
}

#[tokio::test]
async fn what_is_damaged_gets_no_name_and_is_told() {
    let (backend, contents) = filled().await;
    for prefix in ["names/", "files/"] {
        for file in files(&backend, prefix).await {
            if prefix == "names/" || file.as_str().contains(&Digest::of(&contents[3]).to_string()) {
                match prefix {
                    "names/" => backend.delete(&file).await.expect("lose"),
                    _ => drop(backend.store_bytes(&file, noise(77, 900)).await.expect("damage")),
                }
            }
        }
    }
    let pack = files(&backend, "packs/").await.remove(0);
    let mut bytes = backend.load_bytes(&pack, ByteRange::All).await.expect("load").to_vec();
    let position = bytes.windows(64).position(|window| window == &contents[1][40_000..40_064]).expect("its content");
    bytes[position] ^= 1;
    backend.store_bytes(&pack, bytes.into()).await.expect("damage");
    let report = rebuild(&backend).await;
    let expected: BTreeSet<String> =
        [&contents[0], &contents[2]].iter().map(|bytes| format!("lost+found/{}", Digest::of(bytes))).collect();
    assert_eq!(report.named.iter().map(ToString::to_string).collect::<BTreeSet<_>>(), expected);
    assert_eq!(report.problems.len(), 2, "{:#?}", report.problems);
}
