//! Writers beside collectors: sessions begin, give signs of life, end and are ended; lists name what may not be relied on.

use std::sync::Arc;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::join_all;
use futures::{FutureExt, StreamExt, stream};
use strongroom_content::{CollectOptions, ContentConfig, ContentStorage, Layout, OpenOptions, PutOptions, Version};
use strongroom_storage::{
    ByteRange, Error, ErrorKind, ExternalStorage, FileStorage, Location, Source, StoreMode, StoreOptions,
};
use strongroom_testkit::{NonExclusiveStorage, Operation, RecordingStorage, TestHost};
use tokio::task::JoinSet;

use crate::collector::{all_content, end_sessions, publish_list, remove, standing_sessions};
use crate::support::{
    Backend, assert_no_problems, at, bucket, create, files, layout, load, memory, namespace, noise, open, picture, put,
    small_chunks, verify,
};
use crate::traps::{TrappedStorage, all_sprung, looks_whether_its_session_stands, trap, trapped};

/// A store with one object of each kind, and a handle on it in front of traps.
pub async fn store_behind_traps() -> (Backend, TrappedStorage, ContentStorage) {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    let mut batch = store.batch();
    batch
        .put(at("old/packed"), noise(1, 1000), PutOptions::default())
        .put(at("old/chunked"), noise(2, 100_000), layout(Layout::Chunked))
        .put(at("old/whole"), noise(3, 50_000), layout(Layout::Whole));
    batch.commit().await.expect("commit");
    let storage = trapped(&backend);
    let store = open(&(Arc::new(storage.clone()) as Backend)).await;
    (backend, storage, store)
}

pub const KINDS: [(&str, Layout, u64, usize); 3] =
    [("packed", Layout::Auto, 1, 1000), ("chunked", Layout::Chunked, 2, 100_000), ("whole", Layout::Whole, 3, 50_000)];

#[tokio::test]
async fn a_backend_that_overwrites_what_should_be_new_is_read_but_not_written_to() {
    let (backend, ..) = store_behind_traps().await;
    let before = files(&backend, "").await;
    let store = open(&(Arc::new(NonExclusiveStorage::new(backend.clone())) as Backend)).await;
    let error = store.store_bytes(&at("a/b"), "1".into()).await.expect_err("it is found out");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(!error.may_have_happened());
    assert!(error.to_string().contains("use another service, open the store read-only, or"), "{error}");
    assert_eq!(files(&backend, "").await, before);
    assert_eq!(load(&store, "old/packed").await.expect("reading is safe"), noise(1, 1000));
}

#[tokio::test]
async fn who_alone_writes_may_write_to_a_backend_that_overwrites() {
    let memory = memory();
    let overwriting: Backend = Arc::new(NonExclusiveStorage::new(bucket(&memory)));
    let options = || OpenOptions::default().with_single_writer(true);
    let create = ContentStorage::create(overwriting.clone(), small_chunks(), options());
    let store = create.await.expect("create");
    join_all((0..50).map(async |n| {
        let name = format!("{}/{n}", n % 3);
        put(&store, &name, noise(n, 5000), PutOptions::default()).await.expect("put");
        let again = store.store(&at(&name), "x".into(), &StoreOptions::create()).await.expect_err("it is there");
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    }))
    .await;
    store.collect(CollectOptions::default()).await.expect("collect");
    // Again by another handle, when the first is done.
    drop(store);
    let store = ContentStorage::open(overwriting, options()).await.expect("open");
    put(&store, "0/0", noise(77, 5000), PutOptions::default()).await.expect("put");
    assert_no_problems(&verify(&memory, true).await, "in the end");
    for n in 1..50 {
        assert_eq!(load(&store, &format!("{}/{n}", n % 3)).await.expect("load"), noise(n, 5000));
    }
}

