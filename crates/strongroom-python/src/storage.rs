//! A storage or a store, by its URL.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use strongroom::{Address, ContentStorage, Error, ErrorKind, ListOptions, LoadOptions, Source, blocking};

use crate::batch::Batch;
use crate::convert;
use crate::listing::Listing;
use crate::object::{Commit, Metadata};
use crate::opening::{ContentOpening, Found, Opened, Opening, absolute};
use crate::operation::{Amount, Operation};
use crate::options::{Config, Putting};
use crate::progress::Progress;
use crate::reader::{LocalPath, Reader};
use crate::{bytes, error, snapshot, source};

/// A storage or a store.
#[pyclass(frozen, module = "strongroom._strongroom")]
pub struct Storage {
    opening: Opening,
    /// And by which process, once one has.
    opened: Mutex<Option<(u32, Opened)>>,
    is_plain_folder: bool,
}

impl Storage {
    fn new(opening: Opening, opened: Option<Opened>) -> Self {
        let is_plain_folder = opening.is_plain_folder();
        let opened = opened.map(|opened| (std::process::id(), opened));
        Self { opening, opened: Mutex::new(opened), is_plain_folder }
    }

    /// Handles of a parent process have connections, threads and locks that this one has not.
    pub fn opened(&self, py: Python<'_>) -> PyResult<Opened> {
        let process = std::process::id();
        {
            let known = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((by, opened)) = &*known
                && *by == process
            {
                return Ok(opened.clone());
            }
        }
        let opening = self.opening.clone();
        let opened = py.detach(|| blocking::wait(opening.open())).map_err(error::raised)?;
        let mut known = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            // Another thread was faster.
            Some((by, opened)) if *by == process => Ok(opened.clone()),
            _ => {
                // The parent's is never dropped: it would wait for what the parent does.
                std::mem::forget(known.replace((process, opened.clone())));
                Ok(opened)
            }
        }
    }

    /// A commit has several things to do at once, a plain file one after the other.
    fn amount(&self, of_plain_file: Amount) -> Amount {
        if self.is_plain_folder { of_plain_file } else { Amount::Much }
    }

    pub fn content(&self, py: Python<'_>) -> PyResult<ContentStorage> {
        match self.opened(py)? {
            Opened::Content(store) => Ok(store),
            Opened::Plain(_) => Err(snapshot::only_content(&self.opening.url)),
        }
    }
}

#[pymethods]
impl Storage {
    /// A plain storage.
    #[staticmethod]
    fn open_plain(url: &str) -> PyResult<Operation> {
        let opening = Opening { url: absolute(url).map_err(error::raised)?, content: None };
        Ok(Operation::of(async move { Ok(Self::new(opening.clone(), Some(opening.open().await?))) }))
    }

    /// A content store, made if `config` is given and it is not there.
    #[staticmethod]
    #[pyo3(signature = (url, config, author, cache, content_cache_bytes, single_writer))]
    fn open_content(
        url: &str,
        config: Option<Config>,
        author: String,
        cache: Option<&str>,
        content_cache_bytes: u64,
        single_writer: bool,
    ) -> PyResult<Operation> {
        let config = config.map(Config::read).transpose()?;
        let url = absolute(url).map_err(error::raised)?;
        let cache = cache.map(absolute).transpose().map_err(error::raised)?;
        let content = Some(ContentOpening { config, author, cache, content_cache_bytes, single_writer });
        let opening = Opening { url, content };
        Ok(Operation::of(async move {
            let opened = opening.clone().open().await?;
            // Whoever opens it again finds it.
            let content = opening.content.map(|content| ContentOpening { config: None, ..content });
            Ok(Self::new(Opening { content, ..opening }, Some(opened)))
        }))
    }

    #[getter]
    fn url(&self) -> &str {
        &self.opening.url
    }

    /// The local folder that it is in, if it is in one.
    #[getter]
    fn local_root(&self) -> PyResult<Option<PathBuf>> {
        strongroom::local_root(&self.opening.url).map_err(error::raised)
    }

