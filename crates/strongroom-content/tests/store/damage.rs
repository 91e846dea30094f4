//! Every kind of file of a store is deleted, cut, extended, changed by a bit and swapped with another: what is read is right or
//! said to be damaged, everything else stays readable, and verification finds it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use strongroom_content::{ContentStorage, Layout, OpenOptions, PutOptions, VerifyOptions, Version};
use strongroom_storage::{ByteRange, Digest, ErrorKind, ExternalStorage, LoadOptions, Location, StoreMode};
use strongroom_testkit::Operation;

use crate::collector::publish_list;
use crate::support::{
    Backend, assert_no_problems, at, copy, create, files, layout, load, memory, namespace, noise, open, put,
    small_chunks, verify,
};
use crate::traps::{all_sprung, trap, trapped};

/// A store with files of every kind, and what is in it.
pub struct Victim {
    pub backend: Backend,
    /// Names at the newest versions: all, but of large namespaces some.
    pub names: BTreeMap<String, Bytes>,
    /// Some files of each kind, by the kind.
    pub files: Vec<(&'static str, Location)>,
}

pub async fn victim() -> Victim {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    let mut names = BTreeMap::new();
    let mut kinds = Vec::new();
    let mut known = BTreeSet::new();
    let mut note = |kind, found: Vec<Location>| {
        for file in found {
            if known.insert(file.clone()) {
                kinds.push((kind, file));
            }
        }
    };
    note("description", vec![at("strongroom.json")]);
    for (name, seed, size, layouts) in [
        ("a/replaced", 1, 700, Layout::Auto),
        ("a/packed", 2, 3000, Layout::Auto),
        ("a/chunked", 3, 60_000, Layout::Chunked),
        ("b/few-chunks", 4, 20_000, Layout::Chunked),
        ("b/whole", 5, 50_000, Layout::Whole),
        ("b/whole.too", 6, 50_000, Layout::Whole),
        ("c/two-cells", 7, (1 << 20) + 7, Layout::Whole),
    ] {
        put(&store, name, noise(seed, size), layout(layouts)).await.expect("put");
        names.insert(name.to_string(), noise(seed, size));
        note("pack", files(&backend, "packs/").await);
        note("whole file", files(&backend, "files/").await);
    }
    note("live run", files(&backend, "names/a/@/").await.into_iter().take(1).collect());
    put(&store, "a/replaced", "inline".into(), PutOptions::default()).await.expect("put");
    names.insert("a/replaced".to_string(), "inline".into());
    let runs = files(&backend, "names/a/@/").await;
    kinds.retain(|(kind, _)| *kind != "live run");
    kinds.push(("head", runs[0].clone()));
    kinds.push(("old run", runs[1].clone()));
    store.tag(&namespace("a"), Version::new(2), "two", StoreMode::Create).await.expect("tag");
    kinds.push(("tagged run", runs[2].clone()));
    kinds.push(("tags", files(&backend, "names/@tags/@/").await[0].clone()));

    // A namespace whose head is read from two runs.
    for round in 0..5 {
        let mut batch = store.batch();
        for n in 0..if round == 0 { 350 } else { 2 } {
            let (name, bytes) = (format!("many/{n}.{round}"), noise(1000 + round * 400 + n, 220));
            batch.put(at(&name), bytes.clone(), PutOptions::default());
            if n % 20 == 1 {
                names.insert(name, bytes);
            }
        }
        batch.commit().await.expect("commit");
    }
    let runs = files(&backend, "names/many/@/").await;
    kinds.push(("head", runs[0].clone()));
    kinds.push(("live run", runs[1].clone()));

    // Tiny packs, so many that they get an index file.
    for n in 0..62 {
        let (name, bytes) = (format!("p/{n}"), noise(9000 + n, 300));
        put(&store, &name, bytes.clone(), PutOptions::default()).await.expect("put");
        if n % 20 == 3 {
            names.insert(name, bytes);
        }
    }
    kinds.push(("index file", files(&backend, "index/").await[0].clone()));
    assert_no_problems(&verify(&backend, true).await, "before");
    Victim { backend, names, files: kinds }
}

impl Victim {
    /// What is wrong after damage: the names that are not readable, and how they fail. None gives wrong bytes.
    pub async fn unreadable(&self, backend: &Backend, when: &str) -> BTreeMap<String, strongroom_storage::Error> {
        let store = open(backend).await;
        let folder = tempfile::tempdir().expect("a folder");
        let mut unreadable = BTreeMap::new();
        for (name, bytes) in &self.names {
            let found = load(&store, name).await;
            if bytes.len() >= 3000 {
                let path = folder.path().join("loaded");
                let loaded = store.load_path(&at(name), &path, &LoadOptions::default()).await;
                let file = std::fs::read(&path).ok().map(Bytes::from);
                assert_eq!(file, found.as_ref().ok().cloned(), "{when}: {name}, as a local file");
                let text = |error: strongroom_storage::Error| error.to_string();
                assert_eq!(loaded.err().map(text), found.as_ref().err().cloned().map(text), "{when}: {name}");
                let _ = std::fs::remove_file(path);
            }
            match found {
                Ok(found) => assert!(found == *bytes, "{when}: {name} has wrong bytes"),
                Err(error) => {
                    assert!([ErrorKind::Corrupt, ErrorKind::Missing].contains(&error.kind()), "{when}: {error:?}");
                    unreadable.insert(name.clone(), error);
                }
            }
        }
        unreadable
    }

