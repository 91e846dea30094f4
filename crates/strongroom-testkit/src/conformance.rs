//! One suite for all backends: each promise of [`ExternalStorage`](strongroom_storage::ExternalStorage), and what else its
//! documentation says, is a case with a name.
//!
//! [`conformance_tests!`](crate::conformance_tests) makes a test of each. Whoever wants something else takes the [`cases`].
//!
//! Backends differ by their [`Capabilities`](strongroom_storage::Capabilities) and by nothing else. Two things can't be seen
//! from outside: that what is stored survives a crash of the machine (promise 2), and how many bytes a bounded read transfers
//! (promise 10). A backend tests these by itself.

mod atomic;
mod batch;
mod cancel;
mod contained;
mod create;
mod durable;
mod failure;
mod honest;
mod listing;
mod local;
mod missing;
mod named;
mod neighbours;
mod place;
mod prefix;
pub(crate) mod probe;
mod range;
mod record;
mod source;
mod visible;

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::task::JoinSet;

pub(crate) use failure::{Checked, ensure};
pub use failure::{Failure, Verdict};
pub use place::Place;

/// A case that is not done by then waits for something that never comes.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// One thing that is promised, and how it is found out.
pub struct Case {
    name: &'static str,
    run: for<'a> fn(&'a Place) -> BoxFuture<'a, Checked>,
}

