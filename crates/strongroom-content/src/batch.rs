//! Batches: any number of puts, links and removals; those of one namespace appear together or not at all.

mod changes;
mod steps;

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use futures::{FutureExt, TryStreamExt};
use strongroom_storage::{DigestSet, Digests, Error, ErrorKind, Location, Result, Source, StoreMode, Stored};

use crate::commit::Reliance;
use crate::config::Layout;
use crate::content::INLINE_MAX_BYTES;
use crate::entry::{Attributes, Object};
use crate::mutation::{self, Mutation};
use crate::names::{Action, Change, Expected, LogName};
use crate::namespace::Namespace;
use crate::object::ObjectRef;
use crate::session::Membership;
use crate::store::Inner;
use crate::version::Version;
use crate::writer::{ContentWriter, Taken};
use changes::each_name_once;
use steps::{Step, steps};

/// A commit of so many changes is built while the last of its content is made durable. It shares its version with no other.
const LARGE_COMMIT: usize = 10_000;

/// How one object is put.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PutOptions {
    /// How it is kept; by default as the store's policy says, or as it is kept already.
    pub layout: Option<Layout>,
    /// What to do when there is an object at the location already.
    pub mode: StoreMode,
    /// Digests to compute besides BLAKE3 and those of the store's policy.
    pub digests: DigestSet,
    /// Facts to keep beside the bytes.
    pub attributes: Attributes,
}

impl PutOptions {
    /// The same with a layout.
    #[must_use]
    pub fn with_layout(self, layout: Layout) -> Self {
        Self { layout: Some(layout), ..self }
    }

    /// The same with a mode.
    #[must_use]
    pub fn with_mode(self, mode: StoreMode) -> Self {
        Self { mode, ..self }
    }

    /// The same with more digests.
    #[must_use]
    pub fn with_digests(self, digests: DigestSet) -> Self {
        Self { digests, ..self }
    }

    /// The same with attributes.
    #[must_use]
    pub fn with_attributes(self, attributes: Attributes) -> Self {
        Self { attributes, ..self }
    }
}

enum Operation {
    Put(Source, PutOptions),
    Link(ObjectRef, Expected),
    Remove(Expected),
    /// Not to be done, and why.
    Refused(&'static str),
}

impl Operation {
    /// Whether it puts content that may have to be looked for.
    fn has_content(&self) -> bool {
        match self {
            Self::Put(Source::Bytes(bytes), _) => bytes.len() > INLINE_MAX_BYTES,
            Self::Put(..) => true,
            Self::Link(..) | Self::Remove(_) | Self::Refused(_) => false,
        }
    }
}

/// A view of a batch's progress: how many objects and bytes were taken in so far.
pub type Progress = Arc<dyn Fn(usize, u64) + Send + Sync>;

/// Operations that are committed together. Where a location is named twice, the last operation counts.
///
/// Nothing is read or written before [`commit`](Self::commit).
///
/// Who looks at an object and decides by what it is names the object, not only its location:
/// [`remove_found`](Self::remove_found) and [`replace_found`](Self::replace_found) take away only what was found. Where it
/// was replaced or removed since, the commit fails with [`ErrorKind::Changed`], also if an equal object stands there now: of
/// any number of commits that take away the same found object, one succeeds. The object must stand when the batch is
/// committed, whatever else the batch does at its location.
pub struct Batch {
    store: Arc<Inner>,
    operations: Vec<(Location, Operation)>,
    message: String,
    operation: &'static str,
    progress: Option<Progress>,
}

/// What a batch did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BatchReceipt {
    /// The objects that were put or linked, in the order of the operations.
    pub stored: Vec<Stored>,
    /// The version of each namespace after its commit. A namespace in which nothing changed keeps its version.
    ///
    /// In a process that stalled for longer than the store's lease, a commit is made twice; what somebody else has put or removed
    /// in between stays, and this is the later version.
    pub versions: BTreeMap<Namespace, Version>,
}

impl Batch {
    pub(crate) fn new(store: Arc<Inner>) -> Self {
        Self { store, operations: Vec::new(), message: String::new(), operation: "store", progress: None }
    }

