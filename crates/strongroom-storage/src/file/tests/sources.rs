//! Local files and streams as sources: what can't be stored faithfully is not stored, and leaves nothing.

use std::io::Write;
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{StreamExt, stream};

use super::*;
use crate::source::{FileIdentity, PathSource};

/// Two pieces and a little.
const SIZE: usize = (2 << 20) + 100;

/// Names everything `named`, and does something to the world when it has seen the first bytes.
pub(super) struct Meddler<F>(pub(super) Option<F>);

impl<F: FnOnce() + Send + 'static> ContentNamer for Meddler<F> {
    fn update(&mut self, _: &[u8]) {
        if let Some(meddle) = self.0.take() {
            meddle();
        }
    }

    fn location(&mut self) -> Result<Location> {
        Ok(at("new/named"))
    }
}

/// Stores a source to which `meddle` happens midway.
async fn store_meddled(bench: &Bench, consume: bool, meddle: impl FnOnce(&Path) + Send + 'static) -> Result<Stored> {
    let path = bench.outside("source", vec![1; SIZE]);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30);
    std::fs::File::options().write(true).open(&path).and_then(|file| file.set_modified(long_ago)).expect("utimes");
    let source = if consume { Source::consumed_path(&path) } else { Source::path(&path) };
    let namer = Box::new(Meddler(Some(move || meddle(&path))));
    bench.storage.store_named(source, namer, &StoreOptions::default()).await
}

fn append(path: &Path) {
    std::fs::File::options().append(true).open(path).and_then(|mut file| file.write_all(b"more")).expect("append");
}

fn cut(path: &Path) {
    std::fs::File::options().write(true).open(path).and_then(|file| file.set_len(1 << 20)).expect("cut");
}

fn rewrite_in_place(path: &Path) {
    std::fs::File::options().write(true).open(path).and_then(|mut file| file.write_all(b"other")).expect("write");
}

fn replace(path: &Path) {
    let other = path.with_extension("other");
    std::fs::write(&other, vec![2; SIZE]).and_then(|()| std::fs::rename(&other, path)).expect("replace");
}

fn remove(path: &Path) {
    std::fs::remove_file(path).expect("remove");
}

#[tokio::test]
async fn pieces_of_all_sizes_are_written_in_order() {
    let bench = Bench::new();
    let lengths =
        [5, 0, 300 << 10, 1 << 20, 256 << 10, 1].into_iter().chain(std::iter::repeat_n(100, 3000)).chain([700 << 10]);
    let mut next = 0u8;
    let pieces: Vec<Bytes> = lengths
        .map(|length| {
            next = next.wrapping_add(1);
            vec![next; length].into()
        })
        .collect();
    let stream = Source::stream(futures::stream::iter(pieces.clone()).map(Ok));
    for source in [Source::Pieces(pieces.clone()), stream] {
        bench.storage.store(&at("a"), source, &StoreOptions::default()).await.expect("store");
        let found = bench.storage.load_bytes(&at("a"), ByteRange::All).await.expect("load");
        assert!(found == pieces.concat(), "they are as they were given");
    }
}

#[tokio::test]
async fn a_source_that_changes_while_it_is_read_is_changed_and_leaves_nothing() {
    for (way, config) in ways() {
        for (what, meddle) in [
            ("append", append as fn(&Path)),
            ("cut", cut),
            ("rewrite in place", rewrite_in_place),
            ("replace", replace),
            ("remove", remove),
        ] {
            for consume in [false, true] {
                let bench = Bench::with(config.clone());
                let stored = store_meddled(&bench, consume, meddle).await;
                let error = check_kind(stored, ErrorKind::Changed, "source");
                assert!(!error.may_have_happened());
                assert_eq!(bench.tree(), names(&[]), "{way}: {what}, consumed: {consume}");
            }
        }
    }
}

#[tokio::test]
async fn a_source_that_nobody_touches_is_stored_whole() {
    let bench = Bench::new();
    let stored = store_meddled(&bench, false, |_| {}).await.expect("store");
    assert_eq!((stored.location.as_str(), stored.size), ("new/named", SIZE as u64));
    assert_eq!(std::fs::read(bench.storage.root().join("new/named")).expect("read"), vec![1; SIZE]);
}

#[tokio::test]
async fn what_is_no_file_is_refused_without_waiting_and_leaves_nothing() {
    let bench = Bench::new();
    let path = |name: &str| bench.folder.path().join(name);
    std::fs::create_dir(path("folder")).expect("a folder");
    run("mkfifo", &[path("fifo").to_str().expect("UTF-8")]);
    let _listener = std::os::unix::net::UnixListener::bind(path("socket")).expect("bind");
    std::os::unix::fs::symlink("nowhere", path("dangling")).expect("symlink");
    for (name, kind, says) in [
        ("folder", ErrorKind::Invalid, "a directory"),
        ("fifo", ErrorKind::Invalid, "a FIFO"),
        ("socket", ErrorKind::Invalid, "a socket"),
        ("missing", ErrorKind::Missing, "no such file"),
        ("dangling", ErrorKind::Missing, "no such file"),
    ] {
        for source in [Source::path(path(name)), Source::consumed_path(path(name))] {
            let stored = bench.storage.store(&at("a/b"), source, &StoreOptions::default()).await;
            let error = check_kind(stored, kind, says);
            assert!(error.to_string().contains(name), "{error}");
            assert!(!bench.storage.root().exists(), "{name}");
        }
    }
}

