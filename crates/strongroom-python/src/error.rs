//! Errors as Python's exceptions: `strongroom.errors` has one for each kind.

use std::error::Error as StdError;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use strongroom::{Error, ErrorKind};

/// The exception for an error, with all its causes in one line.
pub fn raised(error: Error) -> PyErr {
    // Those were raised by Python, in a stream or a callable that was given.
    if let Some(raised) = error.source().and_then(|cause| cause.downcast_ref::<PyErr>()) {
        return Python::attach(|py| raised.clone_ref(py));
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

/// An error that Python raised while we were calling it, for the way through our own code.
pub fn of_python(operation: &'static str, subject: &str, error: PyErr) -> Error {
    let detail = format!("it raised {error}");
    Error::new(ErrorKind::Invalid, operation, subject, detail).with_source(error)
}
