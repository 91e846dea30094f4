//! Object storage as a backend: S3 and whatever speaks its protocol, Google Cloud Storage, Azure Blob Storage, and web servers to
//! read from.
//!
//! [`ObjectStorage::open`] takes a URL; credentials and endpoints come from the environment variables that each service's own
//! tools use. The requests are made by the crate [`object_store`], which no other crate of strongroom knows.
#![forbid(unsafe_code)]

mod builder;
mod checksum;
mod download;
mod error;
mod requests;
mod retries;
mod service;
mod storage;
mod upload;

pub use builder::ObjectStorageBuilder;
pub use requests::RequestCounts;
pub use storage::ObjectStorage;
