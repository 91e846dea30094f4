//! Where a backend under test keeps its objects.

use std::fmt;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use strongroom_storage::{ExternalStorage, Result};

/// A place where a backend keeps objects: empty at first, used by nobody else, and open to several handles.
pub struct Place {
    open: Box<dyn Fn() -> Opening + Send + Sync>,
    _guard: Box<dyn Send + Sync>,
}

type Opening = BoxFuture<'static, Result<Arc<dyn ExternalStorage>>>;

impl Place {
    /// A place of which `open` makes a new handle each time.
    ///
    /// The handles should share as little as those of two processes do: a folder or a bucket, no caches.
    pub fn new<F, Fut>(open: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Arc<dyn ExternalStorage>>> + Send + 'static,
    {
        Self { open: Box::new(move || open().boxed()), _guard: Box::new(()) }
    }

    /// A place that has but one handle, which all share.
    pub fn of(storage: Arc<dyn ExternalStorage>) -> Self {
        Self::new(move || std::future::ready(Ok(Arc::clone(&storage))))
    }

    /// The same place, which keeps `guard` (a temporary folder, a server) as long as it lives.
    #[must_use]
    pub fn with_guard(self, guard: impl Send + Sync + 'static) -> Self {
        Self { _guard: Box::new((self._guard, guard)), ..self }
    }

    /// Another handle on the place.
    ///
    /// # Errors
    /// Those of the backend.
    pub async fn open(&self) -> Result<Arc<dyn ExternalStorage>> {
        (self.open)().await
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}
