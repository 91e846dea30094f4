//! What was done to an object, and so what may be found there.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use strongroom_storage::Location;

/// What is there: bytes of this mark, or nothing.
pub type Value = Option<u32>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    UnderWay,
    Done,
    /// It may have happened; where requests can be late, it may happen yet.
    Unknown,
    Failed,
}

/// Something by which a value comes to be there, or is seen there.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub value: Value,
    pub outcome: Outcome,
    begun: u64,
    ended: u64,
}

/// Which event it is, of those of its location.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    number: usize,
    at: u64,
}

/// All that was done, in the order of a clock that everybody looks at.
#[derive(Debug, Default)]
pub struct History(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    clock: u64,
    events: BTreeMap<Location, Vec<Event>>,
}

impl State {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// The events by which a value may have been found at `location` at some time from `begun` on: none of them was over when
    /// something began that was over by then.
    fn possible(&mut self, location: &Location, begun: u64) -> Vec<(usize, Event)> {
        let nothing = Event { value: None, outcome: Outcome::Done, begun: 0, ended: 0 };
        let events = self.events.entry(location.clone()).or_insert_with(|| vec![nothing]);
        let done = events.iter().filter(|event| event.outcome == Outcome::Done && event.ended < begun);
        let newest = done.map(|event| event.begun).max().unwrap_or(0);
        let may_be = |event: &Event| event.outcome != Outcome::Failed && event.ended >= newest;
        events.iter().copied().enumerate().filter(|(_, event)| may_be(event)).collect()
    }
}

impl History {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time.
    pub fn now(&self) -> u64 {
        self.state().tick()
    }

    /// Somebody sets out to have `value` at `location`.
    pub fn begin(&self, location: &Location, value: Value) -> Begun {
        let mut state = self.state();
        let at = state.tick();
        state.possible(location, at);
        let events = state.events.entry(location.clone()).or_default();
        events.push(Event { value, outcome: Outcome::UnderWay, begun: at, ended: u64::MAX });
        Begun { number: events.len() - 1, at }
    }

    /// What came of it. `is_late`: requests that are lost may arrive at any time.
    pub fn end(&self, location: &Location, begun: Begun, outcome: Outcome, is_late: bool) {
        let mut state = self.state();
        let now = state.tick();
        if let Some(event) = state.events.get_mut(location).and_then(|events| events.get_mut(begun.number)) {
            event.outcome = outcome;
            event.ended = if is_late && outcome == Outcome::Unknown { u64::MAX } else { now };
        }
    }

    /// Whether such a value may have been there at some time since `begun`, by another event than `own`.
    pub fn may_be(&self, location: &Location, begun: u64, own: Option<Begun>, such: impl Fn(Value) -> bool) -> bool {
        let possible = self.state().possible(location, begun);
        possible.iter().any(|(number, event)| own.is_none_or(|own| own.number != *number) && such(event.value))
    }

    /// The same for one value that was found, which is there from now on.
    pub fn found(&self, location: &Location, begun: u64, value: Value) -> bool {
        let may_be = self.may_be(location, begun, None, |possible| possible == value);
        let mut state = self.state();
        let ended = state.tick();
        let events = state.events.entry(location.clone()).or_default();
        events.push(Event { value, outcome: Outcome::Done, begun, ended });
        may_be
    }

    pub fn all(&self) -> BTreeMap<Location, Vec<Event>> {
        self.state().events.clone()
    }
}

impl Begun {
    /// When that was.
    pub fn at(self) -> u64 {
        self.at
    }
}
