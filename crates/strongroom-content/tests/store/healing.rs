//! Damage that is undone: by storing content again, or by a second copy of it.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use bytes::Bytes;
use strongroom_content::{Layout, PutOptions};
use strongroom_storage::{ByteRange, ErrorKind, ExternalStorage, FileStorage, Source};

use crate::support::{Backend, at, copy, create, files, layout, load, memory, noise, open, put, small_chunks};

/// What deduplication can see to be lost is not relied on. A flipped bit only verification finds.
#[tokio::test]
async fn storing_content_again_heals_what_was_lost_or_cut() {
    for (layouts, size) in
        [(Layout::Auto, 5000), (Layout::Chunked, 60_000), (Layout::Whole, 50_000), (Layout::Whole, 2 << 20)]
    {
        for how in ["deleted", "cut", "cut to nothing"] {
            for stream in [false, true] {
                let when = format!("{layouts:?} {size} {how}, stream: {stream}");
                let backend = memory();
                let store = create(&backend, small_chunks()).await;
                put(&store, "a/b", noise(1, size), layout(layouts)).await.expect("put");
                let content = [files(&backend, "packs/").await, files(&backend, "files/").await].concat();
                assert_eq!(content.len(), 1);
                let bytes = backend.load_bytes(&content[0], ByteRange::All).await.expect("load");
                match how {
                    "deleted" => backend.delete(&content[0]).await.expect("delete"),
                    "cut" => drop(backend.store_bytes(&content[0], bytes.slice(..bytes.len() / 2)).await.expect("cut")),
                    _ => drop(backend.store_bytes(&content[0], Bytes::new()).await.expect("cut")),
                }
                let source = if stream {
                    Source::stream(futures::stream::iter([Ok(noise(1, size))]))
                } else {
                    Source::Bytes(noise(1, size))
                };
                let mut batch = open(&backend).await.batch();
                batch.put(at("a/b"), source, layout(layouts));
                // What a long stream held is gone when it is known that a file that is cut has the same content.
                let too_late = stream && size > 1 << 20 && how != "deleted";
                match batch.commit().await {
                    Err(error) => {
                        assert!(too_late, "{when}: {error:?}");
                        assert_eq!((error.kind(), error.subject()), (ErrorKind::Corrupt, content[0].as_str()));
                        continue;
                    }
                    Ok(_) => assert!(!too_late, "{when}"),
                }
                assert_eq!(load(&open(&backend).await, "a/b").await.expect(&when), noise(1, size), "{when}");
            }
        }
    }
}

/// Two handles that did not know of each other stored the same content: there are two copies of it.
#[tokio::test]
async fn a_second_copy_stands_in_for_a_damaged_one() {
    for (layouts, size) in
        [(Layout::Auto, 5000), (Layout::Chunked, 60_000), (Layout::Whole, 50_000), (Layout::Whole, 2 << 20)]
    {
        let backend = memory();
        create(&backend, small_chunks()).await;
        let (one, other) = (open(&backend).await, open(&backend).await);
        put(&one, "x/x", noise(8, 300), PutOptions::default()).await.expect("they know what there is now");
        put(&other, "x/y", noise(9, 300), PutOptions::default()).await.expect("they know what there is now");
        let before = [files(&backend, "packs/").await, files(&backend, "files/").await].concat();
        put(&one, "a/one", noise(1, size), layout(layouts)).await.expect("put");
        put(&other, "a/other", noise(1, size), layout(layouts)).await.expect("put");
        let mut copies = [files(&backend, "packs/").await, files(&backend, "files/").await].concat();
        copies.retain(|file| !before.contains(file));
        assert_eq!(copies.len(), 2, "{layouts:?}");
        for damaged in &copies {
            for how in ["deleted", "cut", "flipped"] {
                let image = copy(&backend).await;
                let bytes = image.load_bytes(damaged, ByteRange::All).await.expect("load");
                match how {
                    "deleted" => image.delete(damaged).await.expect("delete"),
                    "cut" => drop(image.store_bytes(damaged, bytes.slice(..bytes.len() / 2)).await.expect("cut")),
                    _ => {
                        let mut flipped = bytes.to_vec();
                        flipped[100] ^= 1;
                        image.store_bytes(damaged, flipped.into()).await.expect("flip");
                    }
                }
                let fresh = open(&image).await;
                for name in ["a/one", "a/other"] {
                    let found = load(&fresh, name).await;
                    assert!(found.is_ok_and(|found| found == noise(1, size)), "{layouts:?} {how}: {name}");
                }
            }
        }
    }
}

