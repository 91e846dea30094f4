//! A workflow on a bucket: units register files and later ones load them.

use std::fs;
use std::sync::Arc;

use strongroom_content::{ContentConfig, ContentStorage, OpenOptions};
use strongroom_storage::{ByteRange, ErrorKind, ExternalStorage};
use strongroom_testkit::conformance::Place;
use strongroom_workflow::{Handle, Namespace, StorageManager};

/// As large as a trajectory that is sent in parts.
const LARGE: usize = (9 << 20) + 5;

/// On the bucket as it is, and on a content store in it.
pub async fn check_manager(bare: Place, for_content: Place) {
    check(bare.open().await.expect("a bucket")).await;
    let backend = for_content.open().await.expect("a bucket");
    let store = ContentStorage::create(backend, ContentConfig::default(), OpenOptions::default()).await;
    check(Arc::new(store.expect("create"))).await;
}

async fn check(storage: Arc<dyn ExternalStorage>) {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let unit = |name: &str| {
        let folder = scratch.path().join(name);
        fs::create_dir_all(folder.join("sub")).expect("make a folder");
        StorageManager::new(folder, storage.clone(), Namespace::new("dag", name).expect("labels"))
    };
    let first = unit("first");
    let large: Vec<u8> = (0..LARGE as u32).map(|n| (n ^ (n >> 8)) as u8).collect();
    let files = [("energies.csv", b"step,energy\n0,-1.5\n".to_vec()), ("sub/trajectory.dcd", large)];
    let handles: Vec<Handle> = files
        .iter()
        .map(|(name, content)| {
            fs::write(first.scratch_dir().join(name), content).expect("write");
            first.register(name).expect("register")
        })
        .collect();
    let receipt = first.transfer().await.expect("transfer");
    first.verify(&receipt).await.expect("all of it is there");

    let second = unit("second");
    for (handle, (_, content)) in handles.iter().zip(&files) {
        assert!(second.load(handle).await.expect("load") == content[..], "{handle:?}");
        let local = second.load_path(handle).await.expect("load");
        assert!(fs::read(local).expect("read") == *content, "{handle:?}");
    }
    assert_eq!(second.load_range(&handles[0], ByteRange::Last(5)).await.expect("load"), "-1.5\n");
    let never = first.register("never-written").expect("a name");
    assert_eq!(second.load(&never).await.expect_err("it was not stored").kind(), ErrorKind::Missing);
}
