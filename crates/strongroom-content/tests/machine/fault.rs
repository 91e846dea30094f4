//! System calls that fail, each of them once: the error says so, nothing is lost, and a second try succeeds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::action::noise;
use crate::checks::{Check, Picture, picture, verify_is_sound, versions_are_dense};
use crate::image::Dice;
use crate::power::store_with;
use crate::recording::{quick_folder, runtime};
use crate::strace::{self, Strace};
use crate::trace::parse;
use crate::worker::{Answer, Worker};

const SEED: u64 = 20_260_103;
/// Most of the time, each waits for `strace` or its worker.
const THREADS: usize = 3;

/// Calls of which there are many and which change nothing: if not all are tried, one of up to this many is.
const STRIDE: u64 = 6;
const MANY: &[&str] = &["openat2", "pread64", "preadv2", "statx", "getdents64", "read"];

/// Calls, and how they fail.
const FAULTS: &[(&str, &[&str])] = &[
    ("open", &["EACCES", "EMFILE", "EIO", "ENOSPC"]),
    ("openat", &["EIO", "EMFILE", "EACCES"]),
    ("openat2", &["EIO", "EACCES", "EMFILE"]),
    ("read", &["EIO"]),
    ("pread64", &["EIO"]),
    ("preadv2", &["EIO"]),
    ("getdents64", &["EIO"]),
    ("statx", &["EACCES", "EIO"]),
    ("write", &["ENOSPC", "EIO"]),
    ("writev", &["EIO", "ENOSPC"]),
    ("pwrite64", &["ENOSPC", "EIO"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("linkat", &["ENOSPC", "EIO", "EACCES"]),
    ("renameat", &["EIO", "ENOSPC", "EACCES"]),
    ("renameat2", &["EACCES", "EIO", "ENOSPC"]),
    ("rename", &["EIO", "ENOSPC", "EACCES"]),
    ("unlink", &["EIO", "EACCES"]),
    ("mkdir", &["ENOSPC", "EACCES", "EIO"]),
    ("fallocate", &["ENOSPC"]),
    ("ftruncate", &["EIO"]),
    ("fchmod", &["EACCES"]),
    ("fcntl", &["EMFILE"]),
];

const WORK: &[&str] = &[
    "init",
    "put a/new 31 5000 auto",
    "put a/kept 32 20 auto",
    "put b/whole 33 50000 whole",
    "put b/chunked 34 60000 chunked",
    "file b/file small auto",
    "consume b/consumed consumed",
    "batch a/many 50 300 300",
    "kinds 40",
    "cp a/kept c/copy",
    "mv a/kept moved/kept",
    "restore a/kept 1",
    "rm a/kept",
    "tag a 1 first",
    "get a/chunked back",
    "get a/whole back",
    "read a/chunked",
    "list",
    "verify",
];

const BEFORE: &[&str] = &[
    "init",
    "put a/kept 20 4000 auto",
    "put a/kept 21 4000 auto",
    "put a/chunked 22 60000 chunked",
    "put a/whole 23 50000 whole",
];

/// The kinds of errors by which one may learn of a fault.
fn kinds(fault: &str) -> &'static [&'static str] {
    match fault {
        "EACCES" => &["denied"],
        _ => &["unavailable"],
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&target).expect("make a folder");
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copy");
        }
    }
}

/// A folder to begin with, and what work makes of it.
struct Case {
    line: &'static str,
    template: tempfile::TempDir,
    before: Picture,
    after: Picture,
    /// What is said when it is done. Of what makes no version, it is the same each time.
    answer: Answer,
}

impl Case {
    fn new(line: &'static str) -> Self {
        let template = quick_folder();
        std::fs::create_dir(template.path().join("files")).expect("a folder");
        for (name, seed, size) in [("small", 51, 5000), ("consumed", 53, 200_000)] {
            std::fs::write(template.path().join("files").join(name), noise(seed, size)).expect("a file");
        }
        let runtime = runtime();
        let before = if line == "init" {
            Picture::new()
        } else {
            store_with(BEFORE)(template.path());
            runtime.block_on(picture(template.path())).expect("before")
        };
        let done = quick_folder();
        copy(template.path(), done.path());
        let mut worker = Worker::start(done.path());
        let answer = worker.ask(line);
        assert!(matches!(answer, Answer::Done(_)), "{line}: {answer:?}");
        let after = runtime.block_on(picture(done.path())).expect("after");
        Self { line, template, before, after, answer }
    }

