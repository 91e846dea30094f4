//! What is done with a store that has forged files, and what must hold whatever they say.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use strongroom::content::Kept;
use strongroom::{
    ByteRange, Capabilities, ContentStorage, Digest, ErrorKind, ExternalStorage, Location, MemoryStorage, Namespace,
    ObjectRef, OpenOptions, Result, StoreMode, VerifyOptions, Version,
};
use strongroom_testkit::{Intercept, Intercepted, Operation, Outcome, TestHost};

use crate::craft::noise;
use crate::template::Files;

/// More requests than any of this may take: who sends more goes in circles.
const REQUESTS_MAX: u64 = 20_000;
/// How much of an object is read: enough for two of the largest chunks.
const READ_BYTES: u64 = 150 << 20;
/// How many objects are read.
const OBJECTS: usize = 40;

/// A backend that may be far away, and counts.
#[derive(Debug)]
struct Counted {
    far: bool,
    requests: AtomicU64,
}

#[async_trait]
impl Intercept for Counted {
    async fn before(&self, operation: &Operation) -> Result<Outcome> {
        let count = self.requests.fetch_add(1, Ordering::Relaxed);
        assert!(count < REQUESTS_MAX, "it does not come to an end: {operation:?}");
        Ok(Outcome::default())
    }

    fn capabilities(&self, mut inner: Capabilities) -> Capabilities {
        inner.local &= !self.far;
        inner.ordered_listing &= !self.far;
        inner
    }
}

