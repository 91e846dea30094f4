//! Content-addressed storage over any backend.
//!
//! [`ContentStorage`] takes an `Arc<dyn ExternalStorage>` and is one itself. It needs no database, no server and no lock: the
//! store is the folder or the bucket. Everything in it that matters is immutable, and there is one rule for coordination:
//! create-if-absent. `FORMAT.md` describes every byte, `ARCHITECTURE.md` why it is so.
//!
//! It is not a file system (no partial writes, no locks), not an archive format, and not encrypted.
//!
//! | type | what it is |
//! |---|---|
//! | [`ContentStorage`] | a handle on a store |
//! | [`Batch`] | puts, links and removals that appear together |
//! | [`ObjectRef`] | an object that was found, by name, at a version, or by digest |
//! | [`Address`] | what a reader gives: a name or a digest |
//! | [`Snapshot`] | a namespace at one version |
//! | [`Commit`], [`Difference`], [`Tag`] | history |
//! | [`VerifyReport`], [`Usage`] | the state of a store |
//! | [`CollectOptions`], [`CollectReport`] | taking away what no name needs |
//! | [`SyncOptions`], [`SyncReport`] | bringing one store's names and content into another |
//! | [`MirrorOptions`], [`MirrorReport`] | a store that has another's files and history as they are |
//! | [`RepairOptions`], [`RepairReport`] | mending what is lost or damaged |
//! | [`RebuildOptions`], [`RebuildReport`] | naming content whose names are lost |
//! | [`ContentConfig`], [`OpenOptions`], [`PutOptions`] | how a store is made, opened, and written to |
#![forbid(unsafe_code)]

mod address;
mod batch;
mod cache;
mod catalog;
mod chunk;
mod chunker;
mod codec;
mod collect;
mod commit;
mod compress;
mod config;
mod content;
mod descriptor;
mod durable;
mod entry;
mod envelope;
mod external;
mod filter;
mod find;
mod grid;
mod group;
mod history;
mod index;
mod list;
mod mirror;
mod mutation;
mod names;
mod namespace;
mod nonce;
mod object;
mod pack;
mod paths;
mod read;
mod rebuild;
mod record;
mod repair;
mod run;
mod session;
#[cfg(test)]
mod simulation;
mod snapshot;
mod sole_writer;
mod store;
mod sync;
mod tag;
mod usage;
mod verify;
mod version;
mod writer;

pub use address::Address;
pub use batch::{Batch, BatchReceipt, Progress, PutOptions};
pub use collect::{CollectOptions, CollectProgress, CollectReport, CollectStep, Condemned, NamespaceHistory, Reason};
pub use config::{ChunkSizes, Compression, ContentConfig, Layout, OpenOptions};
pub use content::Kept;
pub use descriptor::FORMAT;
pub use entry::Attributes;
pub use history::{Commit, Difference};
pub use mirror::{MirrorOptions, MirrorReport};
pub use namespace::Namespace;
pub use nonce::Nonce;
pub use object::ObjectRef;
pub use rebuild::{RebuildOptions, RebuildReport};
pub use repair::{Dropped, RepairOptions, RepairReport};
pub use snapshot::Snapshot;
pub use store::ContentStorage;
pub use sync::{SyncOptions, SyncReport, SyncedNamespace};
pub use tag::Tag;
pub use usage::{NamespaceUsage, Usage};
pub use verify::{Problem, VerifyOptions, VerifyReport};
pub use version::Version;
