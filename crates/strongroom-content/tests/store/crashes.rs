//! The writer dies at every operation, with and without the machine.

use std::sync::Arc;

use strongroom_testkit::{CrashingStorage, PowerLoss};

use crate::steps::{COLLECTIONS, STEPS, SYNCS};
use crate::support::{
    Backend, Picture, Step, assert_no_problems, copy, create, memory, open, picture, small_chunks, verify,
};

/// With the operation at which it happens taking effect or not.
async fn crash_at_each_operation(steps: &[Step], loss: Option<PowerLoss>, effects: &[bool]) {
    let backend = memory();
    create(&backend, small_chunks()).await;
    for step in steps {
        (step.prepare)(&backend).await;
        let before = picture(&backend).await;
        let done = copy(&backend).await;
        (step.work)(&open(&done).await).await.expect(step.name);
        let after = picture(&done).await;
        for takes_effect in effects {
            let mut n = 0;
            while crash(&backend, step, n, *takes_effect, loss, &before, &after).await {
                n += 1;
            }
            assert!(n > 3, "{}", step.name);
        }
        (step.work)(&open(&backend).await).await.expect(step.name);
    }
}

/// Runs the step and dies at operation `n`. False if there is no such operation.
async fn crash(
    backend: &Backend,
    step: &Step,
    n: u64,
    takes_effect: bool,
    loss: Option<PowerLoss>,
    before: &Picture,
    after: &Picture,
) -> bool {
    let when = format!("{}, crash at operation {n}, {takes_effect}, {loss:?}", step.name);
    let image = copy(backend).await;
    let machine = CrashingStorage::new(image.clone());
    let store = open(&(Arc::new(machine.clone()) as Backend)).await;
    if takes_effect {
        machine.crash_during(n);
    } else {
        machine.crash_after(n);
    }
    let result = (step.work)(&store).await;
    if !machine.crashed() {
        return false;
    }
    if let Some(loss) = loss {
        machine.lose_power(loss).await.expect("lose power");
    }
    let found = picture(&image).await;
    if result.is_ok() {
        assert!(found == *after, "{when}: what was acknowledged is lost");
    }
    for group in before.keys().chain(after.keys()).chain(found.keys()) {
        let [found, before, after] = [&found, before, after].map(|picture| picture.get(group));
        assert!(found == before || found == after, "{when}: {group:?} is neither old nor new");
    }
    assert_no_problems(&verify(&image, true).await, &when);
    // Whoever comes next goes on from there.
    if let Err(error) = (step.work)(&open(&image).await).await {
        assert!(found == *after, "{when}: again: {error:?}");
    }
    assert!(picture(&image).await == *after, "{when}: done again, it is not done");
    true
}

#[tokio::test]
async fn a_process_that_dies_anywhere_leaves_the_old_state_or_the_new() {
    crash_at_each_operation(STEPS, None, &[false, true]).await;
}

#[tokio::test]
async fn a_machine_that_dies_anywhere_leaves_the_old_state_or_the_new() {
    crash_at_each_operation(STEPS, Some(PowerLoss::Removes), &[true]).await;
    crash_at_each_operation(STEPS, Some(PowerLoss::Truncates), &[false]).await;
}

#[tokio::test]
async fn a_collector_that_dies_anywhere_loses_nothing_and_the_next_one_finishes() {
    crash_at_each_operation(COLLECTIONS, None, &[false, true]).await;
    crash_at_each_operation(COLLECTIONS, Some(PowerLoss::Removes), &[true]).await;
}

#[tokio::test]
async fn a_sync_that_dies_anywhere_leaves_each_namespace_old_or_new_and_the_next_one_finishes() {
    crash_at_each_operation(SYNCS, None, &[false, true]).await;
    crash_at_each_operation(SYNCS, Some(PowerLoss::Removes), &[true]).await;
}
