//! Handles, threads and processes that share one store, in memory and in a folder.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use strongroom_content::{Layout, PutOptions};
use strongroom_storage::{ByteRange, ErrorKind, ExternalStorage, FileStorage, Source};

use crate::steps::STEPS;
use crate::support::{
    Backend, assert_no_problems, at, commits, copy, create, files, layout, load, memory, noise, open, picture, put,
    small_chunks, verify,
};

fn folder_storage(folder: &Path) -> Backend {
    Arc::new(FileStorage::new(folder))
}

#[test]
fn threads_with_handles_and_runtimes_of_their_own_share_a_store() {
    let folder = tempfile::tempdir().expect("a folder");
    for backend in [memory(), folder_storage(folder.path())] {
        let runtime = || tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime().block_on(create(&backend, small_chunks()));
        let writer = |thread: u64| {
            let backend = backend.clone();
            move || {
                runtime().block_on(async {
                    let store = open(&backend).await;
                    for n in 0..15 {
                        // Half of the content is the other's too.
                        let seed = if n % 2 == 0 { n } else { thread * 100 + n };
                        put(&store, &format!("a/{thread}.{n}"), noise(seed, 2000), PutOptions::default())
                            .await
                            .expect("put");
                        load(&store, &format!("a/{thread}.{n}")).await.expect("what was acknowledged is there");
                    }
                });
            }
        };
        let threads = [std::thread::spawn(writer(1)), std::thread::spawn(writer(2))];
        for thread in threads {
            thread.join().expect("the thread");
        }
        runtime().block_on(async {
            assert_eq!(commits(&backend).await["a"], 30);
            for (name, bytes) in &picture(&backend).await["a"] {
                let (thread, n) = name[2..].split_once('.').expect("thread.n");
                let (thread, n): (u64, u64) = (thread.parse().expect("number"), n.parse().expect("number"));
                assert_eq!(*bytes, noise(if n % 2 == 0 { n } else { thread * 100 + n }, 2000));
            }
            assert_no_problems(&verify(&backend, true).await, "shared");
            assert_eq!(files(&backend, "gc/").await, []);
        });
    }
}

/// What another process runs: it commits to one namespace and says what was acknowledged.
#[tokio::test]
#[ignore = "it is run as another process"]
async fn another_process() {
    let folder = std::env::var("STRONGROOM_TEST_FOLDER").expect("the folder of a store");
    let process: u64 = std::env::var("STRONGROOM_TEST_PROCESS").expect("a number").parse().expect("a number");
    let store = open(&folder_storage(Path::new(&folder))).await;
    for n in 0..1000 {
        let name = format!("shared/{process}.{n}");
        put(&store, &name, noise(process * 10_000 + n, 1500), PutOptions::default()).await.expect("put");
        println!("acknowledged {name}");
    }
}

fn start(folder: &Path, process: u64) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["sharing::another_process", "--exact", "--ignored", "--nocapture"])
        .env("STRONGROOM_TEST_FOLDER", folder)
        .env("STRONGROOM_TEST_PROCESS", process.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start another process")
}

#[tokio::test]
async fn processes_that_are_killed_lose_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = folder_storage(folder.path());
    create(&backend, small_chunks()).await;
    let mut children = [start(folder.path(), 1), start(folder.path(), 2)];
    let mut acknowledged = Vec::new();
    let mut said: Vec<_> =
        children.iter_mut().map(|child| BufReader::new(child.stdout.take().expect("piped")).lines()).collect();
    for lines in &mut said {
        let names =
            lines.map_while(|line| line.ok()).filter_map(|line| line.strip_prefix("acknowledged ").map(str::to_string));
        acknowledged.extend(names.take(12));
    }
    for child in &mut children {
        child.kill().expect("kill");
        child.wait().expect("it is dead");
    }
    assert_eq!(acknowledged.len(), 24);
    let found = picture(&backend).await;
    for name in &acknowledged {
        let (process, n) = name["shared/".len()..].split_once('.').expect("process.n");
        let (process, n): (u64, u64) = (process.parse().expect("number"), n.parse().expect("number"));
        assert_eq!(found["shared"][name], noise(process * 10_000 + n, 1500), "{name}");
    }
    assert_eq!(commits(&backend).await["shared"], found["shared"].len() as u64, "each commit has one name");
    assert_no_problems(&verify(&backend, true).await, "killed");
    put(&open(&backend).await, "shared/next", noise(1, 1500), PutOptions::default()).await.expect("it goes on");
}

