//! What is lost or damaged is mended from another store, or dropped.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use strongroom_content::{
    CollectOptions, Layout, MirrorOptions, Problem, PutOptions, RepairOptions, RepairReport, SyncOptions, Version,
};
use strongroom_storage::{ByteRange, Digest, ErrorKind, Location};
use strongroom_testkit::{CrashingStorage, Damage, Fault, FaultyStorage, Operation, PowerLoss};

use crate::damage::{Victim, victim};
use crate::support::{
    Backend, assert_no_problems, at, bucket, commits, copy, create, files, layout, load, memory, namespace, noise,
    open, picture, put, small_chunks, verify,
};
use crate::traps::{all_sprung, trap, trapped};

async fn repair(backend: &Backend, from: &Backend) -> RepairReport {
    let options = RepairOptions::default().with_from(open(from).await);
    open(backend).await.repair(options).await.expect("repair")
}

/// What is condemned goes, as if nobody had used the store for long.
async fn collect(backend: &Backend) -> Vec<Problem> {
    let options = CollectOptions::default().with_offline(true).with_grace(Duration::ZERO).with_keep_last(1000);
    open(backend).await.collect(options).await.expect("collect").problems
}

/// A store that was brought over from the one in `backend`.
async fn synchronized(backend: &Backend) -> Backend {
    let to = memory();
    create(&to, small_chunks()).await;
    open(&to).await.sync_from(&open(backend).await, SyncOptions::default()).await.expect("sync");
    to
}

/// How a file is damaged; nothing is left of it in the first.
fn harms(bytes: &Bytes) -> Vec<(&'static str, Option<Bytes>)> {
    let mut flipped = bytes.to_vec();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 4;
    vec![
        ("lost", None),
        ("cut to a half", Some(bytes.slice(..bytes.len() / 2))),
        ("a bit flipped", Some(flipped.into())),
        ("zeroed", Some(vec![0; bytes.len()].into())),
    ]
}

async fn harm(backend: &Backend, file: &Location, harm: &Option<Bytes>) {
    match harm {
        None => backend.delete(file).await.expect("lose"),
        Some(bytes) => drop(backend.store_bytes(file, bytes.clone()).await.expect("damage")),
    }
}

/// The first and the last file of each of these kinds: verification reads everything, each time.
fn some_of<'a>(victim: &'a Victim, kinds: &[&str]) -> Vec<&'a (&'static str, Location)> {
    let mut some = Vec::new();
    for kind in kinds {
        let mut files = victim.files.iter().filter(|(found, _)| found == kind);
        some.extend(files.next());
        some.extend(files.next_back());
    }
    some
}

/// Repairs each harm to each file, and looks whether all is well afterwards.
async fn mend_each(victim: &Victim, from: &Backend, kinds: &[&str]) {
    let mut count = 0;
    for (kind, file) in some_of(victim, kinds) {
        let bytes = victim.backend.load_bytes(file, ByteRange::All).await.expect("load");
        for (how, harmed) in harms(&bytes) {
            if harmed.is_none() && ["head", "tags"].contains(kind) {
                // Nothing tells a newest version that is lost from one that was never made.
                continue;
            }
            let when = format!("{kind} {file}, {how}");
            let image = copy(&victim.backend).await;
            harm(&image, file, &harmed).await;
            let found = verify(&image, true).await.problems;
            let planned = open(&image).await;
            let options = RepairOptions::default().with_from(open(from).await).with_dry_run(true);
            let before = files(&image, "").await;
            assert_eq!(planned.repair(options).await.expect("plan").left, found, "{when}");
            assert_eq!(files(&image, "").await, before, "{when}: a dry run writes nothing");

            let report = repair(&image, from).await;
            assert_eq!(report.found, found, "{when}");
            assert!(report.is_sound(), "{when}: {report:#?}");
            assert!(victim.unreadable(&image, &when).await.is_empty(), "{when}");
            collect(&image).await;
            assert_no_problems(&verify(&image, true).await, &when);
            assert!(victim.unreadable(&image, &when).await.is_empty(), "{when}, collected");
            let again = repair(&image, from).await;
            assert_eq!((again.found.len(), again.mended, again.runs.len()), (0, 0, 0), "{when}: {again:?}");
            count += 1;
        }
    }
    assert!(count >= 25, "{count}");
}

