//! A storage that remembers what it was asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use strongroom_storage::{ExternalStorage, Result};

use crate::intercept::{Intercept, Intercepted, Outcome};
use crate::operation::Operation;

/// A storage that remembers each operation in the order in which they began: for tests of how many requests there are, of
/// what kind, and in which order.
///
/// ```
/// # use std::sync::Arc;
/// # use strongroom_storage::{ExternalStorage, Location, MemoryStorage};
/// # use strongroom_testkit::{Operation, RecordingStorage};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> strongroom_storage::Result<()> {
/// let storage = RecordingStorage::new(Arc::new(MemoryStorage::new()));
/// storage.store_bytes(&Location::parse("a")?, "1".into()).await?;
/// storage.exists(&Location::parse("a")?).await?;
/// assert_eq!(storage.lines(), ["store a", "exists a"]);
/// assert_eq!(storage.count(Operation::is_write), 1);
/// # Ok(())
/// # }
/// ```
pub type RecordingStorage = Intercepted<Recording>;

/// Remembers operations.
#[derive(Debug, Default)]
pub struct Recording {
    operations: Mutex<Vec<Operation>>,
}

impl Recording {
    fn operations(&self) -> MutexGuard<'_, Vec<Operation>> {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Intercept for Recording {
    async fn before(&self, operation: &Operation) -> Result<Outcome> {
        self.operations().push(operation.clone());
        Ok(Outcome::default())
    }
}

impl RecordingStorage {
    /// `inner`, with nothing remembered yet.
    pub fn new(inner: Arc<dyn ExternalStorage>) -> Self {
        Self::with_interceptor(inner, Recording::default())
    }

    /// The operations so far.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        self.interceptor().operations().clone()
    }

    /// The operations so far, as text.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.interceptor().operations().iter().map(Operation::to_string).collect()
    }

    /// How many operations so far are such.
    pub fn count(&self, such: impl Fn(&Operation) -> bool) -> usize {
        self.interceptor().operations().iter().filter(|operation| such(operation)).count()
    }

    /// Forgets the operations so far, and gives them.
    pub fn take(&self) -> Vec<Operation> {
        std::mem::take(&mut *self.interceptor().operations())
    }
}
