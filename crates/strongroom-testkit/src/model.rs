//! A map that says what a storage should answer, and random operations to ask both.
//!
//! [`conformance_tests!`](crate::conformance_tests) makes a test of it. To compare one storage after operations of one's own:
//!
//! ```
//! # use strongroom_storage::MemoryStorage;
//! # use strongroom_testkit::model::{self, Step};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), strongroom_testkit::conformance::Failure> {
//! let steps = [Step::store("a/b", b"1"), Step::delete("a/b"), Step::delete("a/b")];
//! model::check(&MemoryStorage::new(), &steps).await
//! # }
//! ```

mod step;

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};
use strongroom_storage::{
    ByteRange, Capabilities, DigestSet, Digests, ErrorKind, ExternalStorage, ListOptions, Location, StoreItem,
    StoreMode, StoreOptions,
};

pub use step::{Step, steps};

use crate::conformance::probe::{expect_names, expect_object};
use crate::conformance::{Checked, Failure, Place, ensure, on_a_runtime, with_causes};

/// How many sequences of operations are tried, unless the environment variable `PROPTEST_CASES` says another number.
const SEQUENCES: u32 = 48;

/// What a storage should hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    objects: BTreeMap<Location, Bytes>,
}

impl Model {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What should be there.
    #[must_use]
    pub fn objects(&self) -> &BTreeMap<Location, Bytes> {
        &self.objects
    }

    /// Does a store, as a storage with these capabilities does it.
    ///
    /// # Errors
    /// The kind of error that the storage gives.
    pub fn store(
        &mut self,
        location: &Location,
        content: Bytes,
        mode: StoreMode,
        capabilities: Capabilities,
    ) -> Result<(), ErrorKind> {
        if !capabilities.nested_locations && self.is_beside_itself(location) {
            return Err(ErrorKind::Conflict);
        }
        if mode == StoreMode::Create && self.objects.contains_key(location) {
            return Err(ErrorKind::AlreadyExists);
        }
        self.objects.insert(location.clone(), content);
        Ok(())
    }

    /// Does several stores. If they fail and batches are atomic, none is done.
    ///
    /// # Errors
    /// The kind of error that the storage gives.
    pub fn store_all(
        &mut self,
        items: &[(Location, Bytes)],
        mode: StoreMode,
        capabilities: Capabilities,
    ) -> Result<(), ErrorKind> {
        let before = self.clone();
        for (location, content) in items {
            if let Err(kind) = self.store(location, content.clone(), mode, capabilities) {
                if capabilities.atomic_batches {
                    *self = before;
                }
                return Err(kind);
            }
        }
        Ok(())
    }

    /// Does a delete.
    ///
    /// # Errors
    /// The kind of error that the storage gives.
    pub fn delete(&mut self, location: &Location) -> Result<(), ErrorKind> {
        self.objects.remove(location).map(drop).ok_or(ErrorKind::Missing)
    }

