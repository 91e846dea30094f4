//! The suite catches broken backends: every case fails for some defect.

mod broken;

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::sync::Arc;

use broken::{Broken, Defect};
use proptest::test_runner::{TestCaseError, TestRunner};
use strongroom_storage::MemoryStorage;
use strongroom_testkit::conformance::{Place, Verdict, cases};
use strongroom_testkit::{NonExclusiveStorage, conformance_tests, model};

conformance_tests!(without_a_defect, || async { place(Defect::None) });

fn place(defect: Defect) -> Place {
    let storage = Broken::new(defect);
    Place::new(move || {
        let handle = if defect == Defect::KeepsToItsHandle { Broken::new(defect) } else { storage.clone() };
        std::future::ready(Ok(Arc::new(handle) as _))
    })
}

/// What the suite says of a place: the reasons for which a case fails, if it does.
async fn complaint(case: &str, place: &Place) -> Option<String> {
    let all = cases();
    let case = all.iter().find(|known| known.name() == case).expect("the case is in the suite");
    match case.run(place).await {
        Ok(Verdict::Kept) => None,
        Ok(verdict) => Some(format!("not tried: {verdict:?}")),
        Err(failure) => Some(failure.to_string()),
    }
}

macro_rules! defects {
    ($($test:ident: $defect:ident is caught by [$($case:ident),+];)*) => {
        const CATCHING: &[&str] = &[$($(stringify!($case),)+)*];

        $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $test() {
            for case in [$(stringify!($case)),+] {
                let complaint = complaint(case, &place(Defect::$defect)).await;
                let complaint = complaint.unwrap_or_else(|| "nothing".to_string());
                assert!(!complaint.starts_with("not"), "of {:?} {case} says: {complaint}", Defect::$defect);
            }
        })*
    };
}