#[tokio::test]
async fn what_is_lost_or_damaged_is_mended_from_a_copy_of_the_store() {
    let victim = victim().await;
    let from = copy(&victim.backend).await;
    mend_each(&victim, &from, &["pack", "whole file", "head", "live run", "tagged run", "tags", "index file"]).await;
}

#[tokio::test]
async fn what_is_lost_or_damaged_is_mended_from_a_mirror() {
    let victim = victim().await;
    let from = memory();
    create(&from, small_chunks()).await;
    open(&from).await.mirror_from(&open(&victim.backend).await, MirrorOptions::default()).await.expect("mirror");
    mend_each(&victim, &from, &["pack", "whole file", "head", "live run", "tagged run", "tags", "index file"]).await;
}

#[tokio::test]
async fn content_is_mended_from_a_store_that_was_synchronized_and_keeps_it_in_another_form() {
    let victim = victim().await;
    // What older versions need a synchronized store never had, unless it was there at the time.
    let same = synchronized(&victim.backend).await;
    let far = bucket(&memory());
    create(&far, small_chunks()).await;
    open(&far).await.sync_from(&open(&victim.backend).await, SyncOptions::default()).await.expect("sync");
    for from in [same, far] {
        for (kind, file) in some_of(&victim, &["pack", "whole file"]) {
            let bytes = victim.backend.load_bytes(file, ByteRange::All).await.expect("load");
            for (how, harmed) in harms(&bytes) {
                let when = format!("{kind} {file}, {how}");
                let image = copy(&victim.backend).await;
                harm(&image, file, &harmed).await;
                let report = repair(&image, &from).await;
                assert!(victim.unreadable(&image, &when).await.is_empty(), "{when}: {report:#?}");
                let names: Vec<&Problem> = report
                    .left
                    .iter()
                    .filter(|problem| problem.affected.iter().any(|name| name.as_str() != "a/replaced"))
                    .collect();
                assert!(names.is_empty(), "{when}: {names:#?}");
            }
        }
    }
}

#[tokio::test]
async fn runs_of_another_history_are_never_put_here() {
    let victim = victim().await;
    let synchronized = synchronized(&victim.backend).await;
    // A copy to which somebody has written.
    let diverged = copy(&victim.backend).await;
    let original = copy(&victim.backend).await;
    for (backend, seed) in [(&diverged, 1), (&original, 2)] {
        for n in 0..3 {
            put(&open(backend).await, "a/next", noise(seed * 10 + n, 400), PutOptions::default()).await.expect("put");
        }
    }
    for (backend, from) in [(&original, &diverged), (&victim.backend, &synchronized)] {
        let image = copy(backend).await;
        let head = files(&image, "names/a/@/").await[0].clone();
        let damaged: Bytes = vec![0; 100].into();
        image.store_bytes(&head, damaged.clone()).await.expect("damage");
        let report = repair(&image, from).await;
        assert_eq!(report.runs, []);
        assert!(report.left.iter().any(|problem| problem.file == head), "{:?}", report.left);
        assert_eq!(image.load_bytes(&head, ByteRange::All).await.expect("load"), damaged);
    }
}

#[tokio::test]
async fn what_the_other_store_does_not_have_is_left_and_told() {
    let victim = victim().await;
    let from = memory();
    create(&from, small_chunks()).await;
    let image = copy(&victim.backend).await;
    let file = open(&image).await.find(&at("b/whole")).await.expect("find").digest();
    let file = files(&image, "files/")
        .await
        .into_iter()
        .find(|found| found.as_str().contains(&file.to_string()))
        .expect("its file");
    image.delete(&file).await.expect("lose");
    let report = repair(&image, &from).await;
    assert_eq!((report.mended, report.unmended), (0, 1));
    assert_eq!(report.left.iter().map(|problem| &problem.file).collect::<Vec<_>>(), [&file]);
    assert_eq!(report.left[0].affected, [at("b/whole")]);
}