    /// Whether an object is above or below this location.
    fn is_beside_itself(&self, location: &Location) -> bool {
        let nested = |above: &Location, below: &Location| {
            below.as_str().strip_prefix(above.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        self.objects.keys().any(|other| nested(other, location) || nested(location, other))
    }
}

/// Does `steps` to a storage that is empty and to a [`Model`], and compares each answer and, at the end, all that is there.
///
/// # Errors
/// They do not agree.
pub async fn check(storage: &dyn ExternalStorage, steps: &[Step]) -> Result<(), Failure> {
    let mut model = Model::new();
    for (index, step) in steps.iter().enumerate() {
        take(storage, &mut model, step)
            .await
            .map_err(|failure| Failure::new(format!("step {index}, {step:?}: {}", with_causes(&failure))))?;
    }
    for (location, content) in model.objects() {
        expect_object(storage, location, content).await?;
    }
    let all: Vec<_> = model.objects().keys().cloned().collect();
    expect_names(storage, "", &all).await
}

async fn take(storage: &dyn ExternalStorage, model: &mut Model, step: &Step) -> Checked<()> {
    let capabilities = storage.capabilities();
    match step {
        Step::Store { location, content, mode } => {
            let options = StoreOptions::default().with_mode(*mode);
            let result = storage.store(location, content.clone().into(), &options).await;
            agree(result.map(drop), model.store(location, content.clone(), *mode, capabilities))
        }
        Step::StoreAll { items, mode } => {
            let options = StoreOptions::default().with_mode(*mode);
            let batch = items.iter().map(|(location, content)| StoreItem::new(location.clone(), content.clone()));
            let result = storage.store_all(batch.collect(), &options).await;
            let expected = model.store_all(items, *mode, capabilities);
            if expected.is_err() && capabilities.atomic_batches {
                settle(storage, model, items, *mode).await?;
            }
            agree(result.map(drop), expected)
        }
        Step::Delete { location } => agree(storage.delete(location).await, model.delete(location)),
        Step::DeleteAll { locations } => {
            for location in locations {
                // What is not there is passed over.
                let _ = model.delete(location);
            }
            agree(storage.delete_all(locations).await, Ok(()))
        }
        Step::Load { location, range } => {
            let result = storage.load_bytes(location, *range).await;
            agree(result, expected_bytes(model, location, *range))
        }
        Step::Exists { location } => agree(storage.exists(location).await, Ok(model.objects.contains_key(location))),
        Step::Metadata { location } => {
            let size = model.objects.get(location).map(|content| content.len() as u64).ok_or(ErrorKind::Missing);
            agree(storage.metadata(location).await.map(|metadata| metadata.size), size)
        }
        Step::Hexdigest { location } => {
            let md5 = |content: &Bytes| Digests::of(content, DigestSet::MD5).md5.map(|md5| md5.to_string());
            let expected = model.objects.get(location).and_then(md5).ok_or(ErrorKind::Missing);
            agree(storage.hexdigest(location).await, expected)
        }
        Step::Iterate { prefix } => {
            let begins = |location: &&Location| location.as_str().starts_with(prefix.as_str());
            let expected: Vec<_> = model.objects.keys().filter(begins).cloned().collect();
            expect_names(storage, prefix, &expected).await
        }
        Step::List { prefix, start_after, limit } => {
            let mut options = ListOptions::prefix(prefix);
            options.start_after.clone_from(start_after);
            options.limit = *limit;
            let result = storage.list(&options).await;
            let names = result.map(|page| page.objects.into_iter().map(|object| object.location).collect::<Vec<_>>());
            let expected = model
                .objects
                .keys()
                .filter(|location| location.as_str().starts_with(prefix.as_str()))
                .filter(|location| start_after.as_deref().is_none_or(|after| location.as_str() > after))
                .take(limit.unwrap_or(usize::MAX))
                .cloned()
                .collect();
            agree(names, Ok(expected))
        }
    }
}

/// Of an atomic batch that failed, finds out which namespaces were done: each of them may be, but for the one that failed.
async fn settle(
    storage: &dyn ExternalStorage,
    model: &mut Model,
    items: &[(Location, Bytes)],
    mode: StoreMode,
) -> Checked<()> {
    let mut namespaces: BTreeMap<String, Vec<(Location, Bytes)>> = BTreeMap::new();
    for (location, content) in items {
        let segments: Vec<_> = location.segments().collect();
        let namespace = segments[..(segments.len() - 1).min(2)].join("/");
        namespaces.entry(namespace).or_default().push((location.clone(), content.clone()));
    }
    for items in namespaces.into_values() {
        let mut done = model.clone();
        if done.store_all(&items, mode, storage.capabilities()).is_err() {
            continue;
        }
        let mut is_done = true;
        for (location, _) in &items {
            match storage.load_bytes(location, ByteRange::All).await {
                Ok(content) => is_done &= done.objects.get(location) == Some(&content),
                Err(error) if error.is_missing() => is_done = false,
                Err(error) => return Err(error.into()),
            }
        }
        if is_done {
            *model = done;
        }
    }
    Ok(())
}

fn expected_bytes(model: &Model, location: &Location, range: ByteRange) -> Result<Bytes, ErrorKind> {
    let content = model.objects.get(location).ok_or(ErrorKind::Missing)?;
    let range = range.resolve(content.len() as u64, location).map_err(|error| error.kind())?;
    let index = |offset| usize::try_from(offset).expect("the contents of a model are in memory");
    Ok(content.slice(index(range.start)..index(range.end)))
}

fn agree<T: PartialEq + std::fmt::Debug>(
    given: strongroom_storage::Result<T>,
    expected: Result<T, ErrorKind>,
) -> Checked<()> {
    match (given, expected) {
        (Ok(given), Ok(expected)) => {
            ensure!(given == expected, "the storage says {given:?}, the map {expected:?}");
        }
        (Err(error), Err(kind)) => {
            ensure!(error.kind() == kind, "the storage says {}, the map {kind}: {error}", error.kind());
        }
        (Ok(given), Err(kind)) => return Err(Failure::new(format!("the storage says {given:?}, the map {kind}"))),
        (Err(error), Ok(_)) => return Err(error.into()),
    }
    Ok(())
}

/// Compares a storage with a [`Model`] after random sequences of [`Step`]s, each at an empty place, and panics with the
/// shortest sequence after which they do not agree.
///
/// The seeds of failures are kept beside `source_file`, and tried first the next time. The environment variable
/// `PROPTEST_CASES` says how many sequences are tried.
///
/// # Panics
/// If they do not agree.
#[track_caller]
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn assert_agrees<Fut: Future<Output = Place>>(source_file: &'static str, make: impl Fn() -> Fut) {
    let mut config = Config::with_source_file(source_file);
    config.failure_persistence = Some(Box::new(FileFailurePersistence::WithSource("seeds")));
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = SEQUENCES;
    }
    let result = TestRunner::new(config).run(&steps(), |steps| {
        on_a_runtime(async {
            let place = make().await;
            check(&*place.open().await?, &steps).await
        })
        .map_err(|failure| TestCaseError::fail(with_causes(&failure)))
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
