//! Create-if-absent: one winner, in every way in which files come to their names.

use std::os::fd::BorrowedFd;
use std::sync::Barrier;

use super::*;
use crate::blocking;

const WRITERS: usize = 32;

/// The one number among the winners, and the content that is there.
#[track_caller]
fn check_one_winner(results: Vec<Result<usize>>, content: &str, way: &str) {
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    let won: Vec<usize> = won.into_iter().flatten().collect();
    assert_eq!(won.len(), 1, "{way}: {won:?}");
    assert_eq!(content, format!("writer {}", won[0]), "{way}");
    for error in lost.into_iter().filter_map(Result::err) {
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{way}: {error:?}");
    }
}

#[test]
fn of_32_handles_on_threads_that_create_one_object_one_wins() {
    for (way, config) in ways() {
        let bench = Bench::with(config.clone());
        let barrier = Barrier::new(WRITERS);
        let results = std::thread::scope(|scope| {
            let write = |writer| {
                let storage = FileStorage::with_config(bench.storage.root(), config.clone());
                let storage = blocking::Storage::new(Arc::new(storage));
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    let content = Source::bytes(format!("writer {writer}"));
                    storage.store(&at("new/dag/unit"), content, &StoreOptions::create()).map(|_| writer)
                })
            };
            let writers: Vec<_> = (0..WRITERS).map(write).collect();
            writers.into_iter().map(|writer| writer.join().expect("a thread")).collect()
        });
        let content = std::fs::read_to_string(bench.storage.root().join("new/dag/unit")).expect("read");
        check_one_winner(results, &content, way);
        assert_eq!(bench.tree(), names(&["new", "new/dag", "new/dag/unit"]), "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_32_tasks_on_one_handle_that_create_one_object_one_wins() {
    for (way, config) in ways() {
        let bench = Bench::with(config);
        let stores = (0..WRITERS).map(async |writer| {
            let content = Source::bytes(format!("writer {writer}"));
            bench.storage.store(&at("a"), content, &StoreOptions::create()).await.map(|_| writer)
        });
        let results = futures::future::join_all(stores).await;
        check_one_winner(results, &bench.load("a").await, way);
        assert_eq!(bench.tree(), names(&["a"]), "{way}");
    }
}

#[tokio::test]
async fn who_created_an_object_but_was_told_otherwise_has_created_it() {
    /// What a network file system does when the first answer is lost and the request is sent again.
    fn lose_the_answer(path: &Path, folder: BorrowedFd<'_>, name: &Path) -> std::io::Result<()> {
        config::link(path, folder, name)?;
        config::link(path, folder, name)
    }
    for unnamed_files in [true, false] {
        let bench = Bench::with(FileConfig { unnamed_files, link: lose_the_answer, ..FileConfig::default() });
        bench.storage.store(&at("a"), "mine".into(), &StoreOptions::create()).await.expect("it is mine");
        let error = bench.storage.store(&at("a"), "other".into(), &StoreOptions::create()).await;
        check_kind(error, ErrorKind::AlreadyExists, "a");
        assert_eq!(bench.load("a").await, "mine");
        assert_eq!(bench.tree(), names(&["a"]));
    }
}

#[tokio::test]
async fn creating_does_not_replace_what_is_not_an_object() {
    for (way, config) in ways() {
        let bench = Bench::with(config);
        bench.store("object", "object").await;
        let root = bench.storage.root();
        std::os::unix::fs::symlink("object", root.join("link")).expect("symlink");
        std::os::unix::fs::symlink("nowhere", root.join("dangling")).expect("symlink");
        run("mkfifo", &[root.join("fifo").to_str().expect("UTF-8")]);
        for (name, kind, says) in [
            ("object", ErrorKind::AlreadyExists, "already"),
            ("link", ErrorKind::AlreadyExists, "already"),
            ("dangling", ErrorKind::Conflict, "leads nowhere"),
            ("fifo", ErrorKind::Conflict, "not a file"),
        ] {
            let stored = bench.storage.store(&at(name), "new".into(), &StoreOptions::create()).await;
            check_kind(stored, kind, says);
        }
        assert_eq!(bench.tree(), names(&["dangling", "fifo", "link", "object"]), "{way}");
        assert_eq!(bench.load("link").await, "object", "{way}");
    }
}
