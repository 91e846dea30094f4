//! Conformance suite, reference model and hostile backends for tests of storage.
#![forbid(unsafe_code)]

pub mod conformance;
mod crashing;
mod faulty;
mod host;
mod intercept;
pub mod model;
mod non_exclusive;
mod operation;
mod recording;
mod unordered;

pub use crashing::{Crash, CrashingStorage, PowerLoss};
pub use faulty::{Fault, Faults, FaultyStorage};
pub use host::TestHost;
pub use intercept::{Damage, Intercept, Intercepted, Outcome};
pub use non_exclusive::{NonExclusive, NonExclusiveStorage};
pub use operation::Operation;
pub use recording::{Recording, RecordingStorage};
pub use unordered::{Unordered, UnorderedStorage};
