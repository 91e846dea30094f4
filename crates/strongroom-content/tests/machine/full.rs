//! A disk that is full: a file system of 8 MiB in memory, mounted where nobody else sees it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use strongroom_content::{CollectOptions, ContentConfig, ContentStorage, OpenOptions, VerifyOptions};
use strongroom_storage::{ByteRange, ErrorKind, ExternalStorage, FileStorage, Location};

use crate::action::noise;
use crate::recording::runtime;

/// Where the small disk is, for the test that runs on it.
const DISK: &str = "STRONGROOM_TEST_DISK";
/// The size of an object, in bytes.
const SIZE: usize = 50_000;

fn at(location: &str) -> Location {
    Location::parse(location).expect("a location")
}

/// Runs a test of this file that is ignored otherwise, with a small disk that only it sees.
fn on_a_small_disk(test: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = "mount -t tmpfs -o size=8m none \"$0\" && exec \"$@\"";
    // As somebody who is root in a world of their own, or as root.
    let ways = ["-rm", "-m"];
    let can = |way: &&&str| {
        let probe = Command::new("unshare").args([**way, "sh", "-c", script]).arg(folder.path()).arg("true").output();
        probe.is_ok_and(|output| output.status.success())
    };
    let Some(way) = ways.iter().find(can) else {
        assert!(std::env::var_os("CI").is_none(), "`unshare` (apt-get install util-linux) can't mount a tmpfs here");
        return println!("skipped: nobody may mount a tmpfs here");
    };
    let output = Command::new("unshare")
        .args([way, "sh", "-c", script])
        .arg(folder.path())
        .arg(std::env::current_exe().expect("this test"))
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(DISK, folder.path())
        .output()
        .expect("it starts");
    let printed = String::from_utf8_lossy(&output.stdout);
    let ran = printed.contains("1 passed");
    assert!(output.status.success() && ran, "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn disk() -> PathBuf {
    PathBuf::from(std::env::var_os(DISK).expect("only run on a small disk"))
}

async fn open(root: &Path) -> ContentStorage {
    let config = ContentConfig::default().with_grace(Duration::from_secs(1)).with_lease(Duration::from_secs(1));
    let backend = Arc::new(FileStorage::new(root));
    ContentStorage::create(backend, config, OpenOptions::default()).await.expect("open the store, or make it")
}

/// Takes all the room that is left.
fn fill(path: &Path) {
    let mut file = File::create(path).expect("create");
    for size in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
    let tiny = path.with_extension("tiny");
    assert!(std::fs::write(&tiny, "x").is_err(), "there is room");
    std::fs::remove_file(tiny).expect("remove");
}

/// What stands under names: with these seeds.
type Kept = BTreeMap<String, u64>;

async fn expect_sound(root: &Path, kept: &Kept) {
    let store = open(root).await;
    let report = store.verify(VerifyOptions::default().with_data(true)).await.expect("verify");
    assert!(report.is_sound(), "{:?}", report.problems);
    for (location, seed) in kept {
        let found = store.load_bytes(&at(location), ByteRange::All).await.expect(location);
        assert!(found == noise(*seed, SIZE), "{location} is another");
    }
    let found: Vec<Location> = store.iter_contents("").try_collect().await.expect("list");
    assert_eq!(found.len(), kept.len());
}

/// Stores so many objects, each in a pack of its own, and removes every second.
async fn store_and_remove(store: &ContentStorage, seeds: Range<u64>, kept: &mut Kept) {
    let mut gone = Vec::new();
    for seed in seeds {
        let location = format!("a/b/{seed}");
        store.store_bytes(&at(&location), noise(seed, SIZE)).await.expect("store");
        if seed % 2 == 0 {
            kept.insert(location, seed);
        } else {
            gone.push(at(&location));
        }
    }
    store.delete_all(&gone).await.expect("remove");
    tokio::time::sleep(Duration::from_millis(1200)).await;
}

#[test]
#[ignore = "on a small disk"]
fn within_a_store_keeps_what_it_has() {
    runtime().block_on(async {
        let root = disk().join("store");
        let store = open(&root).await;
        let mut kept = Kept::new();
        let full = loop {
            let seed = kept.len() as u64;
            let location = format!("a/b/{seed}");
            match store.store_bytes(&at(&location), noise(seed, SIZE)).await {
                Ok(_) => kept.insert(location, seed),
                Err(error) => break error,
            };
        };
        assert_eq!(full.kind(), ErrorKind::Unavailable, "{full:?}");
        assert!(!full.may_have_happened() && kept.len() > 100, "{} names; {full:?}", kept.len());
        fill(&disk().join("filler"));
        expect_sound(&root, &kept).await;
        // Nothing has room, and nothing of what has none is left.
        for seed in 1000..1010 {
            let error = store.store_bytes(&at("a/b/0"), noise(seed, SIZE)).await.expect_err("no room");
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        }
        expect_sound(&root, &kept).await;
        std::fs::remove_file(disk().join("filler")).expect("remove");
        store.delete(&at("a/b/0")).await.expect("there is room for a removal");
        kept.remove("a/b/0");
        expect_sound(&root, &kept).await;
    });
}

#[test]
#[ignore = "on a small disk"]
fn within_what_is_not_needed_makes_room() {
    runtime().block_on(async {
        let (root, filler) = (disk().join("store"), disk().join("filler"));
        let store = open(&root).await;
        let mut kept = Kept::new();
        // So many packs that there is an index file.
        store_and_remove(&store, 0..100, &mut kept).await;
        fill(&filler);
        let report = store.collect(CollectOptions::default()).await.expect("an index file makes room for the list");
        assert!(report.deleted_bytes > 50 * SIZE as u64 && report.problems.is_empty(), "{report:?}");
        assert!(!report.postponed.is_empty(), "there is no room to merge the others: {report:?}");
        expect_sound(&root, &kept).await;

        std::fs::remove_file(&filler).expect("remove");
        store_and_remove(&store, 100..130, &mut kept).await;
        // Then there is nothing that could make room before there is a list.
        std::fs::remove_dir_all(root.join("index")).unwrap_or_default();
        fill(&filler);
        let error = store.collect(CollectOptions::default()).await.expect_err("no room for the list");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.to_string().contains("gc --offline"), "{error}");
        expect_sound(&root, &kept).await;
        let report = store.collect(CollectOptions::default().with_offline(true)).await.expect("it needs no list");
        assert!(report.deleted_bytes > 15 * SIZE as u64 && report.problems.is_empty(), "{report:?}");
        expect_sound(&root, &kept).await;
        std::fs::remove_file(&filler).expect("remove");
        let report = store.collect(CollectOptions::default()).await.expect("there is room");
        assert!(report.postponed.is_empty() && report.copied_bytes > 60 * SIZE as u64, "{report:?}");
        expect_sound(&root, &kept).await;
        store.store_bytes(&at("a/b/new"), noise(999, SIZE)).await.expect("there is room");
        kept.insert("a/b/new".into(), 999);
        expect_sound(&root, &kept).await;
    });
}

#[test]
fn a_store_keeps_what_it_has_on_a_full_disk() {
    on_a_small_disk("full::within_a_store_keeps_what_it_has");
}

#[test]
fn what_is_not_needed_makes_room_on_a_full_disk() {
    on_a_small_disk("full::within_what_is_not_needed_makes_room");
}
