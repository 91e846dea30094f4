//! A namespace at one version.

use std::path::PathBuf;

use pyo3::prelude::*;
use strongroom::{Address, ByteRange, ContentStorage, Error, ErrorKind, LoadOptions, Location, Namespace, Result};

use crate::listing::Listing;
use crate::object::Metadata;
use crate::opening::{Found, load_all};
use crate::operation::Operation;
use crate::progress::Progress;
use crate::reader::Reader;
use crate::{convert, error};

/// A namespace at one version.
#[pyclass(frozen, module = "strongroom._strongroom")]
pub struct Snapshot(strongroom::Snapshot, ContentStorage);

/// The version that a number or a tag names.
pub async fn open(store: ContentStorage, namespace: String, at: Option<String>) -> Result<Snapshot> {
    let namespace = Namespace::parse(&namespace)?;
    let snapshot = match at {
        None => store.snapshot(&namespace).await?,
        Some(at) => store.snapshot_at(&namespace, store.version_named(&namespace, &at).await?).await?,
    };
    Ok(Snapshot(snapshot, store))
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
        let (snapshot, location) = (self.0.clone(), name(location)?);
        Ok(Operation::of(async move { snapshot.find(&location).await.map(|found| Metadata::of(&found)) }))
    }

    #[pyo3(signature = (location, start=None, end=None))]
    fn load(&self, location: &Bound<'_, PyAny>, start: Option<i64>, end: Option<i64>) -> PyResult<Operation> {
        let (snapshot, location) = (self.0.clone(), name(location)?);
        let range: ByteRange = convert::range(start, end)?;
        Ok(Operation::of_content(async move { snapshot.find(&location).await?.load(range).await }))
    }

    /// All of these, in their order.
    #[pyo3(signature = (locations, progress=None))]
    fn load_many(&self, locations: &Bound<'_, PyAny>, progress: Option<Py<PyAny>>) -> PyResult<Operation> {
        let locations = locations.try_iter()?.map(|location| name(&location?)).collect::<PyResult<Vec<_>>>()?;
        let (snapshot, store, progress) = (self.0.clone(), self.1.clone(), progress.map(Progress::new));
        Ok(Operation::of_all(async move {
            let mut found = Vec::with_capacity(locations.len());
            for location in &locations {
                found.push(snapshot.find(location).await?);
            }
            load_all(&store, found, progress).await
        }))
    }

    #[pyo3(signature = (location, path, mode, progress=None))]
    fn load_path(
        &self,
        location: &Bound<'_, PyAny>,
        path: PathBuf,
        mode: &str,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Operation> {
        let (snapshot, location) = (self.0.clone(), name(location)?);
        let options = LoadOptions::default().with_mode(convert::mode(mode)?);
        let progress = progress.map(Progress::new);
        Ok(Operation::of(async move {
            Found::Object(snapshot.find(&location).await?).load_path(&path, &options, progress).await
        }))
    }

    fn open(&self, location: &Bound<'_, PyAny>) -> PyResult<Operation> {
        let (snapshot, location) = (self.0.clone(), name(location)?);
        let found = async move { snapshot.find(&location).await.map(Reader::of_object) };
        Ok(Operation::of(found))
    }

    /// All whose name in the namespace begins with a string.
    fn objects(&self, prefix: String) -> Operation {
        let snapshot = self.0.clone();
        Operation::of(async move { snapshot.objects(&prefix).await.map(Listing::of_objects) })
    }
}

/// A location: content that is asked for by its digest is of no version.
fn name(location: &Bound<'_, PyAny>) -> PyResult<Location> {
    match convert::address(location)? {
        Address::Location(location) => Ok(location),
        Address::Digest(digest) => {
            let detail = "a snapshot has names; its store finds content by its digest";
            Err(error::raised(Error::new(ErrorKind::Invalid, "load", digest, detail)))
        }
    }
}

/// That a call is about content stores only.
pub fn only_content(url: &str) -> PyErr {
    let detail = "it has no versions; a content store (strongroom.open) has";
    error::raised(Error::new(ErrorKind::Unsupported, "look into", url, detail))
}
