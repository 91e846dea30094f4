//! Every kind of file times every kind of damage, in memory and on files: what is read is right or said to be damaged, the rest stays
//! readable, `verify` finds it, writing goes on or says why not, and a collection beside it takes nothing away that is needed when the
//! file is mended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use strongroom_content::{
    CollectOptions, CollectReport, ContentConfig, ContentStorage, Layout, OpenOptions, PutOptions, Version,
};
use strongroom_storage::{
    ByteRange, ErrorKind, ExternalStorage, FileStorage, Location, MemoryStorage, Result, StoreMode,
};
use tempfile::TempDir;

use crate::collector::publish_list;
use crate::support::{
    Backend, assert_no_problems, at, files, layout, load, memory, namespace, noise, open, put, small_chunks, verify,
};

/// A store with a file of each kind, garbage, and what can be merged.
struct Victim {
    files: BTreeMap<Location, Bytes>,
    /// What stands under the names.
    names: BTreeMap<String, Bytes>,
    /// A file of each kind.
    kinds: Vec<(&'static str, Location)>,
}

impl Victim {
    async fn new() -> Self {
        let backend = memory();
        let store =
            ContentStorage::create(backend.clone(), small_chunks(), OpenOptions::default()).await.expect("create");
        let mut names = BTreeMap::new();
        let mut kinds = vec![("description", at("strongroom.json")), ("readme", at("README.txt"))];
        // Garbage of each kind, and a name whose older version is tagged.
        for (name, seed, size, kind) in [
            ("a/tagged", 1, 4000, Layout::Auto),
            ("a/gone-packed", 2, 5000, Layout::Auto),
            ("a/gone-whole", 3, 30_000, Layout::Whole),
            ("a/gone-chunked", 4, 40_000, Layout::Chunked),
        ] {
            put(&store, name, noise(seed, size), layout(kind)).await.expect(name);
        }
        store.tag(&namespace("a"), Version::new(1), "kept", StoreMode::Create).await.expect("tag");
        let before = files(&backend, "packs/").await;
        for (name, seed, size, kind) in [
            ("b/packed", 11, 4000, Layout::Auto),
            ("b/whole", 12, 50_000, Layout::Whole),
            ("b/chunked", 13, 150_000, Layout::Chunked),
            ("b/inline", 14, 20, Layout::Auto),
        ] {
            put(&store, name, noise(seed, size), layout(kind)).await.expect(name);
            names.insert(name.to_string(), noise(seed, size));
            if name == "b/packed" {
                let packs = files(&backend, "packs/").await;
                kinds.push(("pack", packs.into_iter().find(|pack| !before.contains(pack)).expect("a new pack")));
            }
        }
        let whole = files(&backend, "files/").await;
        for name in ["a/gone-packed", "a/gone-whole", "a/gone-chunked"] {
            store.delete(&at(name)).await.expect(name);
        }
        put(&store, "a/tagged", noise(5, 4000), PutOptions::default()).await.expect("put");
        names.insert("a/tagged".into(), noise(5, 4000));
        let digest = strongroom_storage::Digest::of(&names["b/whole"]).to_string();
        kinds.push(("whole file", whole.into_iter().find(|file| file.as_str().contains(&digest)).expect("its file")));
        // A namespace that is read from two runs, and small packs, so many that they get an index file.
        for round in 0..5 {
            let mut batch = store.batch();
            for n in 0..if round == 0 { 350 } else { 2 } {
                batch.put(at(&format!("many/{n}.{round}")), noise(1000 + round * 400 + n, 220), PutOptions::default());
            }
            batch.commit().await.expect("commit");
        }
        names.insert("many/1.4".into(), noise(1000 + 4 * 400 + 1, 220));
        names.insert("many/7.0".into(), noise(1007, 220));
        for n in 0..66 {
            let name = format!("p/{n}");
            put(&store, &name, noise(9000 + n, 300), PutOptions::default()).await.expect("put");
            if n % 22 == 0 {
                names.insert(name, noise(9000 + n, 300));
            }
        }
        let runs = |name: &str| format!("names/{name}/@/");
        let of_a = files(&backend, &runs("a")).await;
        let of_many = files(&backend, &runs("many")).await;
        kinds.extend([
            ("head", files(&backend, &runs("b")).await[0].clone()),
            ("old run", of_a[of_a.len() - 3].clone()),
            ("tagged run", of_a[of_a.len() - 1].clone()),
            ("live run", of_many[1].clone()),
            ("tags", files(&backend, &runs("@tags")).await[0].clone()),
            ("index file", files(&backend, "index/").await[0].clone()),
        ]);
        // A writer that died, one that was given up, and a collector that did not come far.
        let (dead, ended) = ("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210");
        for (kind, mark) in [
            ("session", format!("gc/{dead}.session")),
            ("beat", format!("gc/{dead}.beat")),
            ("", format!("gc/{ended}.session")),
            ("ended", format!("gc/{ended}.ended")),
        ] {
            backend.store_bytes(&at(&mark), "a mark\n".into()).await.expect("store");
            if !kind.is_empty() {
                kinds.push((kind, at(&mark)));
            }
        }
        let garbage = files(&backend, "packs/").await.into_iter().next().expect("a pack");
        kinds.push(("list", publish_list(&backend, &[garbage]).await));

        let mut content = BTreeMap::new();
        for file in files(&backend, "").await {
            content.insert(file.clone(), backend.load_bytes(&file, ByteRange::All).await.expect("load"));
        }
        let victim = Self { files: content, names, kinds };
        let image = victim.image(&Where::Memory).await;
        assert!(victim.read(&image).await.is_empty());
        assert_no_problems(&verify(&image, true).await, "before");
        victim
    }

