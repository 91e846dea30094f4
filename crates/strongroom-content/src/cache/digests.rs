//! MD5 and SHA-256 that were computed on demand.

use bytes::Bytes;
use strongroom_storage::{Digest, Digests, Md5Digest, Sha256Digest};

use super::Cache;
use crate::codec::{Decoded, Decoder, Encoder, Malformed};

/// Bytes of a row: BLAKE3, which of the others are known, MD5, SHA-256.
const ROW_BYTES: usize = Digest::BYTES + 1 + Md5Digest::BYTES + Sha256Digest::BYTES;
/// How many a file has at most; the oldest go first.
const ROWS_MAX: usize = 4096;
const MD5: u8 = 1;
const SHA256: u8 = 2;

fn name_of(digest: &Digest) -> String {
    format!("digests/{:02x}", digest.as_bytes()[0])
}

impl Cache {
    /// The other digests of the content with this digest, as far as they were computed before.
    pub(crate) async fn digests_of(&self, digest: &Digest) -> Digests {
        let rows = self.rows(&name_of(digest)).await;
        rows.into_iter().find(|row| row.blake3 == Some(*digest)).unwrap_or_default()
    }

    /// Remembers digests. If another process does so at the same time, one of them may have done it in vain.
    pub(crate) async fn remember(&self, digest: &Digest, digests: &Digests) {
        if !self.is_there() {
            return;
        }
        let name = name_of(digest);
        let mut rows = self.rows(&name).await;
        let known = rows.iter().position(|row| row.blake3 == Some(*digest)).map(|position| rows.remove(position));
        let mut new = digests.clone().or(known.unwrap_or_default());
        new.blake3 = Some(*digest);
        rows.push(new);
        let surplus = rows.len().saturating_sub(ROWS_MAX);
        self.store(&name, encode(&rows[surplus..])).await;
    }

    async fn rows(&self, name: &str) -> Vec<Digests> {
        match self.load(name).await {
            Some(file) => decode(&file).unwrap_or_default(),
            None => Vec::new(),
        }
    }
}

fn encode(rows: &[Digests]) -> Bytes {
    let mut out = Encoder::default();
    for row in rows {
        let flags = row.md5.map_or(0, |_| MD5) | row.sha256.map_or(0, |_| SHA256);
        out.raw(row.blake3.map_or([0; Digest::BYTES], |digest| *digest.as_bytes()).as_slice());
        out.u8(flags);
        out.raw(row.md5.map_or([0; Md5Digest::BYTES], |digest| *digest.as_bytes()).as_slice());
        out.raw(row.sha256.map_or([0; Sha256Digest::BYTES], |digest| *digest.as_bytes()).as_slice());
    }
    let mut file = out.finish();
    let checksum = Digest::of(&file);
    file.extend_from_slice(checksum.as_bytes());
    file.into()
}

fn decode(file: &[u8]) -> Decoded<Vec<Digests>> {
    let damaged = Malformed("it does not match its checksum");
    let (rows, checksum) = file.split_last_chunk::<{ Digest::BYTES }>().ok_or(damaged)?;
    if Digest::of(rows).as_bytes() != checksum || !rows.len().is_multiple_of(ROW_BYTES) {
        return Err(damaged);
    }
    let row = |row| {
        let mut input = Decoder::new(row);
        let (blake3, flags) = (input.digest()?, input.u8()?);
        let (md5, sha256) = (Md5Digest::from_bytes(input.array()?), Sha256Digest::from_bytes(input.array()?));
        let mut digests = Digests::default();
        digests.blake3 = Some(blake3);
        digests.md5 = (flags & MD5 != 0).then_some(md5);
        digests.sha256 = (flags & SHA256 != 0).then_some(sha256);
        Ok(digests)
    };
    rows.chunks_exact(ROW_BYTES).map(row).collect()
}

#[cfg(test)]
mod tests {
    use strongroom_storage::DigestSet;

    use super::*;

    #[test]
    fn what_is_not_as_it_was_written_is_nothing() {
        let rows = [Digests::of(b"a", DigestSet::ALL), Digests::of(b"b", DigestSet::MD5.union(DigestSet::BLAKE3))];
        let file = encode(&rows);
        assert_eq!(decode(&file), Ok(rows.to_vec()));
        for byte in 0..file.len() {
            let mut damaged = file.to_vec();
            damaged[byte] ^= 1;
            assert!(decode(&damaged).is_err(), "byte {byte}");
            assert!(decode(&file[..byte]).is_err());
        }
    }

    #[tokio::test]
    async fn each_file_has_a_bound_and_the_oldest_go_first() {
        let storage = std::sync::Arc::new(strongroom_storage::MemoryStorage::new());
        let cache = Cache::new(Some(storage), "id");
        let mut first = Digest::of(b"the first").as_bytes().to_owned();
        first[0] = 7;
        let with = |n: u32| {
            let mut bytes = first;
            bytes[1..5].copy_from_slice(&n.to_le_bytes());
            Digest::from_bytes(bytes)
        };
        let known = Digests::of(b"any", DigestSet::MD5);
        let row = |n| {
            let mut row = known.clone();
            row.blake3 = Some(with(n));
            row
        };
        let mut rows: Vec<Digests> = (0..4096).map(row).collect();
        cache.store("digests/07", encode(&rows)).await;
        cache.remember(&with(4096), &known).await;
        assert_eq!(cache.digests_of(&with(4096)).await.md5, known.md5);
        assert_eq!(cache.digests_of(&with(0)).await, Digests::default());
        rows.remove(0);
        assert_eq!(cache.rows("digests/07").await[..4095], rows);
    }
}
