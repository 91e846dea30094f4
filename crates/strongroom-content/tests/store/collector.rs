//! What a collector leaves in a store while it works, made by hand.

use strongroom_storage::Location;

use crate::support::{Backend, at, files};

/// Publishes a list that names `condemned`.
pub async fn publish_list(backend: &Backend, condemned: &[Location]) {
    let count = files(backend, "gc/").await.len();
    let lines: String = condemned.iter().map(|location| format!("{location}\n")).collect();
    let name = at(&format!("gc/{count:032x}.list"));
    backend.store_bytes(&name, format!("{lines}end\n").into()).await.expect("store a list");
}
