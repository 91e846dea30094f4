//! Objects of Python's that go along with our work.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use pyo3::prelude::*;

/// What is to be let go of.
static GIVEN_BACK: ArcSwapOption<GivenBack> = ArcSwapOption::const_empty();

struct GivenBack {
    object: Mutex<Option<Box<dyn Send>>>,
    next: Option<Arc<GivenBack>>,
}

/// An object that is let go of by the next thread that has Python's lock and calls [`let_go`], and not where it is dropped.
///
/// PyO3 has a list for that too, with a lock; who had that when the process forked would keep the fork waiting for ever. This one has
/// none. Nor does a thread of ours become one of Python's for it: in CPython before 3.12 that takes a lock as well.
pub struct Held<T: Send + 'static>(Option<T>);

impl<T: Send> From<T> for Held<T> {
    fn from(object: T) -> Self {
        Self(Some(object))
    }
}

impl<T: Send> fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

impl<T: Send> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<T: Send> Drop for Held<T> {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            let object = Mutex::new(Some(Box::new(object) as Box<dyn Send>));
            let mut given = Arc::new(GivenBack { object, next: None });
            loop {
                let next = GIVEN_BACK.load_full();
                // Nobody else has it yet.
                if let Some(given) = Arc::get_mut(&mut given) {
                    given.next.clone_from(&next);
                }
                let found = GIVEN_BACK.compare_and_swap(&next, Some(Arc::clone(&given)));
                if found.as_ref().map(Arc::as_ptr) == next.as_ref().map(Arc::as_ptr) {
                    return;
                }
            }
        }
    }
}

/// Lets go of what was given back.
pub fn let_go(_: Python<'_>) {
    let mut next = GIVEN_BACK.swap(None);
    while let Some(one) = next {
        drop(one.object.lock().unwrap_or_else(PoisonError::into_inner).take());
        next = one.next.clone();
    }
}
