//! Finding the newest version of a namespace.

use strongroom_storage::{ListOptions, Result};

use super::NameLog;
use crate::paths::{self, EncodedNamespace};

impl NameLog {
    /// The newest version, relying on nothing known before; 0 if there is none.
    pub(super) async fn find_head(&self, encoded: &EncodedNamespace) -> Result<u64> {
        let capabilities = self.backend.capabilities();
        let found = if capabilities.ordered_listing || capabilities.local {
            self.first_listed(encoded).await?
        } else {
            self.descend(encoded).await?
        };
        // Elsewhere a listing may be older than what can be opened.
        if capabilities.is_bucket() { Ok(found) } else { self.climb(encoded, found).await }
    }

    /// The newest version that follows `known` without a gap.
    pub(super) async fn climb(&self, encoded: &EncodedNamespace, known: u64) -> Result<u64> {
        let mut head = known;
        while self.exists(encoded, head + 1).await? {
            head += 1;
        }
        Ok(head)
    }

    /// Versions are named so that the newest lists first.
    async fn first_listed(&self, encoded: &EncodedNamespace) -> Result<u64> {
        let mut options = ListOptions::prefix(paths::versions(encoded)).with_limit(1);
        loop {
            let listing = self.backend.list(&options).await?;
            let Some(object) = listing.objects.last() else { return Ok(0) };
            if let Some(version) = paths::version_of(&object.location) {
                return Ok(version);
            }
            options = options.with_start_after(object.location.as_str());
        }
    }

    /// From the largest power of two downwards: what exists is added.
    ///
    /// The partial sums of the head's powers of two are never pruned, also where the head's own run holds all that they do;
    /// so this ends at a version that was head meanwhile.
    async fn descend(&self, encoded: &EncodedNamespace) -> Result<u64> {
        let mut head = 0;
        let mut power = paths::VERSIONS / 2;
        while power > 0 {
            if self.exists(encoded, head + power).await? {
                head += power;
            }
            power /= 2;
        }
        Ok(head)
    }

    async fn exists(&self, encoded: &EncodedNamespace, version: u64) -> Result<bool> {
        if version >= paths::VERSIONS {
            return Ok(false);
        }
        self.backend.exists(&paths::version(encoded, version)?).await
    }
}
