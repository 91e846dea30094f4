//! Loading objects into local files: by sharing their blocks, or by copying and looking at the copy side by side.

use std::sync::Arc;

use super::copy::{CLONE_BYTES, LARGE_BYTES, Onlooker, Seen, copy, each_piece, look, read, share_blocks};
use super::place::Place;
use super::reader::{self, OpenFile};
use crate::digest::{DigestSet, Digests, Hasher};
use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;
use crate::options::Copied;
use crate::target::TargetFile;
use crate::unblock;

/// Writes an object into `target`.
pub(super) async fn load_into(
    place: &Arc<Place>,
    location: &Location,
    target: &TargetFile,
    digests: DigestSet,
) -> Result<Copied> {
    let opened = reader::open(place, location).await?;
    let target = target.clone();
    let copied = unblock(move || copy_file(&opened, &target, digests).map(|copied| (copied, opened.size))).await?;
    match copied {
        (copied, size) if copied.size == size => Ok(copied),
        (copied, size) => {
            let detail = format!("it has {size} bytes, and {} could be read", copied.size);
            Err(Error::new(ErrorKind::Corrupt, "load", location, detail))
        }
    }
}

fn copy_file(opened: &OpenFile, target: &TargetFile, digests: DigestSet) -> Result<Copied> {
    let size = opened.size;
    let mut hashers = Hasher::new(digests).split();
    let cloned = size >= CLONE_BYTES && share_blocks(&opened.file, target.file());
    let mut copied = 0;
    let onlookers = hashers.iter_mut().map(|hasher| Box::new(|bytes: &[u8]| hasher.update(bytes)) as Onlooker<'_>);
    let landed = Seen { file: target.file(), failed: &|error| target.failed(error) };
    if cloned {
        look(landed, &(0..size), onlookers.collect())?;
        copied = size;
    } else {
        let read = |buffer: &mut [u8]| {
            read(&opened.file, buffer).map_err(|error| Error::from_io("load", opened.path.display(), error))
        };
        let mut write = |bytes: &[u8]| {
            target.write_at(bytes, copied)?;
            copied += bytes.len() as u64;
            Ok(())
        };
        target.reserve(size);
        if size >= LARGE_BYTES {
            copy(read, write, landed, onlookers.collect(), None::<fn() -> Result<()>>)?;
        } else {
            let mut onlookers: Vec<Onlooker<'_>> = onlookers.collect();
            each_piece(size, read, |bytes| {
                onlookers.iter_mut().for_each(|see| see(bytes));
                write(bytes)
            })?;
        }
    }
    let digests = hashers.into_iter().fold(Digests::default(), |known, hasher| known.or(hasher.finish()));
    Ok(Copied::new(copied, digests))
}
