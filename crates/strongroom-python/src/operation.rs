//! A call that Python waits for, or goes on without.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, poll};
use pyo3::BoundObject;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use strongroom::{Error, ErrorKind, Loaded, Result, blocking, unblock};
use tokio::task::AbortHandle;

use crate::bytes::Content;
use crate::error;
use crate::held::{Held, let_go};

/// How often it is looked whether Ctrl-C was pressed meanwhile.
const SIGNALS: Duration = Duration::from_millis(100);

/// Makes a Python object.
type Give = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// What came of a call, still to become a Python object.
enum Outcome {
    Object(Give),
    Content(Content),
}

impl Outcome {
    fn given(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self {
            Self::Object(give) => give(py),
            Self::Content(content) => content.given(py),
        }
    }

    /// The same, of which nothing is to be waited for any more.
    async fn arrived(self) -> Result<Self> {
        Ok(match self {
            Self::Content(content) => Self::Content(content.arrived().await?),
            object => object,
        })
    }
}

/// A call that has not begun.
#[pyclass(frozen, module = "strongroom._strongroom")]
pub struct Operation {
    work: Mutex<Option<BoxFuture<'static, Result<Outcome>>>>,
    amount: Amount,
}

/// How much there is to do.
#[derive(Debug)]
pub enum Amount {
    /// Others can do it meanwhile, and side by side.
    Much,
    /// Whoever waits has done it as soon as others would have begun.
    Little,
    /// As much as this local file has.
    OfFile(PathBuf),
}

impl Amount {
    /// So many bytes are written sooner than another thread begins to.
    const LITTLE_BYTES: u64 = 64 << 10;

    pub fn of_bytes(size: u64) -> Self {
        if size <= Self::LITTLE_BYTES { Self::Little } else { Self::Much }
    }

    fn is_little(&self) -> bool {
        match self {
            Self::Much => false,
            Self::Little => true,
            Self::OfFile(path) => {
                std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= Self::LITTLE_BYTES)
            }
        }
    }
}

impl Operation {
    pub fn new<T: Send + 'static>(
        work: impl Future<Output = Result<T>> + Send + 'static,
        give: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> Self {
        let given = |value| Outcome::Object(Box::new(move |py: Python<'_>| give(py, value)));
        let work = work.map(|done| done.map(given));
        Self { work: Mutex::new(Some(work.boxed())), amount: Amount::Much }
    }

    /// The same, of which it is known how much there is to do.
    pub fn with(self, amount: Amount) -> Self {
        Self { amount, ..self }
    }

    /// One whose outcome is content.
    pub fn of_content(opened: impl Future<Output = Result<Loaded>> + Send + 'static) -> Self {
        Self::of_what_comes(async move { Content::of(opened.await?).await })
    }

    pub fn of_what_comes(content: impl Future<Output = Result<Content>> + Send + 'static) -> Self {
        let work = content.map(|content| content.map(Outcome::Content));
        Self { work: Mutex::new(Some(work.boxed())), amount: Amount::Much }
    }

    /// One whose outcome is a list of contents.
    pub fn of_all(loaded: impl Future<Output = Result<Vec<Bytes>>> + Send + 'static) -> Self {
        Self::new(loaded, |py, loaded| {
            let given = loaded.into_iter().map(|loaded| Content::Here(loaded).given(py));
            Ok(given.collect::<PyResult<Vec<_>>>()?.into_pyobject(py)?.unbind())
        })
    }

    /// One whose outcome is `None`.
    pub fn of_nothing(work: impl Future<Output = Result<()>> + Send + 'static) -> Self {
        Self::new(work, |py, ()| Ok(py.None()))
    }

    /// One whose outcome Python has a type of its own for.
    pub fn of<T>(work: impl Future<Output = Result<T>> + Send + 'static) -> Self
    where
        T: for<'py> IntoPyObject<'py> + Send + 'static,
    {
        Self::new(work, |py, value| Ok(value.into_pyobject(py).map_err(Into::into)?.into_any().unbind()))
    }

    fn take(&self) -> PyResult<BoxFuture<'static, Result<Outcome>>> {
        let work = self.work.lock().unwrap_or_else(PoisonError::into_inner).take();
        work.ok_or_else(|| PyRuntimeError::new_err("this operation was begun already"))
    }
}

#[pymethods]
impl Operation {
    /// Does it, while this thread waits; other threads of Python go on. Ctrl-C ends it.
    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let work = self.take()?;
        let_go(py);
        let outcome = py.detach(|| match self.amount.is_little() {
            true => Ok(blocking::wait_here(work)),
            false => blocking::wait(until_interrupted(work)),
        })?;
        let_go(py);
        outcome.map_err(error::raised)?.given(py)
    }

    /// Begins it, and calls `done(value, None)` or `done(None, exception)` at its end, on any thread.
    fn start(&self, done: Py<PyAny>) -> PyResult<Task> {
        let (work, done) = (self.take()?, Held::from(done));
        let task = blocking::spawn(async move {
            let outcome = AssertUnwindSafe(async { work.await?.arrived().await }).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Internal, "run", "a call", "it panicked; please report what stderr says"))
            });
            // Others of Python's threads may have to be waited for.
            let told = unblock(move || {
                tell(outcome, &done);
                Ok(())
            });
            told.await.unwrap_or_default();
        });
        Ok(Task(task))
    }
}

fn tell(outcome: Result<Outcome>, done: &Py<PyAny>) {
    // A program that ends has nobody any more who could be told.
    let told = Python::try_attach(|py| {
        let_go(py);
        let (value, error) = match outcome.map_err(error::raised).and_then(|outcome| outcome.given(py)) {
            Ok(value) => (value, py.None()),
            Err(error) => (py.None(), error.into_value(py).into_any()),
        };
        if let Err(error) = done.call1(py, (value, error)) {
            error.write_unraisable(py, None);
        }
    });
    told.unwrap_or_default();
}

/// A call that was begun.
#[pyclass(frozen, module = "strongroom._strongroom")]
pub struct Task(AbortHandle);

#[pymethods]
impl Task {
    /// Gives it up: nothing half is left of it, and what it had done stays.
    fn cancel(&self) {
        self.0.abort();
    }
}

/// The same, until a signal's handler raises.
pub async fn until_interrupted<T>(work: BoxFuture<'_, T>) -> PyResult<T> {
    let mut work = pin!(work);
    if let Poll::Ready(outcome) = poll!(&mut work) {
        return Ok(outcome);
    }
    loop {
        match tokio::time::timeout(SIGNALS, &mut work).await {
            Ok(outcome) => return Ok(outcome),
            Err(_) => Python::attach(|py| py.check_signals())?,
        }
    }
}