impl Case {
    /// Its name, which is a sentence; those of the numbered promises begin with `promise_1_` to `promise_10_`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Finds out, at a place that is empty.
    ///
    /// It runs on a Tokio runtime with time.
    ///
    /// # Errors
    /// The promise is not kept.
    pub async fn run(&self, place: &Place) -> Result<Verdict, Failure> {
        match tokio::time::timeout(TIME_LIMIT, (self.run)(place)).await {
            Ok(checked) => checked,
            Err(_) => Err(Failure::new(format!("not done after {} s: something waits for ever", TIME_LIMIT.as_secs()))),
        }
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

/// Calls a macro with the list of all cases: the one place where they are written down.
#[doc(hidden)]
#[macro_export]
macro_rules! with_conformance_cases {
    ($callback:ident! { $($argument:tt)* }) => {
        $crate::$callback! {
            { $($argument)* }
            atomic::promise_1_readers_see_whole_objects_while_they_are_overwritten,
            atomic::promise_1_an_object_appears_when_all_of_it_is_there,
            atomic::promise_1_an_object_that_goes_while_it_is_read_is_read_whole_or_fails,
            atomic::promise_1_racing_overwrites_leave_one_of_them,
            durable::promise_2_a_fresh_handle_finds_what_was_stored,
            visible::promise_3_every_handle_sees_a_store_an_overwrite_and_a_delete,
            create::promise_4_of_racing_creators_exactly_one_succeeds,
            create::promise_4_creating_what_exists_changes_nothing,
            honest::promise_5_what_is_read_is_what_was_stored,
            honest::promise_5_a_large_stream_is_read_as_it_was_stored,
            honest::promise_5_a_stream_that_fails_stores_nothing,
            honest::promise_5_an_empty_object_is_an_object,
            missing::promise_6_what_is_absent_is_missing_everywhere,
            missing::promise_6_a_part_of_a_name_is_missing,
            contained::promise_7_no_name_is_taken_for_another,
            contained::promise_7_a_strange_name_is_kept_or_refused,
            contained::promise_7_the_longest_names_are_kept_or_refused,
            prefix::promise_8_a_prefix_is_a_string,
            cancel::promise_9_a_dropped_store_leaves_the_old_object_or_the_new,
            cancel::promise_9_a_dropped_create_can_be_tried_again,
            cancel::promise_9_a_dropped_delete_or_batch_leaves_whole_objects,
            local::promise_9_a_dropped_load_path_leaves_the_old_file_or_the_new,
            range::promise_10_a_range_gives_those_bytes_and_no_others,
            listing::list_gives_pages_in_byte_order,
            listing::list_folds_what_is_below_the_next_slash,
            listing::a_long_listing_is_complete,
            batch::store_all_stores_in_the_order_given,
            batch::a_batch_that_fails_stops_there_or_leaves_nothing,
            batch::delete_all_passes_over_what_is_absent,
            named::store_named_puts_content_where_its_namer_says,
            named::store_named_stores_nothing_when_its_namer_or_source_fails,
            named::store_named_stores_what_its_namer_saw_or_nothing,
            source::a_local_file_is_copied,
            source::a_consumed_file_is_stored_or_left_alone,
            source::what_is_no_file_is_refused,
            source::a_link_is_followed,
            source::a_file_that_changed_is_not_stored,
            record::digests_are_those_of_the_content,
            record::digests_follow_an_overwrite,
            record::a_local_path_is_a_file_with_the_content,
            record::a_read_only_object_is_replaced_and_deleted_like_any_other,
            local::load_path_writes_the_content_over_what_was_there,
            local::load_path_that_fails_leaves_what_was_there,
            neighbours::an_object_below_another_is_kept_or_a_conflict,
            neighbours::neighbours_come_and_go_without_disturbing_each_other,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! list_conformance_cases {
    ({} $($file:ident::$case:ident,)*) => {
        vec![$($crate::conformance::Case {
            name: stringify!($case),
            run: |place| $file::$case(place).boxed(),
        }),*]
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! define_conformance_tests {
    ({ $module:ident, $place:expr } $($file:ident::$case:ident,)*) => {
        mod $module {
            #[allow(unused_imports, reason = "the place may need none")]
            use super::*;

            $(#[test]
            fn $case() {
                $crate::conformance::assert_kept(stringify!($case), $place);
            })*

            #[test]
            fn random_operations_agree_with_a_map() {
                $crate::model::assert_agrees(file!(), $place);
            }
        }
    };
}

/// Makes a module of tests, one for each case of the suite and one that compares random operations with a map.
///
/// The second argument is a closure that makes an empty [`Place`](crate::conformance::Place) each time; it may be async.
///
/// ```
/// use std::sync::Arc;
/// use strongroom_storage::MemoryStorage;
/// use strongroom_testkit::conformance::Place;
/// use strongroom_testkit::conformance_tests;
///
/// conformance_tests!(memory, || async { Place::of(Arc::new(MemoryStorage::new())) });
/// ```
#[macro_export]
macro_rules! conformance_tests {
    ($module:ident, $place:expr $(,)?) => {
        $crate::with_conformance_cases! { define_conformance_tests! { $module, $place } }
    };
}

/// All cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    crate::with_conformance_cases! { list_conformance_cases! {} }
}

/// Runs the case of this name on a runtime of its own, and panics if the promise is not kept.
///
/// # Panics
/// If the promise is not kept, with the reason. If there is no such case.
#[track_caller]
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn assert_kept<Fut: Future<Output = Place>>(name: &str, make: impl FnOnce() -> Fut) {
    let all = cases();
    let case = all.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("there is no case {name}"));
    match on_a_runtime(async { case.run(&make().await).await }) {
        Ok(Verdict::Kept) => {}
        Ok(Verdict::NotMade(why)) => println!("{name}: not promised ({why})"),
        Err(failure) => panic!("{name}: {}", with_causes(&failure)),
    }
}

/// Runs `future` with threads enough for races. What still hangs afterwards is left behind.
pub(crate) fn on_a_runtime<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("the machine gives a test a few threads");
    let output = runtime.block_on(future);
    runtime.shutdown_timeout(Duration::from_secs(5));
    output
}

pub(crate) fn with_causes(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Waits for all tasks; the first failure is everybody's.
async fn finished(tasks: JoinSet<Checked<()>>) -> Checked<()> {
    finished_with(tasks).await.map(drop)
}

async fn finished_with<T: 'static>(mut tasks: JoinSet<Checked<T>>) -> Checked<Vec<T>> {
    let mut all = Vec::with_capacity(tasks.len());
    while let Some(task) = tasks.join_next().await {
        all.push(task.map_err(|error| Failure::new(format!("a task of the case panicked: {error}")))??);
    }
    Ok(all)
}
