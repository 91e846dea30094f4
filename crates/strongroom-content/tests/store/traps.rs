//! A storage in which something happens just before an operation: what another process does at the worst moment.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use futures::future::BoxFuture;
use strongroom_storage::Result;
use strongroom_testkit::{Intercept, Intercepted, Operation, Outcome};

use crate::support::Backend;

pub type TrappedStorage = Intercepted<Traps>;

#[derive(Default)]
pub struct Traps {
    traps: Mutex<Vec<Trap>>,
}

struct Trap {
    such: Box<dyn Fn(&Operation) -> bool + Send + Sync>,
    passing: usize,
    action: BoxFuture<'static, ()>,
}

impl fmt::Debug for Traps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Traps")
    }
}

impl Traps {
    fn next(&self, operation: &Operation) -> Option<BoxFuture<'static, ()>> {
        let mut traps = self.traps.lock().unwrap_or_else(PoisonError::into_inner);
        let index = traps.iter().position(|trap| (trap.such)(operation))?;
        if traps[index].passing == 0 {
            return Some(traps.remove(index).action);
        }
        traps[index].passing -= 1;
        None
    }
}

#[async_trait]
impl Intercept for Traps {
    async fn before(&self, operation: &Operation) -> Result<Outcome> {
        // Others get their turn here, as they would while a request is under way.
        tokio::task::yield_now().await;
        if let Some(action) = self.next(operation) {
            action.await;
        }
        Ok(Outcome::default())
    }
}

/// `backend`, with no trap yet.
pub fn trapped(backend: &Backend) -> TrappedStorage {
    TrappedStorage::with_interceptor(backend.clone(), Traps::default())
}

/// Lets `passing` such operations pass; `action` happens before the next.
pub fn trap(
    storage: &TrappedStorage,
    such: impl Fn(&Operation) -> bool + Send + Sync + 'static,
    passing: usize,
    action: impl Future<Output = ()> + Send + 'static,
) {
    let trap = Trap { such: Box::new(such), passing, action: Box::pin(action) };
    storage.interceptor().traps.lock().unwrap_or_else(PoisonError::into_inner).push(trap);
}

/// Whether all traps have sprung.
pub fn all_sprung(storage: &TrappedStorage) -> bool {
    storage.interceptor().traps.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
}

/// The first thing that a writer does after it has published: it looks whether its session still stands.
pub fn looks_whether_its_session_stands(operation: &Operation) -> bool {
    match operation {
        Operation::Exists { location } => location.as_str().ends_with(".session"),
        // In a bucket.
        Operation::List { prefix, .. } => prefix.len() > "gc/".len() && prefix.starts_with("gc/"),
        _ => false,
    }
}
