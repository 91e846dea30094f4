//! A storage that fails when it is told to.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use strongroom_storage::{Error, ErrorKind, ExternalStorage, Result};

use crate::intercept::{Damage, Intercept, Intercepted, Outcome};
use crate::operation::Operation;

/// A storage that fails when it is told to.
///
/// To fail operation n for every n, run the same work until the fault no longer strikes:
///
/// ```
/// # use std::sync::Arc;
/// # use strongroom_storage::{ErrorKind, ExternalStorage, Location, MemoryStorage, Result};
/// # use strongroom_testkit::{Fault, FaultyStorage};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// async fn replace(storage: &dyn ExternalStorage, location: &Location) -> Result<()> {
///     storage.delete(location).await?;
///     storage.store_bytes(location, "new".into()).await.map(drop)
/// }
///
/// let location = Location::parse("a")?;
/// for n in 0.. {
///     let memory = MemoryStorage::new();
///     memory.store_bytes(&location, "old".into()).await?;
///     let storage = FaultyStorage::new(Arc::new(memory.clone()));
///     storage.fail_nth(n, Fault::Refused(ErrorKind::Unavailable));
///     let result = replace(&storage, &location).await;
///     if storage.struck() == 0 {
///         assert_eq!(n, 2, "it takes two operations");
///         break;
///     }
///     assert!(result.is_err());
///     // A careful author finds out here that between the two there is neither.
///     assert_eq!(memory.exists(&location).await?, n == 0);
/// }
/// # Ok(())
/// # }
/// ```
pub type FaultyStorage = Intercepted<Faults>;

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It does not happen, and the caller gets an error of this kind.
    Refused(ErrorKind),
    /// It happens, and the caller gets an error of this kind that says it may have.
    AnswerLost(ErrorKind),
    /// The bytes that are read are damaged. Strikes loads only.
    Read(Damage),
}

impl Fault {
    fn concerns(self, operation: &Operation) -> bool {
        match self {
            Self::Refused(_) | Self::AnswerLost(_) => true,
            Self::Read(_) => matches!(operation, Operation::Load { .. }),
        }
    }

    fn strike(self, operation: &Operation) -> Result<Outcome> {
        let error = |kind, detail| Error::new(kind, operation.verb(), operation.subject(), detail);
        match self {
            Self::Refused(kind) => Err(error(kind, "refused, as the test wants it")),
            Self::AnswerLost(kind) => {
                let lost = error(kind, "the answer was lost, as the test wants it").with_outcome_unknown();
                Ok(Outcome { lost_answer: Some(lost), damage: None })
            }
            Self::Read(damage) => Ok(Outcome { lost_answer: None, damage: Some(damage) }),
        }
    }
}

/// Which operations fail, and how.
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    struck: u64,
}

struct Rule {
    fault: Fault,
    /// How many more operations pass before one fails; without it all of them fail.
    passing: Option<u64>,
    such: Box<dyn Fn(&Operation) -> bool + Send + Sync>,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("fault", &self.fault).field("passing", &self.passing).finish_non_exhaustive()
    }
}

impl Faults {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self, operation: &Operation) -> Option<Fault> {
        let mut struck = None;
        self.rules.retain_mut(|rule| {
            if struck.is_some() || !rule.fault.concerns(operation) || !(rule.such)(operation) {
                return true;
            }
            match &mut rule.passing {
                Some(passing) if *passing > 0 => {
                    *passing -= 1;
                    true
                }
                passing => {
                    struck = Some(rule.fault);
                    passing.is_none()
                }
            }
        });
        self.struck += u64::from(struck.is_some());
        struck
    }
}

#[async_trait]
impl Intercept for Faults {
    async fn before(&self, operation: &Operation) -> Result<Outcome> {
        let fault = self.state().next(operation);
        fault.map_or_else(|| Ok(Outcome::default()), |fault| fault.strike(operation))
    }
}

impl FaultyStorage {
    /// `inner`, without faults yet.
    pub fn new(inner: Arc<dyn ExternalStorage>) -> Self {
        Self::with_interceptor(inner, Faults::default())
    }

    /// Lets `n` operations pass, fails the one after them, and lets all later ones pass. Only operations that the fault can
    /// strike are counted.
    pub fn fail_nth(&self, n: u64, fault: Fault) {
        self.fail_nth_such(n, fault, |_| true);
    }

    /// The same for operations of one sort.
    pub fn fail_nth_such(&self, n: u64, fault: Fault, such: impl Fn(&Operation) -> bool + Send + Sync + 'static) {
        self.add(Rule { fault, passing: Some(n), such: Box::new(such) });
    }

    /// Fails all operations of one sort until the faults are removed.
    pub fn fail_all(&self, fault: Fault, such: impl Fn(&Operation) -> bool + Send + Sync + 'static) {
        self.add(Rule { fault, passing: None, such: Box::new(such) });
    }

    /// Removes all faults.
    pub fn heal(&self) {
        self.interceptor().state().rules.clear();
    }

    /// How many operations were made to fail.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.interceptor().state().struck
    }

    fn add(&self, rule: Rule) {
        self.interceptor().state().rules.push(rule);
    }
}
