//! Packs, with frames that are bombs and frames that lie.

use std::sync::OnceLock;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use strongroom::Digest;

use super::{CELL_LIST, CHUNK, CHUNK_LIST, Place, Record, compressed, noise, seal, stored};
use crate::draft::{Draft, edge, rarely};

/// A pack and what is in it.
#[derive(Debug)]
pub(crate) struct Pack {
    pub nonce: [u8; 16],
    pub file: Bytes,
    pub records: Vec<Record>,
    /// The content of each of them that is a chunk.
    pub bytes: Vec<Bytes>,
}

impl Pack {
    pub(crate) fn location(&self) -> String {
        pack_location(&self.nonce)
    }
}

/// Where the pack of this nonce lies.
pub(crate) fn pack_location(nonce: &[u8; 16]) -> String {
    let name: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("packs/{}/{name}", &name[..2])
}

/// The largest chunk that there can be, in bytes.
pub(crate) const LARGEST_CHUNK: u32 = 1 << 26;

/// The digest of as many zeros.
pub(crate) fn digest_of_largest() -> Digest {
    static DIGEST: OnceLock<Digest> = OnceLock::new();
    *DIGEST.get_or_init(|| Digest::of(&vec![0; LARGEST_CHUNK as usize]))
}

/// A zstd frame (RFC 8878) with so many zeros, 128 KiB in each four bytes of it.
pub(crate) fn frame_of_zeros(size: u32) -> Vec<u8> {
    frame_with_zeros(&[], size)
}

/// A zstd frame of `beginning` and zeros, `size` bytes in all.
pub(crate) fn frame_with_zeros(beginning: &[u8], size: u32) -> Vec<u8> {
    const BLOCK_BYTES: u32 = 128 << 10;
    let mut frame = false_frame(size.into());
    frame.truncate(frame.len() - 3);
    // The last block or not, plain or a byte that is repeated, and its length.
    let header = |is_last: bool, kind: u32, length: u32| (u32::from(is_last) | kind << 1 | length << 3).to_le_bytes();
    let length = u32::try_from(beginning.len()).unwrap_or(u32::MAX);
    frame.extend_from_slice(&header(false, 0, length)[..3]);
    frame.extend_from_slice(beginning);
    let mut left = size - length;
    loop {
        let now = left.min(BLOCK_BYTES);
        left -= now;
        frame.extend_from_slice(&header(left == 0, 1, now)[..3]);
        frame.push(0);
        if left == 0 {
            return frame;
        }
    }
}

/// A zstd frame (RFC 8878) that says it holds `size` bytes and holds none.
pub(crate) fn false_frame(size: u64) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
    frame.extend_from_slice(&size.to_le_bytes());
    frame.extend_from_slice(&[1, 0, 0]);
    frame
}

/// A pack of this name.
pub(crate) fn pack(u: &mut Unstructured<'_>, nonce: [u8; 16]) -> Result<Pack> {
    let mut body = b"SRPACK1\n".to_vec();
    let (mut records, mut contents): (Vec<Record>, Vec<Bytes>) = (Vec::new(), Vec::new());
    for _ in 0..u.int_in_range(1..=6)? {
        let seed = u.int_in_range(0..=20)?;
        let chunk = |content: Bytes, method: u8, item: Vec<u8>| {
            (CHUNK, Digest::of(&content), content.len() as u64, method, item, content)
        };
        let (kind, digest, size, method, item, content) = match u.int_in_range(0..=11)? {
            0..=3 => {
                let content = noise(seed, u.int_in_range(0..=400)?);
                chunk(content.clone(), 0, content.to_vec())
            }
            4..=6 => {
                let content = Bytes::from(vec![b'z'; u.int_in_range(20..=5000)?]);
                chunk(content.clone(), 1, compressed(&content))
            }
            7 => {
                let size = edge(u, 100)?;
                (CHUNK, Digest::of(b"false"), size, 1, false_frame(size), Bytes::new())
            }
            8 if rarely(u, 16)? => {
                let frame = frame_of_zeros(LARGEST_CHUNK);
                (CHUNK, digest_of_largest(), LARGEST_CHUNK.into(), 1, frame, Bytes::new())
            }
            8..=10 => {
                let mut items = Draft::default();
                let mut whole = Vec::new();
                let chunks: Vec<(&Record, &Bytes)> =
                    records.iter().zip(&contents).filter(|(record, _)| record.kind == CHUNK).collect();
                let count = if chunks.is_empty() { 0 } else { u.int_in_range(0..=20u32)? };
                for _ in 0..count {
                    let (record, content) = u.choose(&chunks)?;
                    record.encode_chunk(&mut items);
                    whole.extend_from_slice(content);
                }
                let object = Digest::of(&whole);
                let body = list_body(u, &object, count, &items)?;
                let (size, (method, item)) = (body.len() as u64, stored(u, body)?);
                (CHUNK_LIST, object, size, method, item, Bytes::from(whole))
            }
            _ => {
                let mut items = Draft::default();
                let count = u.int_in_range(0..=4u32)?;
                items.raw(&noise(7, 32 * count as usize));
                let object = Digest::of(b"a file");
                let body = list_body(u, &object, count, &items)?;
                let (size, (method, item)) = (body.len() as u64, stored(u, body)?);
                (CELL_LIST, object, size, method, item, Bytes::new())
            }
        };
        let length = u32::try_from(item.len()).unwrap_or(u32::MAX);
        let place = Place { pack: nonce, offset: body.len() as u64, stored: length, method };
        body.extend_from_slice(&item);
        records.push(Record { digest, size: u32::try_from(size).unwrap_or(u32::MAX), kind, place });
        contents.push(content);
    }
    let mut rows = records.clone();
    if !rarely(u, 16)? {
        rows.sort_by_key(|record| record.digest);
    }
    let mut directory = Draft::default();
    directory.raw(&nonce);
    rows.iter().for_each(|record| record.encode(&mut directory, 0));
    Ok(Pack { nonce, file: seal(u, b"SRPACK1\n", body, directory)?, records, bytes: contents })
}

/// A list as it stands in a pack.
fn list_body(u: &mut Unstructured<'_>, object: &Digest, count: u32, items: &Draft) -> Result<Vec<u8>> {
    let mut body = Draft::default();
    body.raw(object.as_bytes()).u32(count).append(items);
    let mut body = body.forge(u)?;
    let digest = Digest::of(&body);
    body.extend_from_slice(digest.as_bytes());
    Ok(body)
}
