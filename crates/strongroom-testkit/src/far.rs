//! A storage that is far away.

use std::sync::Arc;

use strongroom_storage::{Capabilities, ExternalStorage};

use crate::intercept::{Intercept, Intercepted};

/// A storage that says that it is not local, so that its users spare requests as they do with a bucket.
pub type FarStorage = Intercepted<Far>;

/// Takes back that requests cost little.
#[derive(Debug)]
pub struct Far(());

impl Intercept for Far {
    fn capabilities(&self, inner: Capabilities) -> Capabilities {
        let mut far = inner;
        far.local = false;
        far
    }
}

impl FarStorage {
    /// `inner`, far away.
    pub fn new(inner: Arc<dyn ExternalStorage>) -> Self {
        Self::with_interceptor(inner, Far(()))
    }
}
