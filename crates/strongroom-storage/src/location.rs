//! Names of stored bytes, checked and normalised once, at the edge.

use std::borrow::Borrow;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};

/// The name of stored bytes: `/`-separated segments of UTF-8.
///
/// A segment has 1 to 255 bytes, the whole at most 1,024. Empty and `.` segments are dropped, so `a//b` and `./a/b`
/// are `a/b`. A location can't leave a root: `..`, a leading `/`, NUL and the empty name are refused.
///
/// ```
/// # use strongroom_storage::Location;
/// let location = Location::parse("dag//unit/./traj.xtc")?;
/// assert_eq!(location.as_str(), "dag/unit/traj.xtc");
/// assert!(Location::parse("../secret").is_err());
/// # Ok::<(), strongroom_storage::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location(Arc<str>);

impl Location {
    /// The longest location, in bytes.
    pub const MAX_BYTES: usize = 1024;
    /// The longest segment, in bytes.
    pub const MAX_SEGMENT_BYTES: usize = 255;

    /// Checks and normalises `text`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is empty, absolute, too long, or has a NUL, a `..` or an over-long segment.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |detail: String| Err(Error::new(ErrorKind::Invalid, "name", Quoted(text), detail));
        if text.contains('\0') {
            return refuse("a location can't contain NUL".into());
        }
        if text.starts_with('/') {
            return refuse("a location is relative; leave out the leading '/'".into());
        }
        let mut name = String::with_capacity(text.len());
        for segment in text.split('/') {
            match segment {
                "" | "." => continue,
                ".." => return refuse("a location can't contain '..'".into()),
                _ if segment.len() > Self::MAX_SEGMENT_BYTES => {
                    return refuse(format!(
                        "a segment has {} bytes, at most {} are allowed; shorten it",
                        segment.len(),
                        Self::MAX_SEGMENT_BYTES
                    ));
                }
                _ => {}
            }
            if !name.is_empty() {
                name.push('/');
            }
            name.push_str(segment);
        }
        if name.is_empty() {
            return refuse("a location can't be empty".into());
        }
        if name.len() > Self::MAX_BYTES {
            return refuse(format!("it has {} bytes, at most {} are allowed; shorten it", name.len(), Self::MAX_BYTES));
        }
        Ok(Self(name.into()))
    }

    /// The location of a relative path of the local file system.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] as for [`parse`](Self::parse), and if the path is not UTF-8.
    pub fn from_path(path: &Path) -> Result<Self> {
        let text = path.to_str().ok_or_else(|| {
            Error::new(
                ErrorKind::Invalid,
                "name",
                format!("{path:?}"),
                "the file's name is not UTF-8; rename it, or store it under a location of your choice",
            )
        })?;
        if cfg!(windows) { Self::parse(&text.replace('\\', "/")) } else { Self::parse(text) }
    }

    /// The normalised text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments, first to last; there is at least one.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last segment.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// This location with `more` below it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] as for [`parse`](Self::parse).
    pub fn join(&self, more: &str) -> Result<Self> {
        if more.starts_with('/') {
            return Self::parse(more);
        }
        Self::parse(&format!("{self}/{more}"))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl AsRef<str> for Location {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Maps and sets of locations can be asked by string; both have the same order and hash.
impl Borrow<str> for Location {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// A name in an error: quoted, control characters escaped, and cut when it is very long.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 80;
        match self.0.char_indices().nth(SHOWN) {
            Some((end, _)) => write!(f, "{:?}...", &self.0[..end]),
            None => write!(f, "{:?}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, why: &str) {
        let error = Location::parse(text).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(why), "{error}");
    }

    #[test]
    fn empty_and_dot_segments_are_dropped() {
        for text in ["a/b", "a//b", "./a/b", "a/./b", "a/b/", "a/b//."] {
            assert_eq!(Location::parse(text).expect(text).as_str(), "a/b");
        }
    }

    #[test]
    fn names_that_could_leave_the_root_are_refused() {
        refused("..", "'..'");
        refused("a/../b", "'..'");
        refused("/a", "relative");
        refused("a\0b", "NUL");
        refused("", "empty");
        refused(".", "empty");
        refused("//", "relative");
    }

    #[test]
    fn lengths_are_bounded() {
        let long = "x".repeat(255);
        assert!(Location::parse(&long).is_ok());
        refused(&"x".repeat(256), "255");
        refused(&"x".repeat(300), "255");
        let deep = [long.as_str(); 4].join("/");
        assert_eq!(deep.len(), 1023);
        assert!(Location::parse(&deep).is_ok());
        refused(&format!("{deep}/yy"), "1024");
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_not_utf8_is_refused_by_name() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"bad\xff.txt"));
        let error = Location::from_path(path).expect_err("not UTF-8");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("bad"), "{error}");
    }

    #[test]
    fn what_people_type_is_kept_as_it_is() {
        for text in ["ä/ö ü.txt", "a b", "x:y", "@", "50%", ".hidden/.x", "a\\b", "~"] {
            assert_eq!(Location::parse(text).expect(text).as_str(), text);
        }
    }
}
