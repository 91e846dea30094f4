//! strongroom keeps what a workflow produces: once, by content, under names that are never half-written, on any storage that
//! can hold bytes.
//!
//! This is the front door: [`open`] and [`create`] turn a URL into a [`ContentStorage`], [`open_storage`] into the plain
//! storage below it, and everything else is re-exported from the crates that do the work.
//!
//! ```
//! use strongroom::{ByteRange, ContentConfig, ExternalStorage, Location};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let store = strongroom::create("memory://example", ContentConfig::default()).await?;
//! let location = Location::parse("campaign/unit-1/energies.csv")?;
//! store.store_bytes(&location, "step,energy\n0,-1.5\n".into()).await?;
//! assert_eq!(store.load_bytes(&location, ByteRange::Last(4)).await?, "1.5\n");
//! # Ok::<(), strongroom::Error>(())
//! # }).unwrap();
//! ```
//!
//! Every call is async and wants a Tokio runtime; [`blocking`] is for programs that have none.
//!
//! With [`OpenOptions::with_cache`], for instance of [`open_storage`] with the path of a folder, digests that were computed on
//! demand are remembered, and of a store that is not local, what its indexes say. The cache may be deleted at any time.
#![forbid(unsafe_code)]

mod cache;
mod url;

use std::path::PathBuf;
use std::sync::Arc;

pub use cache::cache_folder;
#[cfg(feature = "cloud")]
pub use strongroom_cloud as cloud;
pub use strongroom_content as content;
pub use strongroom_content::{
    Address, Attributes, Batch, CollectOptions, ContentConfig, ContentStorage, Layout, Namespace, ObjectRef,
    OpenOptions, PutOptions, Snapshot, VerifyOptions, Version,
};
pub use strongroom_storage::{
    ByteRange, ByteStream, Capabilities, Copied, Digest, DigestSet, Digests, Durability, Error, ErrorKind,
    ExternalStorage, FileIdentity, FileStorage, Hasher, ListOptions, Listing, LoadOptions, Loaded, LocalPath, Location,
    MemoryStorage, Metadata, NewFile, ObjectReader, PrefixStorage, ReadOnlyStorage, Result, Sharing, Source, StoreItem,
    StoreMode, StoreOptions, Stored, TargetFile, blocking, unblock,
};
pub use strongroom_workflow as workflow;

/// Opens the plain storage at `url`: a path, `file:///path`, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`
/// (`abfs://container@account/prefix`), `https://host/prefix` to read only, or `memory://name`.
///
/// Buckets and their credentials are those of the environment, see [`cloud::ObjectStorage::open`]; whoever needs more gives
/// [`ContentStorage::open`] a storage made by [`cloud::ObjectStorage::builder`]. Storages in memory are those of this process; the same
/// name is the same storage.
///
/// # Errors
/// [`ErrorKind::Invalid`] if it is no such URL, or the environment does not say enough of a bucket; [`ErrorKind::Unsupported`] if
/// this build has no storage of that kind.
pub fn open_storage(url: &str) -> Result<Arc<dyn ExternalStorage>> {
    url::parse(url)?.open()
}

/// Makes the folder at `url` if need be and shares it: what anybody puts there from now on is shared, see [`FileStorage::share`].
///
/// ```
/// # use strongroom::{ContentConfig, Sharing};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let folder = tempfile::tempdir().unwrap();
/// # let url = folder.path().join("store").display().to_string();
/// strongroom::share_storage(&url, Sharing::Group).await?;
/// let store = strongroom::create(&url, ContentConfig::default()).await?;
/// # Ok::<(), strongroom::Error>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// [`ErrorKind::Invalid`] if it is not a folder that `url` names; otherwise as for [`open_storage`] and
/// [`FileStorage::share`].
pub async fn share_storage(url: &str, sharing: Sharing) -> Result<()> {
    url::parse(url)?.share(sharing).await
}

/// The local folder that the storage at `url` is in, where it is in one.
///
/// # Errors
/// As for [`open_storage`].
pub fn local_root(url: &str) -> Result<Option<PathBuf>> {
    url::parse(url).map(url::StorageUrl::local_root)
}

/// Opens the content store at `url`; see [`open_storage`] for URLs.
///
/// # Errors
/// [`ErrorKind::Missing`] if there is none; otherwise as for [`open_storage`] and [`ContentStorage::open`].
pub async fn open(url: &str) -> Result<ContentStorage> {
    open_with(url, OpenOptions::default()).await
}

/// Opens the content store at `url` with options.
///
/// # Errors
/// As for [`open`].
pub async fn open_with(url: &str, options: OpenOptions) -> Result<ContentStorage> {
    ContentStorage::open(open_storage(url)?, options).await
}

/// Makes a content store at `url`, or opens the one that is there, whose own configuration then holds.
///
/// # Errors
/// As for [`open_storage`] and [`ContentStorage::create`].
pub async fn create(url: &str, config: ContentConfig) -> Result<ContentStorage> {
    create_with(url, config, OpenOptions::default()).await
}

/// Makes a content store at `url` with options, or opens the one that is there.
///
/// # Errors
/// As for [`create`].
pub async fn create_with(url: &str, config: ContentConfig, options: OpenOptions) -> Result<ContentStorage> {
    ContentStorage::create(open_storage(url)?, config, options).await
}

/// The examples of `README.md` are compiled and run like those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
