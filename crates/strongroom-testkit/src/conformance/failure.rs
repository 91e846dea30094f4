//! What a case says about a backend.

use std::error::Error as StdError;
use std::fmt;

use strongroom_storage::Error;

/// What a case found where it found no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The promise was kept.
    Kept,
    /// The backend does not make this promise, by its capabilities or on this machine; the text says which.
    NotMade(&'static str),
}

/// A promise that was not kept, or an error where there should be none.
#[derive(Debug)]
pub struct Failure {
    message: String,
    source: Option<Error>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|error| error as &(dyn StdError + 'static))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { message: format!("an operation failed that should succeed ({})", error.kind()), source: Some(error) }
    }
}

/// What every case returns.
pub(crate) type Checked<T = Verdict> = Result<T, Failure>;

/// Returns a failure unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Failure::new(format!($($message)+)));
        }
    };
}
pub(crate) use ensure;
