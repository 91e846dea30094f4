//! What is left to be done when all that was listed has gone: hints and marks that nobody needs any more.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use strongroom_storage::{Location, Result};

use super::mark::note;
use super::{CollectReport, Collection};
use crate::list;
use crate::nonce::Nonce;
use crate::paths;

/// How long what is left of sessions stays at least, in lease times: a request that creates a marker and is late must find that the
/// session was ended.
const LEASES: u32 = 24;

impl Collection<'_> {
    /// Deletes what is left of sessions that ended long ago, and merges index files.
    pub(super) async fn tidy_up(&self) -> Result<()> {
        let marks: Vec<Location> = self.store.backend.iter_contents(paths::SESSIONS).try_collect().await?;
        let id = |mark: &Location, suffix: &str| mark.file_name().strip_suffix(suffix)?.parse::<Nonce>().ok();
        let standing: BTreeSet<Nonce> = {
            let ended: BTreeSet<Nonce> = marks.iter().filter_map(|mark| id(mark, paths::ENDED)).collect();
            marks.iter().filter_map(|mark| id(mark, paths::MARKER)).filter(|id| !ended.contains(id)).collect()
        };
        let limit = self.retention.ages.grace.max(self.store.descriptor.lease() * LEASES);
        let (mut first, mut last) = (Vec::new(), Vec::new());
        for mark in marks {
            let name = mark.file_name();
            let session = [paths::MARKER, paths::BEAT, paths::ENDED].iter().find_map(|suffix| id(&mark, suffix));
            let is_probe = name.starts_with("clock-") || name.starts_with("probe-");
            let is_over = session.is_some_and(|session| !standing.contains(&session));
            if (is_probe || is_over) && !self.retention.ages.is_within(limit, &mark).await? {
                if name.ends_with(paths::ENDED) { last.push(mark) } else { first.push(mark) }
            }
        }
        // A session never seems to stand again.
        self.store.backend.delete_all(&first).await?;
        self.store.backend.delete_all(&last).await?;
        // Index files are hints.
        self.store.catalog.tidy_up().await.unwrap_or_default();
        Ok(())
    }

    /// Lists that can't be read: who wrote them may be deleting what they named.
    pub(super) async fn take_damaged_lists_away(&self, report: &mut CollectReport) -> Result<()> {
        for standing in list::standing(&*self.store.backend).await? {
            match list::read(&*self.store.backend, &standing).await {
                Ok(_) => {}
                Err(error) if error.kind() == strongroom_storage::ErrorKind::Corrupt => {
                    note(&mut report.problems, error)?;
                    self.store.backend.delete_all(&[standing]).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
