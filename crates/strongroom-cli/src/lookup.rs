//! From what was typed to what is meant: objects, versions, prefixes.

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use strongroom::{Address, ContentStorage, Error, ErrorKind, Location, Namespace, ObjectRef, Result, Snapshot};

/// The object that `text` names: a location, now or `at` a version, or a digest.
///
/// # Errors
/// `Missing` if there is none, with what to do if it is a folder; `Invalid` if it is neither a location nor a digest.
pub async fn object(store: &ContentStorage, text: &str, at: Option<&str>) -> Result<ObjectRef> {
    let location = match (Address::parse(text)?, at) {
        (Address::Location(location), _) => location,
        (digest, None) => return store.find_address(&digest).await,
        (digest, Some(_)) => {
            return Err(Error::new(ErrorKind::Invalid, "find", digest, "a digest has no versions; leave out --at"));
        }
    };
    let found = match at {
        None => store.find(&location).await,
        Some(at) => snapshot(store, &Namespace::of(&location), Some(at)).await?.find(&location).await,
    };
    match found {
        Err(error) if error.is_missing() && has_objects_below(store, &location).await? => Err(Error::new(
            ErrorKind::Missing,
            "find",
            &location,
            format!(
                "there is no object of this name, but there are some below it; `strongroom ls {location}/` lists them"
            ),
        )),
        found => found,
    }
}

/// A location that is written to.
///
/// # Errors
/// `Invalid` if it is none, or a digest.
pub fn target(text: &str) -> Result<Location> {
    Address::parse(text)?.into_location()
}

/// `text` as a location; one that ends with `/` as a folder for `file_name`.
///
/// # Errors
/// As for [`target`].
pub fn target_for(text: &str, file_name: &str) -> Result<Location> {
    if text.ends_with('/') { target(text)?.join(file_name) } else { target(text) }
}

/// The objects below `location` have locations that begin so.
pub fn below(location: &Location) -> String {
    format!("{location}/")
}

/// That there is nothing below `location`.
pub fn nothing_below(location: &Location) -> Error {
    let detail = "there is nothing at this location nor below it; `strongroom ls` lists what there is";
    Error::new(ErrorKind::Missing, "find", location, detail)
}

async fn has_objects_below(store: &ContentStorage, location: &Location) -> Result<bool> {
    Ok(store.objects(&below(location)).try_next().await?.is_some())
}

/// The objects whose locations begin with the string `prefix`.
///
/// `at` a version, those in the namespace that a location beginning so is in: of `dag/unit/` in `dag/unit`, of `dag/` in `dag`.
///
/// # Errors
/// Those of [`snapshot`].
pub async fn objects(
    store: &ContentStorage,
    prefix: &str,
    at: Option<&str>,
) -> Result<BoxStream<'static, Result<ObjectRef>>> {
    let Some(at) = at else { return Ok(store.objects(prefix)) };
    let cut = prefix.match_indices('/').map(|(cut, _)| cut).take(2).last();
    let (namespace, names) = match cut {
        Some(cut) => (&prefix[..cut], &prefix[cut + 1..]),
        None => ("", prefix),
    };
    let parsed = Namespace::parse(namespace)?;
    if parsed.as_str() != namespace {
        // As without a version: no location begins with what is not written as locations are.
        return Ok(stream::empty().boxed());
    }
    snapshot(store, &parsed, Some(at)).await?.objects(names).await
}

/// A namespace as it is, or as it was `at` a version or tag.
///
/// # Errors
/// `Missing` if there is no such version or tag.
pub async fn snapshot(store: &ContentStorage, namespace: &Namespace, at: Option<&str>) -> Result<Snapshot> {
    match at {
        None => store.snapshot(namespace).await,
        Some(at) => store.snapshot_at(namespace, store.version_named(namespace, at).await?).await,
    }
}

/// Reads `NAMESPACE[@VERSION|TAG]`; the root namespace is `.`. What follows the last `@` is the version; a namespace that has an
/// `@` itself is written with one more behind it.
///
/// # Errors
/// `Invalid` if it is no namespace.
pub fn namespace_at(text: &str) -> Result<(Namespace, Option<&str>)> {
    let (namespace, at) = match text.rsplit_once('@') {
        Some((namespace, at)) if !at.contains('/') => (namespace, Some(at).filter(|at| !at.is_empty())),
        _ => (text, None),
    };
    Ok((Namespace::parse(namespace)?, at))
}

/// How a namespace is written: the root is `.`.
pub fn shown(namespace: &Namespace) -> &str {
    if namespace.as_str().is_empty() { "." } else { namespace.as_str() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_read_with_its_version() {
        for (text, namespace, at) in [
            ("dag/unit", "dag/unit", None),
            ("dag/unit@3", "dag/unit", Some("3")),
            ("dag/unit@submitted", "dag/unit", Some("submitted")),
            (".@2", "", Some("2")),
            ("me@host@", "me@host", None),
            ("me@host@4", "me@host", Some("4")),
            ("me@host/unit", "me@host/unit", None),
        ] {
            let (found, version) = namespace_at(text).expect(text);
            assert_eq!((found.as_str(), version), (namespace, at), "{text}");
        }
    }
}
