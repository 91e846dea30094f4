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

impl Listing {
    /// The page that `options` ask for, cut out of all objects that begin with the prefix, given in any order: for backends that have
    /// no better way.
    #[must_use]
    pub fn of_all(objects: impl Iterator<Item = ListedObject>, options: &ListOptions) -> Self {
        let after = options.start_after.as_deref();
        let mut objects: Vec<_> =
            objects.filter(|object| after.is_none_or(|after| object.location.as_str() > after)).collect();
        objects.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        let mut listing = Self::default();
        for object in objects {
            if options.limit.is_some_and(|limit| listing.objects.len() + listing.prefixes.len() >= limit) {
                break;
            }
            let rest = &object.location.as_str()[options.prefix.len()..];
            match rest.find('/') {
                Some(end) if options.delimited => {
                    let common = &object.location.as_str()[..options.prefix.len() + end + 1];
                    if listing.prefixes.last().is_none_or(|last| last != common) {
                        listing.prefixes.push(common.to_string());
                    }
                }
                _ => listing.objects.push(object),
            }
        }
        listing
    }
}
