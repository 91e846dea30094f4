//! Power failures where one process relies on what another has stored a moment ago and not made durable: the first one dies at
//! each of its fsyncs, and a second one goes on.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::disk::Sync;
use crate::power::{SEED, process, report, store_with};
use crate::recording::{Process, Recording, Tally, Work, quick_folder};
use crate::strace;

/// What the first process does, and what others do after it.
struct Case {
    dies: &'static str,
    then: &'static [Work],
}

const fn work(line: &'static str, promises: &'static [&'static str]) -> Work {
    Work { line, images: 6, promises: Some(promises) }
}

const CASES: &[Case] = &[
    Case {
        dies: "put a/x 21 5000 auto",
        then: &[
            work("put b/same 21 5000 auto", &["b"]),
            work("put a/x 21 5000 auto", &["a"]),
            work("put a/other 22 5000 auto", &["a"]),
            work("tag a 2 second", &["the tags"]),
            work("cp a/x b/x", &["b"]),
            work("mv a/x b/x", &["a", "b"]),
            work("rm a/x", &["a"]),
            work("restore a/x 1", &["a"]),
        ],
    },
    Case {
        dies: "put a/x 23 50000 whole",
        then: &[work("put b/same 23 50000 whole", &["b"]), work("cp a/x b/x", &["b"])],
    },
    Case {
        dies: "put a/x 24 60000 chunked",
        then: &[work("put b/same 24 60000 chunked", &["b"]), work("cp a/x b/x", &["b"])],
    },
    Case {
        dies: "put new/x 25 5000 auto",
        then: &[work("put new/x 25 5000 auto", &["new"]), work("put new/y 26 20 auto", &["new"])],
    },
];

const BEFORE: &[&str] = &["init", "put a/x 20 4000 auto"];

/// A first process that dies at its fsync number `n`, and a second one that does `then`. `None` if the first has fewer.
fn recording(dies: &'static str, n: usize, then: &Work) -> Option<Recording> {
    let dies = [Work { line: dies, images: 0, promises: None }];
    let processes = [Process { works: &dies, dies_at_fsync: Some(n) }, process(std::slice::from_ref(then))];
    let recording = Recording::of(&quick_folder(), store_with(BEFORE), &processes);
    recording.has_death().then_some(recording)
}

/// What is left out by the second process.
type Mutant = (&'static str, fn(&str) -> bool);

/// What it makes durable only because of the first.
const FORGOTTEN: &[Mutant] = &[
    ("folders of packs", |folder| folder.starts_with("/store/packs/")),
    ("the folder of folders of packs", |folder| folder == "/store/packs"),
    ("folders of whole files", |folder| folder.starts_with("/store/files/")),
    ("folders of versions", |folder| folder.starts_with("/store/names")),
    ("the folder of a tagged version", |folder| folder == "/store/names/a/@"),
];

#[test]
fn what_a_process_relies_on_is_durable_when_it_is_acknowledged_whoever_has_stored_it() {
    if !strace::is_there() {
        return;
    }
    let works: Vec<(&str, Work)> =
        CASES.iter().flat_map(|case| case.then.iter().map(|then| (case.dies, *then))).collect();
    let (all, found, next) = (Mutex::new(Tally::default()), Mutex::new(BTreeSet::new()), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((dies, then)) = works.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for recording in (1..).map_while(|n| recording(dies, n, then)).filter(|found| !found.is_refused) {
                        let tally = recording.survives(&|_| true, SEED);
                        *all.lock().expect("a tally") += tally.unwrap_or_else(|why| panic!("{dies}, dead; {why}"));
                        for (what, is_forgotten) in FORGOTTEN {
                            let counts = |sync: &Sync<'_>| sync.process == 0 || !sync.folder.is_some_and(is_forgotten);
                            if !found.lock().expect("a set").contains(what)
                                && recording.survives(&counts, SEED).is_err()
                            {
                                found.lock().expect("a set").insert(*what);
                            }
                        }
                    }
                }
            });
        }
    });
    report("after others died", all.into_inner().expect("a tally"));
    let found = found.into_inner().expect("a set");
    for (what, _) in FORGOTTEN {
        assert!(found.contains(what), "without the fsync of {what}, nothing shows");
    }
}
