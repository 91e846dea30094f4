//! The runtime on which blocking callers wait.

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use arc_swap::{ArcSwapOption, Guard};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::AbortHandle;

use crate::unblock::here;

/// More threads than this bring nothing: blocking work has threads of its own, and the caller's thread runs the future.
const MAX_WORKERS: usize = 8;

static SHARED: Shared = Shared::new();

/// Runs `future` to its end and returns what it gives, while this thread waits.
///
/// All calls share one Tokio runtime, which the first one makes. A thread that is inside another Tokio runtime may call
/// this too: a helper thread then runs the future. Such a thread does nothing else for its own runtime meanwhile, so inside
/// async code `.await` is better.
///
/// ```
/// # use strongroom_storage::{ExternalStorage, Location, MemoryStorage, blocking};
/// let storage = MemoryStorage::new();
/// let location = Location::parse("a")?;
/// blocking::wait(storage.store_bytes(&location, "1".into()))?;
/// assert!(blocking::wait(storage.exists(&location))?);
/// # Ok::<(), strongroom_storage::Error>(())
/// ```
///
/// # Panics
/// If `future` panics, with its panic. If the operating system gives no thread.
pub fn wait<F>(future: F) -> F::Output
where
    F: Future + Send,
    F::Output: Send,
{
    let shared = SHARED.of_process(std::process::id());
    let runtime = &shared.runtime;
    if Handle::try_current().is_err() {
        return runtime.block_on(future);
    }
    thread::scope(|scope| match scope.spawn(|| runtime.block_on(future)).join() {
        Ok(output) => output,
        Err(panic) => resume_unwind(panic),
    })
}

/// As [`wait`], and what would block is done by this thread, one after the other, instead of by other threads: faster where it is
/// little, such as one small file; slower where much could be done side by side.
///
/// # Panics
/// As `wait`.
pub fn wait_here<F>(future: F) -> F::Output
where
    F: Future + Send,
    F::Output: Send,
{
    wait(here(future))
}

/// Begins `future` on the runtime that [`wait`] waits on, and returns at once; by what it returns it can be given up.
///
/// In a program that ends, it ends where it is.
pub fn spawn(future: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    SHARED.of_process(std::process::id()).runtime.spawn(future).abort_handle()
}

/// The runtime of this process. A fork has the memory of its parent's runtime but not the threads, and needs another one.
///
/// There is no lock here: a thread that had it when its process forked would keep the fork waiting for ever.
struct Shared(ArcSwapOption<OfProcess>);

struct OfProcess {
    process: u32,
    runtime: Runtime,
}

impl Shared {
    const fn new() -> Self {
        Self(ArcSwapOption::const_empty())
    }

    fn of_process(&self, process: u32) -> Arc<OfProcess> {
        loop {
            let known = self.0.load_full();
            if let Some(known) = known.as_ref().filter(|known| known.process == process) {
                return Arc::clone(known);
            }
            let made = Arc::new(OfProcess { process, runtime: make() });
            let before = Guard::into_inner(self.0.compare_and_swap(&known, Some(Arc::clone(&made))));
            if before.as_ref().map(Arc::as_ptr) == known.as_ref().map(Arc::as_ptr) {
                // To drop the parent's would be to wait for threads that are not there.
                std::mem::forget((known, before));
                return made;
            }
            // Another thread was faster.
        }
    }
}

fn make() -> Runtime {
    let workers = thread::available_parallelism().map_or(1, |threads| threads.get().min(MAX_WORKERS));
    Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("strongroom")
        .enable_all()
        .build()
        .expect("the operating system gives a few threads and file descriptors")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_without_a_runtime_can_wait() {
        assert_eq!(wait(crate::unblock(|| Ok(7))).expect("no error"), 7);
    }

    #[tokio::test]
    async fn a_thread_of_a_single_threaded_runtime_can_wait() {
        assert_eq!(wait(crate::unblock(|| Ok(7))).expect("no error"), 7);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_thread_of_a_multi_threaded_runtime_can_wait() {
        assert_eq!(wait(crate::unblock(|| Ok(7))).expect("no error"), 7);
    }

    #[test]
    fn a_future_that_is_waited_for_can_wait_itself() {
        assert_eq!(wait(async { wait(async { wait(crate::unblock(|| Ok(7))) }) }).expect("no error"), 7);
    }

    #[test]
    fn blocking_work_can_be_done_by_the_thread_that_waits() {
        let thread = || crate::unblock(|| Ok(thread::current().id()));
        assert_eq!(wait_here(thread()).expect("no error"), thread::current().id());
        assert_ne!(wait(thread()).expect("no error"), thread::current().id());
        let joined = wait_here(async { futures::join!(thread(), async { wait(thread()) }) });
        assert_eq!(joined.0.expect("no error"), thread::current().id());
    }

    #[test]
    fn what_is_begun_goes_on_by_itself_until_it_is_given_up() {
        let (done, is_done) = std::sync::mpsc::channel();
        let never = spawn(std::future::pending());
        spawn(async move { done.send(crate::unblock(|| Ok(7)).await.expect("no error")).expect("somebody waits") });
        assert_eq!(is_done.recv().expect("an answer"), 7);
        never.abort();
        while !never.is_finished() {
            thread::yield_now();
        }
    }

    #[test]
    fn a_future_may_borrow_from_its_caller() {
        let text = String::from("borrowed");
        assert_eq!(wait(async { text.len() }), 8);
    }

    #[tokio::test]
    async fn a_panic_is_the_callers_panic() {
        let panic = std::panic::catch_unwind(|| wait(async { panic!("it broke") })).expect_err("it panics");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"it broke"));
    }

    #[test]
    fn one_process_shares_one_runtime_and_a_fork_has_its_own() {
        let shared = Shared::new();
        let parents = shared.of_process(1);
        assert!(Arc::ptr_eq(&parents, &shared.of_process(1)));
        let childs = shared.of_process(2);
        assert!(!Arc::ptr_eq(&parents, &childs));
        assert!(Arc::ptr_eq(&childs, &shared.of_process(2)));
        assert_eq!(childs.runtime.block_on(async { 7 }), 7);
        let all = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| shared.of_process(3))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
        });
        assert!(all.iter().all(|one| Arc::ptr_eq(one, &all[0])), "threads that race for it share it");
    }
}
