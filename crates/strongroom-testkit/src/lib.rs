//! Conformance suite, reference model and hostile backends for tests of storage.
//!
//! For whoever writes a backend, a wrapper of one, or something that stands on one. A dev-dependency, never a dependency: its
//! storages are made to fail.
//!
//! # A new backend
//! One line makes a test of each promise of [`ExternalStorage`](strongroom_storage::ExternalStorage), and one that compares
//! random operations with a map:
//!
//! ```
//! use std::sync::Arc;
//! use strongroom_storage::{ExternalStorage, FileStorage};
//! use strongroom_testkit::conformance::Place;
//! use strongroom_testkit::conformance_tests;
//!
//! conformance_tests!(file_storage, async || {
//!     let folder = tempfile::tempdir().expect("a temporary folder");
//!     let root = folder.path().to_path_buf();
//!     Place::new(move || {
//!         let handle: Arc<dyn ExternalStorage> = Arc::new(FileStorage::new(&root));
//!         std::future::ready(Ok(handle))
//!     })
//!     .with_guard(folder)
//! });
//! ```
//!
//! # Something that stands on a storage
//!
//! | type | what it does |
//! |---|---|
//! | [`RecordingStorage`] | remembers each request, to count them and to see their order |
//! | [`FaultyStorage`] | fails operation n, before or after it took effect; damages what is read |
//! | [`CrashingStorage`] | stops after n operations, and keeps what the next process finds; loses what was not durable |
//! | [`NonExclusiveStorage`] | claims to create exclusively and overwrites |
//! | [`FarStorage`] | says that it is not local |
//! | [`UnorderedStorage`] | does not claim cheap listings in order |
//! | [`Intercepted`] | a storage with anybody in between: these five are made of it, and so is the next one |
//! | [`Simulation`] | processes that take turns, stall and die, on machines whose clocks differ; all of it from a seed |
//! | [`TestHost`] | clocks that stand still until they are moved, and randomness from a seed |
//!
//! # Why so
//! A promise that no test is named for is not kept for long. The cases themselves are tested too: each of them fails for a
//! backend that is broken in one way, and passes when it is mended.
#![forbid(unsafe_code)]

pub mod conformance;
mod crashing;
mod far;
mod faulty;
mod host;
mod intercept;
pub mod model;
mod non_exclusive;
mod operation;
mod recording;
mod simulation;
mod unordered;

pub use crashing::{Crash, CrashingStorage, PowerLoss};
pub use far::{Far, FarStorage};
pub use faulty::{Fault, Faults, FaultyStorage};
pub use host::TestHost;
pub use intercept::{Damage, Intercept, Intercepted, Outcome};
pub use non_exclusive::{NonExclusive, NonExclusiveStorage};
pub use operation::Operation;
pub use recording::{Recording, RecordingStorage};
pub use simulation::{Dice, Simulation, Step, Turns, Watch, Weather};
pub use unordered::{Unordered, UnorderedStorage};
