//! Power failures: every commit is recorded call by call, and after each call what a disk may hold is tried.

use std::path::Path;
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::action::{Actor, noise};
use crate::disk::Sync;
use crate::recording::{Process, Recording, Tally, Work, runtime};
use crate::strace;

pub const SEED: u64 = 20_260_101;

const fn work(line: &'static str) -> Work {
    Work { line, images: 30, promises: None }
}

/// Every kind of commit.
const COMMITS: &[Work] = &[
    work("init"),
    work("put a/inline 1 20 auto"),
    work("put a/packed 2 5000 auto"),
    work("put a/packed 3 6000 auto"),
    work("put a/whole 4 50000 whole"),
    work("put a/chunked 5 60000 chunked"),
    work("kinds 10"),
    work("batch many/unit 60 100 700"),
    work("file b/small small auto"),
    work("file b/whole whole whole"),
    work("consume b/consumed consumed"),
    work("tag a 2 second"),
    work("cp a/chunked copy/chunked"),
    work("mv a/whole moved/whole"),
    work("restore a/packed 2"),
    work("rm a/inline dag/unit/chunks"),
    work("untag a second"),
];

/// Commits that take ways of their own because they are large.
const LARGE: &[Work] = &[
    Work { line: "batch large/batch 10000 1000 300", images: 10, promises: None },
    Work { line: "file b/large large whole", images: 10, promises: None },
];

fn write_files(folder: &Path) {
    for (name, seed, size) in
        [("small", 51, 5000), ("whole", 52, 300_000), ("consumed", 53, 200_000), ("large", 54, 17 << 20)]
    {
        std::fs::write(folder.join("files").join(name), noise(seed, size)).expect("a file");
    }
}

/// A store in which these lines were done.
pub fn store_with(lines: &'static [&'static str]) -> impl FnOnce(&Path) {
    move |folder| {
        let mut actor = Actor::new(folder);
        runtime().block_on(async {
            for line in lines {
                actor.act(line).await.expect("prepare");
            }
        });
    }
}

/// A folder on a real disk, whose file system has its own ways.
fn disk_folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

pub fn process(works: &[Work]) -> Process<'_> {
    Process { works, dies_at_fsync: None }
}

fn all(_: &Sync<'_>) -> bool {
    true
}

pub fn report(what: &str, tally: Tally) {
    let Tally { calls, possible, tried } = tally;
    eprintln!("{what}: {calls} calls, {possible} images, {tried} of them tried");
}

static COMMITS_RECORDED: LazyLock<Recording> =
    LazyLock::new(|| Recording::of(&disk_folder(), write_files, &[process(COMMITS)]));

#[test]
fn a_power_failure_after_any_call_of_any_commit_leaves_the_old_state_or_the_new() {
    if !strace::is_there() {
        return;
    }
    report("every kind of commit", COMMITS_RECORDED.survives(&all, SEED).expect("nothing is lost"));
}

#[test]
fn a_power_failure_during_a_large_commit_leaves_the_old_state_or_the_new() {
    if !strace::is_there() {
        return;
    }
    let prepare = |folder: &Path| {
        write_files(folder);
        store_with(&["init"])(folder);
    };
    let recording = Recording::of(&disk_folder(), prepare, &[process(LARGE)]);
    report("large commits", recording.survives(&all, SEED).expect("nothing is lost"));
    let lost = recording.survives(&|sync| !sync.magic.starts_with(b"SRPACK1"), SEED);
    lost.expect_err("a run is published before its packs are durable, and nobody sees it");
}

/// What is left out, and where that must show.
type Mutant = (&'static str, fn(&Sync<'_>) -> bool);

/// Of the fsyncs those that a program may forget.
const FORGOTTEN: &[Mutant] = &[
    ("the folder above the store", |sync| sync.folder == Some("")),
    ("the store's folder", |sync| sync.folder == Some("/store")),
    ("folders of versions", |sync| sync.folder.is_some_and(|folder| folder.starts_with("/store/names"))),
    ("the one folder of a namespace's versions", |sync| sync.folder == Some("/store/names/a/@")),
    ("folders of packs", |sync| sync.folder.is_some_and(|folder| folder.starts_with("/store/packs"))),
    ("folders of whole files", |sync| sync.folder.is_some_and(|folder| folder.starts_with("/store/files"))),
    ("the descriptor", |sync| sync.magic.starts_with(b"{")),
    ("packs", |sync| sync.magic.starts_with(b"SRPACK1")),
    ("runs", |sync| sync.magic.starts_with(b"SRRUN01")),
    ("whole files", |sync| {
        let others: [&[u8]; 3] = [b"SR", b"{", b"This"];
        sync.folder.is_none() && !others.iter().any(|other| sync.magic.starts_with(other))
    }),
];

#[test]
fn a_program_that_forgets_an_fsync_is_found_out() {
    if !strace::is_there() {
        return;
    }
    for (what, is_forgotten) in FORGOTTEN {
        match COMMITS_RECORDED.survives(&|sync| !is_forgotten(sync), SEED) {
            Ok(_) => panic!("without the fsync of {what}, nothing shows"),
            Err(why) => eprintln!("without the fsync of {what}: {why}"),
        }
    }
}
