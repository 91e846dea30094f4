//! Commits of one process to one history take turns instead of racing, and small ones that come meanwhile share a version.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use strongroom_storage::{Error, Result};

use super::commit::{Change, CommitInfo, Published};
use super::kept::KEPT_STATES;
use super::{LogName, NameLog};
use crate::group::Groups;

/// Content on its way; it is durable when this has come to its end, if that is no error.
pub(crate) type Arriving = Shared<BoxFuture<'static, Result<()>>>;

/// Changes that are published together or not at all.
#[derive(Clone)]
pub(crate) struct Request {
    pub changes: Arc<Vec<Change>>,
    pub info: CommitInfo,
    /// Only a head that was found in this epoch, that of the session, or a later one is built on.
    pub since: u64,
    /// Content that must be durable before it is published. It shares a version with no other request, which would have to wait
    /// for it too.
    pub arriving: Option<Arriving>,
}

/// A request in its turn. What nobody waits for any more is left out: its caller has given it up, and by the time of the next
/// commit somebody else may have stored what it would replace or remove.
pub(super) struct Queued {
    pub request: Request,
    waiter: Weak<()>,
}

impl Queued {
    pub(super) fn is_given_up(&self) -> bool {
        self.waiter.strong_count() == 0
    }
}

/// What became of a request.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Published(Published),
    /// It was left out, because another request of its group is about the same name, or nobody waited for it. Who does makes it
    /// again.
    Deferred,
}

type Outcomes = Arc<Vec<Result<Outcome>>>;
type Turns = Groups<Vec<Queued>, Outcomes>;

/// The requests of a handle, by history.
#[derive(Debug)]
pub(crate) struct CommitQueue {
    names: Arc<NameLog>,
    turns: Mutex<HashMap<LogName, Arc<Turns>>>,
}

impl CommitQueue {
    pub(crate) fn new(names: Arc<NameLog>) -> Self {
        Self { names, turns: Mutex::default() }
    }

    /// Commits on top of the newest version, all or nothing. What has no message may share a version with other requests.
    ///
    /// # Errors
    /// `AlreadyExists`, `Missing` or `Changed` as expected by a change; then nothing was published. Those of the backend; the
    /// outcome is unknown where they say so.
    pub(crate) async fn publish(&self, log: &LogName, request: Request) -> Result<Published> {
        let turns = self.turns(log);
        let waiter = Arc::new(());
        loop {
            let queued = Queued { request: request.clone(), waiter: Arc::downgrade(&waiter) };
            let (position, group) = if request.info.message.is_empty() && request.arriving.is_none() {
                let join = |requests: &mut Vec<Queued>| {
                    requests.push(queued);
                    requests.len() - 1
                };
                turns.add(|| Ok::<_, Error>(Vec::new()), join)?
            } else {
                (0, Turns::alone(vec![queued]))
            };
            let outcomes = turns.done(&group, |requests| self.begin(log, requests)).await;
            match outcomes[position].clone()? {
                Outcome::Published(published) => return Ok(published),
                Outcome::Deferred => {}
            }
        }
    }

    fn begin(&self, log: &LogName, requests: Vec<Queued>) -> BoxFuture<'static, Outcomes> {
        let (names, log) = (self.names.clone(), log.clone());
        async move {
            let outcomes = match names.publish(&log, &requests).await {
                Ok(outcomes) => outcomes,
                Err(error) => requests.iter().map(|_| Err(error.clone())).collect(),
            };
            Arc::new(outcomes)
        }
        .boxed()
    }

    fn turns(&self, log: &LogName) -> Arc<Turns> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= KEPT_STATES {
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        turns.entry(log.clone()).or_default().clone()
    }
}
