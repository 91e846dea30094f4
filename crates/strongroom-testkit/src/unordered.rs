//! A storage that does not claim cheap listings in order.

use std::sync::Arc;

use strongroom_storage::{Capabilities, ExternalStorage};

use crate::intercept::{Intercept, Intercepted};

/// A storage that says `ordered_listing: false`, so that its users take the way that needs none.
pub type UnorderedStorage = Intercepted<Unordered>;

/// Disclaims order.
#[derive(Debug)]
pub struct Unordered(());

impl Intercept for Unordered {
    fn capabilities(&self, inner: Capabilities) -> Capabilities {
        let mut disclaimed = inner;
        disclaimed.ordered_listing = false;
        disclaimed
    }
}

impl UnorderedStorage {
    /// `inner`, without the claim.
    pub fn new(inner: Arc<dyn ExternalStorage>) -> Self {
        Self::with_interceptor(inner, Unordered(()))
    }
}