#[tokio::test]
async fn what_is_sound_in_a_damaged_pack_is_taken_out_of_it_without_any_other_store() {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    let mut batch = store.batch();
    for n in 0..20 {
        batch.put(at(&format!("a/{n}")), noise(n, 1000), PutOptions::default());
    }
    batch.commit().await.expect("commit");
    let pack = files(&backend, "packs/").await.remove(0);
    let bytes = backend.load_bytes(&pack, ByteRange::All).await.expect("load");
    // Its index is lost; its content is where the names say.
    backend.store_bytes(&pack, bytes.slice(..bytes.len() - 30)).await.expect("damage");
    assert!(!verify(&backend, true).await.is_sound());
    let report = open(&backend).await.repair(RepairOptions::default()).await.expect("repair");
    assert!(report.is_sound() && report.condemned == [pack.clone()], "{report:#?}");
    assert_eq!((report.mended, report.unmended), (20, 0));
    collect(&backend).await;
    assert!(!backend.exists(&pack).await.expect("exists"), "nobody needs it any more");
    assert_no_problems(&verify(&backend, true).await, "collected");
    for n in 0..20 {
        assert_eq!(load(&open(&backend).await, &format!("a/{n}")).await.expect("load"), noise(n, 1000));
    }
}

#[tokio::test]
async fn a_damaged_pack_whose_content_is_nowhere_else_is_not_collected() {
    let backend = memory();
    let store = create(&backend, small_chunks()).await;
    put(&store, "a/b", noise(1, 5000), PutOptions::default()).await.expect("put");
    put(&store, "a/c", noise(2, 5000), PutOptions::default()).await.expect("put");
    let pack = store.find(&at("a/b")).await.expect("find").digest();
    let mut damaged = None;
    for file in files(&backend, "packs/").await {
        let bytes = backend.load_bytes(&file, ByteRange::All).await.expect("load");
        if Digest::of(&bytes[8..5008]) == pack {
            backend.store_bytes(&file, bytes.slice(..2500)).await.expect("damage");
            damaged = Some(file);
        }
    }
    let damaged = damaged.expect("its pack");
    let report = open(&backend).await.repair(RepairOptions::default()).await.expect("repair");
    assert_eq!((report.mended, report.unmended, &report.condemned), (0, 1, &vec![damaged.clone()]));
    assert!(!collect(&backend).await.is_empty());
    assert!(backend.exists(&damaged).await.expect("exists"), "half of it may be of use to somebody");
    // The same content stored again mends it, and then it goes.
    put(&open(&backend).await, "a/again", noise(1, 5000), PutOptions::default()).await.expect("put");
    assert_eq!(load(&open(&backend).await, "a/b").await.expect("load"), noise(1, 5000));
    collect(&backend).await;
    assert!(!backend.exists(&damaged).await.expect("exists"));
    assert_no_problems(&verify(&backend, true).await, "collected");
}

/// A store with names that have had several contents, of which some are lost.
async fn with_losses() -> Backend {
    let backend = memory();
    create(&backend, small_chunks()).await;
    for (name, seed) in [("a/both", 1), ("a/kept", 3), ("b/gone", 4), ("a/both", 2), ("a/twice", 5), ("a/twice", 6)] {
        put(&open(&backend).await, name, noise(seed, 2000), layout(Layout::Whole)).await.expect("put");
    }
    for seed in [2, 4, 5, 6] {
        lose(&backend, seed).await;
    }
    backend
}

async fn lose(backend: &Backend, seed: u64) {
    let digest = Digest::of(&noise(seed, 2000)).to_string();
    for file in files(backend, "files/").await {
        if file.as_str().contains(&digest) {
            backend.delete(&file).await.expect("lose");
        }
    }
}

