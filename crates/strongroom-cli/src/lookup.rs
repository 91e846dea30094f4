//! From what was typed to what is meant: objects, versions, prefixes.

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use strongroom::{ContentStorage, Error, ErrorKind, Location, Namespace, ObjectRef, Result, Snapshot, Version};

/// The object that `text` names: a location, now or `at` a version, or a digest.
///
/// # Errors
/// `Missing` if there is none, with what to do if it is a folder; `Invalid` if it is neither a location nor a digest.
pub async fn object(store: &ContentStorage, text: &str, at: Option<&str>) -> Result<ObjectRef> {
    if is_digest(text) {
        return match at {
            None => store.find_digest(text).await,
            Some(_) => Err(Error::new(ErrorKind::Invalid, "find", text, "a digest has no versions; leave out --at")),
        };
    }
    let location = Location::parse(text)?;
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

/// Whether `text` is meant as a digest: `b3:` and hexadecimal digits.
pub fn is_digest(text: &str) -> bool {
    text.strip_prefix("b3:")
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A location that is written to.
///
/// # Errors
/// `Invalid` if it is none, or a digest.
pub fn target(text: &str) -> Result<Location> {
    if is_digest(text) {
        let detail = "a digest names content, not a place for it; a location that looks like one is written ./b3:...";
        return Err(Error::new(ErrorKind::Invalid, "name", text, detail));
    }
    Location::parse(text)
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
        Some(at) => store.snapshot_at(namespace, version(store, namespace, at).await?).await,
    }
}

/// The version that a number or a tag names.
async fn version(store: &ContentStorage, namespace: &Namespace, text: &str) -> Result<Version> {
    match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse(),
        false => store.tagged(namespace, text).await,
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

    #[test]
    fn digests_are_told_from_locations() {
        assert!(is_digest("b3:00ff") && is_digest("b3:A"));
        assert!(!is_digest("b3:") && !is_digest("b3:xyz") && !is_digest("./b3:00") && !is_digest("00ff"));
        assert_eq!(target("b3:00").expect_err("a digest").kind(), ErrorKind::Invalid);
        assert_eq!(target("./b3:00").expect("a name").as_str(), "b3:00");
    }
}
