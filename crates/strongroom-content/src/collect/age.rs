//! How old things are, by the backend's clock alone: what it says of a file, and what it says of one that it was just given.

use std::time::{Duration, SystemTime};

use strongroom_storage::{Durability, Location, Result, Source, StoreOptions};

use crate::nonce::Nonce;
use crate::paths;
use crate::store::Inner;

/// Tells what is older than the grace period.
#[derive(Clone, Debug)]
pub(super) struct Ages<'a> {
    store: &'a Inner,
    pub grace: Duration,
    /// When the collection began, by the backend's clock, if it has one.
    now: Option<SystemTime>,
}

impl Inner {
    /// Asks the backend what time it is. Who may only look goes by its own clock.
    pub(super) async fn ages(&self, grace: Duration, only_look: bool) -> Result<Ages<'_>> {
        let now = if grace.is_zero() || only_look { Some(self.host.now()) } else { self.backend_now().await? };
        Ok(Ages { store: self, grace, now })
    }

    /// What time it is by the backend's clock; `None` if it has none.
    async fn backend_now(&self) -> Result<Option<SystemTime>> {
        let probe = Location::parse(&format!("{}clock-{}", paths::SESSIONS, Nonce::draw(&*self.host)?))?;
        let options = StoreOptions::default().with_durability(Durability::Relaxed);
        // It has no content, so that it takes no room on a full disk.
        self.backend.store(&probe, Source::bytes(Vec::new()), &options).await?;
        let metadata = self.backend.metadata(&probe).await;
        // What is left is deleted with other old marks.
        self.backend.delete_all(&[probe]).await.unwrap_or_default();
        Ok(metadata?.modified)
    }
}

impl Ages<'_> {
    /// Whether the file is not known to be older than `limit`. One that is gone is.
    pub(super) async fn is_within(&self, limit: Duration, file: &Location) -> Result<bool> {
        if limit.is_zero() {
            return Ok(false);
        }
        let modified = match self.store.backend.metadata(file).await {
            Ok(metadata) => metadata.modified,
            Err(error) if error.is_missing() => return Ok(false),
            Err(error) => return Err(error),
        };
        let age = self.now.zip(modified).and_then(|(now, modified)| now.duration_since(modified).ok());
        Ok(age.is_none_or(|age| age <= limit))
    }

    /// Whether the file is in its grace period.
    pub(super) async fn is_young(&self, file: &Location) -> Result<bool> {
        self.is_within(self.grace, file).await
    }
}