#[tokio::test]
async fn names_whose_content_is_lost_get_back_what_they_had_or_are_removed() {
    let backend = with_losses().await;
    let before = commits(&backend).await;
    let drop_lost = RepairOptions::default().with_drop_lost(true);
    let planned = open(&backend).await.repair(drop_lost.clone().with_dry_run(true)).await.expect("plan");
    assert_eq!(commits(&backend).await, before);
    let untouched = open(&backend).await.repair(RepairOptions::default()).await.expect("repair");
    assert_eq!((untouched.dropped.len(), commits(&backend).await), (0, before), "not unless it is asked for");

    let report = open(&backend).await.repair(drop_lost.clone()).await.expect("repair");
    let dropped: Vec<(&str, u64, Option<u64>)> = (report.dropped.iter())
        .map(|dropped| (dropped.location.as_str(), dropped.lost.get(), dropped.restored.map(Version::get)))
        .collect();
    assert_eq!(dropped, [("a/both", 3, Some(1)), ("a/twice", 5, None), ("b/gone", 1, None)]);
    assert_eq!(planned.dropped, report.dropped);
    assert!(report.is_sound(), "{:#?}", report.left);
    let store = open(&backend).await;
    assert_eq!(load(&store, "a/both").await.expect("load"), noise(1, 2000));
    assert_eq!(load(&store, "a/kept").await.expect("load"), noise(3, 2000));
    for name in ["a/twice", "b/gone"] {
        assert_eq!(load(&store, name).await.expect_err("removed").kind(), ErrorKind::Missing);
    }
    assert_no_problems(&verify(&backend, true).await, "repaired");
    assert_eq!(commits(&backend).await, [("a".to_string(), 6), ("b".to_string(), 2)].into());
    let log = store.log(&namespace("a"), Some(1)).await.expect("log");
    assert!(log[0].message.contains("lost"), "{log:?}");
    assert_eq!(open(&backend).await.repair(drop_lost).await.expect("again").dropped, []);
    assert_eq!(commits(&backend).await["a"], 6, "nothing is done twice");
}

#[tokio::test]
async fn a_name_that_is_changed_meanwhile_is_not_dropped() {
    let backend = with_losses().await;
    let storage = trapped(&backend);
    let beneath = backend.clone();
    let publishes = |operation: &Operation| matches!(operation, Operation::Store { location, .. } if location.as_str().starts_with("names/a/"));
    trap(&storage, publishes, 0, async move {
        put(&open(&beneath).await, "a/twice", "anew".into(), PutOptions::default()).await.expect("put");
    });
    let store = open(&(Arc::new(storage.clone()) as Backend)).await;
    let report = store.repair(RepairOptions::default().with_drop_lost(true)).await.expect("repair");
    assert!(all_sprung(&storage));
    let dropped: Vec<&Location> = report.dropped.iter().map(|dropped| &dropped.location).collect();
    assert_eq!(dropped, [&at("a/both"), &at("b/gone")]);
    assert_eq!(load(&open(&backend).await, "a/twice").await.expect("load"), "anew");
    assert_eq!(load(&open(&backend).await, "a/both").await.expect("load"), noise(1, 2000));
}

#[tokio::test]
async fn a_repair_that_the_other_store_fails_anywhere_harms_nothing_and_can_be_done_again() {
    let victim = with_losses().await;
    let whole = memory();
    create(&whole, small_chunks()).await;
    for (name, seed) in [("x/1", 2), ("x/2", 4), ("x/3", 6), ("x/4", 5)] {
        put(&open(&whole).await, name, noise(seed, 2000), PutOptions::default()).await.expect("put");
    }
    for n in 0.. {
        let image = copy(&victim).await;
        let faulty = FaultyStorage::new(whole.clone());
        let from = open(&(Arc::new(faulty.clone()) as Backend)).await;
        faulty.fail_nth(n, Fault::Refused(ErrorKind::Unavailable));
        let options = RepairOptions::default().with_from(from);
        let first = open(&image).await.repair(options.clone()).await;
        if faulty.struck() == 0 {
            assert!(first.expect("repair").is_sound() && n > 3);
            break;
        }
        let report = open(&image).await.repair(options).await.expect("again");
        assert!(report.is_sound(), "operation {n}: {:#?}", report.left);
        assert_eq!(load(&open(&image).await, "a/both").await.expect("load"), noise(2, 2000));
    }
}

/// Objects of each kind.
async fn other() -> Backend {
    let backend = memory();
    create(&backend, small_chunks()).await;
    let mut batch = open(&backend).await.batch();
    batch
        .put(at("x/packed"), noise(90, 3000), PutOptions::default())
        .put(at("x/chunked"), noise(91, 70_000), layout(Layout::Chunked))
        .put(at("x/whole"), noise(92, 30_000), layout(Layout::Whole))
        .put(at("y/kept"), noise(93, 700), PutOptions::default());
    batch.commit().await.expect("commit");
    put(&open(&backend).await, "y/kept", noise(94, 800), PutOptions::default()).await.expect("put");
    backend
}

