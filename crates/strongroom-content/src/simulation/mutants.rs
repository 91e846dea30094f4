//! Each way to break the protocol is noticed by some seed: what no seed notices, the simulation does not test.

use super::{CLIMATES, run};
use crate::mutation::Mutation;

/// How many seeds are tried, in each climate.
const SEEDS: u64 = 150;

fn caught(mutation: Mutation) {
    for seed in 0..SEEDS {
        for climate in CLIMATES {
            if let Some(broken) = run(seed, climate, Some(mutation)).broken {
                println!("{broken}");
                return;
            }
        }
    }
    panic!("{mutation:?} is not noticed by {SEEDS} seeds");
}

macro_rules! mutants {
    ($($test:ident: $mutation:ident,)*) => {
        $(
            #[test]
            fn $test() {
                caught(Mutation::$mutation);
            }
        )*
    };
}

mutants! {
    a_collector_that_does_not_wait_for_sessions: NoSessions,
    a_collector_that_does_not_mark_again: OneMark,
    a_collector_that_pardons_what_it_listed: PardonInPlace,
    packs_whose_names_come_back: ReuseNames,
    a_writer_that_does_not_look_whether_its_session_stood: NoCheck,
    a_writer_that_looks_only_before_it_publishes: CheckBeforePublishing,
    a_session_that_is_ended_by_deleting_its_marker: EndsByDeleting,
    a_collector_that_takes_what_was_the_newest_a_moment_ago: NoRetention,
    a_writer_that_does_not_read_the_lists: ListsUnread,
    a_writer_that_reads_the_lists_before_its_session: MarkerAfterLists,
    a_collector_that_looks_at_the_sessions_before_its_list: SessionsBeforeList,
    a_collector_that_deletes_versions_unlisted: PruneAtOnce,
    a_handle_that_relies_on_packs_unseen: IndexAcrossSessions,
    a_handle_that_builds_on_a_head_of_before_its_session: HeadAcrossSessions,
    a_collector_that_counts_on_what_another_one_listed: OtherListsIgnored,
    a_tag_of_what_is_listed: TagOfListed,
    a_copy_of_what_is_listed: LinkOfListed,
    a_commit_that_looks_at_the_session_of_another_task: GroupOnOneSession,
    a_session_whose_marker_may_not_be_there: MarkerUnconfirmed,
    a_version_that_is_there_before_its_content: PublishedBeforeContent,
    a_batch_in_two_versions: BatchInTwo,
    a_head_that_is_trusted_too_long: HeadTrustedTooLong,
    a_collector_that_does_not_know_tags: TagsUnmarked,
}
