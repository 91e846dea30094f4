//! Storage for the units of a workflow: register, transfer, load.
#![forbid(unsafe_code)]

mod handle;
mod manager;
mod namespace;
mod receipt;
mod resource;
mod scratch;
mod storages;

pub use handle::Handle;
pub use manager::StorageManager;
pub use namespace::Namespace;
pub use receipt::{Receipt, ReceiptEntry};
pub use resource::Resource;
pub use storages::{StorageName, Storages};
