//! What must be true of a store, whatever happened to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use futures::TryStreamExt;
use strongroom_content::{Namespace, VerifyOptions};
use strongroom_storage::{ByteRange, ExternalStorage, FileStorage};

use crate::action::{Actor, at, noise};

/// What stands under names: by namespace, each with the digest of its bytes; and the tags.
pub type Picture = BTreeMap<String, BTreeMap<String, String>>;

/// Why something is not true.
pub type Check<T = ()> = Result<T, String>;

fn failed(what: &str) -> impl Fn(strongroom_storage::Error) -> String + '_ {
    move |error| format!("{what}: {error:?}")
}

/// What a handle that knows nothing yet finds in the store below `folder`.
pub async fn picture(folder: &Path) -> Check<Picture> {
    let mut actor = Actor::new(folder);
    let store = actor.store().await.map_err(failed("open"))?;
    let mut picture = Picture::new();
    let mut objects = store.objects("");
    while let Some(object) = objects.try_next().await.map_err(failed("list"))? {
        let location = object.location();
        let bytes = object.load_bytes(ByteRange::All).await.map_err(failed(location.as_str()))?;
        let group = picture.entry(Namespace::of(location).to_string()).or_default();
        group.insert(location.to_string(), blake3::hash(&bytes).to_string());
    }
    for tag in store.tags().await.map_err(failed("tags"))? {
        let group = picture.entry("the tags".into()).or_default();
        group.insert(format!("{} of {}", tag.name, tag.namespace), tag.version.to_string());
    }
    Ok(picture)
}

/// That each log has all its versions, from the first to the newest.
pub async fn versions_are_dense(folder: &Path) -> Check {
    let files = FileStorage::new(folder.join("store"));
    let names: Vec<_> = files.iter_contents("names/").try_collect().await.map_err(failed("list versions"))?;
    let mut logs: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for name in names {
        let (log, version) = name.as_str().rsplit_once('/').ok_or("a version in no folder")?;
        let version = u64::from_str_radix(version, 16).map_err(|error| format!("{name}: {error}"))?;
        logs.entry(log.into()).or_default().insert((1 << 40) - version);
    }
    for (log, versions) in logs {
        if versions.last() != Some(&(versions.len() as u64)) {
            return Err(format!("{log} has only the versions {versions:?}"));
        }
    }
    Ok(())
}

/// That every byte is there that names need, and nothing else is wrong.
pub async fn verify_is_sound(folder: &Path) -> Check {
    let mut actor = Actor::new(folder);
    let store = actor.store().await.map_err(failed("open"))?;
    let report = store.verify(VerifyOptions::default().with_data(true)).await.map_err(failed("verify"))?;
    if report.is_sound() { Ok(()) } else { Err(format!("verify: {:?}", report.problems)) }
}

/// That something new can be stored in each of the namespaces.
pub async fn takes_commits(folder: &Path, picture: &Picture) -> Check {
    let mut actor = Actor::new(folder);
    for namespace in picture.keys().filter(|group| *group != "the tags") {
        let location = if namespace.is_empty() { "new".into() } else { format!("{namespace}/new") };
        actor.act(&format!("put {location} 4242 999 auto")).await.map_err(failed("a new commit"))?;
        let read = actor.act(&format!("read {location}")).await.map_err(failed("a new object"))?;
        if read != blake3::hash(&noise(4242, 999)).to_string() {
            return Err(format!("{location} is not what was stored"));
        }
    }
    let store = actor.store().await.map_err(failed("open"))?;
    match store.exists(&at("never/stored")).await {
        Ok(false) => Ok(()),
        other => Err(format!("what was never stored: {other:?}")),
    }
}

/// What a store may be while work is done, and after it.
pub struct Expected<'a> {
    /// Each namespace is as in one of these.
    pub allowed: Vec<&'a Picture>,
    /// What it is when the work is done.
    pub after: &'a Picture,
    /// The namespaces that must be so when the work is acknowledged; all, if there is nothing else that may be missing.
    pub promised: Option<&'a [&'a str]>,
    /// What is done.
    pub work: &'a str,
}

impl Expected<'_> {
    /// Checks the store below `folder`; then work goes on there.
    pub async fn check(&self, folder: &Path, acknowledged: bool) -> Check {
        let Self { allowed, after, promised, work } = self;
        if *work == "init" && !acknowledged && Actor::new(folder).store().await.is_err() {
            Actor::new(folder).act(work).await.map_err(failed("again"))?;
        }
        let found = picture(folder).await?;
        for group in allowed.iter().flat_map(|picture| picture.keys()).chain(found.keys()) {
            let now = found.get(group);
            let promised = promised.is_none_or(|promised| promised.contains(&group.as_str()));
            if acknowledged && promised && now != after.get(group) {
                return Err(format!("{group:?}: what was acknowledged is lost"));
            }
            if allowed.iter().all(|picture| picture.get(group) != now) {
                return Err(format!("{group:?} is neither old nor new: {now:?}"));
            }
        }
        versions_are_dense(folder).await?;
        verify_is_sound(folder).await?;
        if promised.is_none() {
            // Whoever comes next does it again, or finds it done.
            if let Err(error) = Actor::new(folder).act(work).await
                && found != **after
            {
                return Err(format!("again: {error:?}"));
            }
            if picture(folder).await? != **after {
                return Err("done again, it is not done".into());
            }
        }
        takes_commits(folder, &found).await?;
        versions_are_dense(folder).await
    }
}
