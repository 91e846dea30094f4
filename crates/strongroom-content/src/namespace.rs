//! Namespaces: which history a location belongs to, and under which name a backend keeps it.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use strongroom_storage::{Digest, Error, ErrorKind, Location, Result};

/// The longest encoded segment; what is longer is shortened.
const ENCODED_SEGMENT_MAX_BYTES: usize = 200;
/// How much of a shortened segment stays readable.
const SHORTENED_BYTES: usize = 120;
/// Ends the readable part of a shortened segment; never stands in an encoded one.
const SHORTENED: char = '~';

/// One linear history: the first min(2, n-1) of a location's n segments.
///
/// ```
/// # use strongroom_content::Namespace;
/// # use strongroom_storage::Location;
/// let namespace = |text| Namespace::of(&Location::parse(text).unwrap()).to_string();
/// assert_eq!(namespace("a.txt"), "");
/// assert_eq!(namespace("a/b"), "a");
/// assert_eq!(namespace("dag/unit/sub/x.dcd"), "dag/unit");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// The namespace of locations of one segment.
    #[must_use]
    pub fn root() -> Self {
        Self("".into())
    }

    /// The namespace that `location` belongs to.
    #[must_use]
    pub fn of(location: &Location) -> Self {
        Self::split(location).0
    }

    /// Reads a namespace: no, one or two segments.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it has more, or is not the beginning of a location.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() || text == "." {
            return Ok(Self::root());
        }
        let location = Location::parse(text)?;
        if location.segments().count() > 2 {
            return Err(Error::new(
                ErrorKind::Invalid,
                "name",
                format!("{text:?}"),
                "a namespace has at most two segments, as in `dag/unit`",
            ));
        }
        Ok(Self(location.as_str().into()))
    }

    /// The namespace of `location` and the name in it.
    pub(crate) fn split(location: &Location) -> (Self, &str) {
        let (namespace, name) = Self::split_text(location);
        (Self(namespace.into()), name)
    }

    /// The same, as texts.
    pub(crate) fn split_text(location: &Location) -> (&str, &str) {
        let text = location.as_str();
        let mut cuts = text.match_indices('/').map(|(at, _)| at);
        match (cuts.next(), cuts.next()) {
            (None, _) => ("", text),
            (Some(first), None) => (&text[..first], &text[first + 1..]),
            (Some(_), Some(second)) => (&text[..second], &text[second + 1..]),
        }
    }

    /// Whether an object of this namespace can have this name: whether the two are what [`split`](Self::split) gives.
    pub(crate) fn can_have(&self, name: &[u8]) -> bool {
        let before = if self.0.is_empty() { 0 } else { self.0.len() + 1 };
        let is_segment = |part: &[u8]| !matches!(part, b"" | b"." | b"..") && part.len() <= Location::MAX_SEGMENT_BYTES;
        before + name.len() <= Location::MAX_BYTES
            && !name.contains(&0)
            && name.split(|byte| *byte == b'/').all(is_segment)
            && (self.segments().count() == 2 || !name.contains(&b'/'))
    }

    /// The location of `name` in this namespace.
    pub(crate) fn location(&self, name: &str) -> Result<Location> {
        if self.0.is_empty() { Location::parse(name) } else { Location::parse(&format!("{}/{name}", self.0)) }
    }

    /// Its text: empty for the root namespace.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its segments, none for the root namespace.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }

    /// From the text in a run, which is trusted no further than this.
    pub(crate) fn from_run(text: &str) -> Option<Self> {
        Self::parse(text).ok().filter(|namespace| namespace.as_str() == text)
    }
}

/// Maps of namespaces can be asked by text; both have the same order and hash.
impl Borrow<str> for Namespace {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// The name under which a backend keeps a segment: everything but `A-Z a-z 0-9 . _ -` as `%XX`; capitals too where the
/// backend folds case; and cut, with a digest behind, where it would be too long.
pub(crate) fn encode_segment(segment: &str, folds_case: bool) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        let plain = match byte {
            b'A'..=b'Z' => !folds_case,
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => true,
            _ => false,
        };
        if plain {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    if encoded.len() > ENCODED_SEGMENT_MAX_BYTES {
        let digest = Digest::of(segment.as_bytes()).to_string();
        encoded.truncate(SHORTENED_BYTES);
        encoded.push(SHORTENED);
        encoded.push_str(&digest[..32]);
    }
    encoded
}

/// What [`encode_segment`] made a name of; `None` if it was shortened or is no such name.
pub(crate) fn decode_segment(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                bytes.push(u8::try_from(high << 4 | low).ok()?);
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => bytes.push(byte),
            _ => return None,
        }
    }
    // One name has one encoding: others are files that somebody else put there.
    let segment = String::from_utf8(bytes).ok()?;
    [false, true].into_iter().any(|folds_case| encode_segment(&segment, folds_case) == encoded).then_some(segment)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_namespace_can_have_the_names_that_are_split_off_it(
            namespace in prop::sample::select(vec!["", "a", "a/b"]),
            name in "([ax./\u{0}]{0,4}|[a.]{250,260}|(a/){505,515}a?)",
        ) {
            let namespace = Namespace::parse(namespace).expect("valid");
            let expected = namespace.location(&name).is_ok_and(|location| {
                Namespace::split(&location) == (namespace.clone(), &*name)
            });
            prop_assert_eq!(namespace.can_have(name.as_bytes()), expected);
        }
    }

    #[test]
    fn a_location_is_split_into_namespace_and_name_and_put_together_again() {
        for (text, namespace, name) in [
            ("a.txt", "", "a.txt"),
            ("a/b", "a", "b"),
            ("a/b/c", "a/b", "c"),
            ("dag/unit/sub/x.dcd", "dag/unit", "sub/x.dcd"),
        ] {
            let location = Location::parse(text).expect(text);
            let (found, rest) = Namespace::split(&location);
            assert_eq!((found.as_str(), rest), (namespace, name));
            assert_eq!(found.location(rest).expect(text), location);
        }
    }

    #[test]
    fn segments_are_encoded_so_that_any_backend_takes_them() {
        for segment in ["unit.1", "ä b", "@", "%41", "con:fig", "A", "~"] {
            for folds_case in [false, true] {
                let encoded = encode_segment(segment, folds_case);
                assert!(
                    encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-%".contains(&byte)),
                    "{encoded}"
                );
                assert_eq!(decode_segment(&encoded).as_deref(), Some(segment));
            }
        }
        assert_eq!(encode_segment("@", false), "%40");
        for stray in ["%61", "%c3%a4", "a%4", "%ff", "a b"] {
            assert_eq!(decode_segment(stray), None, "{stray}");
        }
        assert_ne!(encode_segment("A", true).to_lowercase(), encode_segment("a", true).to_lowercase());
    }

    #[test]
    fn long_segments_are_shortened_and_stay_apart() {
        let (one, two) = ("ä".repeat(126) + "1", "ä".repeat(126) + "2");
        let (one, two) = (encode_segment(&one, false), encode_segment(&two, false));
        assert!(one.len() < 255 && two.len() < 255);
        assert_ne!(one, two);
        assert_eq!(decode_segment(&one), None);
    }

    #[test]
    fn more_than_two_segments_are_no_namespace() {
        assert!(Namespace::parse("a/b/c").is_err());
        assert_eq!(Namespace::parse("").expect("root"), Namespace::root());
        assert_eq!(Namespace::parse("a/b").expect("two").as_str(), "a/b");
    }
}
