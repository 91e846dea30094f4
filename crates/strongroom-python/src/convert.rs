//! Words of Python's for words of ours.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;
use strongroom::content::Compression;
use strongroom::{Address, Attributes, ByteRange, DigestSet, Digests, Durability, Layout, Location, StoreMode};

use crate::error;

/// A `str` or something that stands for a path, as text.
fn text_of<'py>(name: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    if let Ok(text) = name.cast::<PyString>() {
        return Ok(text.clone());
    }
    let refused = || PyTypeError::new_err(format!("a location is a str or a path, not {}", name.get_type()));
    let path = name.call_method0("__fspath__").map_err(|_| refused())?;
    path.cast_into::<PyString>().map_err(|_| refused())
}

/// A location to be written to; one that looks like a digest is none.
pub fn location(name: &Bound<'_, PyAny>) -> PyResult<Location> {
    address(name)?.into_location().map_err(error::raised)
}

pub fn locations(names: &Bound<'_, PyAny>) -> PyResult<Vec<Location>> {
    names.try_iter()?.map(|name| location(&name?)).collect()
}

pub fn addresses(names: &Bound<'_, PyAny>) -> PyResult<Vec<Address>> {
    names.try_iter()?.map(|name| address(&name?)).collect()
}

/// A location, or `b3:` and as many digits of a digest as are unique.
pub fn address(name: &Bound<'_, PyAny>) -> PyResult<Address> {
    Address::parse(text_of(name)?.to_str()?).map_err(error::raised)
}

/// Whether a text is meant as a digest, not as a location.
#[pyfunction]
pub fn is_digest(text: &str) -> bool {
    Address::is_digest(text)
}

/// Python's way of saying which bytes: from the end where a number is negative.
pub fn range(start: Option<i64>, end: Option<i64>) -> PyResult<ByteRange> {
    let unsigned = |number: i64| u64::try_from(number).ok();
    match (start.unwrap_or(0), end) {
        (0, None) => Ok(ByteRange::All),
        (start, None) if start < 0 => Ok(ByteRange::Last(start.unsigned_abs())),
        (start, end) => match (unsigned(start), end.map(unsigned)) {
            (Some(start), None) => Ok(ByteRange::From(start)),
            (Some(start), Some(Some(end))) if start <= end => Ok(ByteRange::Span { start, end }),
            _ => Err(PyValueError::new_err(
                "a range is start and end with start <= end, only start, or the last bytes by a negative start without end",
            )),
        },
    }
}

pub fn mode(text: &str) -> PyResult<StoreMode> {
    match text {
        "overwrite" => Ok(StoreMode::Overwrite),
        "create" => Ok(StoreMode::Create),
        _ => Err(unknown("mode", text, "'overwrite' or 'create'")),
    }
}

pub fn layout(text: &str) -> PyResult<Layout> {
    match text {
        "auto" => Ok(Layout::Auto),
        "whole" => Ok(Layout::Whole),
        "chunked" => Ok(Layout::Chunked),
        _ => Err(unknown("layout", text, "'auto', 'whole' or 'chunked'")),
    }
}

pub fn compression(text: &str) -> PyResult<Compression> {
    match text {
        "auto" => Ok(Compression::Auto),
        "none" => Ok(Compression::None),
        "zstd" => Ok(Compression::Zstd),
        _ => Err(unknown("compression", text, "'auto', 'none' or 'zstd'")),
    }
}

pub fn durability(durable: bool) -> Durability {
    if durable { Durability::Synced } else { Durability::Relaxed }
}

pub fn digest_set(names: &[String]) -> PyResult<DigestSet> {
    names.iter().try_fold(DigestSet::NONE, |set, name| Ok(set.union(digest_named(name)?)))
}

fn digest_named(name: &str) -> PyResult<DigestSet> {
    match name {
        "blake3" => Ok(DigestSet::BLAKE3),
        "md5" => Ok(DigestSet::MD5),
        "sha256" => Ok(DigestSet::SHA256),
        _ => Err(unknown("digest", name, "'blake3', 'md5' or 'sha256'")),
    }
}

fn unknown(what: &str, text: &str, known: &str) -> PyErr {
    PyValueError::new_err(format!("{what} {text:?} is unknown; it is {known}"))
}

/// Digests in hexadecimal, by their names.
pub fn shown_digests(digests: &Digests) -> BTreeMap<String, String> {
    let mut shown = BTreeMap::new();
    shown.extend(digests.blake3.map(|digest| ("blake3".into(), digest.to_string())));
    shown.extend(digests.md5.map(|digest| ("md5".into(), digest.to_string())));
    shown.extend(digests.sha256.map(|digest| ("sha256".into(), digest.to_string())));
    shown
}

pub fn attributes(given: Option<BTreeMap<String, Vec<u8>>>) -> PyResult<Attributes> {
    let mut attributes = Attributes::default();
    for (key, value) in given.unwrap_or_default() {
        attributes.set(&key, value).map_err(error::raised)?;
    }
    Ok(attributes)
}

pub fn duration(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|error| PyValueError::new_err(format!("{seconds} s: {error}")))
}

/// Seconds since 1970, as `time.time()` gives them.
pub fn timestamp(time: SystemTime) -> f64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}
