//! Errors as Python's exceptions: `strongroom.errors` has one for each kind.

use std::error::Error as StdError;
use std::fmt;

use pyo3::exceptions::{PyBaseException, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use strongroom::{Error, ErrorKind};

use crate::held::Held;

/// The exception for an error, with all its causes in one line.
pub fn raised(error: Error) -> PyErr {
    // Those were raised by Python, in a stream or a callable that was given.
    if let Some(raised) = error.source().and_then(|cause| cause.downcast_ref::<Raised>()) {
        return Python::attach(|py| PyErr::from_value(raised.value.clone_ref(py).into_bound(py).into_any()));
    }
    Python::attach(|py| exception(py, &error).unwrap_or_else(|_| PyRuntimeError::new_err(shown(&error))))
}

fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let make = MAKE.import(py, "strongroom.errors", "_of_kind")?;
    let given = (error.kind().as_str(), shown(error), error.operation(), error.subject(), error.may_have_happened());
    Ok(PyErr::from_value(make.call1(given)?))
}

fn shown(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some say what their cause says.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// What Python raised while we were calling it, on its way through our own code.
#[derive(Debug)]
pub struct Raised {
    value: Held<Py<PyBaseException>>,
    shown: String,
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl StdError for Raised {}

impl From<PyErr> for Raised {
    fn from(error: PyErr) -> Self {
        // Dropped where Python is at hand, and not wherever this is.
        Python::attach(|py| {
            let (value, shown) = (error.value(py).clone().unbind(), error.to_string());
            drop(error);
            Self { value: value.into(), shown }
        })
    }
}

/// The error of an operation that has called Python, which has raised one.
pub fn of_python(operation: &'static str, subject: &str, error: PyErr) -> Error {
    let raised = Raised::from(error);
    let detail = format!("it raised {raised}");
    Error::new(ErrorKind::Invalid, operation, subject, detail).with_source(raised)
}
