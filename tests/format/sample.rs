//! A store in a folder that has everything the format knows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures::TryStreamExt;
use strongroom::content::{ChunkSizes, Compression};
use strongroom::{
    Attributes, CollectOptions, ContentConfig, ContentStorage, Digest, DigestSet, Layout, Location, Namespace,
    OpenOptions, PutOptions, Source, StoreMode, Version,
};
use strongroom_storage::Host;
use strongroom_testkit::TestHost;

/// The namespace with many commits.
pub const MANY: &str = "many/commits";
/// How many names the large namespace has.
pub const LARGE: usize = 8192;
/// The object whose chunk list is long.
pub const CHUNKED: &str = "kept/chunked/long";

/// A store, and the folder that it lies in.
pub struct Sample {
    pub folder: tempfile::TempDir,
    pub store: ContentStorage,
}

impl Sample {
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("store")
    }
}

pub fn at(location: &str) -> Location {
    Location::parse(location).expect("a location")
}

pub fn namespace(text: &str) -> Namespace {
    Namespace::parse(text).expect("a namespace")
}

/// Bytes that nothing compresses and that no other seed gives.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    TestHost::new(seed).fill_random(&mut bytes).expect("it never fails");
    bytes
}

/// The same 64 KiB again and again: what is not stored compressed is small in an archive.
fn repeated(seed: u64, length: usize) -> Vec<u8> {
    noise(seed, 64 << 10).into_iter().cycle().take(length).collect()
}

fn text(length: usize) -> Vec<u8> {
    (0u64..).flat_map(|line| format!("{line:>12} {:>12.3}\n", line as f64 * 0.5).into_bytes()).take(length).collect()
}

fn layout(layout: Layout) -> PutOptions {
    PutOptions::default().with_layout(layout)
}

fn with_attributes(attributes: Attributes) -> PutOptions {
    PutOptions::default().with_attributes(attributes)
}

async fn create(root: &Path, config: ContentConfig) -> ContentStorage {
    let mut options = OpenOptions::default();
    options.author = "Ada".into();
    options.host = Arc::new(TestHost::new(7));
    strongroom::create_with(root.to_str().expect("UTF-8"), config, options).await.expect("create the store")
}

async fn put(store: &ContentStorage, objects: Vec<(&str, Vec<u8>, PutOptions)>) {
    let mut batch = store.batch();
    for (location, bytes, options) in objects {
        batch.put(at(location), Source::bytes(bytes), options);
    }
    batch.commit().await.expect("commit");
}

/// Two names, one of them inline, in one pack and one run.
pub async fn tiny() -> Sample {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store =
        create(&folder.path().join("store"), ContentConfig::default().with_compression(Compression::None)).await;
    let mut batch = store.batch().with_message("first results");
    let executable = with_attributes(Attributes::default().with_executable(true));
    batch.put(at("dag/unit/energies.csv"), Source::bytes(text(300)), PutOptions::default());
    batch.put(at("dag/unit/run.sh"), Source::bytes("exit 0\n"), executable);
    batch.commit().await.expect("commit");
    Sample { folder, store }
}

/// All kinds of content, names, attributes and histories.
pub async fn rich() -> Sample {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut sizes = ChunkSizes::default();
    (sizes.minimum, sizes.average, sizes.maximum) = (1 << 10, 4 << 10, 16 << 10);
    let store = create(&folder.path().join("store"), ContentConfig::default().with_chunk_sizes(sizes)).await;
    contents(&store).await;
    names(&store).await;
    histories(&store).await;
    Sample { folder, store }
}

/// The same, with a large namespace, and with what collectors and writers leave: versions that were let go, merged packs, a list that
/// is not finished, and a session that nobody ended.
pub async fn used() -> Sample {
    let Sample { folder, store } = rich().await;
    many_names(&store).await;
    let options = CollectOptions::default().with_offline(true).with_grace(Duration::ZERO).with_keep_last(10);
    store.collect(options).await.expect("collect");
    let packs =
        async || -> BTreeSet<Location> { store.backend().iter_contents("packs/").try_collect().await.expect("list") };
    let before = packs().await;
    put(&store, vec![("short/lived", noise(12, 5000), PutOptions::default())]).await;
    let after = packs().await;
    let pack = after.difference(&before).next().expect("a pack of its own");
    let mut batch = store.batch();
    batch.remove(at("short/lived"));
    batch.commit().await.expect("remove");
    put(&store, vec![("kept/after/collection", noise(13, 5000), PutOptions::default())]).await;
    let lines = format!("{pack}\n");
    let list = format!("{lines}end {}\n", Digest::of(lines.as_bytes()));
    for (mark, text) in [("list", list.as_str()), ("session", "session\n"), ("beat", "3\n")] {
        let mark = at(&format!("gc/{}.{mark}", if mark == "list" { "1".repeat(32) } else { "2".repeat(32) }));
        store.backend().store_bytes(&mark, text.to_string().into()).await.expect("store");
    }
    Sample { folder, store }
}

/// A namespace with so many names that its run has a filter.
pub async fn large() -> Sample {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = create(&folder.path().join("store"), ContentConfig::default()).await;
    many_names(&store).await;
    Sample { folder, store }
}