/// Local files are read by several cells at once.
#[tokio::test]
async fn a_damaged_cell_of_a_local_file_is_read_from_another_copy_or_is_corrupt() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend: Backend = Arc::new(FileStorage::new(folder.path()));
    let store = create(&backend, small_chunks()).await;
    let content = noise(1, (5 << 20) + 77);
    put(&store, "a/b", content.clone(), layout(Layout::Whole)).await.expect("put");
    let ranges = [0..content.len(), 10..11, (1 << 20) - 1..(3 << 20) + 1, (4 << 20)..content.len(), 7..7];
    let file = files(&backend, "files/").await[0].clone();
    let path = folder.path().join(file.as_str());
    let (name, _) =
        path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once('.')).expect("a name");
    let copy = path.with_file_name(format!("{name}.{}", "c".repeat(32)));
    let damage = |path: &std::path::Path| {
        let mut bytes = content.to_vec();
        bytes[(2 << 20) + 5] ^= 1;
        std::fs::remove_file(path).expect("remove");
        std::fs::write(path, bytes).expect("write");
    };
    for damaged in [false, true] {
        if damaged {
            std::fs::copy(&path, &copy).expect("copy");
            damage(&path);
        }
        let fresh = open(&backend).await;
        for range in ranges.clone() {
            let found = fresh.load_bytes(&at("a/b"), (range.start as u64..range.end as u64).into()).await;
            assert!(found.expect("sound") == content[range.clone()], "{range:?} {damaged}");
        }
    }
    damage(&copy);
    let fresh = open(&backend).await;
    for (range, sound) in
        [(0..2 << 20, true), (3 << 20..5 << 20, true), (0..3 << 20, false), (2 << 20..(2 << 20) + 1, false)]
    {
        let found = fresh.load_bytes(&at("a/b"), range.clone().into()).await;
        match found {
            Ok(bytes) => assert!(sound && bytes == content[range.start as usize..range.end as usize], "{range:?}"),
            Err(error) => assert!(!sound && error.kind() == ErrorKind::Corrupt, "{range:?}: {error:?}"),
        }
    }
}

#[tokio::test]
async fn a_cut_file_is_healed_by_storing_its_content_under_another_name_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend: Backend = Arc::new(FileStorage::new(folder.path().join("store")));
    let store = create(&backend, small_chunks()).await;
    let content = noise(1, 3 << 20);
    put(&store, "a/b", content.clone(), layout(Layout::Whole)).await.expect("put");
    let file = files(&backend, "files/").await[0].clone();
    backend.store_bytes(&file, content.slice(..1 << 20)).await.expect("cut");
    let path = folder.path().join("source");
    std::fs::write(&path, &content).expect("write");
    for (name, source) in [("c/bytes", Source::Bytes(content.clone())), ("c/path", Source::path(&path))] {
        let fresh = open(&backend).await;
        let mut batch = fresh.batch();
        batch.put(at(name), source, layout(Layout::Whole));
        batch.commit().await.expect(name);
        assert!(load(&open(&backend).await, name).await.expect(name) == content);
    }
    assert!(load(&open(&backend).await, "a/b").await.expect("healed") == content);
    assert_eq!(files(&backend, "files/").await.len(), 2);
}

#[tokio::test]
async fn a_pack_that_was_put_back_is_read_though_the_damaged_one_is_still_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend: Backend = Arc::new(FileStorage::new(folder.path()));
    let store = create(&backend, small_chunks()).await;
    put(&store, "a/x", noise(1, 3000), PutOptions::default()).await.expect("put");
    let pack = folder.path().join(files(&backend, "packs/").await[0].as_str());
    let sound = std::fs::read(&pack).expect("the pack");
    assert_eq!(load(&store, "a/x").await.expect("load"), noise(1, 3000));

    // In the very file that is open.
    let mut permissions = std::fs::metadata(&pack).expect("the pack").permissions();
    permissions.set_mode(0o644);
    std::fs::set_permissions(&pack, permissions).expect("it is ours");
    let mut damaged = sound.clone();
    damaged[100] ^= 1;
    std::fs::write(&pack, damaged).expect("write");
    assert_eq!(load(&store, "a/x").await.expect_err("damaged").kind(), ErrorKind::Corrupt);

    // As who restores a file from a copy of the store does.
    let restored = folder.path().join("restored");
    std::fs::write(&restored, sound).expect("write");
    std::fs::rename(restored, pack).expect("rename");
    assert_eq!(load(&store, "a/x").await.expect("load"), noise(1, 3000));
}
