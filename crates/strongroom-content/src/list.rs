//! Collectors' lists: what is about to be deleted, so that no writer relies on it any more.
//!
//! A location a line, then `end` and the BLAKE3 digest of all lines before. A list stands until all that it names is gone: what was
//! named once never comes back.

use std::collections::HashSet;

use futures::TryStreamExt;
use strongroom_storage::{ByteRange, Digest, Error, ErrorKind, ExternalStorage, Location, Result, StoreOptions};

use crate::nonce::Nonce;
use crate::paths;

/// What the last line begins with.
const END: &str = "end ";

/// What all standing lists name.
///
/// # Errors
/// As for [`read`].
pub(crate) async fn read_all(backend: &dyn ExternalStorage) -> Result<HashSet<Location>> {
    let mut listed = HashSet::new();
    for list in standing(backend).await? {
        listed.extend(read(backend, &list).await?);
    }
    Ok(listed)
}

/// Where the standing lists are.
pub(crate) async fn standing(backend: &dyn ExternalStorage) -> Result<Vec<Location>> {
    let mut found: Vec<Location> = backend.iter_contents(paths::SESSIONS).try_collect().await?;
    found.retain(|location| location.as_str().ends_with(paths::LIST));
    Ok(found)
}

/// Reads what a list names. One that vanishes meanwhile is done: what it named is gone.
///
/// # Errors
/// `Corrupt` if it is damaged.
pub(crate) async fn read(backend: &dyn ExternalStorage, list: &Location) -> Result<Vec<Location>> {
    let text = match backend.load_bytes(list, ByteRange::All).await {
        Ok(text) => text,
        Err(error) if error.is_missing() => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    parse(&text).ok_or_else(|| {
        let damaged = "this collector's list is damaged, and what it named may go at any time; when nobody else uses the store, \
                       `strongroom gc --offline` takes it away";
        Error::new(ErrorKind::Corrupt, "read", list, damaged)
    })
}

/// Publishes a list that names `condemned`, durably, and says where it is.
///
/// # Errors
/// Those of the backend; it may stand all the same where they say so.
pub(crate) async fn publish<'a>(
    backend: &dyn ExternalStorage,
    name: &Nonce,
    condemned: impl Iterator<Item = &'a Location>,
) -> Result<Location> {
    let location = paths::session(name, paths::LIST)?;
    let mut text: String = condemned.flat_map(|location| [location.as_str(), "\n"]).collect();
    let digest = Digest::of(text.as_bytes());
    text.push_str(&format!("{END}{digest}\n"));
    backend.store(&location, text.into_bytes().into(), &StoreOptions::create()).await?;
    Ok(location)
}

/// `None` if it is not just a list: what a changed name condemned would be relied on.
fn parse(text: &[u8]) -> Option<Vec<Location>> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('\n')?;
    let (lines, end) = text.split_at(text.rfind('\n').map_or(0, |before| before + 1));
    if end.strip_prefix(END)? != Digest::of(lines.as_bytes()).to_string() {
        return None;
    }
    let location = |line: &str| Location::parse(line).ok().filter(|location| location.as_str() == line);
    lines.split_terminator('\n').map(location).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use strongroom_storage::MemoryStorage;

    use super::*;

    #[tokio::test]
    async fn a_list_reads_back_and_any_changed_byte_of_it_is_seen() {
        let backend = MemoryStorage::new();
        let named =
            ["packs/ab/cd", "files/ef/gh.end ", "names/@/ffffffffff"].map(|text| Location::parse(text).unwrap());
        let list = publish(&backend, &Nonce::from_bytes([7; 16]), named.iter()).await.expect("publish");
        assert_eq!(standing(&backend).await.expect("list"), std::slice::from_ref(&list));
        assert_eq!(read(&backend, &list).await.expect("read"), named);

        let text = backend.load_bytes(&list, ByteRange::All).await.expect("load").to_vec();
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 1;
            assert_eq!(parse(&changed), None, "byte {at}");
            assert_eq!(parse(&text[..at]), None, "cut to {at}");
        }
    }

    fn list_of(lines: &str) -> String {
        format!("{lines}end {}\n", Digest::of(lines.as_bytes()))
    }

    #[test]
    fn what_is_not_just_a_list_is_none() {
        let read = |text: &str| parse(text.as_bytes()).map(|locations| locations.len());
        assert_eq!((read(&list_of("")), read(&list_of("packs/a\nfiles/b\n"))), (Some(0), Some(2)));
        assert_eq!(parse(list_of("packs/a\r\n").as_bytes()), Location::parse("packs/a\r").ok().map(|name| vec![name]));
        for lines in ["packs/a", "packs//a\n", "./packs/a\n", "packs/a/\n", "\n", "../a\n", "end \npacks/a"] {
            assert_eq!(read(&list_of(lines)), None, "{lines:?}");
        }
        let upper = format!("end {}\n", Digest::of(b"").to_string().to_uppercase());
        for text in ["", "\n", "end", "end \n", upper.as_str(), list_of("packs/a\n").trim_end(), &(list_of("") + "\n")]
        {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_list_that_is_read_is_written_so(lines in "((end )?[a-z./\r\n]{0,6}\n?){0,4}", cut in any::<prop::sample::Index>()) {
            let text = list_of(&lines);
            for text in [text.as_str(), text.get(cut.index(text.len())..).unwrap_or_default()] {
                if let Some(locations) = parse(text.as_bytes()) {
                    let again: String = locations.iter().map(|location| format!("{location}\n")).collect();
                    prop_assert_eq!(list_of(&again), text);
                }
            }
        }
    }
}
