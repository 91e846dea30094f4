//! Objects as they are found: by name, by name at a version, or by digest.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use strongroom_storage::{
    ByteRange, Copied, Digest, DigestSet, Digests, Error, ErrorKind, Hasher, LoadOptions, Loaded, LocalPath, Location,
    NewFile, Result, TargetFile, unblock,
};

use crate::chunk::{CHUNK_BYTES, LIST_BODY_EXTRA_BYTES, List};
use crate::content::{Body, Kept};
use crate::entry::{Attributes, Entry, Object, from_microseconds};
use crate::namespace::Namespace;
use crate::read::to_usize;
use crate::store::Inner;
use crate::version::Version;

/// An object that was found. It stays readable for the store's grace period, also when its name is removed.
#[derive(Clone, Debug)]
pub struct ObjectRef {
    store: Arc<Inner>,
    location: Location,
    name: Option<Arc<str>>,
    version: u64,
    time: i64,
    pub(crate) object: Object,
}

impl ObjectRef {
    pub(crate) fn named(store: Arc<Inner>, location: Location, entry: Entry) -> Option<Self> {
        let Entry { name, version, time, object } = entry;
        Some(Self { store, location, name: Some(name), version, time, object: object? })
    }

    pub(crate) fn unnamed(store: Arc<Inner>, location: Location, object: Object) -> Self {
        Self { store, location, name: None, version: 0, time: 0, object }
    }

    /// Where it was found: its location, or `b3:<digest>`.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Its location without the namespace; empty if it was found by digest.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// Whether it was found in `store`, by this handle or another.
    pub(crate) fn is_of(&self, store: &Inner) -> bool {
        self.store.descriptor.id == store.descriptor.id
    }

