//! Which objects to list, and what a listing found.

use crate::location::Location;

/// Which objects to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ListOptions {
    /// Only names that begin with this string.
    pub prefix: String,
    /// Fold names with the same beginning up to the next `/` after the prefix into one of [`Listing::prefixes`].
    pub delimited: bool,
    /// Only names that come after this one in byte order.
    pub start_after: Option<String>,
    /// At most this many names and prefixes together.
    pub limit: Option<usize>,
}

impl ListOptions {
    /// All names that begin with `prefix`.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..Self::default() }
    }

    /// What stands directly below `prefix`, which ends with `/` or is empty.
    pub fn directory(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), delimited: true, ..Self::default() }
    }

    /// The same with at most `limit` results.
    #[must_use]
    pub fn with_limit(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// The same with only what comes after `name`.
    #[must_use]
    pub fn with_start_after(self, name: impl Into<String>) -> Self {
        Self { start_after: Some(name.into()), ..self }
    }
}

/// One object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedObject {
    /// Where it is.
    pub location: Location,
    /// Its size in bytes, where the backend's listing says it.
    pub size: Option<u64>,
}

impl ListedObject {
    /// The object at `location`.
    #[must_use]
    pub fn new(location: Location, size: Option<u64>) -> Self {
        Self { location, size }
    }
}

/// What a listing found, in byte order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// The objects.
    pub objects: Vec<ListedObject>,
    /// With [`ListOptions::delimited`]: the common beginnings, each ending with `/`.
    pub prefixes: Vec<String>,
}
