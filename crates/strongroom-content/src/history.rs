//! The history of a namespace: which commits there were, and what changed between two versions.

use std::cmp::Ordering;
use std::time::SystemTime;

use futures::TryStreamExt;
use strongroom_storage::Result;

use crate::entry::from_microseconds;
use crate::names::LogName;
use crate::namespace::Namespace;
use crate::nonce::Nonce;
use crate::object::ObjectRef;
use crate::snapshot::Snapshot;
use crate::store::ContentStorage;
use crate::version::Version;

/// One commit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Commit {
    /// The version that it made.
    pub version: Version,
    /// Its own name.
    pub id: Nonce,
    /// When it was made, by the writer's clock.
    pub time: SystemTime,
    /// Who made it; free text.
    pub author: String,
    /// Why; free text.
    pub message: String,
    /// How many names it put.
    pub put: u32,
    /// How many names it removed.
    pub removed: u32,
}

/// A location whose content differs between two versions.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Difference {
    /// It is in the second only.
    Added(ObjectRef),
    /// It is in the first only.
    Removed(ObjectRef),
    /// Content or attributes are others.
    Changed {
        /// The object in the first.
        before: ObjectRef,
        /// The object in the second.
        after: ObjectRef,
    },
}

impl Difference {
    /// The object that the location is about.
    #[must_use]
    pub fn object(&self) -> &ObjectRef {
        match self {
            Self::Added(object) | Self::Removed(object) | Self::Changed { after: object, .. } => object,
        }
    }
}

impl ContentStorage {
    /// The commits of `namespace` that are still on record, the newest first, at most `limit`.
    ///
    /// # Errors
    /// Those of the backend; `Corrupt` if a run on the way is damaged.
    pub async fn log(&self, namespace: &Namespace, limit: Option<usize>) -> Result<Vec<Commit>> {
        let log = LogName::Namespace(namespace.clone());
        let mut commits = Vec::new();
        let mut parent = None;
        for version in self.inner.names.versions(&log).await? {
            if limit.is_some_and(|limit| commits.len() >= limit) {
                break;
            }
            // One that is gone was collected just now.
            if let Some(run) = self.inner.names.run(&log, version).await? {
                let header = &run.header;
                // A writer that had stalled has published it long after the version that stood there was collected.
                if parent.is_some_and(|(before, commit)| before == version && commit != header.commit) {
                    continue;
                }
                parent = Some((version - 1, header.parent));
                commits.push(Commit {
                    version: Version::new(version),
                    id: header.commit,
                    time: from_microseconds(header.time),
                    author: header.author.to_string(),
                    message: header.message.to_string(),
                    put: header.put,
                    removed: header.removed,
                });
            }
        }
        Ok(commits)
    }
}

impl Snapshot {
    /// What is different in `later`, in order of the names. The two may be of different namespaces; names are compared.
    ///
    /// # Errors
    /// Those of reading their runs.
    pub async fn diff(&self, later: &Self) -> Result<Vec<Difference>> {
        let mut differences = Vec::new();
        let (mut olds, mut news) = (self.objects("").await?, later.objects("").await?);
        let (mut old, mut new) = (olds.try_next().await?, news.try_next().await?);
        loop {
            let order = match (&old, &new) {
                (None, None) => return Ok(differences),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(before), Some(after)) => before.name().cmp(after.name()),
            };
            let before = if order.is_le() { std::mem::replace(&mut old, olds.try_next().await?) } else { None };
            let after = if order.is_ge() { std::mem::replace(&mut new, news.try_next().await?) } else { None };
            match (before, after) {
                (Some(before), Some(after)) if before.is_same_as(&after) => {}
                (Some(before), Some(after)) => differences.push(Difference::Changed { before, after }),
                (Some(before), None) => differences.push(Difference::Removed(before)),
                (None, Some(after)) => differences.push(Difference::Added(after)),
                (None, None) => return Ok(differences),
            }
        }
    }
}
