//! What processes asked the kernel for while they worked with a store, and the power failures that could have come in between.

use std::num::NonZero;
use std::ops::AddAssign;
use std::path::Path;
use std::sync::Mutex;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::checks::{Check, Expected, Picture, picture};
use crate::disk::{Disk, Effect, SyncFilter};
use crate::image::{Dice, Image, Images};
use crate::strace::Strace;
use crate::trace::{Call, parse};
use crate::worker::{Answer, Worker};

/// What changes files, makes them durable, or says something.
const CALLS: &str = "trace=open,openat,openat2,creat,fcntl,ioctl,lseek,write,writev,pwrite64,pwritev,pwritev2,copy_file_range,sendfile,\
    splice,truncate,ftruncate,link,linkat,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,symlink,symlinkat,fsync,\
    fdatasync,syncfs,sendto";

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

/// A folder in memory, where there is such a thing: nothing of what is tried there needs to last.
pub fn quick_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder")
}

/// One piece of work.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub line: &'static str,
    /// How many images of it are tried if not all are.
    pub images: usize,
    /// The namespaces of which it says that they are durable as it leaves them. All, if nothing but durable work was before it.
    pub promises: Option<&'static [&'static str]>,
}

/// A process, and what it does.
#[derive(Clone, Copy, Debug)]
pub struct Process<'a> {
    pub works: &'a [Work],
    /// It is killed when it calls fsync for the nth time, from 1 on, and does not do so.
    pub dies_at_fsync: Option<usize>,
}

#[derive(Debug)]
struct Done {
    work: Work,
    process: usize,
    before: Vec<Picture>,
    after: Picture,
    answered: bool,
}

/// Work that was done and how.
pub struct Recording {
    beginning: Disk,
    calls: Vec<(usize, Call)>,
    done: Vec<Done>,
    /// The last process could not do its work, as what it is about was not there yet.
    pub is_refused: bool,
}

/// How many images were tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub calls: usize,
    pub possible: usize,
    pub tried: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.possible += other.possible;
        self.tried += other.tried;
    }
}

/// An image, and what is known of the moment.
struct Moment {
    call: usize,
    acknowledged: bool,
    image: Image,
}

