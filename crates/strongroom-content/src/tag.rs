//! Tags: names for versions that are kept for ever.

use std::sync::Arc;

use bytes::Bytes;
use strongroom_storage::{Error, ErrorKind, Result, StoreMode};

use crate::codec::Decoder;
use crate::commit::Reliance;
use crate::content::{Body, Content};
use crate::entry::{Attributes, Entry, Object};
use crate::mutation::{self, Mutation};
use crate::names::{Action, Change, Expected, LogName, State};
use crate::namespace::Namespace;
use crate::paths;
use crate::session::{Membership, Session};
use crate::store::{ContentStorage, Inner};
use crate::version::Version;
use crate::writer::ContentWriter;

/// A name for a version of a namespace. What that version holds stays readable as long as the tag does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tag {
    /// Its name: one segment.
    pub name: String,
    /// The namespace.
    pub namespace: Namespace,
    /// The version.
    pub version: Version,
}

impl ContentStorage {
    /// Gives `version` of `namespace` a name.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the name is not one segment; [`ErrorKind::Missing`] if the version is not there or is being
    /// collected; [`ErrorKind::AlreadyExists`] if with [`StoreMode::Create`] another version has this tag.
    pub async fn tag(&self, namespace: &Namespace, version: Version, name: &str, mode: StoreMode) -> Result<Tag> {
        let tag = || Tag { name: name.into(), namespace: namespace.clone(), version };
        match self.put_tag(namespace, version, name, mode).await {
            Ok(()) => Ok(tag()),
            Err(error) if error.is_already_exists() => match self.tagged(namespace, name).await {
                Ok(same) if same == version => Ok(tag()),
                Ok(other) => {
                    let log = LogName::Namespace(namespace.clone());
                    let detail = format!("version {other} of {log} has this tag; overwriting it (--force) moves it");
                    Err(Error::new(ErrorKind::AlreadyExists, "tag", name, detail).with_source(error))
                }
                Err(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    async fn put_tag(&self, namespace: &Namespace, version: Version, name: &str, mode: StoreMode) -> Result<()> {
        let key = key(name, namespace)?;
        let store = &self.inner;
        let mut membership = store.sessions.join().await?;
        let result = async {
            let log = LogName::Namespace(namespace.clone());
            store.secure_version(membership.session(), &log, version.get()).await?;
            let content = Content::inline(Bytes::copy_from_slice(&version.get().to_le_bytes()));
            let action = Action::Put(Object { content, attributes: Attributes::default() });
            let expected = if mode == StoreMode::Create { Expected::Absent } else { Expected::Any };
            let reliance = Reliance::on_version(membership.session(), log, version.get());
            store.commit_tag(&mut membership, reliance, "tag", Change { name: key, action, expected }).await
        }
        .await;
        membership.leave().await;
        result
    }

    /// Removes a tag. What only it kept may be collected then.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is none.
    pub async fn untag(&self, namespace: &Namespace, name: &str) -> Result<()> {
        let key = key(name, namespace)?;
        let mut membership = self.inner.sessions.join().await?;
        let change = Change { name: key, action: Action::Remove, expected: Expected::Present };
        let reliance = Reliance::on_content(membership.session());
        let result = self.inner.commit_tag(&mut membership, reliance, "untag", change).await;
        membership.leave().await;
        result
    }

    /// All tags, by name and namespace.
    ///
    /// # Errors
    /// Those of the backend.
    pub async fn tags(&self) -> Result<Vec<Tag>> {
        self.inner.tags().await
    }

    /// The version that `name` stands for in `namespace`.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is no such tag.
    pub async fn tagged(&self, namespace: &Namespace, name: &str) -> Result<Version> {
        let state = self.inner.names.current(&LogName::Tags, None).await?;
        let entry = state.get(&key(name, namespace)?).await?;
        let tag = entry.as_ref().and_then(tag_of).ok_or_else(|| {
            Error::new(
                ErrorKind::Missing,
                "find",
                format!("tag {name}"),
                format!("namespace {namespace:?} has no such tag"),
            )
        })?;
        Ok(tag.version)
    }

    /// The version of `namespace` that a number or a tag names.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the number is too large; [`ErrorKind::Missing`] if there is no such tag. Whether there is a version
    /// of that number is seen where it is opened.
    pub async fn version_named(&self, namespace: &Namespace, text: &str) -> Result<Version> {
        match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse(),
            false => self.tagged(namespace, text).await,
        }
    }
}

impl Inner {
    pub(crate) async fn tags(&self) -> Result<Vec<Tag>> {
        self.tags_in(&*self.names.current(&LogName::Tags, None).await?).await
    }

    /// The tags of a version of their log.
    pub(crate) async fn tags_in(&self, state: &State) -> Result<Vec<Tag>> {
        let mut entries = state.entries("").await?;
        let mut tags = Vec::new();
        while let Some(entry) = State::next_object(&mut entries, "").await? {
            tags.extend(tag_of(&entry));
        }
        Ok(tags)
    }

    /// Makes sure within `session` that all of a version can be relied on: its runs, and its content, of which what lies in
    /// listed places is copied to others.
    pub(crate) async fn secure_version(
        self: &Arc<Self>,
        session: &Arc<Session>,
        log: &LogName,
        version: u64,
    ) -> Result<()> {
        let gone = || {
            let detail = format!(
                "there is no version {version}, or it is being collected; `strongroom log` lists what there is"
            );
            Error::new(ErrorKind::Missing, "tag", log, detail)
        };
        if version == 0 {
            return Err(gone());
        }
        let state = self.names.at(log, version).await?.ok_or_else(gone)?;
        if mutation::is(Mutation::TagOfListed) {
            return Ok(());
        }
        if state.runs.iter().any(|run| session.is_listed(run.location())) {
            return Err(gone());
        }
        // Who published it may not have come so far.
        self.durable.make_sure(state.runs.iter().map(|run| run.location().clone())).await?;
        let mut writer = ContentWriter::new(self.clone(), session.clone());
        let mut entries = state.entries("").await?;
        let secured = async {
            while let Some(entry) = State::next_object(&mut entries, "").await? {
                if let Some(object) = &entry.object {
                    writer.secure(&object.content).await?;
                }
            }
            writer.finish().await
        };
        self.packer.driving(Box::pin(secured)).await
    }

    async fn commit_tag<'a>(
        self: &'a Arc<Self>,
        membership: &mut Membership<'a>,
        reliance: Reliance,
        operation: &'static str,
        change: Change,
    ) -> Result<()> {
        let info = self.commit_info(operation, "")?;
        self.commit(membership, reliance, &LogName::Tags, vec![change], &info).await.map(drop)
    }
}

/// The name under which the log of tags has a tag.
fn key(name: &str, namespace: &Namespace) -> Result<Arc<str>> {
    let sound =
        strongroom_storage::Location::parse(name).is_ok_and(|parsed| parsed.as_str() == name && !name.contains('/'));
    if !sound || name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::new(
            ErrorKind::Invalid,
            "tag",
            format!("{name:?}"),
            "a tag's name is one segment of a location, and not a number",
        ));
    }
    Ok(format!("{name}/{namespace}").into())
}

fn tag_of(entry: &Entry) -> Option<Tag> {
    let (name, namespace) = entry.name.split_once('/')?;
    let Body::Inline(bytes) = &entry.object.as_ref()?.content.body else { return None };
    let mut input = Decoder::new(bytes);
    let version = Version::new(input.u64().ok().filter(|version| (1..paths::VERSIONS).contains(version))?);
    input.finish().ok()?;
    Some(Tag { name: name.into(), namespace: Namespace::from_run(namespace)?, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_version(version: u64) -> Option<Tag> {
        let content = Content::inline(Bytes::copy_from_slice(&version.to_le_bytes()));
        let object = Some(Object { content, attributes: Attributes::default() });
        tag_of(&Entry { name: "name/a/b".into(), version: 1, time: 0, object })
    }

    #[test]
    fn what_says_a_version_that_can_not_be_is_no_tag() {
        assert_eq!(of_version(7).map(|tag| tag.version), Some(Version::new(7)));
        assert!(of_version(paths::VERSIONS - 1).is_some());
        for version in [0, paths::VERSIONS, u64::MAX] {
            assert_eq!(of_version(version), None);
        }
    }
}
