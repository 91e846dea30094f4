//! What a batch does to the names of one namespace, each once.

use std::collections::HashMap;
use std::sync::Arc;

use strongroom_storage::{Error, Location, Result};

use crate::names::{Action, Change, Expected, changed};

/// Changes by name.
#[derive(Debug, Default)]
pub(super) struct Changes {
    changes: Vec<Change>,
    positions: HashMap<Arc<str>, usize>,
}

impl Changes {
    /// Adds a change; one of the same name is followed by it.
    ///
    /// # Errors
    /// `AlreadyExists` or `Changed` if the two can't both be, as `follow` says.
    pub(super) fn add(&mut self, change: Change, operation: &'static str, location: &Location) -> Result<()> {
        match self.positions.get(&change.name) {
            Some(position) => {
                let earlier = &mut self.changes[*position];
                *earlier = follow(earlier.clone(), change, operation, location)?;
            }
            None => {
                self.positions.insert(change.name.clone(), self.changes.len());
                self.changes.push(change);
            }
        }
        Ok(())
    }

    /// All of them, in order of the names.
    pub(super) fn sorted(mut self) -> Vec<Change> {
        self.changes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        self.changes
    }
}

/// Two changes of one name as one: the last action, under the first expectation or the one that is about a found object.
///
/// # Errors
/// `AlreadyExists` if one wants no object where the other makes or found one; `Changed` if they are about two that were found.
fn follow(earlier: Change, later: Change, operation: &'static str, location: &Location) -> Result<Change> {
    if later.expected == Expected::Absent && matches!(earlier.action, Action::Put(_)) {
        return Err(Error::already_exists(operation, location));
    }
    let expected = match (earlier.expected, later.expected) {
        (Expected::PutBy(earlier), Expected::PutBy(later)) if earlier != later => {
            return Err(changed(operation, location, "replaced"));
        }
        (Expected::Absent, Expected::PutBy(_)) => return Err(Error::already_exists(operation, location)),
        (_, found @ Expected::PutBy(_)) => found,
        (Expected::PresentOrPass, _) => Expected::Any,
        (expected, _) => expected,
    };
    Ok(Change { expected, action: later.action, name: later.name })
}
