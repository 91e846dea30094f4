//! Objects of Python's that go along with our work.

use std::fmt;
use std::ops::Deref;

use pyo3::prelude::*;

/// An object that is let go of while this thread has Python's lock, whichever thread that is.
///
/// Without it PyO3 puts what is let go of on a list of its own, which has a lock; who had that when the process forked would keep the
/// fork waiting for ever. The thread that forks has Python's.
pub struct Held<T>(Option<Py<T>>);

impl<T> From<Py<T>> for Held<T> {
    fn from(object: Py<T>) -> Self {
        Self(Some(object))
    }
}

impl<T> fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

impl<T> Deref for Held<T> {
    type Target = Py<T>;

    fn deref(&self) -> &Py<T> {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        let object = self.0.take();
        // Where Python is ending, nothing is let go of any more.
        Python::try_attach(|_| drop(object)).unwrap_or_default();
    }
}
