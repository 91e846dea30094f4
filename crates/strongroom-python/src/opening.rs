//! What a URL is opened to, and how it is opened again.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use pyo3::prelude::*;
use strongroom::{
    Address, ByteRange, ContentConfig, ContentStorage, Error, ErrorKind, ExternalStorage, LoadOptions, Location,
    NewFile, ObjectRef, OpenOptions, Result,
};

use crate::error;
use crate::progress::Progress;

/// How many plain objects are read or looked at at once.
const AT_ONCE: usize = 64;

/// A folder as it is called from wherever a process works later; what is in no folder is as it is.
///
/// # Errors
/// Those of reading the URL; `Invalid` if the folder's path is not UTF-8.
pub fn absolute(url: &str) -> Result<String> {
    let Some(folder) = strongroom::local_root(url)? else { return Ok(url.into()) };
    let folder = std::path::absolute(folder).map_err(|error| Error::from_io("open", url, error))?;
    let refuse = |_| Error::new(ErrorKind::Invalid, "open", url, "the path of this folder is not UTF-8");
    folder.into_os_string().into_string().map_err(refuse)
}

/// [`absolute`], for Python.
#[pyfunction]
pub fn absolute_url(url: &str) -> PyResult<String> {
    absolute(url).map_err(error::raised)
}

/// How a storage is opened, and opened again in another process.
#[derive(Clone)]
pub struct Opening {
    pub url: String,
    pub content: Option<ContentOpening>,
}

#[derive(Clone)]
pub struct ContentOpening {
    /// Made with this if it is not there.
    pub config: Option<ContentConfig>,
    pub author: String,
    pub cache: Option<String>,
    pub content_cache_bytes: u64,
    pub single_writer: bool,
}

impl Opening {
    /// Whether each object is a file of this machine.
    pub fn is_plain_folder(&self) -> bool {
        self.content.is_none() && matches!(strongroom::local_root(&self.url), Ok(Some(_)))
    }

    pub async fn open(self) -> Result<Opened> {
        let storage = strongroom::open_storage(&self.url)?;
        let Some(content) = self.content else { return Ok(Opened::Plain(storage)) };
        let mut options = OpenOptions::default()
            .with_author(content.author)
            .with_content_cache(content.content_cache_bytes)
            .with_single_writer(content.single_writer);
        if let Some(cache) = content.cache {
            options = options.with_cache(strongroom::open_storage(&cache)?);
        }
        Ok(Opened::Content(match content.config {
            Some(config) => ContentStorage::create(storage, config, options).await?,
            None => ContentStorage::open(storage, options).await?,
        }))
    }
}

#[derive(Clone)]
pub enum Opened {
    Plain(Arc<dyn ExternalStorage>),
    Content(ContentStorage),
}

impl Opened {
    pub fn external(&self) -> Arc<dyn ExternalStorage> {
        match self {
            Self::Plain(storage) => Arc::clone(storage),
            Self::Content(store) => Arc::new(store.clone()),
        }
    }

    /// The object of that name in a content store; a plain storage has names only. `operation` is what it is looked for for.
    pub async fn object(&self, operation: &'static str, address: Address) -> Result<Found> {
        Ok(match (self, address) {
            (Self::Content(store), address) => Found::Object(store.find_address(&address).await.map_err(|error| {
                if error.operation() == "find" { error.in_operation(operation, &address) } else { error }
            })?),
            (Self::Plain(storage), Address::Location(location)) => Found::Plain(Arc::clone(storage), location),
            (Self::Plain(_), Address::Digest(digest)) => return Err(by_name_only(digest)),
        })
    }

    /// Whether there are these, in their order.
    pub async fn exists_all(self, addresses: Vec<Address>) -> Result<Vec<bool>> {
        match (self, names_of(&addresses)) {
            (Self::Content(store), Ok(locations)) => store.exists_all(&locations).await,
            (Self::Content(store), Err(_)) => {
                let found = store.find_addresses(&addresses).await?;
                Ok(found.iter().map(Option::is_some).collect())
            }
            (Self::Plain(storage), locations) => {
                let locations = locations.map_err(by_name_only)?;
                let looks: Vec<_> = locations.iter().map(|location| storage.exists(location)).collect();
                stream::iter(looks).buffered(AT_ONCE).try_collect().await
            }
        }
    }

    /// The content of all of these, in their order.
    pub async fn load_all(self, addresses: Vec<Address>, progress: Option<Progress>) -> Result<Vec<Bytes>> {
        let store = match self {
            Self::Content(store) => store,
            Self::Plain(storage) => {
                let locations = names_of(&addresses).map_err(by_name_only)?;
                let loads: Vec<_> =
                    locations.iter().map(|location| storage.load_bytes(location, ByteRange::All)).collect();
                return stream::iter(loads).buffered(AT_ONCE).try_collect().await;
            }
        };
        let found = store.find_addresses(&addresses).await?;
        let missing = |address| Error::missing("load", address);
        let found = found.into_iter().zip(&addresses).map(|(found, address)| found.ok_or_else(|| missing(address)));
        let found = found.collect::<Result<Vec<_>>>()?;
        load_all(&store, found, progress).await
    }
}

/// The content of these, in their order.
pub async fn load_all(store: &ContentStorage, found: Vec<ObjectRef>, progress: Option<Progress>) -> Result<Vec<Bytes>> {
    let (mut done, total) = (0, found.iter().map(ObjectRef::size).sum());
    let mut loaded = vec![Bytes::new(); found.len()];
    let mut loading = store.load_all(found);
    while let Some((position, content)) = loading.next().await {
        loaded[position] = content?;
        done += loaded[position].len() as u64;
        if let Some(progress) = &progress {
            progress.tell(done, total);
        }
    }
    Ok(loaded)
}

/// The locations, if no digest is among them; otherwise the first of these.
fn names_of(addresses: &[Address]) -> Result<Vec<Location>, String> {
    let names = addresses.iter().map(|address| match address {
        Address::Location(location) => Ok(location.clone()),
        Address::Digest(digest) => Err(digest.clone()),
    });
    names.collect()
}

fn by_name_only(digest: String) -> Error {
    let detail = "objects are found by digest in a content store only (strongroom.open)";
    Error::new(ErrorKind::Unsupported, "find", digest, detail)
}

pub enum Found {
    Object(ObjectRef),
    Plain(Arc<dyn ExternalStorage>, Location),
}

impl Found {
    /// Writes it to a local file, all or nothing, and returns its size.
    pub async fn load_path(self, path: &Path, options: &LoadOptions, progress: Option<Progress>) -> Result<u64> {
        let Some(progress) = progress else {
            let copied = match self {
                Self::Object(object) => object.load_path(path, options).await?,
                Self::Plain(storage, location) => storage.load_path(&location, path, options).await?,
            };
            return Ok(copied.size);
        };
        let file = NewFile::create(path).await?;
        let digests = options.needed_digests();
        let copied = match &self {
            Self::Object(object) => {
                let writing = object.load_into(file.target(), digests);
                progress.follow(file.target(), object.size(), writing).await?
            }
            Self::Plain(storage, location) => {
                let size = storage.metadata(location).await?.size;
                progress.follow(file.target(), size, storage.load_into(location, file.target(), digests)).await?
            }
        };
        file.publish(options).await?;
        progress.tell(copied.size, copied.size);
        Ok(copied.size)
    }
}
