//! What is known of objects and commits, as Python sees it.

use std::collections::BTreeMap;

use pyo3::prelude::*;
use strongroom::ObjectRef;

use crate::convert::{shown_digests, timestamp};

/// What is known of an object without reading it.
#[pyclass(frozen, get_all, eq, module = "strongroom._strongroom")]
#[derive(Clone, PartialEq)]
pub struct Metadata {
    location: String,
    size: u64,
    /// Of what is on record, by name, in hexadecimal.
    digests: BTreeMap<String, String>,
    /// Seconds since 1970.
    modified: Option<f64>,
    /// In which version of its namespace it was put; `None` where there are no versions.
    version: Option<u64>,
    /// How it is kept.
    kept: Option<String>,
    attributes: BTreeMap<String, Vec<u8>>,
}

impl Metadata {
    pub fn of(object: &ObjectRef) -> Self {
        let kept = |(key, value): (&str, &[u8])| (key.to_string(), value.to_vec());
        Self {
            location: object.location().to_string(),
            size: object.size(),
            digests: shown_digests(&object.digests()),
            modified: object.stored_at().map(timestamp),
            version: Some(object.version().get()),
            kept: Some(object.kept().as_str().into()),
            attributes: object.attributes().iter().map(kept).collect(),
        }
    }

    pub fn plain(location: &str, metadata: &strongroom::Metadata) -> Self {
        Self {
            location: location.into(),
            size: metadata.size,
            digests: shown_digests(&metadata.digests),
            modified: metadata.modified.map(timestamp),
            version: None,
            kept: None,
            attributes: BTreeMap::new(),
        }
    }

    pub fn stored(stored: &strongroom::Stored) -> Self {
        let metadata = strongroom::Metadata::new(stored.size).with_digests(stored.digests.clone());
        Self::plain(stored.location.as_str(), &metadata)
    }
}

/// All that [`Metadata`] has, in the order of its fields.
type MetadataFields =
    (String, u64, BTreeMap<String, String>, Option<f64>, Option<u64>, Option<String>, BTreeMap<String, Vec<u8>>);

#[pymethods]
impl Metadata {
    #[new]
    fn new(
        location: String,
        size: u64,
        digests: BTreeMap<String, String>,
        modified: Option<f64>,
        version: Option<u64>,
        kept: Option<String>,
        attributes: BTreeMap<String, Vec<u8>>,
    ) -> Self {
        Self { location, size, digests, modified, version, kept, attributes }
    }

    /// For other processes.
    fn __getnewargs__(&self) -> MetadataFields {
        let Self { location, size, digests, modified, version, kept, attributes } = self.clone();
        (location, size, digests, modified, version, kept, attributes)
    }

    /// Its name by content.
    #[getter]
    fn digest(&self) -> Option<String> {
        self.digests.get("blake3").map(|digest| format!("b3:{digest}"))
    }

    fn __repr__(&self) -> String {
        let digest = self.digest().unwrap_or_else(|| "no digest".into());
        format!("<strongroom.Metadata of {:?}, {} bytes, {digest}>", self.location, self.size)
    }
}

/// One commit.
#[pyclass(frozen, get_all, eq, module = "strongroom._strongroom")]
#[derive(Clone, PartialEq)]
pub struct Commit {
    version: u64,
    id: String,
    /// Seconds since 1970, by the writer's clock.
    time: f64,
    author: String,
    message: String,
    put: u32,
    removed: u32,
}

impl From<strongroom::content::Commit> for Commit {
    fn from(commit: strongroom::content::Commit) -> Self {
        let strongroom::content::Commit { version, id, time, author, message, put, removed, .. } = commit;
        Self { version: version.get(), id: id.to_string(), time: timestamp(time), author, message, put, removed }
    }
}

#[pymethods]
impl Commit {
    #[new]
    fn new(version: u64, id: String, time: f64, author: String, message: String, put: u32, removed: u32) -> Self {
        Self { version, id, time, author, message, put, removed }
    }

    /// For other processes.
    fn __getnewargs__(&self) -> (u64, String, f64, String, String, u32, u32) {
        let Self { version, id, time, author, message, put, removed } = self.clone();
        (version, id, time, author, message, put, removed)
    }

    fn __repr__(&self) -> String {
        format!("<strongroom.Commit {}: {} put, {} removed, {:?}>", self.version, self.put, self.removed, self.message)
    }
}
