//! Finding objects: by name, by prefix, by digest.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use strongroom_storage::{Digest, Error, ErrorKind, ListOptions, Location, Result};

use crate::chunk::{Chunk, List};
use crate::content::{Body, Content, cell_count, total_size};
use crate::entry::{Attributes, Object};
use crate::names::{LogName, State};
use crate::namespace::Namespace;
use crate::object::ObjectRef;
use crate::paths::{self, EncodedNamespace};
use crate::record::{DigestPrefix, Kind};
use crate::run::{Merge, Run};
use crate::store::{ContentStorage, Inner};

/// How many candidates an error about an ambiguous digest names.
const CANDIDATES_SHOWN: usize = 8;

impl ContentStorage {
    /// The object at `location`.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is none.
    pub async fn find(&self, location: &Location) -> Result<ObjectRef> {
        self.find_for("find", location).await
    }

    pub(crate) async fn find_for(&self, operation: &'static str, location: &Location) -> Result<ObjectRef> {
        let (namespace, name) = Namespace::split(location);
        let state = self.inner.names.current(&LogName::Namespace(namespace), None).await?;
        let entry = state.get(name).await?;
        entry
            .and_then(|entry| ObjectRef::named(self.inner.clone(), location.clone(), entry))
            .ok_or_else(|| Error::missing(operation, location))
    }

    /// All objects whose location begins with the string `prefix`, namespace by namespace, each in order of its names.
    pub fn objects(&self, prefix: &str) -> BoxStream<'static, Result<ObjectRef>> {
        let (store, prefix) = (self.inner.clone(), prefix.to_string());
        stream::once(async move {
            let namespaces = store.namespaces(&prefix).await?;
            let objects = stream::iter(namespaces.into_iter().map(Ok)).and_then(move |(namespace, names)| {
                let store = store.clone();
                async move { store.objects_in(namespace, names).await }
            });
            Ok::<_, Error>(objects.try_flatten())
        })
        .try_flatten()
        .boxed()
    }

    /// All namespaces with at least one commit whose locations can begin with the string `prefix`.
    ///
    /// # Errors
    /// Those of the backend.
    pub async fn namespaces(&self, prefix: &str) -> Result<Vec<Namespace>> {
        Ok(self.inner.namespaces(prefix).await?.into_iter().map(|(namespace, _)| namespace).collect())
    }

    /// The object with this digest: `b3:` and at least one hexadecimal digit of it, as many as make it unique; the `b3:` may be
    /// left out.
    ///
    /// Packs and files are looked through by their indexes. What is kept with its name is found by reading all names, which
    /// is done only if the digest is not given in full or not found otherwise.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is no digest, or more than one object has such a digest; [`ErrorKind::Missing`] if none has.
    pub async fn find_digest(&self, text: &str) -> Result<ObjectRef> {
        let refuse = |kind, detail: String| Err(Error::new(kind, "find", text, detail));
        let Some(prefix) = DigestPrefix::parse(text.strip_prefix("b3:").unwrap_or(text)) else {
            return refuse(ErrorKind::Invalid, "expected `b3:` and up to 64 hexadecimal digits".into());
        };
        self.inner.catalog.learn().await?;
        let mut digests: BTreeSet<Digest> =
            self.inner.catalog.search(&prefix).into_iter().map(|found| found.digest).collect();
        digests.extend(self.inner.catalog.search_files(&prefix));
        let mut inline = None;
        if digests.is_empty() || prefix.whole().is_none() {
            let mut objects = self.objects("");
            while let Some(object) = objects.try_next().await? {
                if matches!(object.object.content.body, Body::Inline(_)) && prefix.matches(&object.digest()) {
                    digests.insert(object.digest());
                    inline = Some(object.object.content);
                }
            }
        }
        let digest = match digests.len() {
            0 => return refuse(ErrorKind::Missing, "there is no content with this digest".into()),
            1 => digests.pop_first().unwrap_or_else(|| Digest::of(b"")),
            count => {
                let shown: Vec<String> =
                    digests.iter().take(CANDIDATES_SHOWN).map(|digest| format!("b3:{digest}")).collect();
                let more = if count > shown.len() { ", ..." } else { "" };
                return refuse(
                    ErrorKind::Invalid,
                    format!("{count} digests begin so: {}{more}; give more digits", shown.join(", ")),
                );
            }
        };
        let content = match self.inner.content_of(&digest).await? {
            Some(content) => content,
            None => match inline {
                Some(content) => content,
                None => return refuse(ErrorKind::Missing, "there is no content with this digest".into()),
            },
        };
        let location = Location::parse(&format!("b3:{digest}"))?;
        Ok(ObjectRef::unnamed(self.inner.clone(), location, Object { content, attributes: Attributes::default() }))
    }
}

impl Inner {
    /// Content in packs and files by its digest.
    async fn content_of(&self, digest: &Digest) -> Result<Option<Content>> {
        if let Some(found) = self.catalog.find(Kind::Chunk, digest).first() {
            let (size, body) = (u64::from(found.size), Body::Packed(found.place));
            return Ok(Some(Content { digest: *digest, size, body }));
        }
        for found in self.catalog.find(Kind::ChunkList, digest) {
            if let Ok(chunks) = self.read_list_at::<Chunk>(digest, &found.place, found.size).await
                && let Some(size) = total_size(&chunks)
            {
                return Ok(Some(Content { digest: *digest, size, body: Body::Chunked(List::Inline(chunks)) }));
            }
        }
        if let Some(nonce) = self.catalog.files(digest).first() {
            let size = self.backend.metadata(&paths::whole_file(digest, nonce)?).await?.size;
            let list = match self.catalog.find(Kind::CellList, digest).first() {
                Some(found) => List::Packed(found.place, found.size),
                None => List::Inline(Vec::new()),
            };
            let mut content = Content { digest: *digest, size, body: Body::Whole(*nonce, list) };
            if cell_count(size) > 0 {
                let cells = match self.cells_of(&content).await {
                    Ok(cells) => cells,
                    Err(_) => self.cells_from_file(&content, nonce).await?,
                };
                content.body = Body::Whole(*nonce, List::Inline(cells));
            }
            return Ok(Some(content));
        }
        Ok(None)
    }