    /// Says in the history why.
    #[must_use]
    pub fn with_message(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..self }
    }

    /// Calls `progress` after each object that was taken in.
    #[must_use]
    pub fn with_progress(self, progress: Progress) -> Self {
        Self { progress: Some(progress), ..self }
    }

    /// The word that errors begin with; `store` by default.
    pub(crate) fn with_operation(self, operation: &'static str) -> Self {
        Self { operation, ..self }
    }

    /// Puts `source` at `location`.
    pub fn put(&mut self, location: Location, source: impl Into<Source>, options: PutOptions) -> &mut Self {
        self.with(location, Operation::Put(source.into(), options))
    }

    /// Puts an object of this store under another name, without its bytes moving. An object of another store makes the commit
    /// fail with `Invalid`.
    pub fn link(&mut self, location: Location, object: ObjectRef, mode: StoreMode) -> &mut Self {
        self.with_link(location, object, expected(mode))
    }

    /// Puts `object` where `found` was found, if that still stands there; the commit fails with `Changed` if it was replaced
    /// or removed since, and with `Invalid` if one of them is of another store or `found` was found by its digest.
    pub fn replace_found(&mut self, found: &ObjectRef, object: ObjectRef) -> &mut Self {
        match found_there(&self.store, found) {
            Ok(expected) => self.with_link(found.location().clone(), object, expected),
            Err(why) => self.with(found.location().clone(), Operation::Refused(why)),
        }
    }

    /// Removes the object at `location`; the commit fails with `Missing` if there is none.
    pub fn remove(&mut self, location: Location) -> &mut Self {
        self.with(location, Operation::Remove(Expected::Present))
    }

    /// Removes the object at `location` if there is one.
    pub fn remove_if_present(&mut self, location: Location) -> &mut Self {
        self.with(location, Operation::Remove(Expected::PresentOrPass))
    }

    /// Removes `found`, if it still stands where it was found; otherwise as [`replace_found`](Self::replace_found).
    pub fn remove_found(&mut self, found: &ObjectRef) -> &mut Self {
        let operation = found_there(&self.store, found).map_or_else(Operation::Refused, Operation::Remove);
        self.with(found.location().clone(), operation)
    }

    fn with_link(&mut self, location: Location, object: ObjectRef, expected: Expected) -> &mut Self {
        let operation = match object.is_of(&self.store) {
            true => Operation::Link(object, expected),
            false => Operation::Refused("the object to link is in another store; store its bytes, or use `sync`"),
        };
        self.with(location, operation)
    }

    fn with(&mut self, location: Location, operation: Operation) -> &mut Self {
        self.operations.push((location, operation));
        self
    }

    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Stores all content, then commits to each namespace, in their order.
    ///
    /// When this returns `Ok`, everything is durable and visible. In one namespace all of it appears at once.
    ///
    /// # Errors
    /// Those of [`store`](strongroom_storage::ExternalStorage::store) for each put; `Missing` for a removal of what is not
    /// there; `Changed` for what was found and does not stand there any more. Then nothing appears in that namespace nor in
    /// those after it. Namespaces before it are committed only if it was somebody else's commit meanwhile, or the backend,
    /// that made it fail; then the error says that it [may have happened](Error::may_have_happened).
    pub async fn commit(self) -> Result<BatchReceipt> {
        if self.operations.is_empty() {
            return Ok(BatchReceipt { stored: Vec::new(), versions: BTreeMap::new() });
        }
        let store = self.store.clone();
        let mut membership = store.sessions.join().await?;
        let result = store.packer.driving(Box::pin(self.commit_within(&store, &mut membership))).await;
        membership.leave().await;
        result
    }

    async fn commit_within<'a>(self, store: &'a Arc<Inner>, membership: &mut Membership<'a>) -> Result<BatchReceipt> {
        let Self { operations, message, operation, progress, .. } = self;
        let mut writer = ContentWriter::new(store.clone(), membership.session().clone());
        if operations.iter().any(|(_, operation)| operation.has_content()) {
            // What is known to be there need not be compressed.
            store.catalog.learn_for(membership.session()).await?;
        }
        let (changes, stored) = take_in(store, &mut writer, operations, operation, progress).await?;
        let arriving = writer.finish().boxed().shared();
        let mut reliance = Reliance::on_content(membership.session());
        if changes.len() == 1 && changes.values().all(|changes| changes.len() >= LARGE_COMMIT) {
            reliance = reliance.with_arriving(arriving.clone());
        } else if !mutation::is(Mutation::PublishedBeforeContent) {
            arriving.clone().await?;
        }
        let commits: Vec<(Namespace, Vec<Change>)> = changes
            .into_iter()
            .map(|(namespace, changes)| {
                let changes = each_name_once(changes, operation, &namespace)?;
                Ok((namespace, changes))
            })
            .collect::<Result<_>>()?;
        if commits.len() > 1 {
            // What can be refused is refused before the first of them is made.
            for (namespace, changes) in &commits {
                let info = store.commit_info(operation, &message)?;
                store.names.check(&LogName::Namespace(namespace.clone()), changes, &info).await?;
            }
        }
        let mut receipt = BatchReceipt { stored, versions: BTreeMap::new() };
        let mut committed = false;
        for (namespace, changes) in commits {
            let info = store.commit_info(operation, &message)?;
            let log = LogName::Namespace(namespace.clone());
            let mut changes = changes;
            if mutation::is(Mutation::BatchInTwo) && changes.len() > 1 {
                let half = vec![changes.remove(0)];
                store.commit(membership, reliance.clone(), &log, half, &info).await?;
            }
            // An earlier namespace has its part of the batch already.
            let partly = |error: Error| if committed { error.with_outcome_unknown() } else { error };
            let published = store.commit(membership, reliance.clone(), &log, changes, &info).await.map_err(partly)?;
            committed |= published.made;
            receipt.versions.insert(namespace, Version::new(published.version));
        }
        if mutation::is(Mutation::PublishedBeforeContent) {
            arriving.await?;
        }
        // A hint that could not be written costs a later reader a little time.
        store.catalog.cover(membership.session()).await.unwrap_or_default();
        Ok(receipt)
    }
}