    async fn image(&self, place: &Where) -> Backend {
        let backend = place.fresh();
        for (file, bytes) in &self.files {
            backend.store_bytes(file, bytes.clone()).await.expect("store");
        }
        backend
    }

    /// The names that can't be read, and why. What can be is right.
    async fn read(&self, backend: &Backend) -> BTreeMap<String, strongroom_storage::Error> {
        let store = open(backend).await;
        let mut unreadable = BTreeMap::new();
        for (name, bytes) in &self.names {
            match load(&store, name).await {
                Ok(found) => assert!(found == *bytes, "{name} has wrong bytes"),
                Err(error) => drop(unreadable.insert(name.clone(), error)),
            }
        }
        unreadable
    }

    /// The names that may be unreadable when this file is damaged.
    fn dependants(&self, kind: &str) -> BTreeSet<&str> {
        let names = self.names.keys().map(String::as_str);
        match kind {
            "pack" => ["b/packed"].into(),
            "whole file" => ["b/whole"].into(),
            "head" => names.filter(|name| name.starts_with("b/")).collect(),
            "live run" => names.filter(|name| name.starts_with("many/")).collect(),
            _ => BTreeSet::new(),
        }
    }
}

/// Where the store is.
enum Where {
    Memory,
    Files(TempDir, std::sync::atomic::AtomicUsize),
}

impl Where {
    fn fresh(&self) -> Backend {
        match self {
            Self::Memory => Arc::new(MemoryStorage::new()),
            Self::Files(folder, count) => {
                let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                if number > 0 {
                    let _ = std::fs::remove_dir_all(folder.path().join((number - 1).to_string()));
                }
                Arc::new(FileStorage::new(folder.path().join(number.to_string())))
            }
        }
    }

