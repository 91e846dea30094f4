//! Where a unit's files go: `dag/unit`, and `dag/unit.2` for its second attempt.

use std::fmt;
use std::sync::Arc;

use strongroom_storage::{Error, ErrorKind, Location, Result};

/// The namespace of one unit of one DAG, or of one attempt of it.
///
/// ```
/// # use strongroom_workflow::Namespace;
/// let unit = Namespace::new("campaign-7", "replica-1")?;
/// assert_eq!(unit.to_string(), "campaign-7/replica-1");
/// assert_eq!(unit.attempt(2)?.location("traj.dcd")?.as_str(), "campaign-7/replica-1.2/traj.dcd");
/// # Ok::<(), strongroom_storage::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace {
    dag: Arc<str>,
    unit: Arc<str>,
}

impl Namespace {
    /// The namespace of `unit` in `dag`; each is one segment of a location.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if one of them is empty, `.`, `..`, too long, or has a `/` or a NUL.
    pub fn new(dag: &str, unit: &str) -> Result<Self> {
        Ok(Self { dag: segment(dag)?, unit: segment(unit)? })
    }

    /// The label of the DAG.
    #[must_use]
    pub fn dag(&self) -> &str {
        &self.dag
    }

    /// The label of the unit.
    #[must_use]
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// The namespace of attempt `number` of this unit: `dag/unit.2`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the name gets too long.
    pub fn attempt(&self, number: u32) -> Result<Self> {
        Self::new(&self.dag, &format!("{}.{number}", self.unit))
    }

    /// The location of `name` in this namespace.
    ///
    /// # Errors
    /// Those of [`Location::parse`].
    pub fn location(&self, name: &str) -> Result<Location> {
        Location::parse(name)?; // alone: a leading '/' must not vanish in the middle
        Location::parse(&format!("{self}/{name}"))
    }

    /// The prefix of all locations in this namespace: `dag/unit/`.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("{self}/")
    }
}

/// Checks that `text` is one segment of a location, as it is.
pub(crate) fn segment(text: &str) -> Result<Arc<str>> {
    let location = Location::parse(text)?;
    if location.as_str() != text || text.contains('/') {
        let detail = "the label of a DAG or a unit is one segment of a location; leave out the '/'";
        return Err(Error::new(ErrorKind::Invalid, "name", format!("{text:?}"), detail));
    }
    Ok(text.into())
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.dag, self.unit)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_one_segment_each() {
        for bad in ["", ".", "..", "a/b", "/a", "a/", "a\0", &"x".repeat(256)] {
            assert_eq!(Namespace::new(bad, "unit").expect_err(bad).kind(), ErrorKind::Invalid);
            assert_eq!(Namespace::new("dag", bad).expect_err(bad).kind(), ErrorKind::Invalid);
        }
        for good in ["ProtocolDAG-0a1b", "a b", "ü.1", ".hidden"] {
            assert_eq!(Namespace::new(good, good).expect(good).to_string(), format!("{good}/{good}"));
        }
    }

    #[test]
    fn no_name_leaves_the_namespace() {
        let unit = Namespace::new("dag", "unit").expect("labels");
        for bad in ["../esc", "/abs", "a/../../b", "", "a\0b"] {
            assert_eq!(unit.location(bad).expect_err(bad).kind(), ErrorKind::Invalid);
        }
        assert_eq!(unit.location("a//b").expect("name").as_str(), "dag/unit/a/b");
    }

    #[test]
    fn an_attempt_has_a_namespace_of_its_own() {
        let unit = Namespace::new("dag", "unit").expect("labels");
        let second = unit.attempt(2).expect("short");
        assert_eq!(second.to_string(), "dag/unit.2");
        assert!(!second.prefix().starts_with(&unit.prefix()));
    }
}
