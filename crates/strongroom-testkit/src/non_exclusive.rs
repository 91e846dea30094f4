//! A storage that overwrites what it was told to create.

use std::sync::Arc;

use strongroom_storage::{Capabilities, ExternalStorage, StoreMode, StoreOptions};

use crate::intercept::{Intercept, Intercepted};

/// A storage that claims to create exclusively, and overwrites: some servers accept the condition and ignore it.
///
/// What relies on promise 4 has to find out by trying.
pub type NonExclusiveStorage = Intercepted<NonExclusive>;

/// Ignores that an object must be new.
#[derive(Debug)]
pub struct NonExclusive(());

impl Intercept for NonExclusive {
    fn capabilities(&self, inner: Capabilities) -> Capabilities {
        let mut claimed = inner;
        claimed.create_if_absent = true;
        claimed
    }

    fn store_options(&self, given: &StoreOptions) -> StoreOptions {
        given.with_mode(StoreMode::Overwrite)
    }
}

impl NonExclusiveStorage {
    /// `inner`, whose creates overwrite.
    pub fn new(inner: Arc<dyn ExternalStorage>) -> Self {
        Self::with_interceptor(inner, NonExclusive(()))
    }
}
