//! Index files: hints of where chunks are, for many packs at once.

use std::sync::Arc;

use bytes::Bytes;
use strongroom_storage::{ExternalStorage, Result, Source};

use crate::codec::{Decoded, Decoder, Encoder};
use crate::envelope::{self, Magic};
use crate::nonce::Nonce;
use crate::paths;
use crate::record::{Record, Records, encode_records};

/// The magic number of index files.
pub(crate) const MAGIC: Magic = b"SRINDX0\n";

/// The index of some packs: of one, from its own tail, or of many, from an index file.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// The packs; a record says which by its position.
    pub packs: Arc<[Nonce]>,
    pub records: Records,
}

/// Reads the index file `nonce`.
///
/// # Errors
/// `Missing` if there is none; `Corrupt` if it is not what its checksum says.
pub(crate) async fn read(backend: &dyn ExternalStorage, nonce: &Nonce) -> Result<Table> {
    let location = paths::index(nonce)?;
    let opened = envelope::open(backend, &location, MAGIC).await?;
    decode(&opened.directory).map_err(|malformed| malformed.in_file(&location))
}

/// Checks all of the index file `nonce`.
///
/// # Errors
/// As for [`read`].
pub(crate) async fn check(backend: &dyn ExternalStorage, nonce: &Nonce) -> Result<()> {
    let location = paths::index(nonce)?;
    let opened = envelope::open(backend, &location, MAGIC).await?;
    envelope::check_beginning(backend, &location, &opened.tail, MAGIC).await?;
    decode(&opened.directory).map(drop).map_err(|malformed| malformed.in_file(&location))
}

fn decode(directory: &Bytes) -> Decoded<Table> {
    let mut input = Decoder::new(directory);
    let count = input.count(Nonce::BYTES)?;
    let packs: Vec<Nonce> = (0..count).map(|_| input.nonce()).collect::<Decoded<_>>()?;
    let records = directory.slice(directory.len() - input.len()..);
    Ok(Table { records: Records::read(records, packs.len())?, packs: packs.into() })
}

/// Stores an index file for `tables` and says what it covers.
pub(crate) async fn write(backend: &dyn ExternalStorage, nonce: &Nonce, tables: &[Table]) -> Result<Table> {
    let mut packs = Vec::new();
    let mut records: Vec<Record> = Vec::new();
    for table in tables {
        let base = u32::try_from(packs.len()).expect("an index file covers fewer packs than 32 bits can count");
        packs.extend_from_slice(&table.packs);
        records.extend(table.records.iter().map(|record| Record { pack: base + record.pack, ..record }));
    }
    let mut directory = Encoder::default();
    directory.u32(u32::try_from(packs.len()).expect("an index file covers fewer packs than 32 bits can count"));
    packs.iter().for_each(|pack| directory.nonce(pack));
    encode_records(&mut records, &mut directory);
    let directory = Bytes::from(directory.finish());
    let table = decode(&directory).map_err(|malformed| malformed.in_file(nonce))?;
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&envelope::seal(MAGIC, MAGIC.len() as u64, &directory));
    backend.store(&paths::index(nonce)?, Source::bytes(file), &paths::once()).await?;
    Ok(table)
}
