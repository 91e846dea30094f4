//! The targets that are about stores: one or two files are forged, and the whole store is tried.

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use strongroom::{Digest, Location};

use crate::Tried;
use crate::craft::{self, Contents, Header, Record};
use crate::draft::{Draft, edge, rarely, spoil};
use crate::exercise::{exercise, take_answers};
use crate::template::{Files, template};

pub(crate) fn at(text: &str) -> Location {
    Location::parse(text).expect("a location")
}

/// Tries a store with these files, which may be far away.
pub(crate) fn tried(files: &Files, far: bool) -> Tried {
    let is_sound = crate::block_on(exercise(files, far));
    Tried { bytes: files.values().map(|bytes| bytes.len() as u64).sum(), is_sound, answers: take_answers() }
}

fn try_store(u: &mut Unstructured<'_>, files: &Files) -> Result<Tried> {
    let far = rarely(u, 3)?;
    Ok(tried(files, far))
}

/// Any file: a bit is changed, it is cut, made longer, emptied, lost, or swapped with another.
pub(crate) fn damage(u: &mut Unstructured<'_>) -> Result<Tried> {
    let mut files = template().files.clone();
    let locations: Vec<Location> = files.keys().cloned().collect();
    for _ in 0..u.int_in_range(1..=2)? {
        let location = u.choose(&locations)?.clone();
        match u.int_in_range(0..=7)? {
            0 => drop(files.remove(&location)),
            1 => {
                let other = u.choose(&locations)?;
                let bytes = files.get(other).cloned().unwrap_or_default();
                files.insert(location, bytes);
            }
            _ => {
                let mut bytes = files.get(&location).map(|bytes| bytes.to_vec()).unwrap_or_default();
                spoil(u, &mut bytes)?;
                files.insert(location, bytes.into());
            }
        }
    }
    try_store(u, &files)
}

/// The description of the store.
pub(crate) fn descriptors(u: &mut Unstructured<'_>) -> Result<Tried> {
    let mut files = template().files.clone();
    let location = at("strongroom.json");
    let forged = craft::descriptor(u, &files[&location])?;
    files.insert(location, forged);
    try_store(u, &files)
}

/// A collector's list.
pub(crate) fn lists(u: &mut Unstructured<'_>) -> Result<Tried> {
    let mut files = template().files.clone();
    let locations: Vec<String> = files.keys().map(Location::to_string).collect();
    let list = craft::list(u, &locations)?;
    files.insert(at("gc/00000000000000000000000000000001.list"), list);
    try_store(u, &files)
}

/// The newest run of `a`, and maybe the one that it is read with.
fn put_runs(u: &mut Unstructured<'_>, files: &mut Files, contents: &Contents) -> Result<()> {
    let head = template().head;
    let version = match u.int_in_range(0..=15)? {
        0 => edge(u, head)?,
        1..=5 => head,
        _ => head + 1,
    };
    let first = match u.int_in_range(0..=15)? {
        0 => edge(u, version)?,
        1 => version,
        2 | 3 => version.saturating_sub(1),
        _ => 1,
    };
    let log = match u.int_in_range(0..=63)? {
        0 => Some(""),
        1 => Some("b/c"),
        2 => Some("a//b"),
        3 => Some("a/b/c"),
        4 => None,
        _ => Some("a"),
    };
    let run = craft::run(u, &Header { version, first, log }, contents)?;
    files.insert(version_of("a", version), run);
    Ok(())
}

/// Where a version lies, also one that can't be.
pub(crate) fn version_of(folder: &str, version: u64) -> Location {
    at(&format!("names/{folder}/@/{:010x}", (1u64 << 40).wrapping_sub(version) & ((1 << 40) - 1)))
}

/// Runs of a namespace, with entries of all kinds.
pub(crate) fn runs(u: &mut Unstructured<'_>) -> Result<Tried> {
    let mut files = template().files.clone();
    let contents = template().contents();
    for _ in 0..u.int_in_range(1..=2)? {
        put_runs(u, &mut files, &contents)?;
    }
    try_store(u, &files)
}

