//! What a batch does to the names of one namespace, each once.

use strongroom_storage::{Error, Result};

use crate::names::{Action, Change, Expected, changed};
use crate::namespace::Namespace;

/// `changes` in order of the names; of one name, what those in the order in which they were asked for come to.
///
/// # Errors
/// `AlreadyExists` or `Changed` if two of one name can't both be, as `follow` says.
pub(super) fn each_name_once(
    mut changes: Vec<Change>,
    operation: &'static str,
    namespace: &Namespace,
) -> Result<Vec<Change>> {
    // Stable, so that those of one name keep their order; and fast where all are in order already.
    changes.sort_by(|a, b| a.name.cmp(&b.name));
    if changes.is_sorted_by(|a, b| a.name < b.name) {
        return Ok(changes);
    }
    let mut once: Vec<Change> = Vec::with_capacity(changes.len());
    for change in changes {
        let change = match once.pop_if(|earlier| earlier.name == change.name) {
            Some(earlier) => follow(earlier, change, operation, namespace)?,
            None => change,
        };
        once.push(change);
    }
    Ok(once)
}

/// Two changes of one name as one: the last action, under the first expectation or the one that is about a found object.
///
/// # Errors
/// `AlreadyExists` if one wants no object where the other makes or found one; `Changed` if they are about two that were found.
fn follow(earlier: Change, later: Change, operation: &'static str, namespace: &Namespace) -> Result<Change> {
    let location = || namespace.location(&later.name);
    if later.expected == Expected::Absent && matches!(earlier.action, Action::Put(_)) {
        return Err(Error::already_exists(operation, location()?));
    }
    let expected = match (earlier.expected, later.expected) {
        (Expected::PutBy(earlier), Expected::PutBy(later)) if earlier != later => {
            return Err(changed(operation, location()?, "replaced"));
        }
        (Expected::Absent, Expected::PutBy(_)) => return Err(Error::already_exists(operation, location()?)),
        (_, found @ Expected::PutBy(_)) => found,
        (Expected::PresentOrPass, _) => Expected::Any,
        (expected, _) => expected,
    };
    Ok(Change { expected, action: later.action, name: later.name })
}
