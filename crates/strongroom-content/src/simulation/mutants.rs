//! Each way to break the protocol is noticed by some seed: what no seed notices, the simulation does not test.

use super::Climate::{self, Calm, Crowded, Harsh, Patient};
use super::{CLIMATES, run};
use crate::mutation::Mutation;

/// The seed that is known to notice it is tried first; where a change of the code has made that another, so many are, in each
/// climate. `STRONGROOM_SEARCH=400` tries more.
const SEEDS: u64 = 40;

fn caught(mutation: Mutation, known: (u64, Climate)) {
    let seeds = std::env::var("STRONGROOM_SEARCH").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let all = (0..seeds).flat_map(|seed| CLIMATES.map(|climate| (seed, climate)));
    for (seed, climate) in std::iter::once(known).chain(all) {
        if let Some(broken) = run(seed, climate, Some(mutation)).broken {
            println!("{broken}");
            if (seed, climate) != known {
                println!("now known: {mutation:?} ({seed}, {climate:?})");
            }
            return;
        }
    }
    panic!("{mutation:?} is not noticed by {seeds} seeds; STRONGROOM_SEARCH=400 tries more");
}

macro_rules! mutants {
    ($($test:ident: $mutation:ident $known:tt,)*) => {
        $(
            #[test]
            fn $test() {
                caught(Mutation::$mutation, $known);
            }
        )*
    };
}

mutants! {
    a_collector_that_does_not_wait_for_sessions: NoSessions (8, Crowded),
    a_collector_that_does_not_mark_again: OneMark (0, Calm),
    a_collector_that_pardons_what_it_listed: PardonInPlace (0, Calm),
    packs_whose_names_come_back: ReuseNames (0, Calm),
    a_writer_that_does_not_look_whether_its_session_stood: NoCheck (17, Crowded),
    a_writer_that_looks_only_before_it_publishes: CheckBeforePublishing (121, Crowded),
    a_session_that_is_ended_by_deleting_its_marker: EndsByDeleting (0, Crowded),
    a_collector_that_takes_what_was_the_newest_a_moment_ago: NoRetention (20, Patient),
    a_writer_that_does_not_read_the_lists: ListsUnread (0, Calm),
    a_writer_that_reads_the_lists_before_its_session: MarkerAfterLists (5, Crowded),
    a_collector_that_looks_at_the_sessions_before_its_list: SessionsBeforeList (147, Calm),
    a_collector_that_deletes_versions_unlisted: PruneAtOnce (16, Harsh),
    a_handle_that_relies_on_packs_unseen: IndexAcrossSessions (0, Crowded),
    a_handle_that_builds_on_a_head_of_before_its_session: HeadAcrossSessions (137, Calm),
    a_tag_of_what_is_listed: TagOfListed (88, Crowded),
    a_copy_of_what_is_listed: LinkOfListed (583, Crowded),
    a_commit_that_looks_at_the_session_of_another_task: GroupOnOneSession (82, Crowded),
    a_session_whose_marker_may_not_be_there: MarkerUnconfirmed (205, Crowded),
    a_version_that_is_there_before_its_content: PublishedBeforeContent (0, Calm),
    a_batch_in_two_versions: BatchInTwo (2, Patient),
    a_head_that_is_trusted_too_long: HeadTrustedTooLong (8, Calm),
    a_collector_that_does_not_know_tags: TagsUnmarked (1, Calm),
}