#[tokio::test]
async fn a_store_in_a_folder_is_what_a_store_in_memory_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let (disk, memory) = (folder_storage(folder.path()), memory());
    for backend in [&disk, &memory] {
        create(backend, small_chunks()).await;
        for step in STEPS {
            (step.prepare)(backend).await;
            (step.work)(&open(backend).await).await.expect(step.name);
        }
        assert_no_problems(&verify(backend, true).await, "done");
    }
    assert!(picture(&disk).await == picture(&memory).await);
    // Its files are all there is to it.
    assert!(picture(&copy(&disk).await).await == picture(&memory).await);
}

#[tokio::test]
async fn a_whole_object_is_handed_out_as_a_file_that_was_verified() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = folder_storage(folder.path());
    let store = create(&backend, small_chunks()).await;
    let bytes = noise(1, (1 << 20) + 100);
    put(&store, "a/whole", bytes.clone(), PutOptions::default()).await.expect("put");
    put(&store, "a/packed", noise(2, 1000), PutOptions::default()).await.expect("put");
    let path = open(&backend).await.local_path(&at("a/whole"), None).await.expect("path");
    assert!(std::fs::read(path.path()).expect("read") == bytes);
    let error = store.local_path(&at("a/packed"), None).await.expect_err("it is in a pack");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("layout whole"), "{error}");
    let error = store.local_path(&at("a/none"), None).await.expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::Missing);

    let file = files(&backend, "files/").await.remove(0);
    let mut damaged = bytes.to_vec();
    damaged[1 << 20] ^= 1;
    for damaged in [damaged, bytes[..1000].to_vec(), Vec::new()] {
        backend.store_bytes(&file, damaged.into()).await.expect("damage");
        let error = open(&backend).await.local_path(&at("a/whole"), None).await.expect_err("damaged");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
        assert!(error.to_string().contains(file.as_str()), "{error}");
    }
    backend.delete(&file).await.expect("delete");
    let error = open(&backend).await.local_path(&at("a/whole"), None).await.expect_err("lost");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
}

#[tokio::test]
async fn a_file_that_is_handed_out_is_called_like_the_object_or_as_was_wished() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = create(&folder_storage(folder.path()), small_chunks()).await;
    let bytes = noise(1, 5000);
    put(&store, "run/unit/traj.xtc", bytes.clone(), layout(Layout::Whole)).await.expect("put");
    let named = store.find(&at("run/unit/traj.xtc")).await.expect("find");
    let digest = named.digest().to_string();
    let unnamed = store.find_digest(&format!("b3:{digest}")).await.expect("find");
    for (object, own_name) in [(&named, "traj.xtc"), (&unnamed, &digest)] {
        for (wish, name) in [(None, own_name), (Some("in.dcd"), "in.dcd")] {
            let path = object.local_path(wish).await.expect(name);
            assert_eq!(path.path().file_name(), Some(name.as_ref()));
            assert!(std::fs::read(path.path()).expect("read") == bytes, "{name}");
        }
    }
    let error = store.local_path(&at("run/unit/traj.xtc"), Some("a/b")).await.expect_err("two segments");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_file_that_is_handed_out_stays_when_the_object_is_removed_and_collected() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = folder_storage(folder.path());
    let store = create(&backend, small_chunks()).await;
    let bytes = noise(1, 5000);
    put(&store, "a/b", bytes.clone(), layout(Layout::Whole)).await.expect("put");
    let path = store.local_path(&at("a/b"), None).await.expect("path");
    store.delete(&at("a/b")).await.expect("delete");
    // As a collector does it.
    backend.delete_all(&files(&backend, "files/").await).await.expect("delete");
    assert!(std::fs::read(path.path()).expect("read") == bytes);
    let gone = path.path().to_path_buf();
    drop(path);
    assert!(!gone.exists() && !gone.parent().expect("its folder").exists());
}