/// A pack that is new or replaces another, and a run that needs it.
pub(crate) fn packs(u: &mut Unstructured<'_>) -> Result<Tried> {
    let mut files = template().files.clone();
    let nonce = if rarely(u, 3)? { u.choose(&template().packs)?.nonce } else { [9; 16] };
    let pack = craft::pack(u, nonce)?;
    let mut contents = Contents::default();
    contents.add_pack(&pack);
    files.insert(at(&pack.location()), pack.file);
    put_runs(u, &mut files, &contents)?;
    try_store(u, &files)
}

/// An index file about the packs that there are, or are not.
pub(crate) fn index_files(u: &mut Unstructured<'_>) -> Result<Tried> {
    let mut files = template().files.clone();
    let mut nonces: Vec<[u8; 16]> = template().packs.iter().map(|pack| pack.nonce).collect();
    let mut records: Vec<Record> = template().packs.iter().flat_map(|pack| pack.records.iter().copied()).collect();
    for _ in 0..u.int_in_range(0..=3)? {
        // Says that something is where it is not.
        let (from, to) = (*u.choose(&records)?, *u.choose(&records)?);
        let place = from.place;
        records.push(Record { place, size: from.size, ..to });
    }
    if rarely(u, 4)? {
        nonces.truncate(u.int_in_range(0..=nonces.len())?);
    }
    if rarely(u, 4)? {
        nonces.push([1; 16]);
    }
    let index = craft::index(u, &nonces, &records)?;
    if rarely(u, 2)? {
        files.retain(|location, _| !location.as_str().starts_with("index/"));
    }
    files.insert(at("index/11111111111111111111111111111111"), index);
    if rarely(u, 3)? {
        // What entries say is gone, so that it is looked up.
        let pack = craft::run_of(u, &Header { version: template().head + 1, first: 1, log: Some("a") }, Vec::new())?;
        files.insert(version_of("a", template().head + 1), pack);
    }
    try_store(u, &files)
}

/// The log of tags.
pub(crate) fn tags(u: &mut Unstructured<'_>) -> Result<Tried> {
    let mut files = template().files.clone();
    let mut entries = Vec::new();
    let version = template().tags + u.int_in_range(0..=1)?;
    for _ in 0..u.int_in_range(0..=5)? {
        let name = *u.choose(&["two/a", "two/", "three/b/c", "7/a", "x", "/a", "two/a//b", "two/a/b/c", ""])?;
        let tagged = if rarely(u, 2)? { edge(u, 2)? } else { u.int_in_range(0..=9)? };
        let mut bytes = Draft::default();
        bytes.u64(tagged);
        let bytes = bytes.forge(u)?;
        let mut rest = Draft::default();
        rest.u64(version).u64(0).u8(1).raw(Digest::of(&bytes).as_bytes()).u64(bytes.len() as u64).short(&bytes).u16(0);
        entries.push((name.as_bytes().to_vec(), rest));
    }
    let run = craft::run_of(u, &Header { version, first: 1, log: None }, entries)?;
    files.insert(version_of("@tags", version), run);
    try_store(u, &files)
}

/// Files that are where nobody expects them: in folders of any name.
pub(crate) fn places(u: &mut Unstructured<'_>) -> Result<Tried> {
    const PARTS: [&str; 16] = [
        "names",
        "@",
        "@tags",
        "a",
        "%41",
        "%c3%a4",
        "%C3%A4",
        "x~0123456789abcdef0123456789abcdef",
        "%",
        "%4",
        "index",
        "packs",
        "files",
        "gc",
        "0000000000",
        "ffffffffff",
    ];
    let mut files = template().files.clone();
    let bytes: Vec<Bytes> = files.values().cloned().collect();
    for _ in 0..u.int_in_range(1..=3)? {
        let mut text = String::from(*u.choose(&["", "names/", "names/a/", "names/a/@/", "packs/", "files/", "gc/"])?);
        for _ in 0..u.int_in_range(0..=4)? {
            let part = if rarely(u, 4)? { u.arbitrary::<String>()? } else { (*u.choose(&PARTS)?).to_string() };
            text.push_str(&part);
            text.push_str(u.choose(&["/", "", ".list", ".session", "."])?);
        }
        // A backend may list names that are no locations of ours, but it can't be given any.
        if let Ok(location) = Location::parse(&text) {
            files.insert(location, u.choose(&bytes)?.clone());
        }
    }
    try_store(u, &files)
}
