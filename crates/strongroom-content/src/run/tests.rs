//! Runs that are sound as files and yet not what they should be.

use std::sync::Arc;

use bytes::Bytes;
use strongroom_storage::{ErrorKind, ExternalStorage, Location, MemoryStorage};

use super::{Cursor, Header, Merge, Run, RunWriter};
use crate::config::Compression;
use crate::content::Content;
use crate::entry::{Attributes, Entry, Object};
use crate::names::LogName;
use crate::namespace::Namespace;
use crate::nonce::Nonce;

fn entry(name: &str, version: u64) -> Entry {
    let content = Content::inline(Bytes::copy_from_slice(name.as_bytes()));
    let object = Some(Object { content, attributes: Attributes::default() });
    Entry { name: name.into(), version, time: 0, object }
}

/// Stores a run of versions 3 to 4 with these entries, and reads all of it.
async fn read(entries: &[Entry]) -> Result<Vec<Entry>, ErrorKind> {
    let mut writer = RunWriter::new(Compression::None);
    entries.iter().for_each(|entry| writer.push(entry));
    let header = Header {
        log: LogName::Namespace(Namespace::root()),
        version: 4,
        first: 3,
        commit: Nonce::from_bytes([7; 16]),
        time: 0,
        put: 0,
        removed: 0,
        author: "".into(),
        message: "".into(),
    };
    let backend: Arc<dyn ExternalStorage> = Arc::new(MemoryStorage::new());
    let location = Location::parse("run").expect("valid");
    backend.store_bytes(&location, writer.finish(&header).concat().into()).await.expect("memory takes it");
    let run = Run::open(&backend, location).await.map_err(|error| error.kind())?;
    let cursor = Cursor::seek(Arc::new(run), "").await.map_err(|error| error.kind())?;
    let mut merge = Merge::new(vec![cursor]);
    let mut found = Vec::new();
    while let Some(entry) = merge.next().await.map_err(|error| error.kind())? {
        found.push(entry);
    }
    Ok(found)
}

#[tokio::test]
async fn what_was_written_in_order_reads_back() {
    let entries: Vec<Entry> = (0..2000).map(|n| entry(&format!("name-{n:05}"), 3 + n % 2)).collect();
    assert_eq!(read(&entries).await, Ok(entries));
}

#[tokio::test]
async fn entries_of_versions_that_the_run_does_not_hold_are_corrupt() {
    for version in [2, 5] {
        assert_eq!(read(&[entry("a", version)]).await, Err(ErrorKind::Corrupt));
    }
}

#[tokio::test]
async fn names_out_of_order_are_corrupt_within_a_block_and_across_blocks() {
    assert_eq!(read(&[entry("b", 3), entry("a", 3)]).await, Err(ErrorKind::Corrupt));
    let mut entries: Vec<Entry> = (0..2000).map(|n| entry(&format!("name-{n:05}"), 3)).collect();
    entries.swap(0, 1999);
    assert_eq!(read(&entries).await, Err(ErrorKind::Corrupt));
}
