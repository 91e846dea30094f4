//! Collectors' lists: what they name may not be relied on.

use strongroom_content::{PutOptions, Version};
use strongroom_storage::{ByteRange, ErrorKind, ExternalStorage, StoreMode};

use crate::collector::{all_content, publish_list, remove};
use crate::sessions::{KINDS, store_behind_traps};
use crate::support::{assert_no_problems, at, files, layout, load, namespace, noise, open, put, verify};

#[tokio::test]
async fn what_a_list_names_is_stored_again() {
    for (kind, layouts, seed, size) in KINDS {
        let (backend, _, store) = store_behind_traps().await;
        // Known to the handle before there is a list.
        put(&store, "a/before", noise(seed, size), layout(layouts)).await.expect("put");
        assert_eq!(all_content(&backend).await.len(), 2, "{kind}: nothing is stored twice");
        let condemned = all_content(&backend).await;
        let list = publish_list(&backend, &condemned).await;
        put(&store, "a/after", noise(seed, size), layout(layouts)).await.expect("put");
        remove(&backend, &condemned, &list).await;
        assert_eq!(load(&open(&backend).await, "a/after").await.expect(kind), noise(seed, size));
    }
}

#[tokio::test]
async fn copies_and_tags_take_their_content_out_of_listed_places_first() {
    for tagging in [false, true] {
        let (backend, _, store) = store_behind_traps().await;
        let condemned = all_content(&backend).await;
        let list = publish_list(&backend, &condemned).await;
        if tagging {
            store.tag(&namespace("old"), Version::new(1), "first", StoreMode::Create).await.expect("tag");
        } else {
            let mut batch = store.batch();
            for (kind, ..) in KINDS {
                let object = store.find(&at(&format!("old/{kind}"))).await.expect("find");
                batch.link(at(&format!("new/{kind}")), object, StoreMode::Create);
            }
            batch.commit().await.expect("commit");
        }
        remove(&backend, &condemned, &list).await;
        let fresh = open(&backend).await;
        for (kind, _, seed, size) in KINDS {
            let name = if tagging { format!("old/{kind}") } else { format!("new/{kind}") };
            assert_eq!(load(&fresh, &name).await.expect(kind), noise(seed, size));
        }
        assert_no_problems(&verify(&backend, true).await, "copied");
    }
}

#[tokio::test]
async fn a_version_whose_run_is_listed_can_not_be_tagged() {
    let (backend, _, store) = store_behind_traps().await;
    put(&store, "old/packed", "2".into(), PutOptions::default()).await.expect("put");
    let first = files(&backend, "names/old/@/").await.pop().expect("a run");
    publish_list(&backend, &[first]).await;
    let error = store.tag(&namespace("old"), Version::new(1), "first", StoreMode::Create).await.expect_err("listed");
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert!(error.to_string().contains("being collected"), "{error}");
    store.tag(&namespace("old"), Version::new(2), "second", StoreMode::Create).await.expect("the head stays");
}

#[tokio::test]
async fn a_damaged_list_stops_writers_and_nobody_else() {
    let (backend, _, store) = store_behind_traps().await;
    let list = publish_list(&backend, &all_content(&backend).await).await;
    let sound = backend.load_bytes(&list, ByteRange::All).await.expect("load");
    let mut damages = vec![sound.slice(..sound.len() - 5), sound.slice(..0), sound.slice(1..)];
    for byte in (0..sound.len()).step_by(7) {
        let mut flipped = sound.to_vec();
        flipped[byte] ^= 1;
        damages.push(flipped.into());
    }
    for damaged in damages {
        backend.store_bytes(&list, damaged).await.expect("damage");
        let error = store.store_bytes(&at("a/b"), noise(1, 1000)).await.expect_err("damaged");
        assert_eq!((error.kind(), error.subject()), (ErrorKind::Corrupt, list.as_str()));
        assert_eq!(load(&store, "old/packed").await.expect("reading goes on"), noise(1, 1000));
        assert_eq!(files(&backend, "gc/").await, std::slice::from_ref(&list), "no marker is left");
    }
}