    fn store_bytes(
        &self,
        py: Python<'_>,
        location: &Bound<'_, PyAny>,
        data: &Bound<'_, PyAny>,
        how: Putting,
    ) -> PyResult<Operation> {
        let data = bytes::taken(data)?;
        let amount = self.amount(Amount::of_bytes(data.len() as u64));
        Ok(self.store(py, location, Source::bytes(data), how)?.with(amount))
    }

    fn store_path(
        &self,
        py: Python<'_>,
        location: &Bound<'_, PyAny>,
        path: PathBuf,
        how: Putting,
    ) -> PyResult<Operation> {
        let amount = self.amount(Amount::OfFile(path.clone()));
        Ok(self.store(py, location, Source::path(path), how)?.with(amount))
    }

    /// From an iterator of `bytes`.
    fn store_stream(
        &self,
        py: Python<'_>,
        location: &Bound<'_, PyAny>,
        pieces: Py<PyAny>,
        how: Putting,
    ) -> PyResult<Operation> {
        self.store(py, location, source::of_pieces(pieces), how)
    }

    #[pyo3(signature = (location, start=None, end=None))]
    fn load(
        &self,
        py: Python<'_>,
        location: &Bound<'_, PyAny>,
        start: Option<i64>,
        end: Option<i64>,
    ) -> PyResult<Operation> {
        let (opened, address, range) = (self.opened(py)?, convert::address(location)?, convert::range(start, end)?);
        Ok(Operation::of_content(async move {
            match opened.object("load", address).await? {
                Found::Object(object) => object.load(range).await,
                Found::Plain(storage, location) => storage.load(&location, range).await,
            }
        }))
    }

    /// All of these, in their order.
    #[pyo3(signature = (locations, progress=None))]
    fn load_many(
        &self,
        py: Python<'_>,
        locations: &Bound<'_, PyAny>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Operation> {
        let (opened, addresses) = (self.opened(py)?, convert::addresses(locations)?);
        Ok(Operation::of_all(opened.load_all(addresses, progress.map(Progress::new))))
    }

