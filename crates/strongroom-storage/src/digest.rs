//! Digests of content, computed while its bytes stream past.

use std::fmt;
use std::pin::pin;
use std::str::FromStr;

use bytes::Bytes;
use futures::{Stream, TryStreamExt};

use crate::error::{Error, ErrorKind, Result};
use crate::unblock;

macro_rules! digest_type {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Its length in bytes.
            pub const BYTES: usize = $bytes;

            /// The digest with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// Reads lower- or upper-case hexadecimal.
            fn from_str(text: &str) -> Result<Self> {
                let mut bytes = [0; $bytes];
                if decode_hex(text, &mut bytes) {
                    return Ok(Self(bytes));
                }
                Err(Error::new(
                    ErrorKind::Invalid,
                    "read digest",
                    format!("{text:?}"),
                    concat!("expected ", stringify!($bytes), " bytes in hexadecimal"),
                ))
            }
        }
    };
}

digest_type! {
    /// The BLAKE3-256 digest of content; what `b3sum` prints.
    Digest, 32
}
digest_type! {
    /// The MD5 digest of content: a checksum that older tools expect, not a protection against forgery.
    Md5Digest, 16
}
digest_type! {
    /// The SHA-256 digest of content.
    Sha256Digest, 32
}

fn decode_hex(text: &str, bytes: &mut [u8]) -> bool {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.len() == bytes.len() * 2
        && text.as_bytes().chunks_exact(2).zip(bytes).all(|(pair, byte)| match (digit(pair[0]), digit(pair[1])) {
            (Some(high), Some(low)) => {
                *byte = high << 4 | low;
                true
            }
            _ => false,
        })
}

impl Digest {
    /// The digest of `content`.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(*blake3::hash(content).as_bytes())
    }
}

impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

/// Which digests to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DigestSet {
    /// BLAKE3-256.
    pub blake3: bool,
    /// MD5; about six times slower than BLAKE3.
    pub md5: bool,
    /// SHA-256; about three times slower than BLAKE3.
    pub sha256: bool,
}

impl DigestSet {
    /// No digest.
    pub const NONE: Self = Self { blake3: false, md5: false, sha256: false };
    /// BLAKE3 only.
    pub const BLAKE3: Self = Self { blake3: true, md5: false, sha256: false };
    /// MD5 only.
    pub const MD5: Self = Self { blake3: false, md5: true, sha256: false };
    /// SHA-256 only.
    pub const SHA256: Self = Self { blake3: false, md5: false, sha256: true };
    /// All of them.
    pub const ALL: Self = Self { blake3: true, md5: true, sha256: true };

    /// What is in either of two sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self { blake3: self.blake3 || other.blake3, md5: self.md5 || other.md5, sha256: self.sha256 || other.sha256 }
    }

    /// What is in this set and not in `known`.
    #[must_use]
    pub const fn without(self, known: &Digests) -> Self {
        Self {
            blake3: self.blake3 && known.blake3.is_none(),
            md5: self.md5 && known.md5.is_none(),
            sha256: self.sha256 && known.sha256.is_none(),
        }
    }

    /// True if there is nothing to compute.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        !self.blake3 && !self.md5 && !self.sha256
    }
}

/// The digests that are known of one content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Digests {
    /// BLAKE3-256.
    pub blake3: Option<Digest>,
    /// MD5.
    pub md5: Option<Md5Digest>,
    /// SHA-256.
    pub sha256: Option<Sha256Digest>,
}

impl Digests {
    /// The digests `set` of `content`.
    #[must_use]
    pub fn of(content: &[u8], set: DigestSet) -> Self {
        let mut hasher = Hasher::new(set);
        hasher.update(content);
        hasher.finish()
    }

    /// These digests, with those of `other` where this has none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { blake3: self.blake3.or(other.blake3), md5: self.md5.or(other.md5), sha256: self.sha256.or(other.sha256) }
    }
}

