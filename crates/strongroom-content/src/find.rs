//! Finding objects: by name, by prefix, by digest.

mod all;
mod digest;

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use strongroom_storage::{Error, ErrorKind, ListOptions, Location, Result};

use crate::names::{LogName, State};
use crate::namespace::Namespace;
use crate::object::ObjectRef;
use crate::paths::{self, EncodedNamespace};
use crate::run::Merge;
use crate::store::{ContentStorage, Inner};

impl ContentStorage {
    /// The object at `location`.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is none.
    pub async fn find(&self, location: &Location) -> Result<ObjectRef> {
        self.find_for("find", location).await
    }

    pub(crate) async fn find_for(&self, operation: &'static str, location: &Location) -> Result<ObjectRef> {
        let (namespace, name) = Namespace::split_text(location);
        let entry = self.inner.names.current_in(namespace).await?.get(name).await?;
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
}

impl Inner {
    /// The namespaces in which locations begin with `prefix`, and what their names there begin with.
    pub(crate) async fn namespaces(&self, prefix: &str) -> Result<Vec<(Namespace, String)>> {
        let mut damage = Vec::new();
        let found = self.namespaces_despite(prefix, &mut damage).await?;
        damage.into_iter().next().map_or(Ok(found), Err)
    }

    /// The same, and the `damage` for which some namespaces can't be named.
    pub(crate) async fn namespaces_despite(
        &self,
        prefix: &str,
        damage: &mut Vec<Error>,
    ) -> Result<Vec<(Namespace, String)>> {
        let mut found = Vec::new();
        let segments: Vec<&str> = prefix.splitn(3, '/').collect();
        // The root namespace, for names of one segment.
        if let [name] = segments[..]
            && self.has_commits(&EncodedNamespace::new(&Namespace::root(), self.descriptor.folds_case)).await?
        {
            found.push((Namespace::root(), name.to_string()));
        }
        for first in self.children("", segments[0], segments.len() > 1, damage).await? {
            let parent = first.namespace.as_str().to_string();
            // Names of two segments are in the namespace of the first.
            if first.has_commits && segments.len() <= 2 {
                found.push((first.namespace, segments.get(1).copied().unwrap_or_default().to_string()));
            }
            let second = segments.get(1).copied().unwrap_or_default();
            for child in self.children(&parent, second, segments.len() > 2, damage).await? {
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
    async fn children(&self, parent: &str, segment: &str, whole: bool, damage: &mut Vec<Error>) -> Result<Vec<Child>> {
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
            let Some(namespace) = self.decode(&encoded, damage).await? else { continue };
            if namespace.segments().last().is_some_and(|last| last.starts_with(segment)) {
                let has_commits = self.has_commits(&encoded).await?;
                children.push(Child { namespace, has_commits });
            }
        }
        Ok(children)
    }

    /// The namespace of an encoded name; of a shortened one, by asking its runs until one can be read.
    async fn decode(&self, encoded: &EncodedNamespace, damage: &mut Vec<Error>) -> Result<Option<Namespace>> {
        if let Some(namespace) = encoded.decode() {
            return Ok(Some(namespace));
        }
        let folds_case = self.descriptor.folds_case;
        let mut damaged = Vec::new();
        let mut locations = self.backend.iter_contents(&paths::below(encoded));
        while let Some(location) = locations.try_next().await? {
            if paths::version_of(&location).is_none() {
                continue;
            }
            let header = match self.names.runs.open(location.clone()).await {
                Ok(run) => run.header,
                Err(error) if error.is_missing() => continue,
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    damaged.push(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if let LogName::Namespace(namespace) = header.log
                // The run may be that of a namespace below.
                && let text = namespace.segments().take(encoded.depth()).collect::<Vec<_>>().join("/")
                && let Ok(namespace) = Namespace::parse(&text)
                && EncodedNamespace::new(&namespace, folds_case).is_same(encoded, folds_case)
            {
                return Ok(Some(namespace));
            }
            let swapped = "this file is of another namespace; it was moved or swapped";
            damaged.push(Error::new(ErrorKind::Corrupt, "read", location, swapped));
        }
        damage.extend(damaged);
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
