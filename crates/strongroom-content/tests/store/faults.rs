//! Every operation of every piece of work fails, or its answer is lost, or what it reads is damaged on the way.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use strongroom_content::{ContentStorage, Namespace, OpenOptions};
use strongroom_storage::{Error, ErrorKind, ExternalStorage, Result};
use strongroom_testkit::{Damage, Fault, FaultyStorage};

use crate::steps::{COLLECTIONS, STEPS, SYNCS};
use crate::support::{
    Backend, Picture, Step, assert_no_problems, commits, copy, create, load, memory, open, picture, small_chunks,
    verify,
};

/// Runs each step with each of its operations failing once.
async fn fail_each_operation(steps: &[Step], fault: Fault) {
    let backend = memory();
    create(&backend, small_chunks()).await;
    for step in steps {
        (step.prepare)(&backend).await;
        let before = picture(&backend).await;
        let done = copy(&backend).await;
        (step.work)(&open(&done).await).await.expect(step.name);
        let after = picture(&done).await;
        let mut n = 0;
        while fail_operation(&backend, step, n, fault, &before, &after).await {
            n += 1;
        }
        backend_takes(&backend, step).await;
    }
}

/// Does the step for good, for those that follow.
async fn backend_takes(backend: &Backend, step: &Step) {
    (step.work)(&open(backend).await).await.expect(step.name);
}

/// Runs the step with operation `n` failing. False if there is no such operation.
async fn fail_operation(
    backend: &Backend,
    step: &Step,
    n: u64,
    fault: Fault,
    before: &Picture,
    after: &Picture,
) -> bool {
    let when = format!("{}, operation {n}, {fault:?}", step.name);
    let image = copy(backend).await;
    let commits_before = commits(&image).await;
    let faulty = FaultyStorage::new(image.clone());
    let store = open(&(Arc::new(faulty.clone()) as Backend)).await;
    faulty.fail_nth(n, fault);
    let result = (step.work)(&store).await;
    if faulty.struck() == 0 {
        return false;
    }
    check_outcome(&result, &picture(&image).await, before, after, &when);
    assert_no_problems(&verify(&image, true).await, &when);

    // Both the handle that met the fault and one that did not can do it again.
    let elsewhere = copy(&image).await;
    let retried = (step.work)(&open(&elsewhere).await).await;
    check_retry(&result, retried, &elsewhere, after, &when).await;
    let retried = (step.work)(&store).await;
    check_retry(&result, retried, &image, after, &when).await;
    assert_no_problems(&verify(&image, true).await, &when);
    for (namespace, versions) in commits(&image).await {
        let new = versions - commits_before.get(&namespace).copied().unwrap_or_default();
        assert!(new <= 1, "{when}: {new} commits to {namespace:?}");
    }
    true
}

/// Each namespace is what it was or what it should be; the latter after an error only if the error admits it.
#[track_caller]
fn check_outcome(result: &Result<()>, found: &Picture, before: &Picture, after: &Picture, when: &str) {
    match result {
        Ok(()) => assert!(found == after, "{when}: it says that it is done and is not"),
        Err(error) => {
            for group in before.keys().chain(after.keys()).chain(found.keys()) {
                let [found, before, after] = [found, before, after].map(|picture| picture.get(group));
                let admitted = found == after && error.may_have_happened();
                assert!(found == before || admitted, "{when}: {group:?} after {error:?} is neither old nor new");
            }
        }
    }
}

async fn check_retry(first: &Result<()>, second: Result<()>, backend: &Backend, after: &Picture, when: &str) {
    let is_done_already = |error: &Error| {
        let happened = first.as_ref().map_or_else(Error::may_have_happened, |()| true);
        happened && matches!(error.kind(), ErrorKind::Missing | ErrorKind::AlreadyExists)
    };
    if let Err(error) = second {
        assert!(is_done_already(&error), "{when}: again: {error:?}");
    }
    assert!(picture(backend).await == *after, "{when}: done again, it is not done");
}

#[tokio::test]
async fn after_a_refused_operation_nothing_is_half_done_and_a_retry_succeeds() {
    fail_each_operation(STEPS, Fault::Refused(ErrorKind::Unavailable)).await;
}

