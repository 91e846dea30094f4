//! Objects of Python's that go along with our work.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use pyo3::prelude::*;

/// What is to be let go of.
static GIVEN_BACK: ArcSwapOption<GivenBack> = ArcSwapOption::const_empty();

struct GivenBack {
    object: Arc<Mutex<Option<Box<dyn Send>>>>,
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
        let Some(object) = self.0.take() else { return };
        let object: Arc<Mutex<Option<Box<dyn Send>>>> = Arc::new(Mutex::new(Some(Box::new(object))));
        GIVEN_BACK.rcu(|next| Some(Arc::new(GivenBack { object: Arc::clone(&object), next: next.clone() })));
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