    #[pyo3(signature = (location, path, mode, progress=None))]
    fn load_path(
        &self,
        py: Python<'_>,
        location: &Bound<'_, PyAny>,
        path: PathBuf,
        mode: &str,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Operation> {
        let (opened, address) = (self.opened(py)?, convert::address(location)?);
        let options = LoadOptions::default().with_mode(convert::mode(mode)?);
        let progress = progress.map(Progress::new);
        Ok(Operation::of(
            async move { opened.object("load", address).await?.load_path(&path, &options, progress).await },
        ))
    }

    fn open(&self, py: Python<'_>, location: &Bound<'_, PyAny>) -> PyResult<Operation> {
        let (opened, address) = (self.opened(py)?, convert::address(location)?);
        Ok(Operation::of(async move {
            match opened.object("load", address).await? {
                Found::Plain(storage, location) => Reader::of_location(storage, location).await,
                Found::Object(object) => Ok(Reader::of_object(object)),
            }
        }))
    }

    /// A real local file.
    #[pyo3(signature = (location, name=None))]
    fn path(&self, py: Python<'_>, location: &Bound<'_, PyAny>, name: Option<String>) -> PyResult<Operation> {
        let (opened, wanted) = (self.opened(py)?, convert::address(location)?);
        Ok(Operation::of(async move {
            Ok(LocalPath::new(match opened.object("path", wanted).await? {
                Found::Object(object) => object.local_path(name.as_deref()).await?,
                Found::Plain(storage, location) => storage.local_path(&location, name.as_deref()).await?,
            }))
        }))
    }

    fn exists(&self, py: Python<'_>, location: &Bound<'_, PyAny>) -> PyResult<Operation> {
        let (opened, address) = (self.opened(py)?, convert::address(location)?);
        Ok(Operation::of(async move {
            match address {
                Address::Location(location) => opened.external().exists(&location).await,
                digest => match opened.object("exists", digest).await {
                    Ok(_) => Ok(true),
                    Err(error) if error.is_missing() => Ok(false),
                    Err(error) => Err(error),
                },
            }
        }))
    }

    fn exists_many(&self, py: Python<'_>, locations: &Bound<'_, PyAny>) -> PyResult<Operation> {
        let (opened, addresses) = (self.opened(py)?, convert::addresses(locations)?);
        Ok(Operation::of(opened.exists_all(addresses)))
    }

    fn delete(&self, py: Python<'_>, location: &Bound<'_, PyAny>) -> PyResult<Operation> {
        let (storage, location) = (self.opened(py)?.external(), convert::location(location)?);
        let deleted = Operation::of_nothing(async move { storage.delete(&location).await });
        Ok(deleted.with(self.amount(Amount::Little)))
    }

    fn delete_many(&self, py: Python<'_>, locations: &Bound<'_, PyAny>) -> PyResult<Operation> {
        let (storage, locations) = (self.opened(py)?.external(), convert::locations(locations)?);
        Ok(Operation::of_nothing(async move { storage.delete_all(&locations).await }))
    }

    fn iter_contents(&self, py: Python<'_>, prefix: &str) -> PyResult<Listing> {
        Ok(Listing::of_locations(self.opened(py)?.external().iter_contents(prefix)))
    }

    /// With what is known of each, in a content store.
    fn objects(&self, py: Python<'_>, prefix: &str) -> PyResult<Listing> {
        Ok(Listing::of_objects(self.content(py)?.objects(prefix)))
    }

    /// What is in a folder: objects with their sizes where they are known, and the folders below, with a `/` at their end.
    fn folder(&self, py: Python<'_>, prefix: String) -> PyResult<Operation> {
        let storage = self.opened(py)?.external();
        Ok(Operation::of(async move {
            let listing = storage.list(&ListOptions::directory(prefix)).await?;
            let objects = listing.objects.into_iter().map(|object| (object.location.to_string(), object.size));
            Ok((objects.collect::<Vec<_>>(), listing.prefixes))
        }))
    }

    fn metadata(&self, py: Python<'_>, location: &Bound<'_, PyAny>) -> PyResult<Operation> {
        let (opened, address) = (self.opened(py)?, convert::address(location)?);
        Ok(Operation::of(async move {
            Ok(match opened.object("metadata", address).await? {
                Found::Object(object) => Metadata::of(&object),
                Found::Plain(storage, location) => {
                    Metadata::plain(location.as_str(), &storage.metadata(&location).await?)
                }
            })
        }))
    }

    /// Digests by their names, in hexadecimal; those that are not on record are computed.
    fn digests(&self, py: Python<'_>, location: &Bound<'_, PyAny>, names: Vec<String>) -> PyResult<Operation> {
        let (opened, address, set) = (self.opened(py)?, convert::address(location)?, convert::digest_set(&names)?);
        Ok(Operation::of(async move {
            let digests = match opened.object("digest", address).await? {
                Found::Object(object) => object.compute_digests(set).await?,
                Found::Plain(storage, location) => storage.digests(&location, set).await?,
            };
            Ok(convert::shown_digests(&digests))
        }))
    }

    /// Puts and removals that appear together.
    fn batch(&self, py: Python<'_>) -> PyResult<Batch> {
        Ok(Batch::new(self.content(py)?))
    }

    #[pyo3(signature = (namespace, at=None))]
    fn snapshot(&self, py: Python<'_>, namespace: String, at: Option<String>) -> PyResult<Operation> {
        let store = self.content(py)?;
        Ok(Operation::of(snapshot::open(store, namespace, at)))
    }

    fn namespaces(&self, py: Python<'_>, prefix: String) -> PyResult<Operation> {
        let store = self.content(py)?;
        Ok(Operation::of(async move {
            let found = store.namespaces(&prefix).await?;
            Ok(found.iter().map(|namespace| namespace.as_str().to_string()).collect::<Vec<_>>())
        }))
    }

    #[pyo3(signature = (namespace, limit=None))]
    fn log(&self, py: Python<'_>, namespace: String, limit: Option<usize>) -> PyResult<Operation> {
        let store = self.content(py)?;
        Ok(Operation::of(async move {
            let namespace = strongroom::Namespace::parse(&namespace)?;
            let log = store.log(&namespace, limit).await?;
            Ok(log.into_iter().map(Commit::from).collect::<Vec<_>>())
        }))
    }

    /// Gives a version a name.
    fn tag(&self, py: Python<'_>, namespace: String, version: u64, name: String, mode: &str) -> PyResult<Operation> {
        let (store, mode) = (self.content(py)?, convert::mode(mode)?);
        Ok(Operation::of_nothing(async move {
            let namespace = strongroom::Namespace::parse(&namespace)?;
            store.tag(&namespace, strongroom::Version::new(version), &name, mode).await.map(drop)
        }))
    }

    /// All tags, or those of a namespace: name, namespace, version.
    #[pyo3(signature = (namespace=None))]
    fn tags(&self, py: Python<'_>, namespace: Option<String>) -> PyResult<Operation> {
        let store = self.content(py)?;
        Ok(Operation::of(async move {
            let only = namespace.as_deref().map(strongroom::Namespace::parse).transpose()?;
            let tags = store.tags().await?.into_iter();
            let tags = tags.filter(|tag| only.as_ref().is_none_or(|only| *only == tag.namespace));
            Ok(tags
                .map(|tag| (tag.name, tag.namespace.as_str().into(), tag.version.get()))
                .collect::<Vec<(_, String, _)>>())
        }))
    }

    fn untag(&self, py: Python<'_>, namespace: String, name: String) -> PyResult<Operation> {
        let store = self.content(py)?;
        Ok(Operation::of_nothing(async move { store.untag(&strongroom::Namespace::parse(&namespace)?, &name).await }))
    }

    /// What others need to open it again.
    fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        let py = slf.py();
        let opening = &slf.get().opening;
        let reopen = slf.get_type().getattr("_reopened")?.unbind();
        let arguments = match &opening.content {
            None => (&opening.url, None::<(&str, Option<&str>, u64, bool)>),
            Some(content) => {
                let cache = content.cache.as_deref();
                let settings = (&*content.author, cache, content.content_cache_bytes, content.single_writer);
                (&opening.url, Some(settings))
            }
        };
        Ok((reopen, arguments.into_pyobject(py)?.into_any().unbind()))
    }

