//! What names stand for.

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use strongroom::Digest;

use super::{CELL_LIST, CHUNK, CHUNK_LIST, Pack, Record};
use crate::draft::{Draft, edge, rarely};

/// Content that entries can name.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    records: Vec<(Record, Bytes)>,
    /// Whole files: digest, nonce, size.
    files: Vec<(Digest, [u8; 16], u64)>,
}

impl Contents {
    pub(crate) fn add_pack(&mut self, pack: &Pack) {
        self.records.extend(pack.records.iter().copied().zip(pack.bytes.iter().cloned()));
    }

    pub(crate) fn add_file(&mut self, digest: Digest, nonce: [u8; 16], size: u64) {
        self.files.push((digest, nonce, size));
    }

    fn of_kind(&self, kind: u8) -> Vec<&(Record, Bytes)> {
        self.records.iter().filter(|(record, _)| record.kind == kind).collect()
    }

    /// The byte *kind* and all that follows it in an entry.
    pub(crate) fn encode_any(&self, u: &mut Unstructured<'_>, out: &mut Draft) -> Result<()> {
        let (chunks, lists, cells) = (self.of_kind(CHUNK), self.of_kind(CHUNK_LIST), self.of_kind(CELL_LIST));
        match u.int_in_range(0..=12)? {
            0 => {
                out.u8(0);
                return Ok(());
            }
            1..=3 if !chunks.is_empty() => {
                let (record, _) = u.choose(&chunks)?;
                out.u8(2).raw(record.digest.as_bytes()).u64(record.size.into());
                record.place.encode(out);
            }
            4..=6 if !chunks.is_empty() => {
                let (mut items, mut whole, mut size) = (Draft::default(), Vec::new(), 0);
                let count = u.int_in_range(0..=5u32)?;
                for _ in 0..count {
                    let (record, bytes) = u.choose(&chunks)?;
                    record.encode_chunk(&mut items);
                    whole.extend_from_slice(bytes);
                    size += u64::from(record.size);
                }
                let digest = if rarely(u, 4)? { Digest::of(b"another") } else { Digest::of(&whole) };
                out.u8(3).raw(digest.as_bytes()).u64(size).u8(0).u32(count).append(&items);
            }
            7 | 8 if !lists.is_empty() => {
                let (record, whole) = u.choose(&lists)?;
                let size = if rarely(u, 8)? { edge(u, whole.len() as u64)? } else { whole.len() as u64 };
                out.u8(3).raw(record.digest.as_bytes()).u64(size).u8(1);
                record.place.encode(out);
                out.u32(record.size);
            }
            9..=10 if !self.files.is_empty() => {
                let (digest, nonce, size) = *u.choose(&self.files)?;
                let size = if rarely(u, 8)? { edge(u, size)? } else { size };
                out.u8(4).raw(digest.as_bytes()).u64(size).raw(&nonce);
                match cells.first() {
                    Some((record, _)) => {
                        out.u8(1);
                        record.place.encode(out);
                        out.u32(record.size);
                    }
                    None => {
                        // One for each MiB, if there are several.
                        let right = match size.div_ceil(1 << 20) {
                            count @ 2..=9 => count as u32,
                            _ => 0,
                        };
                        let count = if rarely(u, 8)? { u.int_in_range(0..=3u32)? } else { right };
                        out.u8(0).u32(count);
                        out.raw(&[5; 32].repeat(count as usize));
                    }
                }
            }
            _ => {
                let bytes: Vec<u8> = u.arbitrary()?;
                let digest = if rarely(u, 8)? { Digest::of(b"another") } else { Digest::of(&bytes) };
                out.u8(1).raw(digest.as_bytes()).u64(bytes.len() as u64).short(&bytes);
            }
        }
        let mut attributes: Vec<(&str, Vec<u8>)> = Vec::new();
        for key in ["executable", "lab.kelvin", "md5", "modified", "sha256", "symlink"] {
            if rarely(u, 6)? {
                attributes.push((key, u.arbitrary()?));
            }
        }
        out.u16(u16::try_from(attributes.len()).unwrap_or(u16::MAX));
        for (key, value) in &attributes {
            out.short(key.as_bytes()).short(value);
        }
        Ok(())
    }
}