    /// Lets call number `n` of this name fail. What came of it; `None` if there was no such call.
    fn run(&self, call: &str, fault: &str, n: usize) -> Check<Option<Answer>> {
        let folder = quick_folder();
        copy(self.template.path(), folder.path());
        let mut worker = Worker::start(folder.path());
        let (inject, trace) = (format!("inject={call}:error={fault}:when={n}"), format!("trace={call}"));
        let output = quick_folder();
        let strace = Strace::attach(&worker, &["-e", &trace, "-e", &inject], &output.path().join("trace"));
        let first = worker.ask(self.line);
        let between = self.between(folder.path(), &first)?;
        let mut again = first.clone();
        // Each thread has its own nth call.
        for _ in 0..4 {
            if !matches!(again, Answer::Failed { .. }) {
                break;
            }
            again = worker.ask(self.line);
        }
        worker.finish();
        if !parse(&strace.finish()).iter().any(|call| call.injected) {
            return match first {
                Answer::Done(_) => Ok(None),
                other => Err(format!("without a fault: {other:?}")),
            };
        }
        if let Answer::Failed { kind, .. } = &first
            && !kinds(fault).contains(&kind.as_str())
        {
            return Err(format!("that is no answer to {fault}: {first:?}"));
        }
        if !matches!(again, Answer::Done(_)) && !between {
            return Err(format!("first {first:?}, and when tried again {again:?}"));
        }
        let runtime = runtime();
        if runtime.block_on(picture(folder.path()))? != self.after {
            return Err(format!("tried again, it is not done; first {first:?}"));
        }
        runtime.block_on(versions_are_dense(folder.path()))?;
        runtime.block_on(verify_is_sound(folder.path()))?;
        Ok(Some(first))
    }

    /// Looks at the store after the first try. True if all of it is done.
    fn between(&self, folder: &Path, answer: &Answer) -> Check<bool> {
        if self.line == "init" {
            return Ok(false);
        }
        let found = runtime().block_on(picture(folder))?;
        match answer {
            Answer::None => return Err("the process is dead".into()),
            Answer::Done(_) if found != self.after || *answer != self.answer => {
                return Err(format!("it is not done: {answer:?} instead of {:?}", self.answer));
            }
            Answer::Failed { may_have_happened: false, text, .. } if found != self.before => {
                return Err(format!("it happened, and the error says that it did not: {text}"));
            }
            _ => {}
        }
        for group in self.before.keys().chain(self.after.keys()).chain(found.keys()) {
            let now = found.get(group);
            if now != self.before.get(group) && now != self.after.get(group) {
                return Err(format!("{group:?} is neither old nor new: {now:?}"));
            }
        }
        Ok(found == self.after)
    }
}

#[derive(Default)]
struct Tally {
    faults: usize,
    /// How often each kind of error was the answer.
    failed: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

impl Case {
    /// Lets each call of this name fail, one at a time, as `faults` say in turn, or in each of these ways.
    fn run_each(&self, call: &str, faults: &[&str], all: bool, tally: &Mutex<Tally>) {
        let mut dice = Dice(SEED);
        let stride = if all || !MANY.contains(&call) { 1 } else { STRIDE };
        let (mut n, mut is_there) = (0, true);
        while is_there {
            n += 1 + usize::try_from(dice.roll(stride)).expect("it is small");
            is_there = false;
            for fault in if all { faults } else { &faults[n % faults.len()..][..1] } {
                let result = self.run(call, fault, n);
                is_there |= !matches!(result, Ok(None));
                let mut tally = tally.lock().expect("a tally");
                match result {
                    Ok(None) => continue,
                    Ok(Some(Answer::Failed { kind, .. })) => *tally.failed.entry(kind).or_default() += 1,
                    Ok(Some(_)) => {}
                    Err(why) => tally.wrong.push(format!("{}: {call} number {n}: {fault}: {why}", self.line)),
                }
                tally.faults += 1;
            }
        }
    }
}

#[test]
fn whichever_call_fails_the_error_says_so_and_nothing_is_lost_and_a_second_try_succeeds() {
    if !strace::is_there() {
        return;
    }
    let all = std::env::var_os("STRONGROOM_TEST_ALL").is_some();
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(line) = WORK.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let case = Case::new(line);
                    FAULTS.iter().for_each(|(call, faults)| case.run_each(call, faults, all, &tally));
                }
            });
        }
    });
    let Tally { faults, failed, wrong } = tally.into_inner().expect("a tally");
    eprintln!("{faults} faults; these were answered by errors: {failed:?}");
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(faults > 500);
}