#[tokio::test]
async fn a_session_leaves_nothing_behind_whether_its_work_succeeds_or_not() {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    let a = namespace("a");
    store.store_bytes(&at("a/b"), "1".into()).await.expect("store");
    store.delete(&at("a/c")).await.expect_err("there is none");
    let broken = stream::iter([Err(Error::missing("read", "a source"))]);
    store.store(&at("a/d"), Source::stream(broken), &StoreOptions::default()).await.expect_err("the source fails");
    store.tag(&a, Version::new(1), "one", StoreMode::Create).await.expect("tag");
    store.tag(&a, Version::new(9), "nine", StoreMode::Create).await.expect_err("no such version");
    store.untag(&a, "one").await.expect("untag");
    assert_eq!(files(&backend, "gc/").await, []);
}

#[tokio::test]
async fn tasks_at_the_same_time_share_a_session() {
    let backend = memory();
    create(&backend, small_chunks()).await;
    let recording = RecordingStorage::new(Arc::new(trapped(&backend)));
    let store = open(&(Arc::new(recording.clone()) as Backend)).await;
    join_all((0..20).map(|n| {
        let store = &store;
        async move { put(store, &format!("a/{n}"), noise(n, 500), PutOptions::default()).await.expect("put") }
    }))
    .await;
    let lines = recording.lines();
    let markers = |verb: &str| lines.iter().filter(|line| line.starts_with(verb) && line.ends_with(".session")).count();
    assert_eq!((markers("create"), markers("delete")), (2, 1), "created, probed, removed");
    assert_eq!(files(&backend, "gc/").await, []);
}

