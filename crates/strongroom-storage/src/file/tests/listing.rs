//! Listing: what is listed, what is walked, and pages.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::TryStreamExt;

use super::*;
use crate::MemoryStorage;

const TREE: [&str; 12] =
    ["a", "a!b", "b/c", "b/d/e", "b/d/f", "b0", "foo", "foo.txt", "foo_dir/a", "foo_dir/b/c", "z/y/x/w", "é/ö"];

async fn listed(storage: &FileStorage, prefix: &str) -> Result<Vec<String>> {
    let found: Vec<Location> = storage.iter_contents(prefix).try_collect().await?;
    let mut found: Vec<_> = found.iter().map(ToString::to_string).collect();
    found.sort_unstable();
    Ok(found)
}

async fn filled() -> Bench {
    let bench = Bench::new();
    for name in TREE {
        bench.store(name, name).await;
    }
    bench
}

#[tokio::test]
async fn a_prefix_is_a_string() {
    let bench = filled().await;
    let prefixes = TREE.iter().flat_map(|name| (0..=name.len()).filter_map(|end| name.get(..end)));
    let odd =
        ["/", "//", "a/", "./a", "b//", "b/./d", "..", "b/../a", "nowhere", "b/c/", "b/c/d", "foo/", "\0", "x\0/"];
    for prefix in prefixes.chain(odd) {
        let expected: Vec<_> = TREE.iter().filter(|name| name.starts_with(prefix)).map(ToString::to_string).collect();
        assert_eq!(listed(&bench.storage, prefix).await.expect(prefix), expected, "{prefix:?}");
    }
}