/// A copy of it in which a pack, a file and a run are damaged, and what was stored last is lost.
async fn broken(whole: &Backend) -> Backend {
    let image = copy(whole).await;
    let mut damaged = files(&image, "files/").await;
    damaged.push(files(&image, "names/x/@/").await.remove(0));
    let mut packs = files(&image, "packs/").await;
    packs.sort();
    for file in damaged.iter().chain(&packs[..1]) {
        let bytes = image.load_bytes(file, ByteRange::All).await.expect("load");
        image.store_bytes(file, bytes.slice(..bytes.len() * 2 / 3)).await.expect("damage");
    }
    image.delete(&packs[1]).await.expect("lose");
    image
}

/// Repairs with operation `n` failing as `fail` has it, and then for good. False if there is no such operation.
async fn fail_at<F: Future<Output = bool>>(
    whole: &Backend,
    options: &RepairOptions,
    when: &str,
    fail: impl FnOnce(Backend, RepairOptions) -> F,
) -> bool {
    let image = broken(whole).await;
    if !fail(image.clone(), options.clone()).await {
        return false;
    }
    let report = open(&image).await.repair(options.clone()).await.expect(when);
    assert!(report.is_sound(), "{when}: {:#?}", report.left);
    collect(&image).await;
    assert_no_problems(&verify(&image, true).await, when);
    if options.from.is_some() {
        assert!(picture(&image).await == picture(whole).await, "{when}: all is there again");
    }
    true
}

#[tokio::test]
async fn a_repair_of_which_any_operation_fails_or_that_dies_anywhere_can_be_done_again() {
    let whole = other().await;
    let from = RepairOptions::default().with_from(open(&copy(&whole).await).await);
    for options in [from.with_drop_lost(true)] {
        for fault in [Fault::Refused(ErrorKind::Unavailable), Fault::AnswerLost(ErrorKind::Unavailable)] {
            let mut n = 0;
            loop {
                let fail = |image, options| async move {
                    let faulty = FaultyStorage::new(image);
                    let store = open(&(Arc::new(faulty.clone()) as Backend)).await;
                    faulty.fail_nth(n, fault);
                    let _ = store.repair(options).await;
                    faulty.struck() > 0
                };
                if !fail_at(&whole, &options, &format!("{fault:?}, operation {n}"), fail).await {
                    break;
                }
                n += 1;
            }
            assert!(n > 20, "{n}");
        }
        for takes_effect in [false, true] {
            let mut n = 0;
            loop {
                let crash = |image: Backend, options| async move {
                    let machine = CrashingStorage::new(image);
                    let store = open(&(Arc::new(machine.clone()) as Backend)).await;
                    if takes_effect {
                        machine.crash_during(n);
                    } else {
                        machine.crash_after(n);
                    }
                    let _ = store.repair(options).await;
                    if machine.crashed() && takes_effect {
                        machine.lose_power(PowerLoss::Removes).await.expect("lose power");
                    }
                    machine.crashed()
                };
                if !fail_at(&whole, &options, &format!("crash at operation {n}, {takes_effect}"), crash).await {
                    break;
                }
                n += 1;
            }
            assert!(n > 20, "{n}");
        }
    }
}

#[tokio::test]
async fn a_run_that_is_damaged_on_its_way_from_the_other_store_is_not_put_here() {
    let whole = other().await;
    let head = files(&whole, "names/x/@/").await.remove(0);
    for n in 0.. {
        let image = copy(&whole).await;
        image.store_bytes(&head, vec![0; 500].into()).await.expect("damage");
        let faulty = FaultyStorage::new(whole.clone());
        let from = open(&(Arc::new(faulty.clone()) as Backend)).await;
        faulty.fail_nth(n, Fault::Read(Damage::Flipped));
        let _ = open(&image).await.repair(RepairOptions::default().with_from(from)).await;
        if faulty.struck() == 0 {
            assert!(n > 1, "{n}");
            break;
        }
        let bytes = image.load_bytes(&head, ByteRange::All).await.expect("load");
        let sound = whole.load_bytes(&head, ByteRange::All).await.expect("load");
        assert!(bytes == sound || bytes.iter().all(|byte| *byte == 0), "operation {n}: neither as it was nor mended");
    }
}

#[tokio::test]
async fn a_picture_is_what_it_was_after_a_repair_of_a_sound_store() {
    let backend = other().await;
    let before = (picture(&backend).await, files(&backend, "").await);
    let report = repair(&backend, &copy(&backend).await).await;
    assert!(report.is_sound() && report.found.is_empty());
    assert!(before == (picture(&backend).await, files(&backend, "").await));
}