    fn both() -> [Self; 2] {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        [Self::Memory, Self::Files(folder.expect("a folder"), 0.into())]
    }
}

/// What a file becomes; nothing if it is deleted.
fn damages(bytes: &Bytes) -> Vec<(&'static str, Option<Bytes>)> {
    let flip = |at: usize| {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 4;
        Some(Bytes::from(flipped))
    };
    let last = bytes.len() - 1;
    vec![
        ("deleted", None),
        ("cut to nothing", Some(Bytes::new())),
        ("cut to a half", Some(bytes.slice(..bytes.len() / 2))),
        ("cut by a byte", Some(bytes.slice(..last))),
        ("extended", Some([&bytes[..], b"more"].concat().into())),
        ("first byte flipped", flip(0)),
        ("middle flipped", flip(bytes.len() / 2)),
        ("footer flipped", flip(last.saturating_sub(20))),
        ("last byte flipped", flip(last)),
    ]
}

async fn damage(backend: &Backend, file: &Location, damaged: Option<&Bytes>) {
    match damaged {
        Some(bytes) => drop(backend.store_bytes(file, bytes.clone()).await.expect("damage")),
        None => backend.delete(file).await.expect("delete"),
    }
}

/// As thorough as a collection can be.
async fn collect(backend: &Backend) -> Result<CollectReport> {
    open(backend).await.collect(CollectOptions::default().with_offline(true).with_grace(Duration::ZERO)).await
}

#[tokio::test]
async fn every_damage_to_every_kind_of_file_is_survived_found_and_left_to_be_mended() {
    let victim = Victim::new().await;
    let (mut cases, mut unreadable, mut found, mut refused, mut collected, mut mended) = (0, 0, 0, 0, 0, 0);
    for place in Where::both() {
        for (kind, file) in &victim.kinds {
            let is_mark = ["session", "beat", "ended", "readme"].contains(kind);
            for (how, damaged) in damages(&victim.files[file]) {
                let when = format!("{kind} {file}, {how}");
                cases += 1;
                let image = victim.image(&place).await;
                damage(&image, file, damaged.as_ref()).await;
                if *kind == "description" {
                    // Nobody can open it, and so nobody can do harm; but behind the last brace there may be anything or nothing.
                    match ContentStorage::open(image, OpenOptions::default()).await {
                        Ok(_) => assert_eq!(how, "cut by a byte", "{when}"),
                        Err(error) => {
                            let kinds = [ErrorKind::Missing, ErrorKind::Corrupt, ErrorKind::Unsupported];
                            assert!(kinds.contains(&error.kind()), "{when}: {error:?}");
                            unreadable += 1;
                            found += 1;
                        }
                    }
                    continue;
                }
                // Nobody knows that there was a later version, or a tag.
                let is_unknown = ["head", "tags"].contains(kind) && how == "deleted";

                let dependants = victim.dependants(kind);
                for (name, error) in victim.read(&image).await {
                    assert!(dependants.contains(name.as_str()), "{when}: {name} does not need it: {error:?}");
                    let is_said = [ErrorKind::Corrupt, ErrorKind::Missing].contains(&error.kind());
                    assert!(is_said && (error.to_string().contains(file.as_str()) || is_unknown), "{when}: {error:?}");
                    unreadable += 1;
                }

                let data = verify(&image, true).await;
                let is_found = data.problems.iter().any(|problem| problem.file == *file);
                let may_be_gone = how == "deleted" && ["old run", "index file", "list"].contains(kind);
                assert_eq!(is_found, !is_mark && !is_unknown && !may_be_gone, "{when}: {:?}", data.problems);
                found += u64::from(is_found);
                let length = damaged.as_ref().map(Bytes::len);
                if is_found && length != Some(victim.files[file].len()) {
                    let structure = verify(&image, false).await;
                    assert!(structure.problems.iter().any(|problem| problem.file == *file), "{when}: {structure:?}");
                }

                let before = files(&image, "").await;
                let written = put(&open(&image).await, "fresh/name", noise(77, 900), PutOptions::default()).await;
                match written {
                    Ok(()) => assert_eq!(load(&open(&image).await, "fresh/name").await.expect(&when), noise(77, 900)),
                    Err(error) => {
                        assert_eq!((*kind, error.kind()), ("list", ErrorKind::Corrupt), "{when}: {error:?}");
                        assert!(error.to_string().contains("gc --offline"), "{when}: {error}");
                        refused += 1;
                    }
                }

                let before: Vec<_> = before.into_iter().filter(|file| !file.as_str().starts_with("gc/")).collect();
                match collect(&image).await {
                    Ok(report) => {
                        collected += 1;
                        assert!(report.deleted_files > 0, "{when}: there is garbage");
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Corrupt, "{when}: {error:?}");
                        for file in before.iter().filter(|file| !file.as_str().starts_with("index/")) {
                            assert!(image.exists(file).await.expect("exists"), "{when}: {file} went, and nobody knows");
                        }
                    }
                }
                if is_unknown || is_mark || ["list", "old run"].contains(kind) {
                    let read = victim.read(&image).await;
                    assert!(is_unknown || read.is_empty(), "{when}: {read:?}");
                    continue;
                }
                image.store_bytes(file, victim.files[file].clone()).await.expect("mend");
                assert_eq!(
                    victim.read(&image).await.keys().collect::<Vec<_>>(),
                    Vec::<&String>::new(),
                    "{when}, mended"
                );
                let tagged = open(&image).await.snapshot_at(&namespace("a"), Version::new(1)).await.expect(&when);
                let object = tagged.find(&at("a/tagged")).await.expect(&when);
                assert_eq!(object.load_bytes(ByteRange::All).await.expect(&when), noise(1, 4000), "{when}");
                let left = verify(&image, true).await.problems;
                assert!(left.iter().all(|problem| problem.affected.is_empty()), "{when}, mended: {left:?}");
                mended += 1;
            }
        }
    }
    eprintln!(
        "{cases} cases: {found} found by verify, {unreadable} names unreadable meanwhile, {refused} writes refused; \
         {collected} collected beside it, {mended} mended afterwards"
    );
}

