//! A storage whose user dies in the middle.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use strongroom_storage::{
    ByteRange, Durability, Error, ErrorKind, ExternalStorage, Location, Result, StoreOptions, Stored,
};

use crate::intercept::{Intercept, Intercepted, Outcome};
use crate::operation::Operation;

/// A storage that stops answering after some operations, as if the process that uses it had died.
///
/// Everything that is asked later fails with [`ErrorKind::Internal`] and does not happen. The storage behind,
/// [`inner`](Intercepted::inner), is what the next process finds; if the machine died too, call
/// [`lose_power`](Self::lose_power) first.
///
/// ```
/// # use std::sync::Arc;
/// # use strongroom_storage::{ExternalStorage, Location, MemoryStorage};
/// # use strongroom_testkit::CrashingStorage;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> strongroom_storage::Result<()> {
/// let storage = CrashingStorage::new(Arc::new(MemoryStorage::new()));
/// storage.crash_after(1);
/// let (a, b) = (Location::parse("a")?, Location::parse("b")?);
/// storage.store_bytes(&a, "1".into()).await?;
/// assert!(storage.store_bytes(&b, "2".into()).await.is_err());
/// assert!(storage.crashed());
///
/// let next = storage.inner();
/// assert!(next.exists(&a).await? && !next.exists(&b).await?);
/// # Ok(())
/// # }
/// ```
pub type CrashingStorage = Intercepted<Crash>;

/// What becomes of objects that were stored with [`Durability::Relaxed`] when the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PowerLoss {
    /// They are gone.
    Removes,
    /// Their first half is left.
    Truncates,
}

/// When the user dies, and what was not durable by then.
#[derive(Debug, Default)]
pub struct Crash {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    plan: Option<Plan>,
    crashed: bool,
    relaxed: BTreeSet<Location>,
}

#[derive(Debug)]
struct Plan {
    passing: u64,
    last_takes_effect: bool,
}

impl Crash {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self, operation: &Operation) -> Result<Outcome> {
        let dead = || Error::new(ErrorKind::Internal, operation.verb(), operation.subject(), "the process has died");
        if self.crashed {
            return Err(dead());
        }
        if let Operation::Store { durability: Durability::Relaxed, .. }
        | Operation::StoreAll { durability: Durability::Relaxed, .. } = operation
        {
            self.relaxed.extend(operation.locations().iter().cloned());
        }
        match &mut self.plan {
            Some(plan) if plan.passing == 0 => {
                self.crashed = true;
                if plan.last_takes_effect {
                    Ok(Outcome { lost_answer: Some(dead().with_outcome_unknown()), damage: None })
                } else {
                    Err(dead())
                }
            }
            Some(plan) => {
                plan.passing -= 1;
                Ok(Outcome::default())
            }
            None => Ok(Outcome::default()),
        }
    }
}

#[async_trait]
impl Intercept for Crash {
    async fn before(&self, operation: &Operation) -> Result<Outcome> {
        self.state().next(operation)
    }

    fn succeeded(&self, operation: &Operation, stored: &[Stored]) {
        let relaxed = &mut self.state().relaxed;
        match operation {
            Operation::Store { durability, .. }
            | Operation::StoreAll { durability, .. }
            | Operation::StoreNamed { durability, .. } => {
                for stored in stored {
                    match durability {
                        Durability::Synced => relaxed.remove(&stored.location),
                        Durability::Relaxed => relaxed.insert(stored.location.clone()),
                    };
                }
            }
            Operation::Delete { .. } | Operation::DeleteAll { .. } => {
                relaxed.retain(|location| !operation.locations().contains(location));
            }
            _ => {}
        }
    }
}

impl CrashingStorage {
    /// `inner`, whose user lives until it is told to die.
    pub fn new(inner: Arc<dyn ExternalStorage>) -> Self {
        Self::with_interceptor(inner, Crash::default())
    }

    /// Lets `n` more operations pass; the one after them, and all later ones, do not happen.
    pub fn crash_after(&self, n: u64) {
        self.interceptor().state().plan = Some(Plan { passing: n, last_takes_effect: false });
    }

    /// Lets `n` more operations pass; the one after them takes effect but nobody gets its answer, and later ones do not
    /// happen.
    pub fn crash_during(&self, n: u64) {
        self.interceptor().state().plan = Some(Plan { passing: n, last_takes_effect: true });
    }

    /// Whether it has come to that.
    #[must_use]
    pub fn crashed(&self) -> bool {
        self.interceptor().state().crashed
    }

    /// Does to the storage behind what a power failure does at this moment: what was stored with
    /// [`Durability::Relaxed`], and not replaced since by something durable, is lost. Nothing answers afterwards.
    ///
    /// # Errors
    /// Those of the storage behind.
    pub async fn lose_power(&self, loss: PowerLoss) -> Result<()> {
        let relaxed = {
            let mut state = self.interceptor().state();
            state.crashed = true;
            std::mem::take(&mut state.relaxed)
        };
        for location in relaxed {
            match self.inner().load_bytes(&location, ByteRange::All).await {
                Err(error) if error.is_missing() => {}
                Err(error) => return Err(error),
                Ok(_) if loss == PowerLoss::Removes => self.inner().delete(&location).await?,
                Ok(bytes) => {
                    let left = bytes.slice(..bytes.len() / 2);
                    self.inner().store(&location, left.into(), &StoreOptions::default()).await?;
                }
            }
        }
        Ok(())
    }
}
