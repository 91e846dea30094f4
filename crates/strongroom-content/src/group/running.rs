//! Work that is driven by whoever waits for it, one at a time.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, TryLockError};
use std::task::{Context, Poll, Wake, Waker};

use futures::FutureExt;
use futures::future::{AbortHandle, Abortable, BoxFuture};

use super::lock;

/// Work under way.
pub(super) struct Running<R>(Arc<Driven<R>>);

struct Driven<R> {
    /// Locked by who drives it, while he does; nothing when it is over.
    work: Mutex<Option<Abortable<BoxFuture<'static, R>>>>,
    /// Known when it is over; nothing came of it if it was given up.
    outcome: OnceLock<Option<R>>,
    give_up: AbortHandle,
    waiting: Arc<Waiting>,
}

impl<R> Running<R> {
    /// Nobody goes on with the work, and nothing that it holds is kept from others. Who is just driving it drops it afterwards.
    pub(super) fn give_up(&self) {
        self.0.give_up.abort();
        self.0.drop_if_given_up();
    }
}

impl<R> Driven<R> {
    fn drop_if_given_up(&self) {
        if !self.give_up.is_aborted() {
            return;
        }
        let over = match self.work.try_lock() {
            Ok(mut work) => work.take(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        };
        drop(over);
    }
}

/// Who is to be woken when the work can go on: all of them, as any may have gone away or be busy.
#[derive(Default)]
struct Waiting {
    wakers: Mutex<HashMap<u64, Waker>>,
    next: AtomicU64,
    /// Whether they were woken since the work was last gone on with.
    woken: AtomicBool,
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        let wakers = std::mem::take(&mut *lock(&self.wakers));
        wakers.into_values().for_each(Waker::wake);
    }
}

impl<R> Clone for Running<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R: Clone> Running<R> {
    pub(super) fn new(work: BoxFuture<'static, R>) -> Self {
        let (give_up, registration) = AbortHandle::new_pair();
        let work = Mutex::new(Some(Abortable::new(work, registration)));
        Self(Arc::new(Driven { work, outcome: OnceLock::new(), give_up, waiting: Arc::default() }))
    }

    /// Drives the work to its end; nothing comes of it if it was given up.
    pub(super) fn outcome(&self) -> Waiter<R> {
        Waiter { running: self.clone(), key: self.0.waiting.next.fetch_add(1, Ordering::Relaxed) }
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.outcome.get().is_some() || self.0.give_up.is_aborted()
    }
}

/// Somebody who waits for work. The work goes on when he is asked; between that he holds nothing.
pub(super) struct Waiter<R> {
    running: Running<R>,
    key: u64,
}

impl<R: Clone> Future for Waiter<R> {
    type Output = Option<R>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Driven { work, outcome, waiting, .. } = &*self.running.0;
        // First, so that no call to wake is missed.
        lock(&waiting.wakers).insert(self.key, context.waker().clone());
        let mut driven = match work.try_lock() {
            Ok(driven) => driven,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Who drives it now wakes us if there is more to do when he has done his part, or if it is over.
            Err(TryLockError::WouldBlock) => return outcome.get().cloned().map_or(Poll::Pending, Poll::Ready),
        };
        let Some(running) = driven.as_mut() else { return Poll::Ready(outcome.get().cloned().flatten()) };
        waiting.woken.store(false, Ordering::SeqCst);
        let waker = Waker::from(waiting.clone());
        let polled = running.poll_unpin(&mut Context::from_waker(&waker));
        let Poll::Ready(done) = polled else {
            drop(driven);
            self.running.0.drop_if_given_up();
            if waiting.woken.load(Ordering::SeqCst) {
                waiting.clone().wake();
            }
            return Poll::Pending;
        };
        let done = outcome.get_or_init(|| done.ok()).clone();
        let over = driven.take();
        drop(driven);
        drop(over);
        waiting.clone().wake();
        Poll::Ready(done)
    }
}

impl<R> Waiter<R> {
    pub(super) fn waits_for(&self, running: &Running<R>) -> bool {
        Arc::ptr_eq(&self.running.0, &running.0)
    }
}

impl<R> Drop for Waiter<R> {
    fn drop(&mut self) {
        lock(&self.running.0.waiting.wakers).remove(&self.key);
    }
}
