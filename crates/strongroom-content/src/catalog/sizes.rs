//! Which sizes large objects have, so that one whose size is new need not be hashed before it is stored.

use strongroom_storage::{Digest, Result};

use super::Catalog;
use crate::config::ChunkSizes;
use crate::nonce::Nonce;
use crate::paths;

impl Catalog {
    /// Whether content of `size` bytes may be there: as a file, or if `chunked` as chunks of these sizes. If not, it need not be
    /// hashed before it is stored.
    pub(crate) async fn may_have(&self, size: u64, chunked: Option<ChunkSizes>) -> Result<bool> {
        if !self.backend.capabilities().local {
            // To ask each file for its size costs more than to hash.
            return Ok(
                !self.known().files.is_empty() || chunked.is_some_and(|sizes| self.may_have_chunked(size, sizes))
            );
        }
        let unknown: Vec<(Digest, Nonce)> = {
            let known = self.known();
            let files = known.files.iter().flat_map(|(digest, nonces)| nonces.iter().map(|nonce| (*digest, *nonce)));
            files.filter(|(_, nonce)| !known.sized.contains(nonce)).collect()
        };
        for (digest, nonce) in unknown {
            match self.backend.metadata(&paths::whole_file(&digest, &nonce)?).await {
                Ok(metadata) => {
                    let mut known = self.known();
                    known.sizes.insert(metadata.size);
                    known.sized.insert(nonce);
                }
                Err(error) if error.is_missing() => {}
                // One that can't be looked at may be it.
                Err(_) => return Ok(true),
            }
        }
        let exact = self.known().sizes.contains(&size);
        Ok(exact || chunked.is_some_and(|sizes| self.may_have_chunked(size, sizes)))
    }

    /// Whether a chunked object is known that has so many chunks as this many bytes can have.
    fn may_have_chunked(&self, size: u64, sizes: ChunkSizes) -> bool {
        let least = u32::try_from(size.div_ceil(u64::from(sizes.maximum))).unwrap_or(u32::MAX);
        let most = u32::try_from(size / u64::from(sizes.minimum) + 1).unwrap_or(u32::MAX);
        self.known().chunk_counts.range(least..=most).next().is_some()
    }

    /// Notes that there is a large object of `size` bytes.
    pub(crate) fn note_size(&self, size: u64) {
        self.known().sizes.insert(size);
    }
}