/// The sessions that stand, once there are so many.
async fn sessions(backend: &Backend, count: usize) -> Vec<Location> {
    loop {
        let standing = standing_sessions(backend).await;
        if standing.len() >= count {
            return standing;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_busy_handle_changes_its_session_after_ten_minutes() {
    let backend = memory();
    create(&backend, ContentConfig::default()).await;
    let host = Arc::new(TestHost::new(1));
    let options = OpenOptions::default().with_host(host.clone());
    let store = ContentStorage::open(backend.clone(), options).await.expect("open");
    // A file that is stored until it is told to end.
    let endless = |name: &str| {
        let (end, ended) = oneshot::channel::<()>();
        let source = Source::stream(stream::once(async move {
            ended.await.expect("the test goes on");
            Ok("late".into())
        }));
        let (store, location) = (store.clone(), at(name));
        let mut task = JoinSet::new();
        task.spawn(async move { store.store(&location, source, &StoreOptions::default()).await });
        (end, task)
    };
    let (end_first, first_work) = endless("a/first");
    let first = sessions(&backend, 1).await;
    store.store_bytes(&at("a/soon"), "1".into()).await.expect("store");
    assert_eq!(standing_sessions(&backend).await, first, "it is shared while it is young");

    host.advance(Duration::from_secs(601));
    let (end_second, second_work) = endless("a/second");
    let both = sessions(&backend, 2).await;
    end_first.send(()).expect("it waits");
    first_work.join_all().await.into_iter().for_each(|stored| drop(stored.expect("store")));
    let second: Vec<_> = both.into_iter().filter(|marker| !first.contains(marker)).collect();
    assert_eq!(standing_sessions(&backend).await, second);
    end_second.send(()).expect("it waits");
    second_work.join_all().await.into_iter().for_each(|stored| drop(stored.expect("store")));
    assert_eq!(files(&backend, "gc/").await, []);
}

#[tokio::test]
async fn long_work_gives_signs_of_life() {
    let recording = RecordingStorage::new(memory());
    let config = small_chunks().with_lease(Duration::from_secs(800));
    let backend: Backend = Arc::new(recording.clone());
    create(&backend, config).await;
    let host = Arc::new(TestHost::new(1));
    let store = ContentStorage::open(backend, OpenOptions::default().with_host(host.clone())).await.expect("open");
    let beats = |recording: &RecordingStorage| {
        recording.take();
        let recording = recording.clone();
        move || recording.lines().iter().filter(|line| line.starts_with("store gc/") && line.ends_with(".beat")).count()
    };

    let count = beats(&recording);
    let clock = host.clone();
    let pieces = stream::iter(0..20).map(move |n| {
        clock.advance(Duration::from_secs(101));
        Ok(noise(n, 100_000))
    });
    let mut batch = store.batch();
    batch.put(at("a/stream"), Source::stream(pieces), layout(Layout::Chunked));
    batch.commit().await.expect("commit");
    // What is read to find out whether an object is small is taken in one go.
    assert!(count() >= 8, "{}", count());

    let count = beats(&recording);
    let clock = host.clone();
    let progress = move |_, _| clock.advance(Duration::from_secs(101));
    let mut batch = store.batch().with_progress(Arc::new(progress));
    for n in 0..20 {
        batch.put(at(&format!("a/{n}")), noise(n, 500), PutOptions::default());
    }
    batch.commit().await.expect("commit");
    assert!(count() >= 19, "{}", count());

    let count = beats(&recording);
    let clock = host.clone();
    let progress = move |_, _| clock.advance(Duration::from_secs(101));
    let mut batch = store.batch().with_progress(Arc::new(progress));
    for n in 0..20 {
        let object = store.find(&at(&format!("a/{n}"))).await.expect("find");
        batch.link(at(&format!("b/{n}")), object, StoreMode::Overwrite);
    }
    batch.commit().await.expect("commit");
    assert!(count() >= 19, "{}", count());
    assert_eq!(files(recording.inner(), "gc/").await, []);
}

#[tokio::test]
async fn storing_one_large_file_gives_signs_of_life() {
    let folder = tempfile::tempdir().expect("a folder");
    let recording = RecordingStorage::new(Arc::new(FileStorage::new(folder.path())));
    let backend: Backend = Arc::new(recording.clone());
    create(&backend, small_chunks().with_lease(Duration::from_secs(800))).await;
    let host = Arc::new(TestHost::new(1));
    let store = ContentStorage::open(backend, OpenOptions::default().with_host(host.clone())).await.expect("open");
    let is_beat = |line: &String| line.ends_with(".beat") && line.starts_with("store gc/");
    let watched = recording.clone();
    let pieces = stream::iter(0..20).then(move |n| {
        host.advance(Duration::from_secs(101));
        let watched = watched.clone();
        async move {
            // The source is slow: the signs of life for what was written before have their time.
            for _ in 0..100_000 {
                if watched.lines().iter().filter(|line| is_beat(line)).count() as u64 + 4 >= n {
                    break;
                }
                tokio::task::yield_now().await;
            }
            Ok(noise(n, 1 << 20))
        }
    });
    let mut batch = store.batch();
    batch.put(at("a/stream"), Source::stream(pieces), layout(Layout::Whole));
    batch.commit().await.expect("commit");
    let lines = recording.lines();
    let beats = lines.iter().filter(|line| is_beat(line)).count();
    // One each comes before and after it is stored.
    assert!(beats >= 8, "{beats}: {lines:#?}");
}

#[tokio::test]
async fn a_commit_that_is_given_up_at_any_operation_leaves_a_handle_that_works() {
    for n in 0.. {
        let (backend, storage, store) = store_behind_traps().await;
        let before = picture(&backend).await;
        let (reached, at_operation) = oneshot::channel::<()>();
        trap(&storage, |_| true, n, async move {
            reached.send(()).expect("the test waits");
            futures::future::pending::<()>().await;
        });
        let mut batch = store.batch();
        batch
            .put(at("old/packed"), noise(11, 2000), PutOptions::default())
            .put(at("old/more"), noise(12, 50_000), layout(Layout::Chunked))
            .put(at("old/whole"), noise(13, 3000), layout(Layout::Whole));
        let given_up = futures::future::select(batch.commit().boxed(), at_operation).await;
        if let futures::future::Either::Left(_) = given_up {
            assert!(n > 10);
            break;
        }
        drop(given_up);
        let found = picture(&backend).await;
        assert!(found == before || found["old"].len() == 4, "operation {n}");
        store.store_bytes(&at("old/next"), "next".into()).await.expect("the handle works");
        assert_eq!(load(&store, "old/next").await.expect("load"), "next");
        assert!(standing_sessions(&backend).await.len() <= 1, "operation {n}");
        assert_no_problems(&verify(&backend, true).await, "given up");
    }
}

#[tokio::test]
async fn a_commit_whose_session_was_ended_is_made_again_and_acknowledged_once() {
    let (backend, storage, store) = store_behind_traps().await;
    let collector = backend.clone();
    trap(&storage, looks_whether_its_session_stands, 0, async move { end_sessions(&collector).await });
    store.store_bytes(&at("a/b"), noise(9, 1000)).await.expect("store");
    assert!(all_sprung(&storage));
    let log = store.log(&namespace("a"), None).await.expect("log");
    assert_eq!(log.len(), 2);
    assert_eq!(log[0].id, log[1].id, "it is the same commit");
    assert_eq!(load(&open(&backend).await, "a/b").await.expect("load"), noise(9, 1000));
    assert_eq!(standing_sessions(&backend).await, []);
    assert_no_problems(&verify(&backend, true).await, "made again");
}

#[tokio::test]
async fn a_commit_whose_marker_is_gone_is_made_again() {
    let (backend, storage, store) = store_behind_traps().await;
    let other = backend.clone();
    trap(&storage, looks_whether_its_session_stands, 0, async move {
        other.delete_all(&files(&other, "gc/").await).await.expect("delete");
    });
    store.store_bytes(&at("a/b"), noise(9, 1000)).await.expect("store");
    assert_eq!(store.log(&namespace("a"), None).await.expect("log").len(), 2);
    assert_eq!(files(&backend, "gc/").await, []);
}

#[tokio::test]
async fn a_commit_that_is_made_again_leaves_names_alone_that_a_later_commit_took() {
    let (backend, storage, store) = store_behind_traps().await;
    let other = backend.clone();
    trap(&storage, looks_whether_its_session_stands, 0, async move {
        end_sessions(&other).await;
        let store = open(&other).await;
        store.store_bytes(&at("a/replaced"), "later".into()).await.expect("store");
        store.delete(&at("a/removed")).await.expect("delete");
    });
    let mut batch = store.batch();
    for name in ["a/replaced", "a/removed", "a/kept"] {
        batch.put(at(name), noise(9, 1000), PutOptions::default().with_mode(StoreMode::Create));
    }
    batch.commit().await.expect("commit");
    let found = picture(&backend).await;
    assert_eq!(found["a"].len(), 2);
    assert_eq!(found["a"]["a/replaced"], "later");
    assert_eq!(found["a"]["a/kept"], noise(9, 1000));
}

#[tokio::test]
async fn a_commit_that_is_made_again_copies_what_a_list_names() {
    for (kind, layouts, seed, size) in KINDS {
        let (backend, storage, store) = store_behind_traps().await;
        let collector = backend.clone();
        trap(&storage, looks_whether_its_session_stands, 0, async move {
            publish_list(&collector, &all_content(&collector).await).await;
            end_sessions(&collector).await;
        });
        // The content is there, so the commit relies on it.
        put(&store, "a/b", noise(seed, size), layout(layouts)).await.expect("put");
        store.delete_all(&["old/packed", "old/chunked", "old/whole"].map(at)).await.expect("delete");
        let list = files(&backend, "gc/").await.into_iter().find(|file| file.as_str().ends_with(".list"));
        let list = list.expect("the list");
        let text = backend.load_bytes(&list, ByteRange::All).await.expect("load");
        let text = String::from_utf8(text.into()).expect("text");
        let condemned: Vec<_> = text.lines().filter(|line| line.contains('/')).map(at).collect();
        assert_eq!(condemned.len(), 2);
        remove(&backend, &condemned, &list).await;
        assert_eq!(load(&open(&backend).await, "a/b").await.expect(kind), noise(seed, size));
        assert_no_problems(&verify(&backend, true).await, kind);
    }
}

#[tokio::test]
async fn a_commit_whose_content_was_collected_is_not_acknowledged_and_storing_it_again_mends_it() {
    for (kind, layouts, seed, size) in KINDS {
        let (backend, storage, store) = store_behind_traps().await;
        put(&store, "a/replaced", "before".into(), PutOptions::default()).await.expect("put");
        put(&store, "a/removed", "removed".into(), PutOptions::default()).await.expect("put");
        store.delete_all(&["old/packed", "old/chunked", "old/whole"].map(at)).await.expect("delete");
        let collector = backend.clone();
        trap(&storage, looks_whether_its_session_stands, 0, async move {
            end_sessions(&collector).await;
            collector.delete_all(&all_content(&collector).await).await.expect("delete");
        });
        let mut batch = store.batch();
        batch
            .put(at("a/new"), noise(seed, size), layout(layouts))
            .put(at("a/replaced"), noise(seed, size), layout(layouts))
            .put(at("a/inline"), "inline", PutOptions::default())
            .remove(at("a/removed"));
        let error = batch.commit().await.expect_err(kind);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{kind}: {error:?}");
        assert!(error.to_string().contains("store it again"), "{error}");
        assert!(error.may_have_happened(), "{kind}: {error:?}");
        assert!(!verify(&backend, true).await.is_sound(), "{kind}");
        for name in ["a/new", "a/replaced"] {
            put(&store, name, noise(seed, size), layout(layouts)).await.expect("store it again");
            assert_eq!(load(&open(&backend).await, name).await.expect(kind), noise(seed, size));
        }
        assert_no_problems(&verify(&backend, true).await, kind);
        assert_eq!(standing_sessions(&backend).await, []);
    }
}

/// The first namespace is committed again in a new session; what the second relies on was made sure of in the old one.
#[tokio::test]
async fn a_session_that_is_ended_between_two_namespaces_is_no_ground_for_the_second() {
    for (kind, layouts, seed, size) in KINDS {
        let (backend, storage, store) = store_behind_traps().await;
        store.delete_all(&["old/packed", "old/chunked", "old/whole"].map(at)).await.expect("delete");
        let before = picture(&backend).await;
        let collector = backend.clone();
        trap(&storage, looks_whether_its_session_stands, 0, async move {
            // Nobody needs what only the second namespace is about to name.
            end_sessions(&collector).await;
            collector.delete_all(&all_content(&collector).await).await.expect("delete");
        });
        let mut batch = store.batch();
        batch.put(at("first/inline"), "inline", PutOptions::default()).put(
            at("second/content"),
            noise(seed, size),
            layout(layouts),
        );
        let error = batch.commit().await.expect_err(kind);
        assert!(error.may_have_happened(), "the first namespace has its part: {error:?}");
        assert_no_problems(&verify(&backend, true).await, kind);
        let after = picture(&backend).await;
        assert_eq!(after.get("second"), before.get("second"));
    }
}

#[tokio::test]
async fn a_tag_whose_session_was_ended_is_given_again_or_not_acknowledged() {
    for collected in [false, true] {
        let (backend, storage, store) = store_behind_traps().await;
        put(&store, "old/packed", noise(21, 1000), PutOptions::default()).await.expect("put");
        let old_content = all_content(&backend).await;
        put(&store, "old/packed", noise(22, 1000), PutOptions::default()).await.expect("put");
        store.delete_all(&["old/chunked", "old/whole"].map(at)).await.expect("delete");
        let collector = backend.clone();
        trap(&storage, looks_whether_its_session_stands, 0, async move {
            end_sessions(&collector).await;
            if collected {
                collector.delete_all(&old_content).await.expect("delete");
                let run = files(&collector, "names/old/@/").await.pop().expect("the first version");
                collector.delete(&run).await.expect("delete");
            }
        });
        let tagged = store.tag(&namespace("old"), Version::new(1), "first", StoreMode::Create).await;
        assert!(all_sprung(&storage));
        if collected {
            let error = tagged.expect_err("it is gone");
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
            assert!(error.may_have_happened() && error.to_string().contains("delete the tag"), "{error}");
            store.untag(&namespace("old"), "first").await.expect("untag");
        } else {
            tagged.expect("it is there");
            assert_eq!(open(&backend).await.tags().await.expect("tags").len(), 1);
        }
        assert_no_problems(&verify(&backend, true).await, "tagged");
        assert_eq!(standing_sessions(&backend).await, []);
    }
}

/// Were it, and were the versions after it pruned, the commit would be made where nobody looks for it.
#[tokio::test]
async fn a_head_that_was_known_before_the_session_is_not_built_on() {
    let backend = memory();
    create(&backend, small_chunks()).await;
    let options = OpenOptions::default().with_host(Arc::new(TestHost::new(1)));
    let store = ContentStorage::open(backend.clone(), options).await.expect("open");
    put(&store, "a/1", "1".into(), PutOptions::default()).await.expect("put");
    load(&store, "a/1").await.expect("the head is known now, and the clock stands still");
    for n in 2..=4 {
        put(&open(&backend).await, &format!("a/{n}"), "1".into(), PutOptions::default()).await.expect("put");
    }
    let runs = files(&backend, "names/a/@/").await;
    backend.delete_all(&runs[1..]).await.expect("prune all but version 4");
    put(&store, "a/5", "1".into(), PutOptions::default()).await.expect("put");
    assert_eq!(picture(&backend).await["a"].len(), 5);
}

#[tokio::test]
async fn what_a_handle_knew_before_its_session_is_looked_at_again() {
    for (kind, layouts, seed, size) in KINDS {
        for name in ["a/b", "a/c"] {
            let (backend, _, store) = store_behind_traps().await;
            store.delete_all(&["old/packed", "old/chunked", "old/whole"].map(at)).await.expect("delete");
            put(&store, "a/b", noise(seed, size), layout(layouts)).await.expect("put");
            backend.delete_all(&all_content(&backend).await).await.expect("behind its back");
            put(&store, name, noise(seed, size), layout(layouts)).await.expect("put");
            let fresh = open(&backend).await;
            assert_eq!(load(&fresh, name).await.expect(kind), noise(seed, size));
        }
    }
}

#[tokio::test]
async fn an_object_whose_content_was_lost_is_healed_by_storing_it_again() {
    for (kind, layouts, seed, size) in KINDS {
        let (backend, _, _) = store_behind_traps().await;
        let first = open(&backend).await;
        first.delete_all(&["old/packed", "old/chunked", "old/whole"].map(at)).await.expect("delete");
        put(&first, "a/b", noise(seed, size), layout(layouts)).await.expect("put");
        backend.delete_all(&all_content(&backend).await).await.expect("lost");
        put(&open(&backend).await, "a/b", noise(seed, size), layout(layouts)).await.expect("put");
        assert_no_problems(&verify(&backend, true).await, kind);
        // The name says where the content is now: nobody has to look for it.
        let recording = RecordingStorage::new(backend.clone());
        let fresh = open(&(Arc::new(recording.clone()) as Backend)).await;
        assert_eq!(load(&fresh, "a/b").await.expect(kind), noise(seed, size));
        assert_eq!(recording.count(|operation| matches!(operation, Operation::Iterate { .. })), 0, "{kind}");
    }
}
