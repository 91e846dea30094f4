//! How to load an object to a local file, and what came of it.

use super::{Durability, StoreMode};
use crate::digest::{Digest, DigestSet, Digests};
use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;

/// How to load an object to a local file.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LoadOptions {
    /// What to do when there is a file already; by default it is replaced.
    pub mode: StoreMode,
    /// What must be true before the call returns; by default the file is as durable as any that was just written: not.
    pub durability: Durability,
    /// Which digests of the content to give; none by default.
    pub digests: DigestSet,
    /// The BLAKE3 digest that the content must have; other content is [`ErrorKind::Changed`](crate::ErrorKind::Changed).
    pub expected: Option<Digest>,
}

impl LoadOptions {
    /// The same options with another mode.
    #[must_use]
    pub fn with_mode(self, mode: StoreMode) -> Self {
        Self { mode, ..self }
    }

    /// The same options with another durability.
    #[must_use]
    pub fn with_durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// The same options with other digests.
    #[must_use]
    pub fn with_digests(self, digests: DigestSet) -> Self {
        Self { digests, ..self }
    }

    /// The digests that are asked for, and the one that is compared.
    #[must_use]
    pub fn needed_digests(&self) -> DigestSet {
        DigestSet { blake3: self.digests.blake3 || self.expected.is_some(), ..self.digests }
    }

    /// Compares what was loaded from `location` with what was expected.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`] if it is something else.
    pub fn check(&self, location: &Location, copied: &Copied) -> Result<()> {
        match (self.expected, copied.digests.blake3) {
            (Some(expected), Some(found)) if expected != found => {
                let detail = format!("the content changed: BLAKE3 was {expected}, is {found}");
                Err(Error::new(ErrorKind::Changed, "verify", location, detail))
            }
            _ => Ok(()),
        }
    }

    /// The same options for content that must have this digest, or for any.
    #[must_use]
    pub fn with_expected(self, expected: Option<Digest>) -> Self {
        Self { expected, ..self }
    }
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { mode: StoreMode::Overwrite, durability: Durability::Relaxed, digests: DigestSet::NONE, expected: None }
    }
}

/// What was written to a local file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// How much, in bytes.
    pub size: u64,
    /// The digests that were asked for, and any others that were free.
    pub digests: Digests,
}

impl Copied {
    /// `size` bytes with these digests.
    #[must_use]
    pub fn new(size: u64, digests: Digests) -> Self {
        Self { size, digests }
    }
}
