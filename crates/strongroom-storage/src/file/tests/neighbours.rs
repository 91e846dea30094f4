//! `a` and `a/b` can't both be files; folders are no objects.

use futures::StreamExt;

use super::*;

#[tokio::test]
async fn nothing_can_be_stored_below_an_object() {
    for (way, config) in ways() {
        let bench = Bench::with(config);
        bench.store("a/b", "object").await;
        for location in ["a/b/c", "a/b/c/d"] {
            for options in [StoreOptions::default(), StoreOptions::create()] {
                let stored = bench.storage.store(&at(location), "below".into(), &options).await;
                check_kind(stored, ErrorKind::Conflict, "a/b is an object");
            }
        }
        assert_eq!(bench.tree(), names(&["a", "a/b"]), "{way}");
    }
}

#[tokio::test]
async fn a_conflict_is_told_before_all_of_the_source_is_read() {
    for (way, config) in ways() {
        let bench = Bench::with(config);
        bench.store("a", "object").await;
        let endless = futures::stream::repeat_with(|| Ok(bytes::Bytes::from(vec![1; 1 << 20])));
        let limited = endless.take(10).chain(futures::stream::once(async {
            Err(Error::new(ErrorKind::Internal, "read", "the source", "it was read to its end"))
        }));
        let stored = bench.storage.store(&at("a/b"), Source::stream(limited), &StoreOptions::default()).await;
        check_kind(stored, ErrorKind::Conflict, "a is an object");
        assert_eq!(bench.tree(), names(&["a"]), "{way}");
    }
}

#[tokio::test]
async fn an_object_can_not_take_the_place_of_a_folder_with_objects() {
    for (way, config) in ways() {
        let bench = Bench::with(config);
        bench.store("a/b/c", "object").await;
        for location in ["a", "a/b"] {
            for options in [StoreOptions::default(), StoreOptions::create()] {
                let stored = bench.storage.store(&at(location), "above".into(), &options).await;
                check_kind(stored, ErrorKind::Conflict, "objects below");
            }
        }
        assert_eq!(bench.load("a/b/c").await, "object", "{way}");
        assert_eq!(bench.tree(), names(&["a", "a/b", "a/b/c"]), "{way}");
    }
}

#[tokio::test]
async fn empty_folders_make_way_for_an_object() {
    for (way, config) in ways() {
        for options in [StoreOptions::default(), StoreOptions::create()] {
            let bench = Bench::with(config.clone());
            bench.store("a/b/c", "object").await;
            bench.store("a/d/e", "object").await;
            bench.storage.delete_all(&[at("a/b/c"), at("a/d/e")]).await.expect("delete");
            assert_eq!(bench.tree(), names(&["a", "a/b", "a/d"]), "{way}");
            bench.storage.store(&at("a"), "above".into(), &options).await.expect(way);
            assert_eq!(bench.tree(), names(&["a"]), "{way}");
        }
    }
}

#[tokio::test]
async fn the_name_of_a_folder_names_no_object() {
    let bench = Bench::new();
    bench.store("a/b", "object").await;
    let (storage, folder) = (&bench.storage, at("a"));
    assert!(!storage.exists(&folder).await.expect("exists"));
    check_kind(storage.load(&folder, ByteRange::All).await, ErrorKind::Missing, "a");
    check_kind(storage.metadata(&folder).await, ErrorKind::Missing, "a");
    check_kind(storage.delete(&folder).await, ErrorKind::Missing, "a");
    check_kind(storage.hexdigest(&folder).await, ErrorKind::Missing, "a");
    check_kind(storage.local_path(&folder, None).await, ErrorKind::Missing, "a");
    assert!(!storage.exists(&at("a/b/c")).await.expect("exists"));
    assert_eq!(bench.tree(), names(&["a", "a/b"]));
}

#[tokio::test]
async fn a_root_that_is_a_file_is_left_alone() {
    for (_, config) in ways() {
        let bench = Bench::with(config);
        bench.outside("root", "precious");
        let stored = bench.storage.store_bytes(&at("a"), "1".into()).await;
        check_kind(stored, ErrorKind::Conflict, "not a directory");
        assert_eq!(std::fs::read(bench.storage.root()).expect("read"), b"precious");
    }
}

#[tokio::test]
async fn the_folder_of_temporary_files_is_reached_by_no_location() {
    for (_, config) in ways() {
        let bench = Bench::with(config);
        let inner = FileStorage::new(bench.storage.root().join("inner"));
        for storage in [&bench.storage, &inner] {
            let hidden = storage.root().join(TEMPORARY_FOLDER);
            std::fs::create_dir_all(&hidden).expect("a folder");
            std::fs::write(hidden.join("unfinished"), "half").expect("write");
        }
        for name in [TEMPORARY_FOLDER.to_string(), format!("{TEMPORARY_FOLDER}/unfinished")] {
            for name in [name.clone(), format!("inner/{name}")] {
                let (storage, location) = (&bench.storage, at(&name));
                check_kind(storage.store_bytes(&location, "1".into()).await, ErrorKind::Invalid, "reserved");
                check_kind(storage.load(&location, ByteRange::All).await, ErrorKind::Invalid, "reserved");
                check_kind(storage.delete(&location).await, ErrorKind::Invalid, "reserved");
                check_kind(storage.metadata(&location).await, ErrorKind::Invalid, "reserved");
                check_kind(storage.local_path(&location, None).await, ErrorKind::Invalid, "reserved");
                for prefix in ["", ".", "inner", "inner/", &name, &format!("{name}/")] {
                    let listing = storage.list(&ListOptions::prefix(prefix)).await.expect("list");
                    assert!(listing.objects.is_empty(), "{prefix}: {listing:?}");
                }
            }
        }
    }
}
