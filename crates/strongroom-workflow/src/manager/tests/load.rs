//! Loading by handle, and checking against receipts.

use super::*;

#[tokio::test]
async fn what_another_unit_stored_is_loaded_by_its_handle() {
    on_every_storage(async |bench| {
        bench.store("other/thing/a.txt", "0123456789").await;
        let handle = Handle::new(StorageName::permanent(), at("other/thing/a.txt"));
        assert_eq!(bench.manager.load(&handle).await.expect("bytes"), "0123456789");
        assert_eq!(bench.manager.load_range(&handle, 2..5).await.expect("a range"), "234");
        let pieces: Vec<Bytes> =
            bench.manager.load_stream(&handle).await.expect("a stream").try_collect().await.expect("pieces");
        assert_eq!(pieces.concat(), b"0123456789");
        let path = bench.manager.load_path(&handle).await.expect("a path");
        assert_eq!(fs::read(path.path()).expect("read"), b"0123456789");
        assert!(path.path().ends_with("a.txt"));
        assert!(bench.manager.registered().is_empty(), "the registry is not touched");
    })
    .await;
}

#[tokio::test]
async fn loading_what_is_not_there_is_missing_in_every_way() {
    on_every_storage(async |bench| {
        let handle = bench.output("a.txt", "only in scratch");
        refused(bench.manager.load(&handle).await, ErrorKind::Missing, &["dag/unit/a.txt"]);
        refused(bench.manager.load_range(&handle, 0..1).await, ErrorKind::Missing, &["dag/unit/a.txt"]);
        refused(bench.manager.load_stream(&handle).await.map(drop), ErrorKind::Missing, &["dag/unit/a.txt"]);
        refused(bench.manager.load_path(&handle).await, ErrorKind::Missing, &["dag/unit/a.txt"]);
        bench.manager.transfer().await.expect("transferred");
        let plain = Handle::new(StorageName::permanent(), at("a.txt"));
        refused(bench.manager.load(&plain).await, ErrorKind::Missing, &["a.txt"]);
    })
    .await;
}

#[tokio::test]
async fn a_handle_of_another_storage_is_refused() {
    let bench = Bench::new(Arc::new(MemoryStorage::new()));
    let handle = Handle::new(StorageName::shared(), at("dag/unit/a.txt"));
    refused(bench.manager.load(&handle).await, ErrorKind::Invalid, &["shared", "permanent"]);
}

#[tokio::test]
async fn content_that_changed_since_the_receipt_is_changed_and_both_digests_are_named() {
    on_every_storage(async |bench| {
        bench.output("a.txt", "then");
        let receipt = bench.manager.transfer().await.expect("transferred");
        bench.store("dag/unit/a.txt", "now!").await;
        let digests = [Digest::of(b"then").to_string(), Digest::of(b"now!").to_string()];
        let parts = ["dag/unit/a.txt", &digests[0], &digests[1]];
        refused(bench.manager.verify(&receipt).await, ErrorKind::Changed, &parts);
        let resource = bench.manager.open_verified(&receipt.entries[0]).expect("opened");
        refused(resource.bytes().await, ErrorKind::Changed, &parts);
        refused(resource.range(0..1).await, ErrorKind::Changed, &parts);
        let pieces = resource.stream().await.expect("opened").try_collect::<Vec<_>>().await;
        refused(pieces, ErrorKind::Changed, &parts);
        let folder = bench.scratch.path().join("out");
        refused(resource.path(&folder).await, ErrorKind::Changed, &parts);
        assert!(!folder.join("dag/unit/a.txt").exists());
    })
    .await;
}

#[tokio::test]
async fn content_that_is_as_the_receipt_says_is_given_in_every_way() {
    on_every_storage(async |bench| {
        bench.output("a.txt", "0123");
        let receipt = bench.manager.transfer().await.expect("transferred");
        let resource = bench.manager.open_verified(&receipt.entries[0]).expect("opened");
        assert_eq!(resource.bytes().await.expect("bytes"), "0123");
        assert_eq!(resource.range(1..3).await.expect("a range"), "12");
        let pieces: Vec<Bytes> = resource.stream().await.expect("opened").try_collect().await.expect("pieces");
        assert_eq!(pieces.concat(), b"0123");
        let path = resource.path(bench.scratch.path()).await.expect("a path");
        assert_eq!(fs::read(path.path()).expect("read"), b"0123");
        assert_eq!(resource.metadata().await.expect("there").size, 4);
    })
    .await;
}

#[tokio::test]
async fn verifying_names_every_file_that_differs_or_is_gone() {
    on_every_storage(async |bench| {
        for name in ["a.txt", "b.txt", "c.txt"] {
            bench.output(name, name);
        }
        let receipt = bench.manager.transfer().await.expect("transferred");
        bench.store("dag/unit/a.txt", "another").await;
        bench.storage.delete(&at("dag/unit/c.txt")).await.expect("deleted");
        let parts = ["dag/unit/a.txt", "dag/unit/c.txt (missing)"];
        refused(bench.manager.verify(&receipt).await, ErrorKind::Changed, &parts);
        let storages = Storages::default().with(StorageName::permanent(), bench.storage.clone());
        refused(receipt.verify_records(&storages).await, ErrorKind::Changed, &["dag/unit/c.txt (missing)"]);
    })
    .await;
}