/// Takes in the content of `operations`. Returns what they change in each namespace, and the objects that are put.
async fn take_in(
    store: &Arc<Inner>,
    writer: &mut ContentWriter,
    operations: Vec<(Location, Operation)>,
    operation: &'static str,
    progress: Option<Progress>,
) -> Result<(BTreeMap<Namespace, Vec<Change>>, Vec<Stored>)> {
    let mut all: BTreeMap<Namespace, Vec<Change>> = BTreeMap::new();
    let mut stored = Vec::with_capacity(operations.len());
    let mut bytes = 0;
    let mut steps = pin!(steps(store, operations));
    while let Some(together) = steps.try_next().await? {
        writer.beat().await?;
        for (location, step) in together {
            let named = |error: Error| error_at(error, operation, &location);
            let (object, digests, expected) = match step {
                Step::Put(prepared, options) => {
                    let prepared = prepared.map_err(named)?;
                    if prepared.is_large() {
                        store.note_present(&location).await?;
                    }
                    let Taken { content, digests } = writer.place(prepared).await.map_err(named)?;
                    let attributes = options.attributes.with_digests(&digests);
                    (Some(Object { content, attributes }), digests, expected(options.mode))
                }
                Step::Link(object, expected) => {
                    let content = match mutation::is(Mutation::LinkOfListed) {
                        false => writer.secure(&object.object.content).await.map_err(named)?,
                        true => object.object.content.clone(),
                    };
                    let attributes = object.object.attributes.clone();
                    (Some(Object { content, attributes }), object.digests(), expected)
                }
                Step::Remove(expected) => (None, Digests::default(), expected),
                Step::Refused(why) => return Err(Error::new(ErrorKind::Invalid, operation, &location, why)),
            };
            let (namespace, name) = Namespace::split_text(&location);
            let changes = match all.get_mut(namespace) {
                Some(changes) => changes,
                None => all.entry(Namespace::of(&location)).or_default(),
            };
            let name = name.into();
            let Some(object) = object else {
                changes.push(Change { name, action: Action::Remove, expected });
                continue;
            };
            let size = object.content.size;
            changes.push(Change { name, action: Action::Put(object), expected });
            stored.push(Stored::new(location, size, digests));
            if let Some(progress) = &progress {
                bytes += size;
                progress(stored.len(), bytes);
                // Nobody knows how long that took.
                writer.beat().await?;
            }
        }
    }
    Ok((all, stored))
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("operations", &self.operations.len()).finish_non_exhaustive()
    }
}

fn expected(mode: StoreMode) -> Expected {
    match mode {
        StoreMode::Overwrite => Expected::Any,
        StoreMode::Create => Expected::Absent,
    }
}

/// That `found` stands in `store` where it was found; or why that can't be.
fn found_there(store: &Inner, found: &ObjectRef) -> Result<Expected, &'static str> {
    match found.is_named() {
        _ if !found.is_of(store) => Err("what was found is in another store; find it in this one"),
        false => Err("it was found by its digest, which says of no name what it stands for; find it by its name"),
        true => Ok(Expected::PutBy(found.version().get())),
    }
}

impl Inner {
    /// Notes how large the object at `location` is: what is stored there again is likely to be the same.
    async fn note_present(&self, location: &Location) -> Result<()> {
        let (namespace, name) = Namespace::split(location);
        let state = self.names.current(&LogName::Namespace(namespace), None).await?;
        if let Some(object) = state.get(name).await?.and_then(|entry| entry.object) {
            self.catalog.note_size(object.content.size);
        }
        Ok(())
    }
}

/// An error about a local file names the file; one about the store names the location.
fn error_at(error: Error, operation: &'static str, location: &Location) -> Error {
    if error.operation() == "read" { error } else { error.in_operation(operation, location) }
}
