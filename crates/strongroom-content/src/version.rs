//! Versions of a namespace.

use std::fmt;
use std::str::FromStr;

use strongroom_storage::{Error, ErrorKind, Result};

/// The number of a commit in its namespace: 1, 2, 3 and so on; 0 is the empty namespace before its first commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// Version `number`.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self).map_err(|error| {
            Error::new(ErrorKind::Invalid, "read version", format!("{text:?}"), "expected a whole number")
                .with_source(error)
        })
    }
}