impl Recording {
    /// Lets `processes` work, one after the other, in `folder`, which was made ready by `prepare`.
    pub fn of(folder: &TempDir, prepare: impl FnOnce(&Path), processes: &[Process<'_>]) -> Self {
        let root = folder.path().canonicalize().expect("its path");
        std::fs::create_dir(root.join("files")).expect("a folder");
        prepare(&root);
        let (runtime, traces) = (runtime(), tempfile::tempdir().expect("a folder"));
        let now = || match root.join("store").is_dir() {
            true => runtime.block_on(picture(&root)).expect("a picture"),
            false => Picture::new(),
        };
        let mut recording =
            Self { beginning: Disk::new(&root), calls: Vec::new(), done: Vec::new(), is_refused: false };
        let mut before = vec![now()];
        for (process, Process { works, dies_at_fsync }) in processes.iter().enumerate() {
            let mut worker = Worker::start(&root);
            let dies = dies_at_fsync.map(|n| format!("inject=fsync:signal=KILL:when={n}"));
            let options = dies.iter().flat_map(|dies| ["-e", dies.as_str()]);
            let options: Vec<&str> = ["-e", CALLS].into_iter().chain(options).collect();
            let strace = Strace::attach(&worker, &options, &traces.path().join(process.to_string()));
            for work in *works {
                let answered = match worker.ask(work.line) {
                    Answer::Done(_) => true,
                    Answer::None if dies_at_fsync.is_some() => false,
                    Answer::Failed { kind, .. } if work.promises.is_some() && kind == "missing" => {
                        // What it is about was not there yet.
                        recording.is_refused = true;
                        break;
                    }
                    answer => unreachable!("{}: {answer:?}", work.line),
                };
                let after = now();
                recording.done.push(Done {
                    work: *work,
                    process,
                    before: before.clone(),
                    after: after.clone(),
                    answered,
                });
                if answered && before.len() == 1 {
                    before.clear();
                }
                before.push(after);
                if !answered {
                    break;
                }
            }
            worker.finish();
            recording.calls.extend(parse(&strace.finish()).into_iter().map(|call| (process, call)));
        }
        recording
    }

    /// Whether a process died.
    pub fn has_death(&self) -> bool {
        self.done.iter().any(|done| !done.answered)
    }

    /// Replays the calls, of which those fsyncs count that `counts` says, and looks at what a power failure leaves after each.
    pub fn survives(&self, counts: &SyncFilter<'_>, seed: u64) -> Check<Tally> {
        let mut disk = self.beginning.clone();
        let mut dice = Dice(seed);
        let mut tally = Tally { calls: self.calls.len(), ..Tally::default() };
        let (mut images, mut moments) = (Images::default(), Vec::new());
        let mut works = self.done.iter();
        let mut work = works.next();
        for (call, (process, what)) in self.calls.iter().enumerate() {
            if work.is_some_and(|work| work.process < *process) {
                // It died. What may be there if the power fails before that is known from those that do not die.
                moments.clear();
                work = works.next();
            }
            let acknowledged = match disk.apply(*process, what, counts) {
                Effect::None => continue,
                Effect::Changed => false,
                Effect::Answered => {
                    images = Images::default();
                    true
                }
            };
            let found = images.of(&disk, &mut dice).into_iter();
            moments.extend(found.map(|image| Moment { call, acknowledged, image }));
            if acknowledged {
                let done = work.ok_or("there are more answers than work")?;
                self.check(done, std::mem::take(&mut moments), &mut tally, &mut dice)?;
                work = works.next();
            }
        }
        assert!(work.is_none(), "all of it is in the trace");
        Ok(tally)
    }

    /// Checks a sample of the moments while `done` was done.
    fn check(&self, done: &Done, moments: Vec<Moment>, tally: &mut Tally, dice: &mut Dice) -> Check {
        let Done { work, process, before, after, .. } = done;
        let allowed = before.iter().chain([after]).collect();
        let expected = &Expected { allowed, after, promised: work.promises, work: work.line };
        tally.possible += moments.len();
        let sample = sample(moments, work.images, dice);
        tally.tried += sample.len();
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let failure = &Mutex::new(None);
        std::thread::scope(|scope| {
            for share in sample.chunks(sample.len().div_ceil(threads).max(1)) {
                scope.spawn(move || {
                    let runtime = runtime();
                    for Moment { call, acknowledged, image } in share {
                        if failure.lock().is_ok_and(|failure| failure.is_some()) {
                            return;
                        }
                        let folder = quick_folder();
                        image.write(folder.path());
                        if let Err(why) = runtime.block_on(expected.check(folder.path(), *acknowledged)) {
                            let (line, name) = (work.line, &self.calls[*call].1.name);
                            let when = format!("process {process}: {line}: power fails after call {call} ({name})");
                            let what = format!("{when}, {image}; acknowledged: {acknowledged}: {why}");
                            *failure.lock().expect("nobody panics with it") = Some(what);
                        }
                    }
                });
            }
        });
        failure.lock().expect("nobody panicked with it").take().map_or(Ok(()), Err)
    }
}

/// All of `moments`, or `count` of them: the strictest when all is acknowledged, and a sample.
fn sample(mut moments: Vec<Moment>, count: usize, dice: &mut Dice) -> Vec<Moment> {
    if std::env::var_os("STRONGROOM_TEST_ALL").is_none() && moments.len() > count {
        let strictest = moments.iter().position(|moment| moment.acknowledged);
        for at in (1..moments.len()).rev() {
            let other = usize::try_from(dice.roll(at as u64 + 1)).expect("it is small");
            if Some(at) != strictest && Some(other) != strictest {
                moments.swap(at, other);
            }
        }
        if let Some(strictest) = strictest {
            moments.swap(0, strictest);
        }
        moments.truncate(count);
    }
    moments
}