defects! {
    writing_in_place: WritesInPlace is caught by [
        promise_1_readers_see_whole_objects_while_they_are_overwritten,
        promise_1_an_object_appears_when_all_of_it_is_there,
        promise_5_a_stream_that_fails_stores_nothing,
        promise_9_a_dropped_store_leaves_the_old_object_or_the_new
    ];
    appending_in_place: AppendsInPlace is caught by [promise_1_racing_overwrites_leave_one_of_them];
    reading_late: ReadsLate is caught by [promise_1_an_object_that_goes_while_it_is_read_is_read_whole_or_fails];
    keeping_to_its_handle: KeepsToItsHandle is caught by [
        promise_2_a_fresh_handle_finds_what_was_stored,
        promise_3_every_handle_sees_a_store_an_overwrite_and_a_delete
    ];
    checking_then_creating: ChecksThenCreates is caught by [promise_4_of_racing_creators_exactly_one_succeeds];
    reserving_names: ReservesNames is caught by [promise_9_a_dropped_create_can_be_tried_again];
    cutting_reads: CutsReads is caught by [
        promise_5_what_is_read_is_what_was_stored,
        promise_5_a_large_stream_is_read_as_it_was_stored
    ];
    storing_failed_streams: StoresFailedStreams is caught by [promise_5_a_stream_that_fails_stores_nothing];
    dropping_empty_objects: DropsEmptyObjects is caught by [promise_5_an_empty_object_is_an_object];
    missing_as_internal: MissingIsInternal is caught by [promise_6_what_is_absent_is_missing_everywhere];
    deleting_silently: DeletesSilently is caught by [promise_6_what_is_absent_is_missing_everywhere];
    folders_that_exist: FoldersExist is caught by [promise_6_a_part_of_a_name_is_missing];
    decoding_names: DecodesNames is caught by [promise_7_no_name_is_taken_for_another];
    folding_case: FoldsCase is caught by [promise_7_a_strange_name_is_kept_or_refused];
    cutting_names: CutsNames is caught by [promise_7_the_longest_names_are_kept_or_refused];
    a_prefix_that_is_a_folder: PrefixIsAFolder is caught by [promise_8_a_prefix_is_a_string];
    listing_twice: ListsTwice is caught by [promise_8_a_prefix_is_a_string];
    leaving_temporaries: LeavesTemporaries is caught by [promise_9_a_dropped_store_leaves_the_old_object_or_the_new];
    truncating_then_deleting: TruncatesThenDeletes is caught by [
        promise_9_a_dropped_delete_or_batch_leaves_whole_objects
    ];
    inclusive_ends: EndsAreInclusive is caught by [promise_10_a_range_gives_those_bytes_and_no_others];
    listing_backwards: ListsBackwards is caught by [list_gives_pages_in_byte_order];
    listing_without_folding: ListsWithoutFolding is caught by [list_folds_what_is_below_the_next_slash];
    listing_a_thousand: ListsAThousand is caught by [a_long_listing_is_complete];
    batches_backwards: BatchesBackwards is caught by [store_all_stores_in_the_order_given];
    claiming_atomic_batches: ClaimsAtomicBatches is caught by [
        a_batch_that_fails_stops_there_or_leaves_nothing,
        promise_9_a_dropped_delete_or_batch_leaves_whole_objects
    ];
    stopping_at_what_is_absent: StopsAtWhatIsAbsent is caught by [delete_all_passes_over_what_is_absent];
    naming_by_length: NamesByLength is caught by [store_named_puts_content_where_its_namer_says];
    storing_then_naming: StoresThenNames is caught by [
        store_named_stores_nothing_when_its_namer_or_source_fails
    ];
    reading_sources_unchecked: ReadsSourcesUnchecked is caught by [
        what_is_no_file_is_refused,
        a_file_that_changed_is_not_stored,
        store_named_stores_what_its_namer_saw_or_nothing
    ];
    linking_sources: LinksSources is caught by [a_local_file_is_copied];
    removing_sources_first: RemovesSourcesFirst is caught by [a_consumed_file_is_stored_or_left_alone];
    refusing_links: RefusesLinks is caught by [a_link_is_followed];
    hexdigest_of_another_kind: HexdigestIsBlake3 is caught by [digests_are_those_of_the_content];
    remembering_digests: RemembersDigests is caught by [digests_follow_an_overwrite];
    claiming_local_paths: ClaimsLocalPaths is caught by [a_local_path_is_a_file_with_the_content];
    dropping_local_paths: DropsLocalPaths is caught by [a_local_path_is_a_file_with_the_content];
    local_paths_of_any_name: TakesAnyPathName is caught by [a_local_path_is_a_file_with_the_content];
    loading_in_place: LoadsInPlace is caught by [
        load_path_that_fails_leaves_what_was_there,
        promise_9_a_dropped_load_path_leaves_the_old_file_or_the_new
    ];
    loading_through_links: LoadsThroughLinks is caught by [load_path_writes_the_content_over_what_was_there];
    locking_what_is_read_only: LocksWhatIsReadOnly is caught by [
        a_read_only_object_is_replaced_and_deleted_like_any_other
    ];
    denying_nesting: DeniesNesting is caught by [an_object_below_another_is_kept_or_a_conflict];
    pruning_folders: PrunesFolders is caught by [neighbours_come_and_go_without_disturbing_each_other];
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_ignores_the_condition_is_caught() {
    let place = Place::of(Arc::new(NonExclusiveStorage::new(Arc::new(MemoryStorage::new()))));
    let complaint = complaint("promise_4_creating_what_exists_changes_nothing", &place).await;
    assert_eq!(complaint.as_deref(), Some("creating what exists succeeds and should be already-exists"));
}

#[test]
fn every_case_catches_a_defect() {
    let catching: BTreeSet<_> =
        CATCHING.iter().copied().chain(["promise_4_creating_what_exists_changes_nothing"]).collect();
    let idle: Vec<_> = cases().iter().map(|case| case.name()).filter(|name| !catching.contains(name)).collect();
    assert_eq!(idle, [""; 0]);
}

#[test]
fn every_promise_has_a_case() {
    for number in 1..=10 {
        let prefix = format!("promise_{number}_");
        assert!(cases().iter().any(|case| case.name().starts_with(&prefix)), "{prefix}");
    }
}

#[test]
fn random_operations_find_defects() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for defect in [
        Defect::EndsAreInclusive,
        Defect::DeletesSilently,
        Defect::PrefixIsAFolder,
        Defect::DeniesNesting,
        Defect::ListsBackwards,
        Defect::BatchesBackwards,
        Defect::DropsEmptyObjects,
    ] {
        let found = TestRunner::deterministic().run(&model::steps(), |steps| {
            let checked = runtime.block_on(model::check(&Broken::new(defect), &steps));
            checked.map_err(|failure| TestCaseError::fail(failure.to_string()))
        });
        assert!(found.is_err(), "{defect:?} is not noticed");
    }
}

#[test]
fn the_shortest_sequence_that_shows_a_defect_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // The seed of a failure that is wanted is not kept beside this file.
    let file: &'static str = folder.path().join("wanted.rs").display().to_string().leak();
    let panic = catch_unwind(|| model::assert_agrees(file, || async { place(Defect::DeletesSilently) }));
    let panic = panic.expect_err("it deletes what is not there");
    let told = panic.downcast_ref::<String>().expect("a text");
    assert!(told.contains("step 0, Delete"), "{told}");
    assert!(folder.path().join("wanted.seeds").exists());
}
