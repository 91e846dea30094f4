//! Replacing an object: old or new, never a mixture.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::TryStreamExt;

use super::*;

/// More than one piece, all of one byte.
fn content(byte: u8) -> Vec<u8> {
    vec![byte; (1 << 20) + 17]
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_one_version_while_others_are_stored() {
    for (way, config) in ways() {
        let bench = Bench::with(FileConfig { sync: |_| Ok(()), ..config });
        bench.storage.store(&at("a"), content(b'0').into(), &StoreOptions::default()).await.expect("store");
        let done = AtomicBool::new(false);
        let write = async {
            for version in b'1'..=b'9' {
                bench.storage.store(&at("a"), content(version).into(), &StoreOptions::default()).await.expect("store");
            }
            done.store(true, Ordering::Relaxed);
        };
        let read = async || {
            let mut last = 0;
            while !done.load(Ordering::Relaxed) {
                let found = bench.storage.load_bytes(&at("a"), ByteRange::All).await.expect("load");
                assert!(found.iter().all(|byte| *byte == found[0]), "{way}: a mixture");
                assert_eq!(found.len(), content(0).len(), "{way}");
                assert!(found[0] >= last, "{way}: an older version came back");
                last = found[0];
            }
        };
        futures::join!(write, read(), read());
        assert_eq!(bench.tree(), names(&["a"]), "{way}");
    }
}

#[tokio::test]
async fn a_reader_of_a_version_reads_it_to_its_end_after_it_is_replaced_or_deleted() {
    for (way, config) in ways() {
        let bench = Bench::with(config);
        bench.storage.store(&at("a"), content(b'1').into(), &StoreOptions::default()).await.expect("store");
        let first = bench.storage.load_stream(&at("a")).await.expect("load");
        bench.storage.store(&at("a"), content(b'2').into(), &StoreOptions::default()).await.expect("store");
        let second = bench.storage.load_stream(&at("a")).await.expect("load");
        bench.storage.delete(&at("a")).await.expect("delete");
        for (stream, byte) in [(first, b'1'), (second, b'2')] {
            let read: Vec<_> = stream.try_collect().await.expect("read");
            assert_eq!(read.concat(), content(byte), "{way}");
        }
    }
}

#[tokio::test]
async fn an_object_replaces_the_symlink_that_stands_in_its_place() {
    for (way, config) in ways() {
        let bench = Bench::with(config);
        bench.store("object", "object").await;
        for target in ["object", "nowhere"] {
            let link = bench.storage.root().join("link");
            std::os::unix::fs::symlink(target, &link).expect("symlink");
            bench.store("link", "new").await;
            assert!(!link.is_symlink(), "{way}");
            assert_eq!(bench.load("link").await, "new", "{way}");
            bench.storage.delete(&at("link")).await.expect("delete");
        }
        assert_eq!(bench.load("object").await, "object", "{way}");
    }
}

#[tokio::test]
async fn a_handle_that_is_new_replaces_what_another_stored() {
    for (way, config) in ways() {
        let bench = Bench::new();
        bench.store("a/b", "old").await;
        let other = FileStorage::with_config(bench.storage.root(), config);
        other.store_bytes(&at("a/b"), "new".into()).await.expect(way);
        assert_eq!(bench.load("a/b").await, "new", "{way}");
        assert_eq!(bench.tree(), names(&["a", "a/b"]), "{way}");
    }
}

#[tokio::test]
async fn who_may_read_an_object_stays_so_when_it_is_replaced() {
    for (way, config) in ways() {
        let bench = Bench::with(config);
        bench.store("a", "old").await;
        let path = bench.storage.root().join("a");
        for private in [0o600, 0o640, 0o444] {
            set_mode(&path, private);
            bench.store("a", "new").await;
            assert_eq!((mode(&path), bench.load("a").await.as_str()), (private, "new"), "{way}");
        }
        bench
            .storage
            .store(&at("a"), "kept".into(), &StoreOptions::default().with_read_only(true))
            .await
            .expect("store");
        assert_eq!(mode(&path) & 0o222, 0, "{way}");
    }
}

#[tokio::test]
async fn what_is_no_file_is_not_replaced() {
    for (way, config) in ways() {
        let bench = Bench::with(config);
        bench.store("folder/x", "below").await;
        let root = bench.storage.root();
        std::os::unix::fs::symlink("folder", root.join("link")).expect("made");
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, root.join("pipe"), fifo, rustix::fs::Mode::RUSR, 0).expect("made");
        for (name, says) in [("link", "link to a folder"), ("pipe", "not a file"), ("folder", "objects below")] {
            let stored = bench.storage.store_bytes(&at(name), "new".into()).await;
            check_kind(stored, ErrorKind::Conflict, says);
        }
        assert_eq!(bench.load("link/x").await, "below", "{way}");
        assert!(std::fs::symlink_metadata(root.join("pipe")).is_ok_and(|found| !found.is_file()), "{way}");
    }
}
