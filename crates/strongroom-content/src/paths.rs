//! Where everything of a store lies in its backend, and how it is put there. `FORMAT.md` has the map.

use strongroom_storage::{Digest, Location, Result, StoreOptions};

use crate::namespace::{Namespace, decode_segment, encode_segment};
use crate::nonce::Nonce;

pub(crate) const STORE_FILE: &str = "strongroom.json";
pub(crate) const README_FILE: &str = "README.txt";
/// Says whose mirror the store is, if it is one.
pub(crate) const MIRROR_FILE: &str = "mirror.json";
pub(crate) const PACKS: &str = "packs/";
pub(crate) const FILES: &str = "files/";
pub(crate) const INDEX: &str = "index/";
pub(crate) const NAMES: &str = "names/";
pub(crate) const SESSIONS: &str = "gc/";
pub(crate) const MARKER: &str = ".session";
pub(crate) const BEAT: &str = ".beat";
pub(crate) const ENDED: &str = ".ended";
pub(crate) const LIST: &str = ".list";

/// The largest version a namespace can have is one less.
pub(crate) const VERSIONS: u64 = 1 << 40;

/// How a file is stored that never changes.
pub(crate) fn once() -> StoreOptions {
    StoreOptions::create().with_read_only(true)
}

pub(crate) fn fixed(name: &str) -> Result<Location> {
    Location::parse(name)
}

pub(crate) fn pack(nonce: &Nonce) -> Result<Location> {
    let name = nonce.to_string();
    Location::parse(&format!("{PACKS}{}/{name}", &name[..2]))
}

pub(crate) fn whole_file(digest: &Digest, nonce: &Nonce) -> Result<Location> {
    let name = digest.to_string();
    Location::parse(&format!("{FILES}{}/{name}.{nonce}", &name[..2]))
}

pub(crate) fn index(nonce: &Nonce) -> Result<Location> {
    Location::parse(&format!("{INDEX}{nonce}"))
}

pub(crate) fn session(nonce: &Nonce, suffix: &str) -> Result<Location> {
    Location::parse(&format!("{SESSIONS}{nonce}{suffix}"))
}

/// The pack that a listed location names.
pub(crate) fn pack_of(location: &Location) -> Option<Nonce> {
    let nonce = location.file_name().parse().ok()?;
    pack(&nonce).is_ok_and(|expected| expected == *location).then_some(nonce)
}

/// The whole file that a listed location names.
pub(crate) fn whole_file_of(location: &Location) -> Option<(Digest, Nonce)> {
    let (digest, nonce) = location.file_name().split_once('.')?;
    let (digest, nonce) = (digest.parse().ok()?, nonce.parse().ok()?);
    whole_file(&digest, &nonce).is_ok_and(|expected| expected == *location).then_some((digest, nonce))
}

/// Below which a namespace, or rather its encoded name, keeps its versions. Ends with `/`.
pub(crate) fn versions(namespace: &EncodedNamespace) -> String {
    format!("{NAMES}{}@/", namespace.0)
}

/// Below which a namespace and those under it lie. Ends with `/`.
pub(crate) fn below(namespace: &EncodedNamespace) -> String {
    format!("{NAMES}{}", namespace.0)
}

/// Where version `version` of a namespace lies. The newest comes first in byte order.
pub(crate) fn version(namespace: &EncodedNamespace, version: u64) -> Result<Location> {
    Location::parse(&format!("{}{:010x}", versions(namespace), VERSIONS - version))
}

/// The version that a listed location names.
pub(crate) fn version_of(location: &Location) -> Option<u64> {
    let name = location.file_name();
    if name.len() != 10 || !name.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    VERSIONS.checked_sub(u64::from_str_radix(name, 16).ok()?).filter(|version| (1..VERSIONS).contains(version))
}

/// A namespace as the backend's names have it: empty, or encoded segments each followed by `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EncodedNamespace(String);

impl EncodedNamespace {
    pub(crate) fn new(namespace: &Namespace, folds_case: bool) -> Self {
        Self(namespace.segments().map(|segment| encode_segment(segment, folds_case) + "/").collect())
    }

    /// The namespace of tags, which no location belongs to.
    pub(crate) fn tags() -> Self {
        Self("@tags/".into())
    }

    /// From the prefix of a listing: `names/a/b/`.
    pub(crate) fn from_prefix(prefix: &str) -> Option<Self> {
        let rest = prefix.strip_prefix(NAMES)?;
        let names: Vec<&str> = rest.split_terminator('/').collect();
        (names.len() <= 2 && names.iter().all(|name| !name.starts_with('@'))).then(|| Self(rest.into()))
    }

    /// Whether a backend, which may fold case, keeps both in the same place.
    pub(crate) fn is_same(&self, other: &Self, folds_case: bool) -> bool {
        self == other || folds_case && self.0.eq_ignore_ascii_case(&other.0)
    }

    /// How many segments it has.
    pub(crate) fn depth(&self) -> usize {
        self.0.matches('/').count()
    }

    /// The namespace, unless a segment was shortened.
    pub(crate) fn decode(&self) -> Option<Namespace> {
        let segments: Option<Vec<String>> = self.0.split_terminator('/').map(decode_segment).collect();
        Namespace::parse(&segments?.join("/")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_lists_first_and_reads_back() {
        let namespace = EncodedNamespace::new(&Namespace::parse("dag/unit 1").expect("valid"), false);
        let first = version(&namespace, 1).expect("valid");
        let second = version(&namespace, 2).expect("valid");
        assert_eq!(first.as_str(), "names/dag/unit%201/@/ffffffffff");
        assert!(second < first);
        assert_eq!(version_of(&second), Some(2));
        for stray in ["+fffffffff", "FFFFFFFFFF", "fffffffff", "ffffffffff.tmp", "0000000000"] {
            assert_eq!(version_of(&Location::parse(stray).expect("valid")), None, "{stray}");
        }
        assert_eq!(namespace.decode().expect("not shortened").as_str(), "dag/unit 1");
    }

    #[test]
    fn no_location_can_be_mistaken_for_the_tags() {
        let at = EncodedNamespace::new(&Namespace::parse("@tags").expect("valid"), false);
        assert_ne!(at, EncodedNamespace::tags());
    }
}
