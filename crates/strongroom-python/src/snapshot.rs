//! A namespace at one version.

use pyo3::prelude::*;
use strongroom::{ByteRange, ContentStorage, Namespace, Result};

use crate::listing::Listing;
use crate::object::Metadata;
use crate::operation::Operation;
use crate::reader::Reader;
use crate::{convert, error};

/// A namespace at one version.
#[pyclass(frozen, module = "strongroom._strongroom")]
pub struct Snapshot(strongroom::Snapshot);

/// The version that a number or a tag names.
pub async fn open(store: ContentStorage, namespace: String, at: Option<String>) -> Result<Snapshot> {
    let namespace = Namespace::parse(&namespace)?;
    let Some(at) = at else { return Ok(Snapshot(store.snapshot(&namespace).await?)) };
    let version = store.version_named(&namespace, &at).await?;
    Ok(Snapshot(store.snapshot_at(&namespace, version).await?))
}

#[pymethods]
impl Snapshot {
    #[getter]
    fn namespace(&self) -> &str {
        self.0.namespace().as_str()
    }

    #[getter]
    fn version(&self) -> u64 {
        self.0.version().get()
    }

    fn metadata(&self, location: &Bound<'_, PyAny>) -> PyResult<Operation> {
        let (snapshot, location) = (self.0.clone(), convert::location(location)?);
        Ok(Operation::of(async move { snapshot.find(&location).await.map(|found| Metadata::of(&found)) }))
    }

    #[pyo3(signature = (location, start=None, end=None))]
    fn load(&self, location: &Bound<'_, PyAny>, start: Option<i64>, end: Option<i64>) -> PyResult<Operation> {
        let (snapshot, location) = (self.0.clone(), convert::location(location)?);
        let range: ByteRange = convert::range(start, end)?;
        Ok(Operation::of_content(async move { snapshot.find(&location).await?.load(range).await }))
    }

    fn open(&self, location: &Bound<'_, PyAny>) -> PyResult<Operation> {
        let (snapshot, location) = (self.0.clone(), convert::location(location)?);
        let found = async move { snapshot.find(&location).await.map(Reader::of_object) };
        Ok(Operation::of(found))
    }

    /// All whose name in the namespace begins with a string.
    fn objects(&self, prefix: String) -> Operation {
        let snapshot = self.0.clone();
        Operation::of(async move { snapshot.objects(&prefix).await.map(Listing::of_objects) })
    }
}

/// That a call is about content stores only.
pub fn only_content(url: &str) -> PyErr {
    let detail = "it has no versions; a content store (strongroom.open) has";
    error::raised(strongroom::Error::new(strongroom::ErrorKind::Unsupported, "look into", url, detail))
}
