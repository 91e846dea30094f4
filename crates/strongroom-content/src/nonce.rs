//! Names that are used once.

use std::fmt;
use std::str::FromStr;

use strongroom_storage::{Error, ErrorKind, Host, Result};

/// 16 random bytes, written as 32 hexadecimal digits: the name of a pack, a file, an index file, a session or a commit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// Its length in bytes.
    pub(crate) const BYTES: usize = 16;
    /// Stands for none.
    pub(crate) const ZERO: Self = Self([0; Self::BYTES]);

    /// Draws a new one.
    pub(crate) fn draw(host: &dyn Host) -> Result<Self> {
        let mut bytes = [0; Self::BYTES];
        host.fill_random(&mut bytes)?;
        Ok(Self(bytes))
    }

    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Nonce {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // An MD5 digest has the same length and the same notation.
        text.parse::<strongroom_storage::Md5Digest>().map(|hex| Self(*hex.as_bytes())).map_err(|error| {
            Error::new(ErrorKind::Invalid, "read nonce", format!("{text:?}"), "expected 32 hexadecimal digits")
                .with_source(error)
        })
    }
}