#[tokio::test]
async fn a_file_that_a_killed_process_holds_is_no_part_of_the_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = folder_storage(folder.path());
    let store = create(&backend, small_chunks()).await;
    put(&store, "a/b", noise(1, 5000), layout(Layout::Whole)).await.expect("put");
    let (before, usage) = (files(&backend, "").await, store.usage().await.expect("usage"));
    std::mem::forget(store.local_path(&at("a/b"), Some("left.dcd")).await.expect("path"));
    assert_eq!(files(&backend, "").await, before);
    assert_eq!(open(&backend).await.usage().await.expect("usage"), usage);
    assert_no_problems(&verify(&backend, true).await, "left");
    put(&open(&backend).await, "a/c", noise(1, 5000), layout(Layout::Whole)).await.expect("put");
    assert_eq!(files(&backend, "files/").await.len(), 1, "the content is known");
}

#[tokio::test]
async fn what_never_changes_is_in_files_that_nobody_may_write_to() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("source");
    let backend = folder_storage(&folder.path().join("store"));
    let store = create(&backend, small_chunks()).await;
    std::fs::write(&source, noise(1, 5000)).expect("write");
    let mut batch = store.batch();
    batch.put(at("a/whole"), Source::consumed_path(&source), layout(Layout::Whole));
    batch.put(at("a/packed"), noise(2, 5000), layout(Layout::Chunked));
    batch.commit().await.expect("commit");
    // Enough packs for an index file.
    for n in 0..66 {
        put(&store, &format!("b/{n}"), noise(100 + n, 1000), PutOptions::default()).await.expect("put");
    }
    let mut kinds = BTreeSet::new();
    for file in files(&backend, "").await {
        let kind = file.segments().next().expect("a segment").to_string();
        let path = backend.local_path(&file, None).await.expect("path");
        let mode = std::fs::metadata(path.path()).expect("metadata").permissions().mode();
        let changes = kind == "gc" || kind == "README.txt";
        assert_eq!(mode & 0o222 == 0, !changes, "{file}: {mode:o}");
        kinds.insert(kind);
    }
    assert!(
        ["files", "index", "names", "packs", "strongroom.json"].iter().all(|kind| kinds.contains(*kind)),
        "{kinds:?}"
    );
}

#[tokio::test]
async fn a_damaged_file_is_not_handed_out_because_another_copy_is_sound() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = folder_storage(folder.path());
    create(&backend, small_chunks()).await;
    let (one, other) = (open(&backend).await, open(&backend).await);
    for (store, name) in [(&one, "x/1"), (&other, "x/2")] {
        put(store, name, noise(3, 1000), PutOptions::default()).await.expect("they know what there is now");
    }
    let bytes = noise(1, 50_000);
    put(&one, "a/one", bytes.clone(), layout(Layout::Whole)).await.expect("put");
    put(&other, "a/other", bytes.clone(), layout(Layout::Whole)).await.expect("put");
    let copies = files(&backend, "files/").await;
    assert_eq!(copies.len(), 2);
    for damaged in &copies {
        for content in [bytes.slice(..100), noise(2, 50_000)] {
            backend.store_bytes(damaged, content).await.expect("damage");
            for name in ["a/one", "a/other"] {
                let path = open(&backend).await.local_path(&at(name), None).await.expect("the other copy");
                assert!(std::fs::read(path.path()).expect("read") == bytes, "{name}");
            }
        }
        backend.store_bytes(damaged, bytes.clone()).await.expect("restore");
    }
    assert_eq!(backend.load_bytes(&copies[0], ByteRange::All).await.expect("load"), bytes);
}