    /// It is opened when it is first used: pools of processes hang where an `OSError` is raised while they are given something.
    #[staticmethod]
    fn _reopened(url: String, content: Option<(String, Option<String>, u64, bool)>) -> Self {
        let content = content.map(|(author, cache, content_cache_bytes, single_writer)| ContentOpening {
            config: None,
            author,
            cache,
            content_cache_bytes,
            single_writer,
        });
        Self::new(Opening { url, content }, None)
    }
}

impl Storage {
    fn store(&self, py: Python<'_>, location: &Bound<'_, PyAny>, source: Source, how: Putting) -> PyResult<Operation> {
        let (opened, location) = (self.opened(py)?, convert::location(location)?);
        let (plain, options) = (how.plain()?, how.options()?);
        Ok(Operation::of(async move {
            let stored = match (&opened, plain) {
                (_, Some(plain)) => opened.external().store(&location, source, &plain).await?,
                (Opened::Content(store), None) => {
                    let mut batch = store.batch();
                    batch.put(location.clone(), source, options);
                    let stored = batch.commit().await?.stored.into_iter().next();
                    stored.ok_or_else(|| Error::new(ErrorKind::Internal, "store", location, "nothing was stored"))?
                }
                (Opened::Plain(_), None) => {
                    let detail = "layouts and attributes are for content stores (strongroom.open)";
                    return Err(Error::new(ErrorKind::Unsupported, "store", location, detail));
                }
            };
            Ok(Metadata::stored(&stored))
        }))
    }
}
