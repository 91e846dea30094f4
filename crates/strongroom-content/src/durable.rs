//! What is known to be durable. What a handle only sees may have been stored by somebody who has not come so far: if the machine
//! fails then, it is gone, and what was acknowledged because of it stands for nothing.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strongroom_storage::{ExternalStorage, Location, Result};

/// So many are remembered.
const KNOWN_MAX: usize = 1 << 16;

/// The packs, files and versions that this handle has stored or made durable.
#[derive(Debug)]
pub(crate) struct Durable {
    backend: Arc<dyn ExternalStorage>,
    known: Mutex<HashSet<Location>>,
}

impl Durable {
    pub(crate) fn new(backend: Arc<dyn ExternalStorage>) -> Self {
        Self { backend, known: Mutex::default() }
    }

    /// Notes what this handle has stored.
    pub(crate) fn note(&self, locations: impl IntoIterator<Item = Location>) {
        let mut known = self.known();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.extend(locations);
    }

    /// Makes durable what is not known to be. Only what is local can be seen before.
    ///
    /// # Errors
    /// Those of [`ExternalStorage::make_durable`].
    pub(crate) async fn make_sure(&self, locations: impl IntoIterator<Item = Location>) -> Result<()> {
        if !self.backend.capabilities().local {
            return Ok(());
        }
        let unknown: Vec<Location> = {
            let known = self.known();
            locations.into_iter().filter(|location| !known.contains(location)).collect()
        };
        if !unknown.is_empty() {
            self.backend.make_durable(&unknown).await?;
            self.note(unknown);
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, HashSet<Location>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
