//! The one way by which blocking work leaves an async thread.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;

use crate::error::{Error, ErrorKind, Result};

thread_local! {
    static INLINE: Cell<bool> = const { Cell::new(false) };
}

/// Whether blocking work of this thread is done by this thread itself: for simulations, in which nothing may go on that their
/// scheduler does not decide. They need no runtime then.
#[doc(hidden)]
pub fn unblock_inline(inline: bool) {
    INLINE.set(inline);
}

/// The same future, whose blocking work is done by the thread that polls it.
pub(crate) async fn here<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        // However the poll ends, what comes next on this thread is as before.
        struct Before(bool);
        impl Drop for Before {
            fn drop(&mut self) {
                INLINE.set(self.0);
            }
        }
        let _before = Before(INLINE.replace(true));
        future.as_mut().poll(context)
    })
    .await
}

/// Runs `work` on a thread where it may block, and waits for it.
///
/// Work that has begun runs to its end also when the returned future is dropped.
///
/// # Errors
/// What `work` returns, or [`ErrorKind::Internal`] if the runtime is shutting down.
///
/// # Panics
/// If `work` panics, with its panic. If there is no Tokio runtime.
#[expect(clippy::disallowed_methods, reason = "this is the one helper")]
pub async fn unblock<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    if INLINE.get() {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(Error::new(ErrorKind::Internal, "run", "blocking work", "the runtime is shutting down")
                .with_source(error)),
        },
    }
}
