//! Stores of released formats, which stay readable for ever.
//!
//! `cargo test --test format -- --ignored make_the_fixture` has made the archive of this format: a store, and what was in it. What is
//! there is never made again; a new format gets an archive of its own.

use std::fs::File;
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use serde_json::{Value, json};
use strongroom::content::{CollectOptions, Commit, FORMAT, Kept};
use strongroom::{ByteRange, ContentStorage, ExternalStorage, Location, ObjectRef, VerifyOptions};

use crate::sample::used;
use crate::{Reader, described, sorted};

/// Archives are as small as zstd makes them: the window is 128 MiB.
const WINDOW_LOG: u32 = 27;

fn archive(format: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/format-{format}.tar.zst"))
}

/// All that can be read in a store: names, attributes, histories, tagged versions.
async fn content(store: &ContentStorage) -> Value {
    let list = async |objects: Vec<ObjectRef>| sorted(objects.iter().map(described).collect());
    let mut histories = serde_json::Map::new();
    for namespace in store.namespaces("").await.expect("list the namespaces") {
        let log = store.log(&namespace, None).await.expect("log");
        let commit = |commit: &Commit| {
            json!([
                commit.version.get(),
                commit.id.to_string(),
                commit.author,
                commit.message,
                commit.put,
                commit.removed
            ])
        };
        histories.insert(namespace.to_string(), log.iter().map(commit).collect());
    }
    let mut tags = Vec::new();
    for tag in store.tags().await.expect("tags") {
        let snapshot = store.snapshot_at(&tag.namespace, tag.version).await.expect("it has a tag");
        let objects = snapshot.objects("").await.expect("list").try_collect().await.expect("list");
        tags.push(json!([tag.name, tag.namespace.to_string(), tag.version.get(), list(objects).await]));
    }
    json!({
        "objects": list(store.objects("").try_collect().await.expect("list the objects")).await,
        "histories": histories,
        "tags": tags,
    })
}

/// Makes the archive of this format.
#[tokio::test]
#[ignore = "what is released does not change"]
async fn make_the_fixture() {
    let path = archive(FORMAT);
    assert!(!path.exists(), "{} is there, and stays as it is", path.display());
    let sample = used().await;
    let content = content(&sample.store).await;
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("create the folder");
    let mut encoder = zstd::Encoder::new(File::create(&path).expect("create the archive"), 19).expect("zstd");
    encoder.window_log(WINDOW_LOG).expect("a window");
    encoder.long_distance_matching(true).expect("zstd has it");
    let mut tar = tar::Builder::new(encoder.auto_finish());
    tar.mode(tar::HeaderMode::Deterministic);
    tar.append_dir_all("store", sample.root()).expect("archive the store");
    let text = serde_json::to_vec(&content).expect("JSON");
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "content.json", &*text).expect("archive what is in it");
    tar.into_inner().expect("finish");
}

/// Unpacks an archive. Returns the folder, in which `store` is, and what is to be in it.
fn unpack(format: &str) -> (tempfile::TempDir, Value) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = File::open(archive(format)).expect("the archive");
    tar::Archive::new(zstd::Decoder::new(file).expect("zstd")).unpack(folder.path()).expect("unpack");
    let text = std::fs::read(folder.path().join("content.json")).expect("what is in it");
    (folder, serde_json::from_slice(&text).expect("JSON"))
}

async fn open(root: &Path) -> ContentStorage {
    strongroom::open(root.to_str().expect("UTF-8")).await.expect("open")
}

#[tokio::test]
async fn a_store_of_format_1_is_read_written_to_and_collected() {
    let (folder, expected) = unpack("1");
    let root = folder.path().join("store");
    let store = open(&root).await;
    let found = content(&store).await;
    for part in ["histories", "tags", "objects"] {
        assert!(found[part] == expected[part], "{part}: {:#}", found[part]);
    }
    let report = store.verify(VerifyOptions::default().with_data(true)).await.expect("verify");
    assert!(report.is_sound(), "{:?}", report.problems);
    let counts = (report.objects > 8000, report.packs > 1, report.files > 4);
    assert_eq!(counts, (true, true, true), "{report:?}");
    for object in store.objects("kept/").try_collect::<Vec<_>>().await.expect("list") {
        let bytes = object.load_bytes(ByteRange::All).await.expect("load");
        assert_eq!(strongroom::Digest::of(&bytes), object.digest());
    }

    let new = Location::parse("new/name").expect("a location");
    store.store_bytes(&new, "new".into()).await.expect("store");
    let options = CollectOptions::default().with_offline(true);
    let collected = store.collect(options).await.expect("collect");
    assert!(collected.deleted_files > 0, "the list that was begun is finished: {collected:?}");
    assert!(collected.problems.is_empty(), "{:?}", collected.problems);
    let store = open(&root).await;
    store.delete(&new).await.expect("delete");
    assert!(content(&store).await["objects"] == expected["objects"]);
    assert!(store.verify(VerifyOptions::default().with_data(true)).await.expect("verify").is_sound());
}

#[tokio::test]
async fn a_store_of_format_1_is_what_the_document_says() {
    let Some(reader) = Reader::new() else { return };
    let (folder, expected) = unpack("1");
    let root = folder.path().join("store");
    let found = sorted(reader.list(&root, &[]));
    assert!(Value::Array(found) == expected["objects"], "the reader finds others");
    reader.output("check_store.py", &root, &[], b"");
}

#[tokio::test]
async fn a_store_of_format_1_is_read_without_its_hints_and_marks() {
    let (folder, expected) = unpack("1");
    let root = folder.path().join("store");
    for lost in ["index", "gc", "README.txt"] {
        let path = root.join(lost);
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.expect(lost);
    }
    let store = open(&root).await;
    assert!(content(&store).await == expected);
    for object in store.objects("kept/").try_collect::<Vec<_>>().await.expect("list") {
        // What is inline is found by its name only.
        if object.kept() != Kept::Inline {
            let found = store.find_digest(&object.digest().to_string()).await.expect("it is found by its digest");
            assert_eq!(found.size(), object.size());
        }
    }
}
