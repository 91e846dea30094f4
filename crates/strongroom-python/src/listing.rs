//! Listings, a piece at a time.

use std::sync::Arc;

use futures::stream::{BoxStream, ReadyChunks};
use futures::{StreamExt, TryStreamExt};
use pyo3::prelude::*;
use strongroom::{Location, ObjectRef, Result};
use tokio::sync::Mutex;

use crate::object::Metadata;
use crate::operation::Operation;

/// How many Python gets at once, if they are there.
const AT_ONCE: usize = 1000;

enum Listed {
    Location(Location),
    Object(Box<ObjectRef>),
}

/// Locations, or objects with what is known of them.
#[pyclass(frozen, module = "strongroom._strongroom")]
pub struct Listing(Arc<Mutex<ReadyChunks<BoxStream<'static, Result<Listed>>>>>);

impl Listing {
    pub fn of_locations(locations: BoxStream<'static, Result<Location>>) -> Self {
        Self::of(locations.map_ok(Listed::Location).boxed())
    }

    pub fn of_objects(objects: BoxStream<'static, Result<ObjectRef>>) -> Self {
        Self::of(objects.map_ok(|object| Listed::Object(Box::new(object))).boxed())
    }

    fn of(listed: BoxStream<'static, Result<Listed>>) -> Self {
        Self(Arc::new(Mutex::new(listed.ready_chunks(AT_ONCE))))
    }
}

#[pymethods]
impl Listing {
    /// The next of them; none at the end.
    fn next(&self) -> Operation {
        let listed = Arc::clone(&self.0);
        let next = async move {
            let next = listed.lock().await.next().await.unwrap_or_default();
            next.into_iter().collect::<Result<Vec<Listed>>>()
        };
        Operation::new(next, |py, next| {
            let given = next.into_iter().map(|listed| match listed {
                Listed::Location(location) => Ok(location.as_str().into_pyobject(py)?.into_any().unbind()),
                Listed::Object(object) => Ok(Py::new(py, Metadata::of(&object))?.into_any()),
            });
            Ok(given.collect::<PyResult<Vec<_>>>()?.into_pyobject(py)?.unbind())
        })
    }
}