#[tokio::test]
async fn after_a_lost_answer_nothing_is_done_twice_or_half() {
    fail_each_operation(STEPS, Fault::AnswerLost(ErrorKind::Unavailable)).await;
}

#[tokio::test]
async fn bytes_that_are_damaged_on_their_way_to_a_writer_do_no_harm() {
    for damage in [Damage::Cut, Damage::Broken(ErrorKind::Unavailable), Damage::Flipped] {
        fail_each_operation(STEPS, Fault::Read(damage)).await;
    }
}

#[tokio::test]
async fn bytes_that_are_damaged_on_their_way_to_a_reader_are_never_handed_out() {
    let backend = memory();
    create(&backend, small_chunks()).await;
    for step in STEPS {
        (step.prepare)(&backend).await;
        (step.work)(&open(&backend).await).await.expect(step.name);
    }
    let expected: BTreeMap<String, Bytes> = picture(&backend)
        .await
        .into_iter()
        .filter(|(group, _)| !["the tags", "many"].contains(&group.as_str()))
        .flat_map(|(_, names)| names)
        .collect();
    for damage in [Damage::Cut, Damage::Broken(ErrorKind::Unavailable), Damage::Flipped] {
        for n in 0.. {
            let faulty = FaultyStorage::new(backend.clone());
            let store = open(&(Arc::new(faulty.clone()) as Backend)).await;
            faulty.fail_nth(n, Fault::Read(damage));
            let mut failed = 0;
            for (name, bytes) in &expected {
                match load(&store, name).await {
                    Ok(found) => assert!(found == *bytes, "{name}, read {n}, {damage:?}"),
                    Err(error) => {
                        failed += 1;
                        assert!([ErrorKind::Corrupt, ErrorKind::Unavailable].contains(&error.kind()), "{error:?}");
                    }
                }
            }
            if faulty.struck() == 0 {
                assert!(n > 10);
                break;
            }
            assert!(failed <= 1, "read {n}, {damage:?} spoils {failed} objects");
            for (name, bytes) in &expected {
                let found = load(&store, name).await.unwrap_or_else(|error| panic!("{name}, after {n}: {error:?}"));
                assert!(found == *bytes, "{name}, after {n}, {damage:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_store_whose_creation_failed_anywhere_can_be_created() {
    for fault in [Fault::Refused(ErrorKind::Unavailable), Fault::AnswerLost(ErrorKind::Unavailable)] {
        for n in 0.. {
            let inner = memory();
            let faulty = FaultyStorage::new(inner.clone());
            faulty.fail_nth(n, fault);
            let options = OpenOptions::default;
            let result = ContentStorage::create(Arc::new(faulty.clone()), small_chunks(), options()).await;
            if faulty.struck() == 0 {
                assert!(n > 3);
                break;
            }
            if let Ok(store) = &result {
                assert_eq!(open(&inner).await.id(), store.id(), "operation {n}, {fault:?}");
            }
            let store = ContentStorage::create(Arc::new(faulty), small_chunks(), options()).await.expect("again");
            store.store_bytes(&"a/b".parse().expect("a location"), "1".into()).await.expect("store");
            assert_eq!(picture(&inner).await[Namespace::parse("a").expect("one").as_str()].len(), 1);
            assert_no_problems(&verify(&inner, true).await, "created again");
        }
    }
}

#[tokio::test]
async fn a_collector_that_meets_a_fault_anywhere_loses_nothing_and_the_next_one_finishes() {
    for fault in [
        Fault::Refused(ErrorKind::Unavailable),
        Fault::AnswerLost(ErrorKind::Unavailable),
        Fault::Read(Damage::Flipped),
        Fault::Read(Damage::Cut),
    ] {
        fail_each_operation(COLLECTIONS, fault).await;
    }
}

#[tokio::test]
async fn a_sync_that_meets_a_fault_anywhere_leaves_each_namespace_old_or_new_and_the_next_one_finishes() {
    for fault in [
        Fault::Refused(ErrorKind::Unavailable),
        Fault::AnswerLost(ErrorKind::Unavailable),
        Fault::Read(Damage::Flipped),
        Fault::Read(Damage::Cut),
    ] {
        fail_each_operation(SYNCS, fault).await;
    }
}
