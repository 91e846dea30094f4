//! Names whose content is lost for good: they get back what they had before, or are removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use strongroom_storage::{ErrorKind, Result};

use super::{Dropped, Repair};
use crate::commit::Reliance;
use crate::entry::Entry;
use crate::names::{Action, Change, Expected, LogName, State};
use crate::namespace::Namespace;
use crate::session::Membership;
use crate::verify::ContentHealth;
use crate::version::Version;

/// What is lost in one namespace.
pub(super) struct Lost {
    namespace: Namespace,
    pub dropped: Vec<Dropped>,
    changes: Vec<Change>,
}

impl Repair<'_> {
    /// The names at the newest versions whose content can't be read, and what they had before.
    pub(super) async fn find_lost(&self, health: &ContentHealth) -> Result<Vec<Lost>> {
        let (mut damage, mut all) = (Vec::new(), Vec::new());
        for (namespace, _) in self.store.namespaces_despite("", &mut damage).await? {
            match self.find_lost_in(namespace, health).await {
                Ok(lost) if lost.dropped.is_empty() => {}
                Ok(lost) => all.push(lost),
                // Of a history that can't be read, nobody knows what is lost.
                Err(error) if is_damage(error.kind()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    async fn find_lost_in(&self, namespace: Namespace, health: &ContentHealth) -> Result<Lost> {
        let log = LogName::Namespace(namespace.clone());
        let newest = self.store.names.find(&log).await?;
        let mut lost: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        let mut entries = newest.entries("").await?;
        while let Some(entry) = State::next_object(&mut entries, "").await? {
            if let Some(object) = &entry.object
                && !self.store.check_content(&object.content, health).await?.is_empty()
            {
                lost.insert(entry.name, entry.version);
            }
        }
        let mut earlier: BTreeMap<Arc<str>, Entry> = BTreeMap::new();
        let versions = if lost.is_empty() { Vec::new() } else { self.store.names.versions(&log).await? };
        for version in versions.into_iter().filter(|version| *version < newest.version) {
            let state = match self.store.names.at(&log, version).await {
                Ok(Some(state)) => state,
                Ok(None) => continue,
                Err(error) if is_damage(error.kind()) => continue,
                Err(error) => return Err(error),
            };
            for name in lost.keys().filter(|name| !earlier.contains_key(*name)).cloned().collect::<Vec<_>>() {
                let found = match state.get(&name).await {
                    Ok(found) => found,
                    Err(error) if is_damage(error.kind()) => continue,
                    Err(error) => return Err(error),
                };
                if let Some(entry) = found
                    && let Some(object) = &entry.object
                    && self.store.check_content(&object.content, health).await?.is_empty()
                {
                    earlier.insert(name, entry);
                }
            }
        }
        let (mut dropped, mut changes) = (Vec::new(), Vec::new());
        for (name, version) in lost {
            let before = earlier.remove(&name);
            let restored = before.as_ref().map(|entry| Version::new(entry.version));
            dropped.push(Dropped { location: namespace.location(&name)?, lost: Version::new(version), restored });
            // What somebody else has put there since is left alone.
            let expected = Expected::PutByOrPass(Arc::new(BTreeSet::from([version])));
            let action = before.and_then(|entry| entry.object).map_or(Action::Remove, Action::Put);
            changes.push(Change { name, action, expected });
        }
        Ok(Lost { namespace, dropped, changes })
    }

    /// Commits to each namespace what is left of it. Returns what was dropped.
    pub(super) async fn drop_lost(&self, lost: Vec<Lost>) -> Result<Vec<Dropped>> {
        let mut all = Vec::new();
        for Lost { namespace, dropped, changes } in lost {
            let mut membership = self.store.sessions.join().await?;
            let done = self.drop_within(&mut membership, namespace, dropped, changes).await;
            membership.leave().await;
            // Namespaces before it have their commits already.
            all.extend(done.map_err(|error| if all.is_empty() { error } else { error.with_outcome_unknown() })?);
        }
        Ok(all)
    }

    async fn drop_within<'a>(
        &'a self,
        membership: &mut Membership<'a>,
        namespace: Namespace,
        dropped: Vec<Dropped>,
        mut changes: Vec<Change>,
    ) -> Result<Vec<Dropped>> {
        let session = membership.session().clone();
        self.store.secure_puts(&session, &mut changes).await?;
        let info = self.store.commit_info("repair", "repair: content that is lost for good is dropped")?;
        let log = LogName::Namespace(namespace);
        let published = self.store.commit(membership, Reliance::on_content(&session), &log, changes, &info).await?;
        // What somebody else has changed meanwhile was left alone.
        let Some(state) = self.store.names.at(&log, published.version).await?.filter(|_| published.made) else {
            return Ok(Vec::new());
        };
        let mut done = Vec::with_capacity(dropped.len());
        for dropped in dropped {
            let now = state.get(Namespace::split(&dropped.location).1).await?;
            let is_done = match (&now, dropped.restored) {
                (Some(entry), Some(_)) => entry.version == published.version,
                (now, restored) => now.is_none() && restored.is_none(),
            };
            done.extend(is_done.then_some(dropped));
        }
        Ok(done)
    }
}

fn is_damage(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupt | ErrorKind::Missing)
}
