//! What a namespace has in one store and not in another.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use strongroom_storage::{Location, Result};

use super::{Source, SyncedNamespace};
use crate::entry::{Entry, Object};
use crate::names::{Action, Change, Expected, State};
use crate::namespace::Namespace;
use crate::version::Version;

/// What is to be done to a namespace so that it has what it has in the source.
pub(super) struct Difference {
    pub namespace: Namespace,
    /// The version in the source.
    pub source: u64,
    /// The entries to put, as the source has them.
    pub put: Vec<Entry>,
    /// The names to remove, and the versions that put them there.
    pub removed: Vec<(Arc<str>, u64)>,
}

impl Difference {
    /// Compares two states. Adds to `compared` how many objects of the source were looked at.
    pub(super) async fn find(
        source: &Source,
        theirs: &State,
        ours: &State,
        delete: bool,
        compared: &mut u64,
    ) -> Result<Self> {
        let mut difference =
            Self { namespace: source.namespace.clone(), source: theirs.version, put: Vec::new(), removed: Vec::new() };
        let names = &source.names;
        let (mut there, mut here) = (theirs.entries(names).await?, ours.entries(names).await?);
        let mut their = State::next_object(&mut there, names).await?;
        let mut our = State::next_object(&mut here, names).await?;
        loop {
            let order = match (&their, &our) {
                (None, None) => return Ok(difference),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(their), Some(our)) => their.name.cmp(&our.name),
            };
            let mut theirs = None;
            if order.is_le() {
                let next = State::next_object(&mut there, names).await?;
                theirs = std::mem::replace(&mut their, next);
                *compared += 1;
            }
            let mut ours = None;
            if order.is_ge() {
                let next = State::next_object(&mut here, names).await?;
                ours = std::mem::replace(&mut our, next);
            }
            match (theirs, ours) {
                (Some(theirs), Some(ours)) if is_the_same(&theirs, &ours) => {}
                (Some(theirs), _) => difference.put.push(theirs),
                (None, Some(ours)) if delete => difference.removed.push((ours.name, ours.version)),
                (None, _) => {}
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.put.is_empty() && self.removed.is_empty()
    }

    /// The sizes of what is to be put, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        let sizes = self.put.iter().filter_map(|entry| entry.object.as_ref()).map(|object| object.content.size);
        sizes.fold(0, u64::saturating_add)
    }

    /// The changes, with the objects to put as they are here, in order of the names.
    pub(super) fn changes(&self, objects: Vec<(Arc<str>, Object)>) -> Vec<Change> {
        let put = |(name, object)| Change { name, action: Action::Put(object), expected: Expected::Any };
        let mut changes: Vec<Change> = objects.into_iter().map(put).collect();
        changes.extend(self.removed.iter().map(|(name, version)| {
            // What somebody else has put there since is not what was compared.
            let expected = Expected::PutByOrPass(Arc::new(BTreeSet::from([*version])));
            Change { name: name.clone(), action: Action::Remove, expected }
        }));
        changes.sort_by(|a, b| a.name.cmp(&b.name));
        changes
    }

    /// What is told of it when `version` is the newest here.
    pub(super) fn into_synced(self, version: u64) -> Result<SyncedNamespace> {
        let Self { namespace, source, put, removed } = self;
        let locations = |names: Vec<Arc<str>>| -> Result<Vec<Location>> {
            names.iter().map(|name| namespace.location(name)).collect()
        };
        let (put, removed) = (
            locations(put.into_iter().map(|entry| entry.name).collect())?,
            locations(removed.into_iter().map(|(name, _)| name).collect())?,
        );
        Ok(SyncedNamespace { namespace, source: Version::new(source), version: Version::new(version), put, removed })
    }
}

/// Whether a name has here what it has there; here there may be more digests on record.
fn is_the_same(theirs: &Entry, ours: &Entry) -> bool {
    let (Some(theirs), Some(ours)) = (&theirs.object, &ours.object) else { return false };
    theirs.content.digest == ours.content.digest && theirs.clone().with_digests_of(ours).attributes == ours.attributes
}
