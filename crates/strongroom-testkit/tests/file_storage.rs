//! Plain files keep the promises of every storage, by each of the ways in which they are published.

use std::sync::Arc;

use strongroom_storage::{ExternalStorage, FileConfig, FileStorage};
use strongroom_testkit::conformance::Place;
use strongroom_testkit::conformance_tests;

/// A folder of its own, which is not there yet.
fn place(config: impl Fn() -> FileConfig + Send + Sync + 'static) -> Place {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("not/yet/there");
    Place::new(move || {
        let storage: Arc<dyn ExternalStorage> = Arc::new(FileStorage::with_config(&root, config()));
        std::future::ready(Ok(storage))
    })
    .with_guard(folder)
}

conformance_tests!(as_the_file_system_can, async || place(FileConfig::default));

conformance_tests!(with_named_files_and_links, async || {
    place(|| FileConfig::default().without_unnamed_files(true))
});

conformance_tests!(with_named_files_and_renames, async || {
    place(|| FileConfig::default().without_unnamed_files(false))
});
