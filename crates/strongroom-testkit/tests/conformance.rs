//! The suite, on the backends that need no server.

use std::sync::Arc;

use strongroom_storage::{Location, MemoryStorage, PrefixStorage};
use strongroom_testkit::conformance::Place;
use strongroom_testkit::{RecordingStorage, conformance_tests};

fn memory() -> Arc<MemoryStorage> {
    Arc::new(MemoryStorage::new())
}

conformance_tests!(memory_storage, || async { Place::of(memory()) });

conformance_tests!(prefix_storage, || async {
    let prefix = Location::parse("campaign/7").expect("a location");
    Place::of(Arc::new(PrefixStorage::new(memory(), prefix)))
});

conformance_tests!(recording_storage, || async { Place::of(Arc::new(RecordingStorage::new(memory()))) });
