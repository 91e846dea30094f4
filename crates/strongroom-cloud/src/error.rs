//! What the client's errors mean here.

use object_store::Error as ClientError;
use strongroom_storage::{Error, ErrorKind, Location};

/// An error of reading, of which nobody has to fear that it has changed anything.
pub(crate) fn of_reading(operation: &'static str, location: &Location, error: ClientError) -> Error {
    of(operation, location.as_str(), error)
}

/// An error of writing: where the service may have done it all the same, it says so.
pub(crate) fn of_writing(operation: &'static str, location: &Location, error: ClientError) -> Error {
    let error = of(operation, location.as_str(), error);
    if error.kind() == ErrorKind::Unavailable { error.with_outcome_unknown() } else { error }
}

pub(crate) fn of(operation: &'static str, subject: &str, error: ClientError) -> Error {
    let (kind, detail) = match &error {
        ClientError::NotFound { .. } => return Error::missing(operation, subject),
        ClientError::AlreadyExists { .. } => return Error::already_exists(operation, subject),
        ClientError::Precondition { .. } => (ErrorKind::Unavailable, "it was replaced meanwhile; try again"),
        ClientError::PermissionDenied { .. } => (
            ErrorKind::Denied,
            "the service denies it to these credentials; ask whoever gives permissions for the bucket",
        ),
        ClientError::Unauthenticated { .. } => (
            ErrorKind::Denied,
            "the service does not accept the credentials; see the environment variables of its own tools",
        ),
        ClientError::InvalidPath { .. } => (ErrorKind::Invalid, "the service takes no such name"),
        ClientError::NotSupported { .. } | ClientError::NotImplemented { .. } => {
            (ErrorKind::Unsupported, "the service can't do it")
        }
        ClientError::UnknownConfigurationKey { .. } => (ErrorKind::Invalid, "an option is unknown to this service"),
        _ => (ErrorKind::Unavailable, "the service did not do it; try again"),
    };
    Error::new(kind, operation, subject, detail).with_source(error)
}