/// Computes digests from bytes that come in pieces.
#[derive(Debug, Default)]
pub struct Hasher {
    blake3: Option<Box<blake3::Hasher>>,
    md5: Option<md5::Md5>,
    sha256: Option<sha2::Sha256>,
}

impl Hasher {
    /// A hasher for the digests in `set`.
    #[must_use]
    pub fn new(set: DigestSet) -> Self {
        use md5::Digest as _;
        Self {
            blake3: set.blake3.then(Box::default),
            md5: set.md5.then(md5::Md5::new),
            sha256: set.sha256.then(sha2::Sha256::new),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        use md5::Digest as _;
        if let Some(hasher) = &mut self.blake3 {
            hasher.update(bytes);
        }
        if let Some(hasher) = &mut self.md5 {
            hasher.update(bytes);
        }
        if let Some(hasher) = &mut self.sha256 {
            hasher.update(bytes);
        }
    }

    /// Takes all that a stream gives, on a thread where that may take its time.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn read(mut self, stream: impl Stream<Item = Result<Bytes>>) -> Result<Self> {
        let mut stream = pin!(stream);
        while let Some(bytes) = stream.try_next().await? {
            self = unblock(move || {
                self.update(&bytes);
                Ok(self)
            })
            .await?;
        }
        Ok(self)
    }

    /// A hasher for each digest, so that they can be computed side by side, the fastest first. Theirs are put together by
    /// [`Digests::or`].
    #[must_use]
    pub fn split(self) -> Vec<Self> {
        let alone = [
            Self { blake3: self.blake3, ..Self::default() },
            Self { sha256: self.sha256, ..Self::default() },
            Self { md5: self.md5, ..Self::default() },
        ];
        alone.into_iter().filter(|hasher| !hasher.is_empty()).collect()
    }

    /// True if there is nothing to compute.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blake3.is_none() && self.md5.is_none() && self.sha256.is_none()
    }

    /// The digests of all bytes taken.
    #[must_use]
    pub fn finish(self) -> Digests {
        use md5::Digest as _;
        Digests {
            blake3: self.blake3.map(|hasher| hasher.finalize().into()),
            md5: self.md5.map(|hasher| Md5Digest(hasher.finalize().into())),
            sha256: self.sha256.map(|hasher| Sha256Digest(hasher.finalize().into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard_tools() {
        let digests = Digests::of(b"hello world\n", DigestSet::ALL);
        // b3sum, md5sum, sha256sum
        assert_eq!(
            digests.blake3.expect("asked for").to_string(),
            "dc5a4edb8240b018124052c330270696f96771a63b45250a5c17d3000e823355"
        );
        assert_eq!(digests.md5.expect("asked for").to_string(), "6f5902ac237024bdd0c176cb93063dc4");
        assert_eq!(
            digests.sha256.expect("asked for").to_string(),
            "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447"
        );
    }

    #[test]
    fn a_split_hasher_computes_the_same() {
        let mut whole = Hasher::new(DigestSet::ALL);
        whole.update(b"hello ");
        let mut split = whole.split();
        assert_eq!(split.len(), 3);
        split.iter_mut().for_each(|hasher| hasher.update(b"world\n"));
        let digests = split.into_iter().fold(Digests::default(), |known, hasher| known.or(hasher.finish()));
        assert_eq!(digests, Digests::of(b"hello world\n", DigestSet::ALL));
        assert!(Hasher::new(DigestSet::NONE).split().is_empty());
    }

    #[test]
    fn hexadecimal_is_read_and_nothing_else() {
        let digest = Digest::of(b"x");
        assert_eq!(digest.to_string().parse::<Digest>().expect("hex"), digest);
        assert_eq!(digest.to_string().to_uppercase().parse::<Digest>().expect("hex"), digest);
        for bad in ["", "00", "zz", &"g".repeat(64), &"é".repeat(32)] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}