#[tokio::test]
async fn a_symlink_to_a_file_stores_the_file() {
    let bench = Bench::new();
    let target = bench.outside("target", "content");
    let link = bench.folder.path().join("link");
    std::os::unix::fs::symlink(&target, &link).expect("symlink");
    bench.storage.store_path(&at("a"), &link).await.expect("store");
    assert!(!bench.storage.root().join("a").is_symlink());
    assert_eq!(bench.load("a").await, "content");
}

#[tokio::test]
async fn a_source_that_is_not_the_expected_file_is_changed() {
    let bench = Bench::new();
    let path = bench.outside("source", "one");
    let expected = Some(FileIdentity::of(&std::fs::metadata(&path).expect("metadata")));
    let other = bench.outside("other", "two");
    for (path, consume, sound) in [(&path, false, true), (&other, false, false), (&other, true, false)] {
        let source = PathSource { path: path.clone(), consume, expected: expected.clone() };
        let stored = bench.storage.store(&at("a"), Source::Path(source), &StoreOptions::default()).await;
        match sound {
            true => assert_eq!(stored.expect("store").size, 3),
            false => drop(check_kind(stored, ErrorKind::Changed, "other")),
        }
    }
    assert_eq!(bench.load("a").await, "one");
    assert!(other.exists());
}

#[tokio::test]
async fn the_permissions_of_a_source_are_not_those_of_the_object() {
    let bench = Bench::new();
    let path = bench.outside("source", "content");
    let made = mode(&path);
    for source_mode in [0o600, 0o755, 0o444] {
        set_mode(&path, source_mode);
        bench.storage.store_path(&at("a"), &path).await.expect("store");
        assert_eq!(mode(bench.storage.root().join("a")), made);
    }
}

#[tokio::test]
async fn an_object_can_be_its_own_source() {
    for (way, config) in ways() {
        let bench = Bench::with(config);
        bench.store("a", "content").await;
        let path = bench.storage.root().join("a");
        for source in [Source::path(&path), Source::consumed_path(&path)] {
            bench.storage.store(&at("a"), source, &StoreOptions::default()).await.expect(way);
            assert_eq!(bench.load("a").await, "content", "{way}");
        }
        for source in [Source::path(&path), Source::consumed_path(&path)] {
            let stored = bench.storage.store(&at("a"), source, &StoreOptions::create()).await;
            check_kind(stored, ErrorKind::AlreadyExists, "a");
            assert_eq!(bench.load("a").await, "content", "{way}");
        }
        assert_eq!(bench.tree(), names(&["a"]), "{way}");
    }
}

#[tokio::test]
async fn a_stream_that_fails_leaves_nothing() {
    for (way, config) in ways() {
        let bench = Bench::with(config);
        bench.store("a", "before").await;
        for pieces in [0, 1, 5] {
            let good = stream::iter((0..pieces).map(|_| Ok(Bytes::from(vec![1; 1 << 20]))));
            let bad = Err(Error::new(ErrorKind::Unavailable, "read", "the wire", "it was cut"));
            let source = Source::stream(good.chain(stream::iter([bad])));
            let location = at(if pieces == 1 { "new/folder/b" } else { "a" });
            let stored = bench.storage.store(&location, source, &StoreOptions::default()).await;
            check_kind(stored, ErrorKind::Unavailable, "it was cut");
            assert_eq!(bench.tree(), names(&["a"]), "{way}");
        }
        assert_eq!(bench.load("a").await, "before", "{way}");
    }
}

#[test]
fn a_stream_that_needs_a_thread_can_be_stored_where_there_is_only_one() {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().expect("a runtime");
        let bench = Bench::new();
        let copied = runtime.block_on(async {
            let content = Source::bytes(vec![1; 5 << 20]);
            bench.storage.store(&at("a"), content, &StoreOptions::default()).await?;
            let source = Source::Stream(bench.storage.load_stream(&at("a")).await?);
            bench.storage.store(&at("b"), source, &StoreOptions::default()).await
        });
        sender.send(copied).expect("the test waits");
    });
    let copied = receiver.recv_timeout(Duration::from_secs(20)).expect("it does not wait for itself").expect("store");
    assert_eq!(copied.size, 5 << 20);
}

#[tokio::test]
async fn a_stream_in_many_small_pieces_is_stored_in_order() {
    let bench = Bench::new();
    let pieces: Vec<Bytes> = (0..10_000).map(|number| format!("{number},").into()).collect();
    let source = Source::stream(stream::iter(pieces.clone().into_iter().map(Ok)));
    let options = StoreOptions::default().with_digests(crate::DigestSet::ALL);
    let stored = bench.storage.store(&at("a"), source, &options).await.expect("store");
    let content = pieces.concat();
    assert_eq!(stored, Stored::of(&at("a"), &content, &options));
    assert_eq!(bench.load("a").await.as_bytes(), content);
}