    /// Which names can't do without the file.
    async fn dependants(&self, kind: &str, file: &Location) -> BTreeSet<String> {
        let in_namespace = |namespace: &str| -> BTreeSet<String> {
            self.names.keys().filter(|name| name.starts_with(&format!("{namespace}/"))).cloned().collect()
        };
        match kind {
            "head" | "live run" => {
                in_namespace(file.as_str().split('/').nth(1).expect("names/<namespace>/@/<version>"))
            }
            "pack" | "whole file" => {
                let image = copy(&self.backend).await;
                image.delete(file).await.expect("delete");
                self.unreadable(&image, "deleted").await.into_keys().collect()
            }
            _ => BTreeSet::new(),
        }
    }
}

/// The ways in which bytes can be damaged that leave a file.
fn damages(bytes: &Bytes) -> Vec<(String, Bytes)> {
    let mut damages = vec![
        ("cut to nothing".to_string(), Bytes::new()),
        ("cut to a half".to_string(), bytes.slice(..bytes.len() / 2)),
        ("cut by a byte".to_string(), bytes.slice(..bytes.len() - 1)),
        ("cut at the front".to_string(), bytes.slice(1..)),
        ("extended by a byte".to_string(), [&bytes[..], b"\0"].concat().into()),
        ("doubled".to_string(), [&bytes[..], &bytes[..]].concat().into()),
        ("zeroed".to_string(), vec![0; bytes.len()].into()),
    ];
    let step = (bytes.len() / 12).max(1);
    let last = bytes.len().saturating_sub(1);
    for index in (0..bytes.len()).step_by(step).chain([1, 7, 8, last.saturating_sub(20), last]) {
        if index < bytes.len() {
            let mut flipped = bytes.to_vec();
            flipped[index] ^= 1 << (index % 8);
            damages.push((format!("bit flipped in byte {index}"), flipped.into()));
        }
    }
    damages
}

#[tokio::test]
async fn a_damaged_file_spoils_what_needs_it_and_nothing_else_and_is_reported() {
    let victim = victim().await;
    for (kind, file) in &victim.files {
        if *kind == "description" {
            continue;
        }
        let dependants = victim.dependants(kind, file).await;
        let bytes = victim.backend.load_bytes(file, ByteRange::All).await.expect("load");
        for (damage, damaged) in damages(&bytes) {
            let when = format!("{kind} {file}, {damage}");
            let image = copy(&victim.backend).await;
            image.store_bytes(file, damaged.clone()).await.expect("damage");
            for (name, error) in victim.unreadable(&image, &when).await {
                assert!(dependants.contains(&name), "{when}: {name} does not need it: {error:?}");
                assert!(error.to_string().contains(file.as_str()), "{when}: {error} does not name the file");
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{when}: {error:?}");
            }
            let report = verify(&image, true).await;
            assert!(report.problems.iter().any(|problem| problem.file == *file), "{when}: {:?}", report.problems);
            // The length of a file is structure.
            let needed = *kind != "whole file" || !dependants.is_empty();
            if damaged.len() != bytes.len() && needed {
                let report = verify(&image, false).await;
                assert!(report.problems.iter().any(|problem| problem.file == *file), "{when}: {:?}", report.problems);
            }
            put(&open(&image).await, "fresh/name", noise(77, 900), PutOptions::default()).await.expect(&when);
        }
    }
}

#[tokio::test]
async fn a_lost_file_spoils_what_needs_it_and_nothing_else_and_is_reported() {
    let victim = victim().await;
    for (kind, file) in &victim.files {
        let when = format!("{kind} {file}, deleted");
        let image = copy(&victim.backend).await;
        image.delete(file).await.expect("delete");
        if *kind == "description" {
            let error = ContentStorage::open(image, OpenOptions::default()).await.expect_err("no store");
            assert_eq!(error.kind(), ErrorKind::Missing);
            continue;
        }
        let dependants = victim.dependants(kind, file).await;
        // That there was a later version is known to nobody: what is read is what was there before.
        if *kind == "head" {
            let store = open(&image).await;
            for name in victim.names.keys().filter(|name| !dependants.contains(*name)) {
                load(&store, name).await.expect(name);
            }
            continue;
        }
        for (name, error) in victim.unreadable(&image, &when).await {
            assert!(dependants.contains(&name), "{when}: {name} does not need it: {error:?}");
            assert!(error.to_string().contains(file.as_str()), "{when}: {error} does not name the file");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{when}: {error:?}");
        }
        for data in [false, true] {
            let report = verify(&image, data).await;
            // A version that nobody needs may be gone; so may a hint.
            let gone = ["old run", "index file", "tags"].contains(kind);
            let found = report.problems.iter().find(|problem| problem.file == *file);
            assert_eq!(found.is_none(), gone, "{when}: {:?}", report.problems);
            if let Some(problem) = found {
                assert_eq!(problem.kind, ErrorKind::Missing, "{when}");
                if ["pack", "whole file"].contains(kind) {
                    let affected: BTreeSet<_> = problem.affected.iter().map(Location::to_string).collect();
                    assert!(dependants.is_subset(&affected), "{when}: {problem:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn swapped_files_are_noticed_by_readers_and_by_verification() {
    let victim = victim().await;
    for (index, (kind, file)) in victim.files.iter().enumerate() {
        for (other_kind, other) in &victim.files[index + 1..] {
            let is_run = |kind: &str| ["head", "live run", "old run", "tagged run", "tags"].contains(&kind);
            if kind != other_kind && !(is_run(kind) && is_run(other_kind)) {
                continue;
            }
            let when = format!("{file} and {other} swapped");
            let image = copy(&victim.backend).await;
            for (from, to) in [(file, other), (other, file)] {
                let bytes = victim.backend.load_bytes(from, ByteRange::All).await.expect("load");
                image.store_bytes(to, bytes).await.expect("swap");
            }
            let mut dependants = victim.dependants(kind, file).await;
            dependants.extend(victim.dependants(other_kind, other).await);
            for (name, error) in victim.unreadable(&image, &when).await {
                assert!(dependants.contains(&name), "{when}: {name} does not need them: {error:?}");
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{when}: {error:?}");
                let text = error.to_string();
                assert!(text.contains(file.as_str()) || text.contains(other.as_str()), "{when}: {text}");
            }
            let report = verify(&image, true).await;
            for file in [file, other] {
                assert!(report.problems.iter().any(|problem| problem.file == *file), "{when}: {:?}", report.problems);
            }
        }
    }
}

#[tokio::test]
async fn a_damaged_description_stops_everybody() {
    let victim = victim().await;
    let file = at("strongroom.json");
    let bytes = victim.backend.load_bytes(&file, ByteRange::All).await.expect("load");
    let image = copy(&victim.backend).await;
    let flips = (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        (format!("bit {bit}"), Bytes::from(flipped))
    });
    for (damage, damaged) in flips.chain(damages(&bytes)) {
        image.store_bytes(&file, damaged).await.expect("damage");
        match ContentStorage::open(image.clone(), OpenOptions::default()).await {
            Ok(_) => assert_eq!(damage, "cut by a byte", "nothing but the newline at the end is in no checksum"),
            Err(error) => {
                let kind = error.kind();
                assert!([ErrorKind::Corrupt, ErrorKind::Unsupported].contains(&kind), "{damage}: {error:?}");
            }
        }
    }
}

/// A handle that is open when the description goes is told by verification.
#[tokio::test]
async fn verification_looks_at_the_description_and_at_lists_too() {
    let victim = victim().await;
    for (file, damaged) in [("strongroom.json", "{"), ("gc/00.list", "packs/00/00\nend")] {
        let image = copy(&victim.backend).await;
        let store = open(&image).await;
        publish_list(&image, &[]).await;
        image.store_bytes(&at(file), damaged.into()).await.expect("damage");
        let report = store.verify(VerifyOptions::default()).await.expect("verify");
        assert!(report.problems.iter().any(|problem| problem.file == at(file)), "{file}: {:?}", report.problems);
    }
    let image = copy(&victim.backend).await;
    let store = open(&image).await;
    image.delete(&at("strongroom.json")).await.expect("delete");
    let report = store.verify(VerifyOptions::default()).await.expect("verify");
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    assert_eq!((report.problems[0].kind, &report.problems[0].file), (ErrorKind::Missing, &at("strongroom.json")));
}

#[tokio::test]
async fn foreign_and_empty_files_are_passed_over() {
    let victim = victim().await;
    for stray in [
        "packs/zz/readme",
        "packs/ab",
        "files/x",
        "index/notes.txt",
        "names/a/@/notes",
        "names/a/@/0",
        "names/stray",
        "names/a/stray",
        "names/%zz/@/x",
        "gc/notes",
        "gc/.session",
        "other/file",
    ] {
        victim.backend.store_bytes(&at(stray), "stray".into()).await.expect("store");
    }
    assert_eq!(victim.unreadable(&victim.backend, "strays").await.len(), 0);
    assert_no_problems(&verify(&victim.backend, true).await, "strays");
    put(&open(&victim.backend).await, "a/new", noise(1, 1000), PutOptions::default()).await.expect("put");
    assert!(open(&victim.backend).await.usage().await.expect("usage").objects > 400);
}

#[tokio::test]
async fn a_whole_file_that_is_cut_to_nothing_is_not_taken_for_an_empty_object() {
    for size in [1000, (1 << 20) + 1] {
        let backend = memory();
        let store = create(&backend, small_chunks()).await;
        put(&store, "a/b", noise(1, size), layout(Layout::Whole)).await.expect("put");
        backend.store_bytes(&files(&backend, "files/").await[0], "".into()).await.expect("damage");
        let by_name = load(&open(&backend).await, "a/b").await.expect_err("damaged");
        assert_eq!(by_name.kind(), ErrorKind::Corrupt);
        let digest = Digest::of(&noise(1, size));
        let by_digest = match open(&backend).await.find_digest(&format!("b3:{digest}")).await {
            Ok(object) => match object.load(ByteRange::All).await {
                Ok(loaded) => loaded.into_bytes().await.expect_err("damaged"),
                Err(error) => error,
            },
            Err(error) => error,
        };
        assert_eq!(by_digest.kind(), ErrorKind::Corrupt, "{by_digest:?}");
    }
}

/// The list of a large file's cells is in a pack.
#[tokio::test]
async fn a_large_whole_file_does_without_its_list_of_cells_and_says_so() {
    const SIZE: usize = (33 << 20) + 11;
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    put(&store, "a/large", noise(1, SIZE), layout(Layout::Whole)).await.expect("put");
    let (pack, file) = (files(&backend, "packs/").await.remove(0), files(&backend, "files/").await.remove(0));
    let part =
        open(&backend).await.load_bytes(&at("a/large"), ((30 << 20)..(30 << 20) + 9).into()).await.expect("load");
    assert_eq!(part, noise(1, SIZE).slice(30 << 20..(30 << 20) + 9));
    backend.delete(&pack).await.expect("delete");
    assert!(load(&open(&backend).await, "a/large").await.expect("by the file itself") == noise(1, SIZE));
    let report = verify(&backend, false).await;
    assert!(report.problems.iter().any(|problem| problem.file == pack), "{:?}", report.problems);
    backend.delete(&file).await.expect("delete");
    let error = load(&open(&backend).await, "a/large").await.expect_err("lost");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    assert!(error.to_string().contains(file.as_str()), "{error}");
    let found = open(&backend).await.find_digest(&format!("b3:{}", Digest::of(&noise(1, SIZE)))).await;
    assert_eq!(found.map(drop).map_err(|error| error.kind()), Err(ErrorKind::Missing));
}

/// A namespace whose name is too long to be decoded is named by its runs.
#[tokio::test]
async fn damage_to_a_namespace_with_a_long_name_is_reported_and_hides_no_other() {
    let long = "ä".repeat(120);
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    put(&store, &format!("{long}/x"), "1".into(), PutOptions::default()).await.expect("put");
    put(&store, "z/x", "1".into(), PutOptions::default()).await.expect("put");
    let run = files(&backend, "names/%").await.remove(0);
    backend.store_bytes(&run, "damaged".into()).await.expect("damage");
    let report = verify(&backend, false).await;
    assert!(report.problems.iter().any(|problem| problem.file == run), "{:?}", report.problems);
    assert_eq!(load(&open(&backend).await, "z/x").await.expect("load"), "1");
    let error = load(&open(&backend).await, &format!("{long}/x")).await.expect_err("damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

/// A backend that can't list in order finds heads by their partial sums, also where no state is read from them.
#[tokio::test]
async fn a_lost_version_by_which_the_head_is_found_is_reported() {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    for n in 0..7 {
        put(&store, &format!("a/{n}"), "1".into(), PutOptions::default()).await.expect("put");
    }
    let runs = files(&backend, "names/a/@/").await;
    for (version, needed) in [(7, true), (6, true), (5, false), (4, true), (3, false), (2, false), (1, false)] {
        let image = copy(&backend).await;
        let run = &runs[7 - version];
        image.delete(run).await.expect("delete");
        let report = verify(&image, false).await;
        let found = report.problems.iter().any(|problem| problem.file == *run && problem.kind == ErrorKind::Missing);
        assert_eq!(found, needed && version < 7, "version {version}: {:?}", report.problems);
    }
}

#[tokio::test]
async fn a_version_that_is_lost_while_the_store_is_verified_is_not_passed_over() {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    put(&store, "a/1", noise(1, 5000), PutOptions::default()).await.expect("put");
    let version = files(&backend, "names/").await[0].clone();
    let storage = trapped(&backend);
    // The names were checked, and are read again when it is known what content there is.
    let lists_packs = |operation: &Operation| matches!(operation, Operation::Iterate { prefix } if prefix == "packs/");
    trap(&storage, lists_packs, 0, {
        let (backend, version) = (backend.clone(), version.clone());
        async move { backend.delete(&version).await.expect("delete") }
    });
    let report = verify(&(Arc::new(storage.clone()) as Backend), false).await;
    assert!(all_sprung(&storage));
    let problem = report.problems.iter().find(|problem| problem.file == version).expect("it is said");
    assert_eq!(problem.kind, ErrorKind::Missing);
}