/// Two handles that did not know of each other stored the same.
#[tokio::test]
async fn the_only_sound_copy_is_never_collected_because_there_is_a_damaged_one() {
    let mut cases = 0;
    for place in Where::both() {
        for (kind, size) in
            [(Layout::Auto, 5000), (Layout::Chunked, 60_000), (Layout::Whole, 50_000), (Layout::Whole, (1 << 20) + 500)]
        {
            let original = memory();
            ContentStorage::create(original.clone(), small_chunks(), OpenOptions::default()).await.expect("create");
            let (one, other) = (open(&original).await, open(&original).await);
            for (store, name, seed) in [(&one, "x/one", 8), (&other, "x/other", 9)] {
                put(store, name, noise(seed, 300), PutOptions::default()).await.expect("they know what there is now");
            }
            let before = [files(&original, "packs/").await, files(&original, "files/").await].concat();
            put(&one, "a/one", noise(1, size), layout(kind)).await.expect("put");
            put(&other, "a/other", noise(1, size), layout(kind)).await.expect("put");
            let mut copies = [files(&original, "packs/").await, files(&original, "files/").await].concat();
            copies.retain(|file| !before.contains(file));
            assert_eq!(copies.len(), 2, "{kind:?}");
            // Enough small packs that all are merged, the two among them.
            for merged in [false, true] {
                for n in 0..if merged { 20 } else { 0 } {
                    put(&one, &format!("p/{n}"), noise(100 + n, 500), PutOptions::default()).await.expect("put");
                }
                for damaged in &copies {
                    let bytes = original.load_bytes(damaged, ByteRange::All).await.expect("load");
                    for (how, after) in damages(&bytes) {
                        let when = format!("{kind:?} {size}, merged {merged}, {damaged} {how}");
                        let image = place.fresh();
                        for file in files(&original, "").await {
                            let bytes = original.load_bytes(&file, ByteRange::All).await.expect("load");
                            image.store_bytes(&file, bytes).await.expect("store");
                        }
                        damage(&image, damaged, after.as_ref()).await;
                        for round in 0..2 {
                            collect(&image).await.expect(&when);
                            for name in ["a/one", "a/other"] {
                                let found = load(&open(&image).await, name).await;
                                assert!(found.is_ok_and(|found| found == noise(1, size)), "{when}, {round}: {name}");
                            }
                        }
                        cases += 1;
                    }
                }
            }
        }
    }
    eprintln!("{cases} cases: the sound copy stays");
}

/// What only verification of data can see does not lead a collector astray either.
#[tokio::test]
async fn listed_packs_with_damaged_content_that_is_needed_stay_until_they_are_mended() {
    let backend = memory();
    let config: ContentConfig = small_chunks();
    let store = ContentStorage::create(backend.clone(), config, OpenOptions::default()).await.expect("create");
    for n in 0..20 {
        put(&store, &format!("a/{n}"), noise(n, 3000), PutOptions::default()).await.expect("put");
    }
    let pack = files(&backend, "packs/").await[7].clone();
    let sound = backend.load_bytes(&pack, ByteRange::All).await.expect("load");
    let mut flipped = sound.to_vec();
    flipped[1000] ^= 1;
    backend.store_bytes(&pack, flipped.into()).await.expect("damage");
    for _ in 0..2 {
        let report = collect(&backend).await.expect("collect");
        assert!(report.problems.iter().any(|problem| problem.file == pack), "{:?}", report.problems);
        assert!(backend.exists(&pack).await.expect("exists"), "somebody may mend it");
    }
    backend.store_bytes(&pack, sound).await.expect("mend");
    let report = collect(&backend).await.expect("collect");
    assert!(report.problems.is_empty() && !backend.exists(&pack).await.expect("exists"), "{report:?}");
    for n in 0..20 {
        assert_eq!(load(&open(&backend).await, &format!("a/{n}")).await.expect("it is there"), noise(n, 3000));
    }
    assert_no_problems(&verify(&backend, true).await, "mended");
}