async fn many_names(store: &ContentStorage) {
    let names: Vec<String> = (0..LARGE).map(|n| format!("large/{n}")).collect();
    let objects = names.iter().map(|name| (name.as_str(), name.clone().into_bytes(), PutOptions::default()));
    put(store, objects.collect()).await;
}

async fn contents(store: &ContentStorage) {
    put(
        store,
        vec![
            ("kept/inline/empty", Vec::new(), PutOptions::default()),
            ("kept/inline/largest", noise(1, 256), PutOptions::default()),
            ("kept/packed/smallest", noise(2, 257), PutOptions::default()),
            ("kept/packed/text", text(100_000), PutOptions::default()),
            ("kept/packed/largest", repeated(3, 1 << 20), PutOptions::default()),
            ("kept/packed/as one chunk", noise(4, 900), layout(Layout::Chunked)),
            ("kept/chunked/short", noise(5, 30_000), layout(Layout::Chunked)),
            (CHUNKED, noise(6, 300_000), layout(Layout::Chunked)),
            ("kept/chunked/text", text(400_000), layout(Layout::Chunked)),
            ("kept/whole/empty", Vec::new(), layout(Layout::Whole)),
            ("kept/whole/small", noise(7, 300), layout(Layout::Whole)),
            ("kept/whole/one cell", repeated(8, 1 << 20), layout(Layout::Whole)),
            ("kept/whole/short", text((3 << 20) + 1), layout(Layout::Whole)),
            ("kept/whole/long", repeated(9, (34 << 20) + 1025), PutOptions::default()),
        ],
    )
    .await;
    let object = store.find(&at("kept/whole/long")).await.expect("stored just now");
    let mut batch = store.batch();
    batch.link(at("linked/here"), object, StoreMode::Create);
    batch.commit().await.expect("link");
}

async fn names(store: &ContentStorage) {
    let long = "ä".repeat(127) + "x";
    let (in_long, below_long) = (format!("{long}/b"), format!("a/{long}/c/{long}"));
    let mut of_the_user =
        Attributes::default().with_modified(Some(UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789)));
    of_the_user.set("lab.kelvin", &b"300"[..]).expect("a user's key");
    of_the_user.set("lab.raw", noise(10, 4096)).expect("a user's key");
    let before_1970 = Attributes::default().with_modified(Some(UNIX_EPOCH - Duration::from_nanos(1_500_000_001)));
    put(
        store,
        vec![
            ("root.txt", b"root".to_vec(), PutOptions::default()),
            ("naïve", b"root too".to_vec(), PutOptions::default()),
            ("Dag/Unit 1/tab\there", b"1".to_vec(), PutOptions::default()),
            ("dag/unit%201/new\nline", b"2".to_vec(), PutOptions::default()),
            ("@/@tags", b"3".to_vec(), PutOptions::default()),
            ("@tags/@/x", b"4".to_vec(), PutOptions::default()),
            ("~/y", b"5".to_vec(), PutOptions::default()),
            (in_long.as_str(), b"6".to_vec(), PutOptions::default()),
            (below_long.as_str(), b"7".to_vec(), PutOptions::default()),
            ("facts/run.sh", b"#!/bin/sh\n".to_vec(), with_attributes(Attributes::default().with_executable(true))),
            ("facts/link", b"run.sh".to_vec(), with_attributes(Attributes::default().with_symlink(true))),
            ("facts/lab", noise(11, 400), with_attributes(of_the_user).with_digests(DigestSet::ALL)),
            ("facts/old", b"old".to_vec(), with_attributes(before_1970)),
        ],
    )
    .await;
}

/// So many commits that the newest version is read from several runs, and so many packs that they get index files.
async fn histories(store: &ContentStorage) {
    for commit in 0..140u64 {
        let mut batch = store.batch().with_message(format!("commit {commit}"));
        batch.put(
            at(&format!("{MANY}/packed/{commit}")),
            Source::bytes(noise(1000 + commit, 300)),
            PutOptions::default(),
        );
        for n in 0..8 {
            let location = at(&format!("{MANY}/inline/{:03}", (commit * 8 + n) * 7 % 900));
            batch.put(location, Source::bytes(noise(10_000 + commit * 8 + n, 250)), PutOptions::default());
        }
        if commit > 20 {
            batch.remove_if_present(at(&format!("{MANY}/inline/{:03}", commit * 5 % 900)));
            batch.remove_if_present(at(&format!("{MANY}/packed/{}", commit / 2)));
        }
        batch.commit().await.expect("commit");
    }
    for (name, version) in [("early", 3), ("later", 100)] {
        store.tag(&namespace(MANY), Version::new(version), name, StoreMode::Create).await.expect("tag");
    }
    store.tag(&Namespace::root(), Version::new(1), "früh", StoreMode::Create).await.expect("tag");
    store.tag(&namespace("kept/whole"), Version::new(1), "gone", StoreMode::Create).await.expect("tag");
    store.untag(&namespace("kept/whole"), "gone").await.expect("untag");
    // A namespace with nothing left in it.
    put(store, vec![("left/nothing", b"gone".to_vec(), PutOptions::default())]).await;
    let mut batch = store.batch();
    batch.remove(at("left/nothing"));
    batch.commit().await.expect("remove");
}
