//! Runs: of a namespace, or of the tags.

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use strongroom::Digest;

use super::{seal, stored};
use crate::craft::Contents;
use crate::draft::{Draft, rarely};

/// What the directory of a run begins with.
#[derive(Clone, Debug)]
pub(crate) struct Header<'a> {
    pub version: u64,
    pub first: u64,
    /// The namespace; none for the tags.
    pub log: Option<&'a str>,
}

/// A name and the rest of its entry.
pub(crate) type Entry = (Vec<u8>, Draft);

/// A run with these entries.
pub(crate) fn run_of(u: &mut Unstructured<'_>, header: &Header<'_>, mut entries: Vec<Entry>) -> Result<Bytes> {
    if !rarely(u, 24)? {
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        entries.dedup_by(|a, b| a.0 == b.0);
    }
    let mut body = b"SRRUN01\n".to_vec();
    let mut rows = Draft::default();
    let block = u.int_in_range(1..=8)?;
    let mut blocks = 0u32;
    for group in entries.chunks(block) {
        let mut encoded = Draft::default();
        for (name, rest) in group {
            encoded.short(name).append(rest);
        }
        let encoded = encoded.forge(u)?;
        let size = u32::try_from(encoded.len()).unwrap_or(u32::MAX);
        let (method, item) = stored(u, encoded)?;
        rows.short(&group[0].0).u64(body.len() as u64);
        rows.u32(u32::try_from(item.len()).unwrap_or(u32::MAX)).u32(size).u8(method);
        rows.raw(&Digest::of(&item).as_bytes()[..16]);
        body.extend_from_slice(&item);
        blocks += 1;
    }
    let filter = match u.int_in_range(0..=7)? {
        6 => vec![0xff; u.int_in_range(1..=40)?],
        7 => vec![0; 3],
        _ => Vec::new(),
    };
    seal_run(u, header, body, entries.len() as u64, blocks, &rows, &filter)
}

/// A run of this body, which has so many entries in so many blocks.
pub(crate) fn seal_run(
    u: &mut Unstructured<'_>,
    header: &Header<'_>,
    body: Vec<u8>,
    entries: u64,
    blocks: u32,
    rows: &Draft,
    filter: &[u8],
) -> Result<Bytes> {
    let mut directory = Draft::default();
    directory.u64(header.version).u64(header.first).raw(&[7; 16]).raw(&[6; 16]).u64(1_700_000_000_000_000);
    directory.u32(1).u32(0).u8(u8::from(header.log.is_none())).short(header.log.unwrap_or_default().as_bytes());
    directory.short(b"Ada").short(b"forged").u64(entries).u32(blocks).append(rows);
    directory.u32(u32::try_from(filter.len()).unwrap_or(u32::MAX)).raw(filter);
    seal(u, b"SRRUN01\n", body, directory)
}

/// A run of a namespace, with entries of all kinds.
pub(crate) fn run(u: &mut Unstructured<'_>, header: &Header<'_>, contents: &Contents) -> Result<Bytes> {
    const NAMES: [&str; 8] = ["chunks", "gone", "inline", "many", "noise", "packed", "x y", "\u{e4}"];
    let mut entries = Vec::new();
    for _ in 0..u.int_in_range(0..=12)? {
        let name = match u.int_in_range(0..=95)? {
            0 => Vec::new(),
            1 => b"../up".to_vec(),
            2 => b"a//b".to_vec(),
            3 => vec![b'x'; u.int_in_range(250..=2000)?],
            4 => u.arbitrary()?,
            5 => b"sub/x".to_vec(),
            6..=40 => format!("n{}", u.int_in_range(0..=99)?).into_bytes(),
            _ => u.choose(&NAMES)?.as_bytes().to_vec(),
        };
        let mut rest = Draft::default();
        rest.u64(u.int_in_range(header.first.min(header.version)..=header.version)?).u64(u.arbitrary()?);
        contents.encode_any(u, &mut rest)?;
        entries.push((name, rest));
    }
    run_of(u, header, entries)
}
