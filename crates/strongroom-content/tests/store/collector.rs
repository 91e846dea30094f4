//! What a collector does beside writers, step by step and by hand.

use strongroom_storage::{Digest, Location};

use crate::support::{Backend, at, files};

/// Publishes a list that names `condemned`, and says where it is.
pub async fn publish_list(backend: &Backend, condemned: &[Location]) -> Location {
    let count = files(backend, "gc/").await.len();
    let lines: String = condemned.iter().map(|location| format!("{location}\n")).collect();
    let name = at(&format!("gc/{count:032x}.list"));
    let digest = Digest::of(lines.as_bytes());
    backend.store_bytes(&name, format!("{lines}end {digest}\n").into()).await.expect("store a list");
    name
}

/// All packs and whole files.
pub async fn all_content(backend: &Backend) -> Vec<Location> {
    let mut names = files(backend, "packs/").await;
    names.extend(files(backend, "files/").await);
    names
}

/// Ends all sessions, as if none had given a sign of life for the lease.
pub async fn end_sessions(backend: &Backend) {
    for marker in files(backend, "gc/").await {
        if let Some(id) = marker.as_str().strip_suffix(".session") {
            backend.store_bytes(&at(&format!("{id}.ended")), "".into()).await.expect("end a session");
        }
    }
}

/// Removes what a list names, and then the list.
pub async fn remove(backend: &Backend, condemned: &[Location], list: &Location) {
    backend.delete_all(condemned).await.expect("remove");
    backend.delete(list).await.expect("remove the list");
}

/// The marks of sessions that nobody has ended.
pub async fn standing_sessions(backend: &Backend) -> Vec<Location> {
    let marks = files(backend, "gc/").await;
    let is_ended = |marker: &Location| {
        let ended = marker.as_str().replace(".session", ".ended");
        marks.iter().any(|mark| mark.as_str() == ended)
    };
    marks.iter().filter(|mark| mark.as_str().ends_with(".session") && !is_ended(mark)).cloned().collect()
}
