//! The storage trait of strongroom, the words it speaks, and its file and memory backends.
//!
//! [`ExternalStorage`] is a flat map from [`Location`] to bytes with ten numbered promises. Everything above it (content
//! addressing, workflow storage, the command line) works on any implementation of it.
#![forbid(unsafe_code)]

pub mod blocking;
mod buffer;
mod digest;
mod error;
mod file;
mod host;
mod location;
mod memory;
mod options;
mod prefix;
mod read_only;
mod source;
mod storage;
mod target;
mod unblock;

pub use buffer::ReadBuffer;
pub use digest::{Digest, DigestSet, Digests, Hasher, Md5Digest, Sha256Digest};
pub use error::{Error, ErrorKind, Result};
pub use file::{FileConfig, FileStorage, Onlooker, Sharing};
pub use host::{Host, SystemHost};
pub use location::Location;
pub use memory::MemoryStorage;
pub use options::{
    ByteRange, ByteStream, Capabilities, Copied, Durability, ListOptions, ListedObject, Listing, LoadOptions, Loaded,
    LocalPath, Metadata, StoreItem, StoreMode, StoreOptions, Stored,
};
pub use prefix::PrefixStorage;
pub use read_only::ReadOnlyStorage;
pub use source::{FileIdentity, PathSource, Source, SourceFile};
pub use storage::{ContentNamer, ExternalStorage, ObjectReader, PieceVisitor};
pub use target::{NewFile, TargetFile};
pub use unblock::{unblock, unblock_inline};
