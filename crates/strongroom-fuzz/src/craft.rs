//! Files of a store, by the page `FORMAT.md` and not by the code that reads them: mostly valid, and then forged before their
//! checksums are made.

mod content;
mod index;
mod pack;
mod run;
mod texts;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use strongroom::Digest;

use crate::draft::Draft;
pub(crate) use content::Contents;
pub(crate) use index::index;
pub(crate) use pack::{
    LARGEST_CHUNK, Pack, digest_of_largest, false_frame, frame_of_zeros, frame_with_zeros, pack, pack_location,
};
pub(crate) use run::{Header, run, run_of, seal_run};
pub(crate) use texts::{descriptor, list};

/// Where bytes lie in a pack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub pack: [u8; 16],
    pub offset: u64,
    pub stored: u32,
    pub method: u8,
}

impl Place {
    pub(crate) fn encode(&self, out: &mut Draft) {
        out.raw(&self.pack).u64(self.offset).u32(self.stored).u8(self.method);
    }
}

/// A record of a pack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub digest: Digest,
    pub size: u32,
    pub kind: u8,
    pub place: Place,
}

impl Record {
    pub(crate) fn encode(&self, out: &mut Draft, pack: u32) {
        out.raw(self.digest.as_bytes()).u64(self.place.offset).u32(self.place.stored).u32(self.size);
        out.u32(pack).u8(self.kind).u8(self.place.method).u16(0);
    }

    /// As an item of a chunk list.
    pub(crate) fn encode_chunk(&self, out: &mut Draft) {
        out.raw(self.digest.as_bytes()).u32(self.size);
        self.place.encode(out);
    }
}

/// The kinds of records.
pub(crate) const CHUNK: u8 = 0;
pub(crate) const CHUNK_LIST: u8 = 1;
pub(crate) const CELL_LIST: u8 = 2;

/// A file with this body and directory, and a footer that is right unless it was forged.
pub(crate) fn seal(u: &mut Unstructured<'_>, magic: &[u8; 8], mut body: Vec<u8>, directory: Draft) -> Result<Bytes> {
    let directory = directory.forge(u)?;
    let mut footer = Draft::default();
    footer.u64(body.len() as u64).u32(u32::try_from(directory.len()).unwrap_or(u32::MAX)).u32(0);
    let footer =
        if crate::draft::rarely(u, 8)? { footer.forge(u)? } else { footer.forge(&mut Unstructured::new(&[]))? };
    let mut hasher = blake3::Hasher::new();
    hasher.update(magic).update(&footer).update(&directory);
    body.extend_from_slice(&directory);
    body.extend_from_slice(&footer);
    body.extend_from_slice(hasher.finalize().as_bytes());
    body.extend_from_slice(magic);
    Ok(body.into())
}

/// Bytes that nothing compresses and that no other seed gives.
pub(crate) fn noise(seed: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into()
}

/// A zstd frame.
pub(crate) fn compressed(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 1).expect("memory can be compressed")
}

/// By a method: as they are, or as a zstd frame.
pub(crate) fn stored(u: &mut Unstructured<'_>, bytes: Vec<u8>) -> Result<(u8, Vec<u8>)> {
    if crate::draft::rarely(u, 3)? {
        let frame = compressed(&bytes);
        if frame.len() <= bytes.len() {
            return Ok((1, frame));
        }
    }
    Ok((0, bytes))
}