/// What came of it; of an error, that it is one that forged files may lead to, and that it names what it is about.
#[track_caller]
fn tolerated<T>(what: &str, result: Result<T>) -> Option<T> {
    let error = match result {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    let kinds = [ErrorKind::Corrupt, ErrorKind::Missing, ErrorKind::Unsupported];
    assert!(kinds.contains(&error.kind()), "{what}: {error:?}");
    let is_named = Location::parse(error.subject()).is_ok() && !["a name", "a commit"].contains(&error.subject());
    assert!(error.kind() != ErrorKind::Corrupt || is_named, "{what} does not say which file: {error:?}");
    note(what, error.detail());
    None
}

thread_local! {
    static ANSWERS: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// Notes what the library said, as far as it would say the same of another file.
fn note(what: &str, detail: &str) {
    let is_plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || b",;'`".contains(&byte));
    let words: Vec<&str> = detail.split(' ').filter(is_plain).take(10).collect();
    ANSWERS.with_borrow_mut(|answers| answers.insert(format!("{what}: {}", words.join(" "))));
}

/// What was said since this was last asked.
pub(crate) fn take_answers() -> BTreeSet<String> {
    ANSWERS.take()
}

/// Opens the store, reads all of it, verifies it and writes to it. Says whether nothing was found wrong.
///
/// # Panics
/// If something does not hold.
pub(crate) async fn exercise(files: &Files, far: bool) -> bool {
    let memory: Arc<dyn ExternalStorage> = Arc::new(MemoryStorage::with_host(Arc::new(TestHost::new(3))));
    for (location, bytes) in files {
        memory.store_bytes(location, bytes.clone()).await.expect("memory takes it");
    }
    let counted = Counted { far, requests: AtomicU64::new(0) };
    let backend = Arc::new(Intercepted::with_interceptor(memory, counted));
    let options = OpenOptions::default().with_host(Arc::new(TestHost::new(4)));
    let Some(store) = tolerated("open", ContentStorage::open(backend, options).await) else { return false };
    let names = ["", "a", "b/c", "p"].map(|name| Namespace::parse(name).expect("a namespace"));

    let digests = read_names(&store).await;
    for digest in digests.into_iter().take(6).chain([Digest::of(b"false"), Digest::of(b"a file")]) {
        if let Some(object) = tolerated("find by digest", store.find_digest(&digest.to_string()).await) {
            assert_eq!(object.digest(), digest);
            read(&object).await;
        }
    }
    for namespace in &names {
        let log = tolerated("log", store.log(namespace, None).await);
        tolerated("snapshot", store.snapshot(namespace).await);
        for commit in log.unwrap_or_default().into_iter().take(3) {
            if let Some(old) = tolerated("old snapshot", store.snapshot_at(namespace, commit.version).await) {
                tolerated("old objects", old.objects("").await.map(drop));
            }
        }
    }
    tolerated("tags", store.tags().await);
    tolerated("usage", store.usage().await);

    // Nothing that a file says keeps the rest from being verified.
    let report = store.verify(VerifyOptions::default().with_data(true)).await.expect("damage is in the report");
    for problem in &report.problems {
        assert!([ErrorKind::Corrupt, ErrorKind::Missing].contains(&problem.kind), "{problem:?}");
        note("verify", &problem.detail);
    }
    write(&store, &names[1]).await;
    report.is_sound()
}

/// Reads what is under names. Gives the digests.
async fn read_names(store: &ContentStorage) -> Vec<Digest> {
    let mut found = Vec::new();
    let mut objects = store.objects("");
    while found.len() < OBJECTS
        && let Some(Some(object)) = tolerated("list", objects.try_next().await)
    {
        found.push(object);
    }
    for name in ["a/packed", "a/chunks", "a/many", "b/c/whole", "b/c/cells", "top", "p/3"] {
        let location = Location::parse(name).expect("a location");
        if let Some(object) = tolerated("find", store.find(&location).await) {
            found.push(object);
        }
    }
    let locations: Vec<Location> = found.iter().map(|object| object.location().clone()).collect();
    if let Some(again) = tolerated("find all", store.find_all(&locations).await) {
        // Each is held in memory as a whole.
        let objects: Vec<ObjectRef> = again.into_iter().flatten().filter(|object| object.size() < READ_BYTES).collect();
        let expected: Vec<(Kept, Digest)> = objects.iter().map(|object| (object.kept(), object.digest())).collect();
        let mut loaded = store.load_all(objects);
        while let Some((position, bytes)) = loaded.next().await {
            if let Some(bytes) = tolerated("load all", bytes) {
                let (kept, digest) = expected[position];
                assert!(is_content(kept, Digest::of(&bytes), digest), "content of another digest");
            }
        }
    }
    for object in &found {
        read(object).await;
    }
    found.iter().map(ObjectRef::digest).collect()
}

/// Whether content that was handed out as a whole is what it should be.
///
/// What is kept in chunks is verified chunk by chunk: that a list is the right one, only its run or its own digest says, and who
/// forges a list can forge both.
fn is_content(kept: Kept, found: Digest, digest: Digest) -> bool {
    kept == Kept::Chunked || found == digest
}

/// Reads an object, as a whole and in parts.
async fn read(object: &ObjectRef) {
    let (size, digest) = (object.size(), object.digest());
    let _ = (object.attributes().modified(), object.stored_at(), object.chunk_count(), object.digests());
    let Some(loaded) = tolerated("load", object.load(ByteRange::All).await) else { return };
    let mut stream = loaded.into_stream();
    let (mut hasher, mut length, mut ended) = (blake3::Hasher::new(), 0, true);
    loop {
        match stream.try_next().await {
            Ok(Some(bytes)) => {
                hasher.update(&bytes);
                length += bytes.len() as u64;
            }
            Ok(None) => break,
            result => {
                tolerated("read", result);
                ended = false;
                break;
            }
        }
        if length > READ_BYTES {
            ended = false;
            break;
        }
    }
    drop(stream);
    if ended {
        assert_eq!(length, size, "as many bytes as it has");
        assert!(is_content(object.kept(), hasher.finalize().into(), digest), "content of another digest");
    }
    for range in [ByteRange::Last(1), (size / 2..size.min(size / 2 + 9)).into(), (size.saturating_sub(1)..size).into()]
    {
        if let Some(part) = tolerated("load a part", object.load(range).await) {
            let expected = part.range.end - part.range.start;
            if let Some(bytes) = tolerated("read a part", part.into_bytes().await) {
                assert_eq!(bytes.len() as u64, expected);
            }
        }
    }
}

/// Commits to a namespace, some of it content that is there already, and reads it.
async fn write(store: &ContentStorage, namespace: &Namespace) {
    let contents = [noise(1, 300), noise(3, 12_000), noise(99, 700), "z".repeat(700).into(), noise(5, 3000)];
    let location = |n: usize| Location::parse(&format!("{namespace}/new{n}")).expect("a location");
    let mut batch = store.batch();
    for (n, bytes) in contents.iter().enumerate() {
        batch.put(location(n), bytes.clone(), strongroom::PutOptions::default());
    }
    let committed = tolerated("commit", batch.commit().await).is_some();
    for (n, bytes) in contents.iter().enumerate() {
        if let Some(found) = tolerated("load what was put", store.load_bytes(&location(n), ByteRange::All).await) {
            assert!(committed && found == *bytes, "what was put is what is there");
        }
    }
    tolerated("tag", store.tag(namespace, Version::new(1), "again", StoreMode::Overwrite).await);
}
