//! The one way by which blocking work leaves an async thread.

use std::cell::Cell;

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
