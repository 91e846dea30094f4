//! Objects of a store in a local folder, loaded to local files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use strongroom_content::{Compression, ContentConfig, ContentStorage, Layout};
use strongroom_storage::{DigestSet, Digests, ErrorKind, ExternalStorage, FileStorage, LoadOptions};
use tempfile::TempDir;

use crate::support::{Backend, at, create, files, layout, noise, open, put, small_chunks};

struct Bench {
    folder: TempDir,
    backend: Backend,
    store: ContentStorage,
}

impl Bench {
    async fn new(config: ContentConfig) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let backend: Backend = Arc::new(FileStorage::new(folder.path().join("store")));
        let store = create(&backend, config).await;
        fs::create_dir(folder.path().join("loaded")).expect("a folder");
        Self { folder, backend, store }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("loaded/file")
    }

    /// The only file of the store below a prefix.
    async fn kept(&self, prefix: &str) -> PathBuf {
        let files = files(&self.backend, prefix).await;
        assert_eq!(files.len(), 1, "{files:?}");
        self.folder.path().join("store").join(files[0].as_str())
    }

    /// What is in the folder that is loaded to.
    fn entries(&self) -> usize {
        fs::read_dir(self.folder.path().join("loaded")).expect("a folder").count()
    }
}

fn flip(path: &Path, index: usize) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[index] ^= 4;
    fs::remove_file(path).expect("ours");
    fs::write(path, bytes).expect("write");
}

fn text(length: usize) -> Bytes {
    let lines: String = (0..length / 8).map(|n| format!("{n:7}\n")).collect();
    lines.into()
}

#[tokio::test]
async fn objects_kept_in_any_way_come_back_with_all_digests() {
    for compression in [Compression::None, Compression::Zstd] {
        let bench = Bench::new(small_chunks().with_compression(compression)).await;
        for (name, content, layouts) in [
            ("a/inline", noise(1, 200), Layout::Auto),
            ("a/packed", noise(2, 70_000), Layout::Auto),
            ("a/few", noise(3, 20_000), Layout::Chunked),
            ("a/many", noise(4, 5 << 20), Layout::Chunked),
            ("a/text", text(5 << 20), Layout::Chunked),
            ("a/same", vec![0; 3 << 20].into(), Layout::Chunked),
            ("a/small", noise(5, 1000), Layout::Whole),
            ("a/whole", noise(6, (9 << 20) + 77), Layout::Whole),
        ] {
            put(&bench.store, name, content.clone(), layout(layouts)).await.expect("put");
            for set in [DigestSet::NONE, DigestSet::ALL] {
                let fresh = open(&bench.backend).await;
                let options = LoadOptions::default().with_digests(set);
                let copied = fresh.load_path(&at(name), &bench.path(), &options).await.expect(name);
                assert!(fs::read(bench.path()).expect("loaded") == content, "{name}");
                assert_eq!(copied.size, content.len() as u64);
                let expected = Digests::of(&content, set.union(DigestSet::BLAKE3));
                assert_eq!(copied.digests, expected, "{name}: the digest is always known");
            }
        }
        assert_eq!(bench.entries(), 1);
    }
}

#[tokio::test]
async fn a_flipped_bit_is_corrupt_and_what_was_there_stays() {
    for (prefix, layouts, size) in [
        ("files/", Layout::Whole, 9 << 20),
        ("files/", Layout::Whole, 70_000),
        ("packs/", Layout::Chunked, 3 << 20),
        ("packs/", Layout::Auto, 70_000),
    ] {
        let bench = Bench::new(small_chunks()).await;
        put(&bench.store, "a/b", noise(1, size), layout(layouts)).await.expect("put");
        fs::write(bench.path(), "old").expect("write");
        let kept = bench.kept(prefix).await;
        flip(&kept, size / 2);
        let error = open(&bench.backend).await.load_path(&at("a/b"), &bench.path(), &LoadOptions::default()).await;
        let error = error.expect_err("damaged");
        assert_eq!((error.kind(), error.operation(), error.subject()), (ErrorKind::Corrupt, "load", "a/b"));
        let name = kept.strip_prefix(bench.folder.path().join("store")).expect("in the store").display().to_string();
        assert!(error.to_string().contains(&name), "{error} does not name {name}");
        assert_eq!(fs::read(bench.path()).expect("there"), b"old");
        assert_eq!(bench.entries(), 1);
    }
}

#[tokio::test]
async fn what_is_damaged_is_had_from_another_copy() {
    for (prefix, layouts) in [("files/", Layout::Whole), ("packs/", Layout::Chunked)] {
        let bench = Bench::new(small_chunks()).await;
        let (one, other) = (open(&bench.backend).await, open(&bench.backend).await);
        for (store, name, seed) in [(&one, "x/x", 8), (&other, "x/y", 9)] {
            put(store, name, noise(seed, 300), layout(Layout::Auto)).await.expect("they know what there is now");
        }
        let before = files(&bench.backend, prefix).await;
        put(&one, "a/one", noise(1, 9 << 20), layout(layouts)).await.expect("put");
        let mut copies = files(&bench.backend, prefix).await;
        put(&other, "a/other", noise(1, 9 << 20), layout(layouts)).await.expect("put");
        assert_eq!(files(&bench.backend, prefix).await.len(), before.len() + 2, "two copies");
        copies.retain(|file| !before.contains(file));
        flip(&bench.folder.path().join("store").join(copies[0].as_str()), 3 << 20);
        for name in ["a/one", "a/other"] {
            let fresh = open(&bench.backend).await;
            fresh.load_path(&at(name), &bench.path(), &LoadOptions::default()).await.expect(name);
            assert!(fs::read(bench.path()).expect("loaded") == noise(1, 9 << 20), "{name}");
        }
    }
}
