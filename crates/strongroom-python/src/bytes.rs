//! Bytes on their way from and to Python.

use bytes::Bytes;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

/// Content given by Python. A `bytes` is not copied, since nobody can write to it; Python gives us everything else as one.
pub fn taken(data: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let backed: PyBackedBytes = data
        .cast::<PyBytes>()
        .map_err(|_| PyTypeError::new_err(format!("content is bytes, not {}", data.get_type())))?
        .clone()
        .into();
    Ok(Bytes::from_owner(backed))
}

/// Content for Python.
pub fn given(py: Python<'_>, bytes: &[u8]) -> PyResult<Py<PyAny>> {
    Ok(PyBytes::new(py, bytes).into_any().unbind())
}
