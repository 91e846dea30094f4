//! The one error of strongroom: what was tried, on what, why it failed, and what to do.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

/// The result of every fallible call in strongroom.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it was, and so what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is nothing under that name. Check the name, or store it first.
    Missing,
    /// There is something already and the caller asked for it to be new. Pick another name.
    AlreadyExists,
    /// Content is not what it was when it was looked at before. Start over from the present content.
    Changed,
    /// The name can't be used beside what is there, or somebody else was faster. Look at what is there.
    Conflict,
    /// Stored bytes are damaged or lost. Run `verify`, then `repair` from another copy.
    Corrupt,
    /// Permission is lacking, or the place is read-only. Fix the permission.
    Denied,
    /// The backend can't do it now (full disk, time-out, too many open files). Remove the cause, try again.
    Unavailable,
    /// The call itself is wrong (a bad location, a directory as a source). Fix the call.
    Invalid,
    /// This backend can't do it. Use another call or another backend.
    Unsupported,
    /// Something that should not happen. Report it.
    Internal,
}

impl ErrorKind {
    /// The kind as one lower-case word, as it stands in JSON output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::AlreadyExists => "already-exists",
            Self::Changed => "changed",
            Self::Conflict => "conflict",
            Self::Corrupt => "corrupt",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable",
            Self::Invalid => "invalid",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failed operation.
///
/// `Display` gives one line without the cause: `load dag/unit/a.xtc: chunk 17 is corrupt`. The cause is in
/// [`source`](StdError::source).
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    subject: String,
    detail: String,
    may_have_happened: bool,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` in `operation` (`load`, `store`) on `subject` (a location, a path), with one sentence of detail.
    pub fn new(
        kind: ErrorKind,
        operation: &'static str,
        subject: impl fmt::Display,
        detail: impl fmt::Display,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            operation,
            subject: subject.to_string(),
            detail: detail.to_string(),
            may_have_happened: false,
            source: None,
        }))
    }

    /// [`ErrorKind::Missing`]: there is nothing at `subject`.
    pub fn missing(operation: &'static str, subject: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Missing, operation, subject, "there is nothing at this location")
    }

    /// [`ErrorKind::AlreadyExists`]: there is something at `subject` already.
    pub fn already_exists(operation: &'static str, subject: impl fmt::Display) -> Self {
        Self::new(ErrorKind::AlreadyExists, operation, subject, "there is an object at this location already")
    }

    /// An operating-system error, with the kind that fits it.
    pub fn from_io(operation: &'static str, subject: impl fmt::Display, error: io::Error) -> Self {
        let (kind, detail) = match error.kind() {
            io::ErrorKind::NotFound => (ErrorKind::Missing, "there is nothing at this location"),
            io::ErrorKind::AlreadyExists => (ErrorKind::AlreadyExists, "there is something at this location already"),
            io::ErrorKind::PermissionDenied => (ErrorKind::Denied, "permission denied"),
            io::ErrorKind::ReadOnlyFilesystem => (ErrorKind::Denied, "the file system is read-only"),
            io::ErrorKind::StorageFull => {
                (ErrorKind::Unavailable, "no space is left on the file system; free some and try again")
            }
            io::ErrorKind::QuotaExceeded => {
                (ErrorKind::Unavailable, "the disk quota is used up; free some space and try again")
            }
            io::ErrorKind::FileTooLarge => (ErrorKind::Unavailable, "the file system takes no file of this size"),
            io::ErrorKind::IsADirectory => (ErrorKind::Conflict, "this is a directory"),
            io::ErrorKind::NotADirectory => (ErrorKind::Conflict, "a part of this path is a file, not a directory"),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => {
                (ErrorKind::Invalid, "the operating system does not take this name or argument")
            }
            io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
            | io::ErrorKind::ResourceBusy
            | io::ErrorKind::StaleNetworkFileHandle => {
                (ErrorKind::Unavailable, "the operating system could not do it now; try again")
            }
            _ => match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
                Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => {
                    (ErrorKind::Unavailable, "too many files are open; raise the limit (ulimit -n) or do less at once")
                }
                Some(rustix::io::Errno::IO) => (ErrorKind::Unavailable, "the device failed to read or write; check it"),
                _ => (ErrorKind::Internal, "the operating system refused"),
            },
        };
        Self::new(kind, operation, subject, detail).with_source(error)
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into().into());
        self
    }

    /// The same error for the operation and subject that the caller knows them by.
    #[must_use]
    pub fn in_operation(mut self, operation: &'static str, subject: impl fmt::Display) -> Self {
        self.0.operation = operation;
        self.0.subject = subject.to_string();
        self
    }

    /// The same error, marked as one after which the operation may have taken effect all the same (a lost answer).
    #[must_use]
    pub fn with_outcome_unknown(mut self) -> Self {
        self.0.may_have_happened = true;
        self
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed: `load`, `store`, `delete`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// What it failed on: a location or a local path.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// What went wrong, in one sentence without the operation, the subject and the cause.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// True if the operation may have taken effect although its answer was lost; false if it surely did not.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        self.0.may_have_happened
    }

    /// True for [`ErrorKind::Missing`].
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.kind() == ErrorKind::Missing
    }

    /// True for [`ErrorKind::AlreadyExists`].
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.kind() == ErrorKind::AlreadyExists
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.operation, self.0.subject, self.0.detail)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("operation", &self.0.operation)
            .field("subject", &self.0.subject)
            .field("detail", &self.0.detail)
            .field("may_have_happened", &self.0.may_have_happened)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_one_line_without_the_cause() {
        let cause = io::Error::from_raw_os_error(28);
        let error = Error::from_io("store", "dag/unit/a.xtc", cause);
        assert_eq!(
            error.to_string(),
            "store dag/unit/a.xtc: no space is left on the file system; free some and try again"
        );
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.source().is_some());
    }
}