#[tokio::test]
async fn pages_are_those_of_every_storage() {
    let bench = filled().await;
    let memory = MemoryStorage::new();
    for name in TREE {
        memory.store_bytes(&at(name), name.into()).await.expect("store");
    }
    let texts = ["", "a", "b", "b/", "b/d", "b/d/", "b/d/e", "b0", "foo", "foo_dir/", "foo_dir/b", "z/y", "\u{10ffff}"];
    for prefix in texts {
        for delimited in [false, true] {
            for after in std::iter::once(None).chain(texts.into_iter().map(Some)) {
                for limit in [None, Some(0), Some(1), Some(2), Some(5)] {
                    let options =
                        ListOptions { prefix: prefix.into(), delimited, start_after: after.map(Into::into), limit };
                    let found = bench.storage.list(&options).await.expect(prefix);
                    let expected = memory.list(&options).await.expect(prefix);
                    let locations = |listing: &Listing| {
                        listing.objects.iter().map(|object| object.location.clone()).collect::<Vec<_>>()
                    };
                    assert_eq!(locations(&found), locations(&expected), "{options:?}");
                    assert_eq!(found.prefixes, expected.prefixes, "{options:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn folders_without_objects_are_not_listed() {
    let bench = filled().await;
    std::fs::create_dir_all(bench.storage.root().join("empty/also empty")).expect("folders");
    std::fs::create_dir_all(bench.storage.root().join("b/empty")).expect("folders");
    bench.storage.delete(&at("z/y/x/w")).await.expect("delete");
    let listing = bench.storage.list(&ListOptions::directory("")).await.expect("list");
    assert_eq!(listing.prefixes, ["b/", "foo_dir/", "é/"]);
    assert_eq!(bench.storage.list(&ListOptions::directory("b/")).await.expect("list").prefixes, ["b/d/"]);
    assert_eq!(listed(&bench.storage, "empty").await.expect("list"), [""; 0]);
    let absent = FileStorage::new(bench.folder.path().join("absent"));
    assert_eq!(listed(&absent, "").await.expect("list"), [""; 0]);
}

#[tokio::test]
async fn links_to_files_are_listed_and_links_to_folders_are_not_followed() {
    let bench = Bench::new();
    bench.store("folder/file", "content").await;
    bench.outside("secret", "secret");
    let link = |target: &str, name| std::os::unix::fs::symlink(target, bench.storage.root().join(name));
    link("folder/file", "to a file").expect("symlink");
    link("folder", "to a folder").expect("symlink");
    link("..", "folder/around").expect("symlink");
    link("nowhere", "dangling").expect("symlink");
    assert_eq!(listed(&bench.storage, "").await.expect("list"), ["folder/file", "to a file"]);
    assert_eq!(listed(&bench.storage, "to a folder/").await.expect("list"), [""; 0]);
    assert_eq!(listed(&bench.storage, "folder/around/").await.expect("list"), [""; 0]);
}

#[tokio::test]
async fn names_that_no_location_can_have_are_passed_over() {
    let bench = Bench::new();
    bench.store("a/sound", "content").await;
    std::fs::write(bench.storage.root().join("a").join(OsStr::from_bytes(b"\xff.txt")), "1").expect("write");
    let folder = bench.storage.root().join(OsStr::from_bytes(b"\xff"));
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("a"), "1").expect("write");
    // Deeper than any location.
    let mut deep = bench.storage.root().join("deep");
    for _ in 0..5 {
        deep.push("x".repeat(255));
    }
    std::fs::create_dir_all(&deep).expect("folders");
    std::fs::write(deep.join("a"), "1").expect("write");
    assert_eq!(listed(&bench.storage, "").await.expect("list"), ["a/sound"]);
}

#[tokio::test]
async fn more_objects_than_fit_a_batch_are_all_listed_once() {
    let bench = Bench::new();
    for folder in ["a", "b"] {
        std::fs::create_dir_all(bench.storage.root().join(folder)).expect("a folder");
        for number in 0..600 {
            std::fs::write(bench.storage.root().join(format!("{folder}/{number:04}")), "").expect("write");
        }
    }
    let found = listed(&bench.storage, "").await.expect("list");
    let expected: Vec<_> =
        ["a", "b"].iter().flat_map(|folder| (0..600).map(move |number| format!("{folder}/{number:04}"))).collect();
    assert_eq!(found, expected);
}

/// On tmpfs, replacing a file gives its name a new place in the folder.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_replaced_meanwhile_is_listed_once() {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let folder = folder.expect("a temporary folder");
    let root = folder.path().join("root");
    let storage = FileStorage::new(&root);
    std::fs::create_dir(&root).expect("a folder");
    let expected: Vec<_> = (0..3000).map(|number| format!("{number:04}")).collect();
    for name in &expected {
        std::fs::write(root.join(name), "").expect("write");
    }
    let done = Arc::new(AtomicBool::new(false));
    let replacing = std::thread::spawn({
        let (done, root, names) = (done.clone(), root.clone(), expected.clone());
        move || {
            for name in names.iter().cycle() {
                std::fs::write(root.join(".new"), "")
                    .and_then(|()| std::fs::rename(root.join(".new"), root.join(name)))?;
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
            Ok::<(), std::io::Error>(())
        }
    });
    for _ in 0..50 {
        let mut found = listed(&storage, "").await.expect("list");
        found.retain(|name| name != ".new");
        let mut once = found.clone();
        once.dedup();
        assert_eq!(found, once);
    }
    done.store(true, Ordering::Relaxed);
    replacing.join().expect("a thread").expect("replace");
}

#[tokio::test]
async fn what_is_deleted_while_it_is_listed_hides_nothing_else() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.storage.root().join("a")).expect("a folder");
    for number in 0..1100 {
        std::fs::write(bench.storage.root().join(format!("a/{number:04}")), "").expect("write");
    }
    let mut stream = bench.storage.iter_contents("a/");
    let mut count = 0;
    while let Some(location) = stream.try_next().await.expect("list") {
        bench.storage.delete(&location).await.expect("delete");
        count += 1;
    }
    assert_eq!(count, 1100);
}

#[cfg(target_os = "linux")]
#[test]
fn listings_are_consistent_where_the_file_system_is_known_to_be_of_this_machine() {
    let is_consistent = |root: &Path| FileStorage::new(root).capabilities().consistent_listing;
    let bench = Bench::new();
    // Temporary folders and memory are local on every machine that tests run on.
    assert!(is_consistent(bench.folder.path()) && is_consistent(&bench.folder.path().join("not/there/yet")));
    assert!(is_consistent(Path::new("/dev/shm")));
    assert!(!is_consistent(Path::new("/proc")), "no file system for files, and so none that is known");
}

#[tokio::test]
async fn a_folder_says_how_much_room_there_is_also_before_it_is_made() {
    let bench = Bench::new();
    for root in [bench.folder.path(), &bench.folder.path().join("not/there/yet")] {
        let available = FileStorage::new(root).available_bytes().await.expect("statvfs");
        assert!(available.is_some_and(|available| available > 0), "{available:?}");
    }
    assert_eq!(MemoryStorage::new().available_bytes().await.expect("nothing"), None);
}