    /// Whether content and attributes are the same.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.digest() == other.digest() && self.object.attributes == other.object.attributes
    }

    /// Whether it was found by its name, so that version, time and attributes are known.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.name.is_some()
    }

    /// Its BLAKE3 digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.object.content.digest
    }

    /// All digests on record.
    #[must_use]
    pub fn digests(&self) -> Digests {
        let mut digests = self.object.attributes.digests();
        digests.blake3 = Some(self.digest());
        digests
    }

    /// Digests of its content: those on record, and those in `set` that are not, from the cache or by reading all of it.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub async fn compute_digests(&self, set: DigestSet) -> Result<Digests> {
        let known = self.digests();
        if set.without(&known).is_empty() {
            return Ok(known);
        }
        let known = known.or(self.store.cache.digests_of(&self.digest()).await);
        let wanted = set.without(&known);
        if wanted.is_empty() {
            return Ok(known);
        }
        let stream = self.load(ByteRange::All).await?.into_stream();
        let digests = known.or(Hasher::new(wanted).read(stream).await?.finish());
        self.store.cache.remember(&self.digest(), &digests).await;
        Ok(digests)
    }

    /// The same object with MD5 and SHA-256 on record where `digests` has them; linked to its location it is kept so.
    ///
    /// They are taken as they are: compute them of the bytes that [`load`](Self::load) gives.
    #[must_use]
    pub fn with_digests(mut self, digests: &Digests) -> Self {
        self.object.attributes = self.object.attributes.with_digests(digests);
        self
    }

    /// Its size, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.object.content.size
    }

    /// The facts that were stored beside its bytes.
    #[must_use]
    pub fn attributes(&self) -> &Attributes {
        &self.object.attributes
    }

    /// The version that put it there; 0 if it was found by digest.
    #[must_use]
    pub fn version(&self) -> Version {
        Version::new(self.version)
    }

    /// When it was put there.
    #[must_use]
    pub fn stored_at(&self) -> Option<SystemTime> {
        self.name.is_some().then(|| from_microseconds(self.time))
    }

    /// How it is kept.
    #[must_use]
    pub fn kept(&self) -> Kept {
        self.object.content.kept()
    }

    /// Of how many chunks it is made; for a whole file, of how many it is verified by.
    #[must_use]
    pub fn chunk_count(&self) -> u64 {
        match &self.object.content.body {
            Body::Inline(_) => 0,
            Body::Packed(_) => 1,
            Body::Chunked(List::Inline(chunks)) => chunks.len() as u64,
            Body::Chunked(List::Packed(_, size)) => {
                u64::from(*size).saturating_sub(LIST_BODY_EXTRA_BYTES as u64) / CHUNK_BYTES as u64
            }
            Body::Whole(..) => self.size().div_ceil(crate::chunk::GRID_BYTES).max(1),
        }
    }

    /// Opens the bytes `range`; every one is verified before it is handed out.
    ///
    /// # Errors
    /// `Invalid` if the range begins behind the object's end; `Corrupt`, here or in the stream, if content is lost or damaged;
    /// `Missing` if it is of an older version and was collected.
    pub async fn load(&self, range: ByteRange) -> Result<Loaded> {
        let content = &self.object.content;
        let range = range.resolve(content.size, &self.location)?;
        let stream = match self.store.open_content(content, range.clone(), self.location.as_str()).await {
            Ok(stream) => stream,
            Err(error) => return Err(self.explain(error).await),
        };
        let object = self.clone();
        let stream = stream.or_else(move |error| {
            let object = object.clone();
            async move { Err(object.explain(error).await) }
        });
        Ok(Loaded::new(&self.location, content.size, range, stream.boxed()))
    }

    /// What a failed read means: what a later version has replaced or removed may have been collected.
    async fn explain(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::Corrupt || !self.is_named() {
            return error;
        }
        let (namespace, name) = Namespace::split_text(&self.location);
        let newest = async { self.store.names.current_in(namespace).await?.get(name).await };
        match newest.await {
            Ok(newest) if newest.as_ref().is_none_or(|newest| newest.version != self.version) => {
                let detail = format!(
                    "what version {} of its namespace put here was replaced or removed later, and is not kept any more",
                    self.version
                );
                Error::new(ErrorKind::Missing, "load", &self.location, detail).with_source(error)
            }
            _ => error,
        }
    }

    /// Writes all of it to the local file `path`, in a folder that is there: what
    /// [`load_path`](strongroom_storage::ExternalStorage::load_path) does for a location.
    ///
    /// # Errors
    /// Those of [`load_into`](Self::load_into) and of `load_path`.
    pub async fn load_path(&self, path: &Path, options: &LoadOptions) -> Result<Copied> {
        let file = NewFile::create(path).await?;
        let copied = self.load_into(file.target(), options.needed_digests()).await?;
        options.check(&self.location, &copied)?;
        file.publish(options).await?;
        Ok(copied)
    }

    /// Writes all of it into `target`, verified. Digests besides BLAKE3 are those on record, or computed.
    ///
    /// # Errors
    /// `Corrupt` if content is lost or damaged; those of writing. Then the file may hold anything.
    pub async fn load_into(&self, target: &TargetFile, digests: DigestSet) -> Result<Copied> {
        let (content, known) = (&self.object.content, self.digests());
        let copied = self.store.copy_content(content, target, digests.without(&known)).await;
        let named = |error: Error| {
            if error.operation() == "write" { error } else { error.in_operation("load", &self.location) }
        };
        let copied = match copied.map_err(named) {
            Ok(copied) => copied,
            Err(error) => return Err(self.explain(error).await),
        };
        match copied {
            Some(computed) => Ok(Copied::new(content.size, known.or(computed))),
            None => {
                let (clean, loaded) = (target.clone(), self.load(ByteRange::All).await?);
                unblock(move || clean.clear()).await?;
                let copied = loaded.into_file(target, digests.without(&known)).await?;
                Ok(Copied::new(copied.size, known.or(copied.digests)))
            }
        }
    }

    /// The bytes `range`, verified, in one piece.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub async fn load_bytes(&self, range: ByteRange) -> Result<Bytes> {
        let content = &self.object.content;
        let Body::Packed(place) = &content.body else { return self.load(range).await?.into_bytes().await };
        let range = range.resolve(content.size, &self.location)?;
        let bytes = self.store.read_chunk(&content.as_chunk(*place)).await;
        match bytes {
            Ok(bytes) => Ok(bytes.slice(to_usize(range.start)..to_usize(range.end))),
            Err(error) => Err(self.explain(error.in_operation("load", &self.location)).await),
        }
    }

    /// The file that the object is kept as, read-only, if it is kept whole on a local backend.
    ///
    /// Where the backend [can make a link](LocalPath), it is called `name`, or like the object itself, or by its digest if that
    /// is how it was found; and it stays until it is dropped, also when the object is removed and collected meanwhile. Where
    /// not, it is the store's own file, which stays for the store's grace period. Nobody may write to it but root, nor to a copy
    /// that has its permissions too.
    ///
    /// The file is verified when this process hands it out for the first time; what happens to it after that, only `verify`
    /// finds.
    ///
    /// # Errors
    /// `Unsupported` if the object is not kept so; `Corrupt` if it is damaged; `Invalid` if `name` is not a single segment.
    pub async fn local_path(&self, name: Option<&str>) -> Result<LocalPath> {
        let content = &self.object.content;
        let Body::Whole(nonce, _) = &content.body else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "path",
                &self.location,
                format!(
                    "it is kept {}, not as a file of its own; store it with layout whole, or load it to a file",
                    self.kept().as_str()
                ),
            ));
        };
        let digest = content.digest.to_string();
        let own_name = if self.is_named() { self.location.file_name() } else { &digest };
        match self.store.path_of(content, *nonce, name.unwrap_or(own_name), &self.location).await {
            Ok(path) => Ok(path),
            Err(error) => Err(self.explain(error).await),
        }
    }
}
