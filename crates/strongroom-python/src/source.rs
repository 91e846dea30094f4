//! Content that Python gives in pieces.

use futures::stream::try_unfold;
use pyo3::prelude::*;
use strongroom::{Source, unblock};

use crate::held::Held;
use crate::{bytes, error};

/// From an iterator of `bytes`. What it raises fails the store.
pub fn of_pieces(pieces: Py<PyAny>) -> Source {
    Source::stream(try_unfold(Held::from(pieces), |pieces| async move {
        unblock(move || {
            let next = Python::attach(|py| {
                let mut iterator = pieces.bind(py).try_iter()?;
                iterator.next().map(|piece| bytes::taken(&piece?)).transpose()
            });
            let next = next.map_err(|raised| error::of_python("read", "what was given", raised))?;
            Ok(next.map(|piece| (piece, pieces)))
        })
        .await
    }))
}
