//! The one way by which blocking work leaves an async thread.

use crate::error::{Error, ErrorKind, Result};

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
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(Error::new(ErrorKind::Internal, "run", "blocking work", "the runtime is shutting down")
                .with_source(error)),
        },
    }
}
