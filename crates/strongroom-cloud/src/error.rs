//! What the client's errors mean here.

use std::error::Error as StdError;

use object_store::Error as ClientError;
use strongroom_storage::{Error, ErrorKind, Location};

use crate::requests::{NoCredentials, OF_THE_MACHINE, Refused};

const NO_BUCKET: &str = "there is no such bucket; make it with the service's own tools, or name another";
const DENIED: &str = "the service denies it to these credentials; ask whoever gives permissions for the bucket";

/// An error of reading, of which nobody has to fear that it has changed anything.
pub(crate) fn of_reading(operation: &'static str, location: &Location, error: ClientError) -> Error {
    of(operation, location.as_str(), error)
}

/// An error of storing, before anybody has thought about its outcome: what is missing can only be the bucket.
pub(crate) fn of_storing(location: &Location, error: ClientError) -> Error {
    match error {
        ClientError::NotFound { .. } => Error::new(ErrorKind::Missing, "store", location, NO_BUCKET).with_source(error),
        error => of_reading("store", location, error),
    }
}

/// An error of the request that is to make an object of its parts. The client may have sent it before, and nobody knows what came of
/// that.
pub(crate) fn of_the_end(location: &Location, error: ClientError) -> Error {
    let error = match error {
        ClientError::NotFound { .. } => {
            let detail = "the service knows nothing of its parts any more; look whether it is there";
            Error::new(ErrorKind::Unavailable, "store", location, detail).with_source(error)
        }
        error => of_reading("store", location, error),
    };
    error.with_outcome_unknown()
}

pub(crate) fn of(operation: &'static str, subject: &str, error: ClientError) -> Error {
    let (kind, detail) = match &error {
        ClientError::NotFound { .. } => return Error::missing(operation, subject),
        ClientError::AlreadyExists { .. } => return Error::already_exists(operation, subject),
        ClientError::Precondition { .. } => (ErrorKind::Unavailable, "it was replaced meanwhile; try again"),
        ClientError::PermissionDenied { .. } => (ErrorKind::Denied, DENIED),
        ClientError::Unauthenticated { .. } => (
            ErrorKind::Denied,
            "the service does not accept the credentials; see the environment variables of its own tools",
        ),
        ClientError::InvalidPath { .. } => (ErrorKind::Invalid, "the service takes no such name"),
        ClientError::NotSupported { .. } | ClientError::NotImplemented { .. } => {
            (ErrorKind::Unsupported, "the service can't do it")
        }
        ClientError::UnknownConfigurationKey { .. } => (ErrorKind::Invalid, "an option is unknown to this service"),
        error if cause::<NoCredentials>(error).is_some() || is_of_the_machine(error) => (
            ErrorKind::Denied,
            "there are no credentials; set the environment variables of the service's own tools, such as AWS_ACCESS_KEY_ID",
        ),
        error => match cause::<Refused>(error) {
            Some(refused) if refused.is_missing => (ErrorKind::Missing, NO_BUCKET),
            Some(_) => (ErrorKind::Denied, DENIED),
            None => (ErrorKind::Unavailable, "the service did not do it; try again"),
        },
    };
    Error::new(kind, operation, subject, detail).with_source(error)
}

/// Whether it came of a request for the credentials of the machine's role, which may have none.
fn is_of_the_machine(error: &ClientError) -> bool {
    let text = error.to_string();
    OF_THE_MACHINE.iter().any(|host| text.contains(&format!("http://{host}/")))
}

fn cause<Cause: StdError + 'static>(error: &ClientError) -> Option<&Cause> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(cause) = error.downcast_ref() {
            return Some(cause);
        }
        next = error.source();
    }
    None
}
