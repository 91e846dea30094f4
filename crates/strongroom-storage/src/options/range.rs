//! Which bytes of an object are meant.

use std::fmt;
use std::ops::{Range, RangeFrom, RangeFull};

use crate::error::{Error, ErrorKind, Result};

/// Which bytes of an object; in bytes from its start. An end beyond the object's end means its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByteRange {
    /// All of it.
    #[default]
    All,
    /// From a first byte to before an end.
    Span {
        /// The first byte.
        start: u64,
        /// The byte after the last one.
        end: u64,
    },
    /// From this byte to the end.
    From(u64),
    /// This many bytes at the end, or all if there are fewer.
    Last(u64),
}

impl ByteRange {
    /// The bytes of an object of `size` bytes that are meant.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the range begins behind the object's end, or ends before it begins.
    pub fn resolve(self, size: u64, location: &impl fmt::Display) -> Result<Range<u64>> {
        let range = match self {
            Self::All => 0..size,
            Self::Span { start, end } => start..end.min(size),
            Self::From(start) => start..size,
            Self::Last(length) => size.saturating_sub(length)..size,
        };
        let backwards = matches!(self, Self::Span { start, end } if end < start);
        if backwards || range.start > size {
            return Err(Error::new(
                ErrorKind::Invalid,
                "load",
                location,
                format!("the range {self} is not in the object, which has {size} bytes"),
            ));
        }
        Ok(range)
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str(".."),
            Self::Span { start, end } => write!(f, "{start}..{end}"),
            Self::From(start) => write!(f, "{start}.."),
            Self::Last(length) => write!(f, "-{length}"),
        }
    }
}

impl From<RangeFull> for ByteRange {
    fn from(_: RangeFull) -> Self {
        Self::All
    }
}

impl From<Range<u64>> for ByteRange {
    fn from(range: Range<u64>) -> Self {
        Self::Span { start: range.start, end: range.end }
    }
}

impl From<RangeFrom<u64>> for ByteRange {
    fn from(range: RangeFrom<u64>) -> Self {
        Self::From(range.start)
    }
}
