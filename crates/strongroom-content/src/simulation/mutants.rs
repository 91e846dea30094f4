//! Each way to break the protocol is noticed by some seed: what no seed notices, the simulation does not test.

use std::fmt;

use super::Climate::{self, Calm, Crowded, Harsh, Patient};
use super::scenes::{self, Scene};
use super::{CLIMATES, Distance, Outcome, run};
use crate::mutation::Mutation;

/// The seed that is known to notice it is tried first; where a change of the code has made that another, so many are, in each
/// climate. `STRONGROOM_SEARCH=400` tries more.
const SEEDS: u64 = 40;

fn caught<Where: Copy + PartialEq + fmt::Debug>(
    mutation: Mutation,
    known: (u64, Where),
    wheres: &[Where],
    play: impl Fn(Where, u64, Option<Mutation>) -> Outcome,
) {
    let seeds = std::env::var("STRONGROOM_SEARCH").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let all = (0..seeds).flat_map(|seed| wheres.iter().map(move |place| (seed, *place)));
    for (seed, place) in std::iter::once(known).chain(all) {
        if let Some(broken) = play(place, seed, Some(mutation)).broken {
            println!("{broken}");
            if (seed, place) != known {
                println!("now known: {mutation:?} ({seed}, {place:?})");
            }
            return;
        }
    }
    panic!("{mutation:?} is not noticed by {seeds} seeds; STRONGROOM_SEARCH=400 tries more");
}

fn caught_by_chance(mutation: Mutation, (seed, climate): (u64, Climate)) {
    caught(mutation, (seed, climate), &CLIMATES, |climate, seed, mutation| {
        run(seed, climate, Distance::Near, mutation)
    });
}

fn caught_in(mutation: Mutation, (seed, scene): (u64, Scene)) {
    caught(mutation, (seed, scene), &[scene], |scene, seed, mutation| {
        scenes::play(scene, seed, Distance::Near, mutation)
    });
}

/// The same on a bucket, where others are the requests by which the protocol is kept.
fn caught_far(mutation: Mutation, (seed, scene): (u64, Scene)) {
    caught(mutation, (seed, scene), &[scene], |scene, seed, mutation| {
        scenes::play(scene, seed, Distance::Far, mutation)
    });
}

macro_rules! mutants {
    ($by:path; $($test:ident: $mutation:ident $known:tt,)*) => {
        $(
            #[test]
            fn $test() {
                $by(Mutation::$mutation, $known);
            }
        )*
    };
}

mutants! { caught_in;
    a_head_that_is_trusted_too_long: HeadTrustedTooLong (16, Scene::LateVersion),
    a_writer_that_does_not_look_whether_its_session_stood: NoCheck (0, Scene::TheSame),
    a_writer_that_looks_only_before_it_publishes: CheckBeforePublishing (28, Scene::TheSame),
    a_collector_that_looks_at_the_sessions_before_its_list: SessionsBeforeList (315, Scene::TheSame),
    a_handle_that_relies_on_packs_unseen: IndexAcrossSessions (0, Scene::LateCopy),
    a_copy_of_what_is_listed: LinkOfListed (0, Scene::LateCopy),
    a_writer_that_reads_the_lists_before_its_session: MarkerAfterLists (39, Scene::TheSame),
    a_handle_that_builds_on_a_head_of_before_its_session: HeadAcrossSessions (9, Scene::LateVersion),
    a_collector_that_does_not_wait_for_sessions: NoSessions (18, Scene::TheSame),
    a_writer_that_does_not_read_the_lists: ListsUnread (1, Scene::TheSame),
    a_collector_that_counts_on_what_another_lists: OtherListsIgnored (69, Scene::TwoCollectors),
    a_commit_that_changes_nothing_and_does_not_look: NothingUnchecked (58, Scene::TheSame),
    a_version_that_was_collected_before_it_was_published: LateVersionCounted (12, Scene::LateVersion),
}

mutants! { caught_by_chance;
    a_collector_that_does_not_mark_again: OneMark (0, Calm),
    a_collector_that_pardons_what_it_listed: PardonInPlace (0, Calm),
    packs_whose_names_come_back: ReuseNames (0, Calm),
    a_session_that_is_ended_by_deleting_its_marker: EndsByDeleting (62, Calm),
    a_collector_that_takes_what_was_the_newest_a_moment_ago: NoRetention (34, Patient),
    a_collector_that_deletes_versions_unlisted: PruneAtOnce (5, Calm),
    a_tag_of_what_is_listed: TagOfListed (10, Calm),
    a_commit_that_looks_at_the_session_of_another_task: GroupOnOneSession (82, Crowded),
    a_session_whose_marker_may_not_be_there: MarkerUnconfirmed (623, Crowded),
    a_version_that_is_there_before_its_content: PublishedBeforeContent (0, Calm),
    a_batch_in_two_versions: BatchInTwo (2, Patient),
    a_collector_that_does_not_know_tags: TagsUnmarked (1, Harsh),
}

mutants! { caught_far;
    a_writer_far_away_that_does_not_look_whether_its_session_stood: NoCheck (0, Scene::TheSame),
    a_writer_far_away_that_relies_on_packs_unseen: IndexAcrossSessions (0, Scene::LateCopy),
    a_writer_far_away_that_does_not_read_the_lists: ListsUnread (1, Scene::TheSame),
    a_writer_far_away_that_builds_on_a_head_of_before_its_session: HeadAcrossSessions (4, Scene::LateVersion),
}
