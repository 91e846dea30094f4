//! What a handle knows of each history.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use strongroom_storage::Location;

use super::{LogName, State};
use crate::namespace::Namespace;

/// How many namespaces' states a handle keeps.
pub(super) const KEPT_STATES: usize = 4096;
/// How much memory they take, without the blocks that are kept of their runs, in bytes. One state may take more.
const KEPT_BYTES: usize = 32 << 20;

/// What a handle knows of a history.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub state: Arc<State>,
    /// Where the version after it would be.
    pub next: Location,
    /// When the head was last found without relying on what was known before, by the monotonic clock.
    pub answered: Duration,
    /// And in which epoch.
    pub epoch: u64,
    memory_bytes: usize,
}

impl Kept {
    pub(super) fn new(state: Arc<State>, next: Location, answered: Duration, epoch: u64) -> Self {
        let memory_bytes = state.memory_bytes();
        Self { state, next, answered, epoch, memory_bytes }
    }
}

/// The histories that a handle knows something of.
#[derive(Debug, Default)]
pub(super) struct KeptStates {
    namespaces: HashMap<Namespace, Kept>,
    tags: Option<Kept>,
    /// Of those of namespaces.
    memory_bytes: usize,
}

impl KeptStates {
    pub(super) fn get(&self, log: &LogName) -> Option<&Kept> {
        match log {
            LogName::Namespace(namespace) => self.namespace(namespace.as_str()),
            LogName::Tags => self.tags.as_ref(),
        }
    }

    pub(super) fn namespace(&self, text: &str) -> Option<&Kept> {
        self.namespaces.get(text)
    }

    /// Keeps what is newer than what is kept. Where that is too much, everything else is forgotten.
    pub(super) fn insert(&mut self, log: &LogName, kept: Kept) {
        let known = self.get(log);
        if known.is_some_and(|known| known.state.version > kept.state.version) {
            return;
        }
        let LogName::Namespace(namespace) = log else {
            self.tags = Some(kept);
            return;
        };
        self.memory_bytes -= known.map_or(0, |known| known.memory_bytes);
        let is_new = self.namespaces.remove(namespace).is_none();
        if is_new && self.namespaces.len() >= KEPT_STATES || self.memory_bytes + kept.memory_bytes > KEPT_BYTES {
            self.namespaces.clear();
            self.memory_bytes = 0;
        }
        self.memory_bytes += kept.memory_bytes;
        self.namespaces.insert(namespace.clone(), kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(version: u64) -> Kept {
        let state = Arc::new(State { version, runs: Vec::new() });
        let next = Location::parse("next").expect("valid");
        Kept::new(state, next, Duration::ZERO, 0)
    }

    fn log(text: &str) -> LogName {
        LogName::Namespace(Namespace::parse(text).expect("valid"))
    }

    #[test]
    fn a_newer_state_takes_the_place_of_an_older_one_and_never_the_other_way() {
        let mut states = KeptStates::default();
        for log in [log("a/b"), log(""), LogName::Tags] {
            for (version, newest) in [(2, 2), (1, 2), (3, 3)] {
                states.insert(&log, kept(version));
                assert_eq!(states.get(&log).map(|kept| kept.state.version), Some(newest));
            }
        }
        assert_eq!(states.namespace("a/b").map(|kept| kept.state.version), Some(3));
        assert!(states.namespace("a").is_none());
    }

    #[test]
    fn no_more_states_are_kept_than_may_be() {
        let mut states = KeptStates::default();
        for n in 0..=KEPT_STATES {
            states.insert(&log(&format!("a/{n}")), kept(1));
            assert!(states.namespaces.len() <= KEPT_STATES);
        }
        assert!(states.get(&log(&format!("a/{KEPT_STATES}"))).is_some());
    }

    #[test]
    fn no_more_memory_is_kept_than_may_be_unless_one_state_takes_it() {
        let mut states = KeptStates::default();
        let large = |version, bytes| Kept { memory_bytes: bytes, ..kept(version) };
        for version in 1..=3 {
            // Each takes the place of one that was kept.
            states.insert(&log("a"), large(version, KEPT_BYTES / 2));
            states.insert(&log("b"), large(version, KEPT_BYTES / 2));
            assert_eq!((states.namespaces.len(), states.memory_bytes), (2, KEPT_BYTES));
        }
        states.insert(&log("c"), large(1, 1));
        assert_eq!((states.namespaces.len(), states.memory_bytes), (1, 1));
        states.insert(&log("d"), large(1, KEPT_BYTES * 2));
        assert_eq!((states.namespaces.len(), states.memory_bytes), (1, KEPT_BYTES * 2));
        states.insert(&log("d"), large(2, 5));
        assert_eq!((states.namespaces.len(), states.memory_bytes), (1, 5));
    }
}
