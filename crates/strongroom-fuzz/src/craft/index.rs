//! Index files.

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use strongroom::Digest;

use super::{CHUNK_LIST, Record, seal};
use crate::draft::{Draft, rarely};

const BLOCK_RECORDS: usize = 73;

/// An index file of `packs`, with some of `records` left out and others twice.
pub(crate) fn index(u: &mut Unstructured<'_>, packs: &[[u8; 16]], records: &[Record]) -> Result<Bytes> {
    let mut rows: Vec<&Record> = records.iter().collect();
    if rarely(u, 4)? && !records.is_empty() {
        for _ in 0..u.int_in_range(1..=200)? {
            rows.push(u.choose(records)?);
        }
    }
    if !rarely(u, 16)? {
        rows.sort_by_key(|record| record.digest);
    }
    let mut body = b"SRINDX1\n".to_vec();
    let mut fences = Draft::default();
    for block in rows.chunks(BLOCK_RECORDS) {
        let mut encoded = Draft::default();
        for record in block {
            let pack = packs.iter().position(|pack| *pack == record.place.pack).unwrap_or(packs.len());
            record.encode(&mut encoded, u32::try_from(pack).unwrap_or(u32::MAX));
        }
        let encoded = encoded.forge(u)?;
        fences.raw(encoded.first_chunk().unwrap_or(&[0; 8])).raw(&Digest::of(&encoded).as_bytes()[..16]);
        body.extend_from_slice(&encoded);
    }
    let mut directory = Draft::default();
    directory.u64(rows.len() as u64).u32(u32::try_from(packs.len()).unwrap_or(u32::MAX));
    directory.raw(&packs.concat());
    match rows.iter().any(|record| record.kind == CHUNK_LIST) {
        true => directory.u32(1).u32(5),
        false => directory.u32(0),
    };
    // All bits are set, so that nothing is ruled out.
    let filter = vec![0xff; u.int_in_range(1..=40)?];
    directory.u32(u32::try_from(filter.len()).unwrap_or(u32::MAX)).raw(&filter).append(&fences);
    seal(u, b"SRINDX1\n", body, directory)
}
