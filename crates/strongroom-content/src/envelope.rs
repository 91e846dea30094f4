//! The shape that packs, runs and index files share: magic, body, directory, footer.
//!
//! The footer has a fixed length, so one read of a file's tail finds the directory; its checksum covers the directory, and
//! the directory has what verifies the body.

use bytes::Bytes;
use strongroom_storage::{ByteRange, Digest, ExternalStorage, Location, Result};

use crate::codec::{Decoded, Decoder, Encoder, Malformed};

/// Bytes of a magic number.
pub(crate) const MAGIC_BYTES: usize = 8;
/// Bytes of the footer.
pub(crate) const FOOTER_BYTES: usize = 8 + 4 + 4 + 32 + MAGIC_BYTES;
/// How much of a file's end is read at first, in bytes.
pub(crate) const TAIL_BYTES: u64 = 64 << 10;

/// The magic number at both ends of a file.
pub(crate) type Magic = &'static [u8; MAGIC_BYTES];

/// What follows the body: the directory and the footer.
pub(crate) fn seal(magic: Magic, body_end: u64, directory: &[u8]) -> Bytes {
    let mut out = Encoder::default();
    out.raw(directory);
    let mut footer = Encoder::default();
    footer.u64(body_end);
    footer.u32(u32::try_from(directory.len()).expect("a directory is shorter than 4 GiB"));
    footer.u32(0);
    let footer = footer.finish();
    out.raw(&footer);
    out.digest(&checksum(magic, directory, &footer));
    out.raw(magic);
    out.finish().into()
}

fn checksum(magic: Magic, directory: &[u8], footer: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(magic).update(footer).update(directory);
    hasher.finalize().into()
}

/// A file whose directory was read.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The directory, checked.
    pub directory: Bytes,
    /// Where the body ends and the directory begins.
    pub body_end: u64,
    /// The end of the file as far as it was read: where in the file it begins, and its bytes.
    pub tail: (u64, Bytes),
}

impl Opened {
    /// The directory and the footer, as they stand at the end of the file.
    pub(crate) fn end(&self) -> Bytes {
        let footer = self.tail.1.len().saturating_sub(FOOTER_BYTES);
        [&self.directory[..], &self.tail.1[footer..]].concat().into()
    }
}

/// Reads the directory of the file at `location`, by one request or two: of its last `tail_bytes` at first.
///
/// # Errors
/// `Missing` if there is no file; `Corrupt` if it is not what its checksum says.
pub(crate) async fn open_tail(
    backend: &dyn ExternalStorage,
    location: &Location,
    magic: Magic,
    tail_bytes: u64,
) -> Result<Opened> {
    let loaded = backend.load(location, ByteRange::Last(tail_bytes)).await?;
    let size = loaded.size;
    let tail = loaded.into_bytes().await?;
    let footer = Footer::read(magic, size, &tail).map_err(|malformed| malformed.in_file(location))?;
    let start = size - tail.len() as u64;
    let directory = if footer.start >= start {
        let from = usize::try_from(footer.start - start).unwrap_or(usize::MAX);
        tail.slice(from..from + footer.length)
    } else {
        let range = footer.start..footer.start + footer.length as u64;
        backend.load_bytes(location, range.into()).await?
    };
    footer.check(magic, &directory).map_err(|malformed| malformed.in_file(location))?;
    if start == 0 && !tail.starts_with(magic) {
        return Err(Malformed("its beginning is damaged").in_file(location));
    }
    Ok(Opened { directory, body_end: footer.start, tail: (start, tail) })
}

/// Reads the directory of the file at `location`, by one request or two.
///
/// # Errors
/// As for [`open_tail`].
pub(crate) async fn open(backend: &dyn ExternalStorage, location: &Location, magic: Magic) -> Result<Opened> {
    open_tail(backend, location, magic, TAIL_BYTES).await
}

/// The directory of a file that is in memory.
pub(crate) fn parse(file: Bytes, magic: Magic) -> Decoded<Opened> {
    let footer = Footer::read(magic, file.len() as u64, &file)?;
    let start = usize::try_from(footer.start).map_err(|_| Malformed("it is too large"))?;
    let directory = file.slice(start..start + footer.length);
    footer.check(magic, &directory)?;
    if !file.starts_with(magic) {
        return Err(Malformed("its beginning is damaged"));
    }
    Ok(Opened { directory, body_end: footer.start, tail: (0, file) })
}

/// The directory of a file of which there is a copy of the end: directory and footer.
pub(crate) fn parse_end(end: Bytes, magic: Magic) -> Decoded<Opened> {
    let footer = end.last_chunk::<FOOTER_BYTES>().ok_or(Malformed("it is too short"))?;
    let start = Decoder::new(footer).u64()?;
    let size = start.checked_add(end.len() as u64).ok_or(Malformed("it is too large"))?;
    let footer = Footer::read(magic, size, &end)?;
    let directory = end.slice(..footer.length);
    footer.check(magic, &directory)?;
    Ok(Opened { directory, body_end: start, tail: (start, end) })
}

/// Checks the first bytes of the file at `location`, which nobody needs who knows what it is.
///
/// # Errors
/// `Corrupt` if they are not `magic`.
pub(crate) async fn check_beginning(
    backend: &dyn ExternalStorage,
    location: &Location,
    tail: &(u64, Bytes),
    magic: Magic,
) -> Result<()> {
    let beginning = match tail {
        (0, whole) => whole.slice(..MAGIC_BYTES.min(whole.len())),
        _ => backend.load_bytes(location, (0..MAGIC_BYTES as u64).into()).await?,
    };
    if beginning == magic[..] {
        Ok(())
    } else {
        Err(Malformed("its first bytes are not those of its kind").in_file(location))
    }
}

struct Footer {
    start: u64,
    length: usize,
    fields: [u8; 16],
    checksum: [u8; 32],
}

impl Footer {
    fn read(magic: Magic, size: u64, tail: &[u8]) -> Decoded<Self> {
        let footer = tail.last_chunk::<FOOTER_BYTES>().ok_or(Malformed("it is too short"))?;
        let mut input = Decoder::new(footer);
        let fields: [u8; 16] = input.array()?;
        let checksum = input.array()?;
        if input.raw(MAGIC_BYTES)? != magic {
            return Err(Malformed("its end is missing or it is another kind of file"));
        }
        let mut input = Decoder::new(&fields);
        let (start, length) = (input.u64()?, input.u32()?);
        if input.u32()? != 0 {
            return Err(Malformed("its footer has something where nothing is defined"));
        }
        if start < MAGIC_BYTES as u64 {
            return Err(Malformed("its parts overlap"));
        }
        if start.checked_add(u64::from(length)).and_then(|end| end.checked_add(FOOTER_BYTES as u64)) != Some(size) {
            return Err(Malformed("its length is not what its footer says"));
        }
        Ok(Self { start, length: usize::try_from(length).map_err(|_| Malformed("it is too large"))?, fields, checksum })
    }

    fn check(&self, magic: Magic, directory: &[u8]) -> Decoded<()> {
        if checksum(magic, directory, &self.fields).as_bytes() == &self.checksum {
            Ok(())
        } else {
            Err(Malformed("its directory does not match its checksum"))
        }
    }
}
