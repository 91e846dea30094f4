//! What readers ask for: a name, or content.

use std::fmt;

use strongroom_storage::{Error, ErrorKind, Location, Result};

use crate::object::ObjectRef;
use crate::store::ContentStorage;

/// What begins a digest where a location could stand.
const DIGEST: &str = "b3:";

/// Of which object something is wanted: the one at a location, or the one with a digest.
///
/// ```
/// use strongroom_content::Address;
///
/// assert!(matches!(Address::parse("dag/unit/energies.csv")?, Address::Location(_)));
/// assert!(matches!(Address::parse("b3:af1349b9")?, Address::Digest(_)));
/// // A location that looks like a digest.
/// assert!(matches!(Address::parse("./b3:af1349b9")?, Address::Location(_)));
/// # Ok::<(), strongroom_storage::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Where it is.
    Location(Location),
    /// `b3:` and as many hexadecimal digits of its digest as are unique.
    Digest(String),
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is neither a digest nor a location.
    pub fn parse(text: &str) -> Result<Self> {
        match Self::is_digest(text) {
            true => Ok(Self::Digest(text.into())),
            false => Location::parse(text).map(Self::Location),
        }
    }

    /// Whether `text` is meant as a digest: `b3:` and hexadecimal digits.
    #[must_use]
    pub fn is_digest(text: &str) -> bool {
        text.strip_prefix(DIGEST)
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }

    /// The location, where something is to be written.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is a digest.
    pub fn into_location(self) -> Result<Location> {
        match self {
            Self::Location(location) => Ok(location),
            Self::Digest(digest) => Err(Error::new(
                ErrorKind::Invalid,
                "name",
                digest,
                "a digest names content, not a place for it; a location that looks like one is written ./b3:...",
            )),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Location(location) => location.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl ContentStorage {
    /// The object at `address`.
    ///
    /// # Errors
    /// Those of [`find`](Self::find) and [`find_digest`](Self::find_digest).
    pub async fn find_address(&self, address: &Address) -> Result<ObjectRef> {
        match address {
            Address::Location(location) => self.find(location).await,
            Address::Digest(digest) => self.find_digest(digest).await,
        }
    }

    /// The objects at `addresses`, in their order; `None` where there is none. Locations are looked for together, digests one by one.
    ///
    /// # Errors
    /// Those of [`find_all`](Self::find_all) and, but for `Missing`, [`find_digest`](Self::find_digest).
    pub async fn find_addresses(&self, addresses: &[Address]) -> Result<Vec<Option<ObjectRef>>> {
        let locations = addresses.iter().filter_map(|address| match address {
            Address::Location(location) => Some(location.clone()),
            Address::Digest(_) => None,
        });
        let mut located = self.find_all(&locations.collect::<Vec<_>>()).await?.into_iter();
        let mut found = Vec::with_capacity(addresses.len());
        for address in addresses {
            found.push(match address {
                Address::Location(_) => located.next().flatten(),
                Address::Digest(digest) => match self.find_digest(digest).await {
                    Ok(object) => Some(object),
                    Err(error) if error.is_missing() => None,
                    Err(error) => return Err(error),
                },
            });
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_told_from_locations() {
        for text in ["b3:00ff", "b3:A"] {
            let digest = Address::parse(text).expect(text);
            assert_eq!(digest.to_string(), text);
            assert_eq!(digest.into_location().expect_err(text).kind(), ErrorKind::Invalid);
        }
        for (text, location) in [("b3:", "b3:"), ("b3:xyz", "b3:xyz"), ("./b3:00", "b3:00"), ("00ff", "00ff")] {
            assert_eq!(Address::parse(text).expect(text).into_location().expect(text).as_str(), location);
        }
        assert_eq!(Address::parse("../b3:00").expect_err("it leaves").kind(), ErrorKind::Invalid);
    }
}