    /// The namespaces in which locations begin with `prefix`, and what their names there begin with.
    pub(crate) async fn namespaces(&self, prefix: &str) -> Result<Vec<(Namespace, String)>> {
        let mut found = Vec::new();
        let segments: Vec<&str> = prefix.splitn(3, '/').collect();
        // The root namespace, for names of one segment.
        if let [name] = segments[..]
            && self.has_commits(&EncodedNamespace::new(&Namespace::root(), self.descriptor.folds_case)).await?
        {
            found.push((Namespace::root(), name.to_string()));
        }
        for first in self.children("", segments[0], segments.len() > 1).await? {
            let parent = first.namespace.as_str().to_string();
            // Names of two segments are in the namespace of the first.
            if first.has_commits && segments.len() <= 2 {
                found.push((first.namespace, segments.get(1).copied().unwrap_or_default().to_string()));
            }
            let second = segments.get(1).copied().unwrap_or_default();
            for child in self.children(&parent, second, segments.len() > 2).await? {
                if child.has_commits {
                    found.push((child.namespace, segments.get(2).copied().unwrap_or_default().to_string()));
                }
            }
        }
        Ok(found)
    }

    async fn has_commits(&self, encoded: &EncodedNamespace) -> Result<bool> {
        let options = ListOptions::prefix(paths::versions(encoded)).with_limit(1);
        Ok(!self.backend.list(&options).await?.objects.is_empty())
    }

    /// The namespaces directly below `parent` whose last segment begins with, or if `whole` is, `segment`.
    async fn children(&self, parent: &str, segment: &str, whole: bool) -> Result<Vec<Child>> {
        let parent_encoded = EncodedNamespace::new(&Namespace::parse(parent)?, self.descriptor.folds_case);
        if whole {
            let text = if parent.is_empty() { segment.to_string() } else { format!("{parent}/{segment}") };
            // What can't be a namespace matches nothing.
            let Ok(namespace) = Namespace::parse(&text) else { return Ok(Vec::new()) };
            if segment.is_empty() || namespace.as_str() != text {
                return Ok(Vec::new());
            }
            let has_commits = self.has_commits(&EncodedNamespace::new(&namespace, self.descriptor.folds_case)).await?;
            return Ok(vec![Child { namespace, has_commits }]);
        }
        let below = paths::below(&parent_encoded);
        let listing = self.backend.list(&ListOptions::directory(below)).await?;
        let mut children = Vec::new();
        for prefix in listing.prefixes {
            let Some(encoded) = EncodedNamespace::from_prefix(&prefix) else { continue };
            let Some(namespace) = self.decode(&encoded).await? else { continue };
            if namespace.segments().last().is_some_and(|last| last.starts_with(segment)) {
                let has_commits = self.has_commits(&encoded).await?;
                children.push(Child { namespace, has_commits });
            }
        }
        Ok(children)
    }

    /// The namespace of an encoded name; of a shortened one, by asking one of its runs.
    async fn decode(&self, encoded: &EncodedNamespace) -> Result<Option<Namespace>> {
        if let Some(namespace) = encoded.decode() {
            return Ok(Some(namespace));
        }
        let mut locations = self.backend.iter_contents(&paths::below(encoded));
        while let Some(location) = locations.try_next().await? {
            if paths::version_of(&location).is_none() {
                continue;
            }
            let LogName::Namespace(namespace) = Run::open(&self.backend, location).await?.header.log else { continue };
            // The run may be that of a namespace below.
            let depth = encoded.depth();
            let text: Vec<&str> = namespace.segments().take(depth).collect();
            return Namespace::parse(&text.join("/")).map(Some);
        }
        Ok(None)
    }

    async fn objects_in(
        self: Arc<Self>,
        namespace: Namespace,
        names: String,
    ) -> Result<BoxStream<'static, Result<ObjectRef>>> {
        let state = self.names.current(&LogName::Namespace(namespace.clone()), None).await?;
        let merge = state.entries(&names).await?;
        Ok(self.objects_of(namespace, merge, names))
    }

    /// The objects that `merge` goes over, as long as their names begin with `names`.
    pub(crate) fn objects_of(
        self: &Arc<Self>,
        namespace: Namespace,
        merge: Merge,
        names: String,
    ) -> BoxStream<'static, Result<ObjectRef>> {
        let store = self.clone();
        stream::try_unfold((store, namespace, merge, names), |(store, namespace, mut merge, names)| async move {
            let Some(entry) = State::next_object(&mut merge, &names).await? else { return Ok(None) };
            let location = namespace.location(&entry.name)?;
            let Some(object) = ObjectRef::named(store.clone(), location, entry) else { return Ok(None) };
            Ok(Some((object, (store, namespace, merge, names))))
        })
        .boxed()
    }
}

struct Child {
    namespace: Namespace,
    has_commits: bool,
}
