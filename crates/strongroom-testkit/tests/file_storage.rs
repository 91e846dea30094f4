//! Plain files keep the promises of every storage.

use std::sync::Arc;

use strongroom_storage::{ExternalStorage, FileStorage};
use strongroom_testkit::conformance::Place;
use strongroom_testkit::conformance_tests;

conformance_tests!(file_storage, async || {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("not/yet/there");
    Place::new(move || {
        let storage: Arc<dyn ExternalStorage> = Arc::new(FileStorage::new(&root));
        std::future::ready(Ok(storage))
    })
    .with_guard(folder)
});
