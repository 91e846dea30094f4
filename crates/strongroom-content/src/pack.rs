//! Packs: immutable files of many chunks with their own index.

use bytes::{Bytes, BytesMut};
use strongroom_storage::{Digest, ExternalStorage, Host, Result};

use crate::cache::Cache;
use crate::chunk::{Method, Place};
use crate::codec::{Decoder, Encoder, Malformed};
use crate::envelope::{self, MAGIC_BYTES, Magic};
use crate::nonce::Nonce;
use crate::paths;
use crate::record::{Kind, Record, Records, encode_records};

/// The magic number of packs.
pub(crate) const MAGIC: Magic = b"SRPACK1\n";
/// A pack is closed when it has this many bytes.
const TARGET_BYTES: u64 = 32 << 20;
/// A pack is closed when it has this many chunks.
const TARGET_RECORDS: usize = 1 << 16;

/// Shorter bodies are gathered: to copy them costs less than a piece of its own.
const GATHERED_BYTES: usize = 1 << 10;

/// A pack that is being filled, in memory.
#[derive(Debug)]
pub(crate) struct PackBuilder {
    nonce: Nonce,
    pieces: Vec<Bytes>,
    gathered: BytesMut,
    end: u64,
    records: Vec<Record>,
}

impl PackBuilder {
    pub(crate) fn new(host: &dyn Host) -> Result<Self> {
        Ok(Self::named(Nonce::draw(host)?))
    }

    pub(crate) fn named(nonce: Nonce) -> Self {
        let (pieces, gathered, records) = (Vec::new(), BytesMut::from(&MAGIC[..]), Vec::new());
        Self { nonce, pieces, gathered, end: MAGIC_BYTES as u64, records }
    }

    /// Adds `stored`, which is `size` bytes kept by `method`, under `digest`.
    pub(crate) fn add(&mut self, digest: Digest, kind: Kind, method: Method, stored: Bytes, size: u32) -> Place {
        let length = u32::try_from(stored.len())
            .expect("a stored chunk is no longer than a chunk, which has its length in 32 bits");
        let place = Place { pack: self.nonce, offset: self.end, stored: length, method };
        self.records.push(Record { digest, offset: self.end, stored: length, size, pack: 0, kind, method });
        self.end += u64::from(length);
        if stored.len() < GATHERED_BYTES {
            self.gathered.extend_from_slice(&stored);
            if self.gathered.len() >= GATHERED_BYTES * 64 {
                self.flush_gathered();
            }
        } else {
            self.flush_gathered();
            self.pieces.push(stored);
        }
        place
    }

    fn flush_gathered(&mut self) {
        if !self.gathered.is_empty() {
            self.pieces.push(std::mem::take(&mut self.gathered).freeze());
        }
    }

    /// Its name.
    pub(crate) fn nonce(&self) -> Nonce {
        self.nonce
    }

    /// What was added so far.
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    pub(crate) fn is_full(&self) -> bool {
        self.end >= TARGET_BYTES || self.records.len() >= TARGET_RECORDS
    }

    /// The finished file.
    pub(crate) fn finish(mut self) -> FinishedPack {
        let mut directory = Encoder::default();
        directory.nonce(&self.nonce);
        encode_records(&mut self.records, &mut directory);
        let directory = Bytes::from(directory.finish());
        self.flush_gathered();
        self.pieces.push(envelope::seal(MAGIC, self.end, &directory));
        let records = Records::of_bytes(directory.slice(Nonce::BYTES..));
        FinishedPack { nonce: self.nonce, pieces: self.pieces, records }
    }
}

/// A pack that is complete but not stored yet.
#[derive(Debug)]
pub(crate) struct FinishedPack {
    pub nonce: Nonce,
    /// The file, in pieces.
    pub pieces: Vec<Bytes>,
    /// Its index, sorted by digest.
    pub records: Records,
}

/// Reads the index of a stored pack, if it can be from the cache.
pub(crate) async fn read_index(backend: &dyn ExternalStorage, nonce: &Nonce, cache: &Cache) -> Result<Records> {
    let location = paths::pack(nonce)?;
    let name = format!("{}{nonce}", paths::PACKS);
    let cached = cache.load(&name).await.and_then(|end| envelope::parse_end(end, MAGIC).ok());
    let opened = match cached {
        Some(opened) => opened,
        None => {
            let opened = envelope::open(backend, &location, MAGIC).await?;
            if cache.is_there() {
                cache.store(&name, opened.end()).await;
            }
            opened
        }
    };
    let mut directory = Decoder::new(&opened.directory);
    let records = match directory.nonce() {
        Ok(found) if found == *nonce => Records::read(opened.directory.slice(Nonce::BYTES..), 1),
        Ok(_) => Err(Malformed("it is another pack")),
        Err(malformed) => Err(malformed),
    };
    records
        .and_then(|records| {
            let inside = |record: Record| {
                record.offset >= MAGIC_BYTES as u64 && record.offset + u64::from(record.stored) <= opened.body_end
            };
            if records.iter().all(inside) { Ok(records) } else { Err(Malformed("a place in it is beyond its end")) }
        })
        .map_err(|malformed| malformed.in_file(&location))
}
