//! Reading files: opened once, so that what is read is one version of the object.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use rustix::fs::OFlags;

use super::place::{Place, failed};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::options::{ByteRange, Loaded};
use crate::unblock;

/// How much is read at a time, in bytes.
const PIECE_BYTES: u64 = 1 << 20;

/// Opens an object; what fits one piece is read at once.
pub(super) async fn load(place: &Arc<Place>, location: &Location, range: ByteRange) -> Result<Loaded> {
    let (opened, asked) = (location.clone(), place.clone());
    let (file, size, range, first) = unblock(move || {
        let path = asked.path("load", &opened)?;
        // Opening a FIFO must not wait for a writer.
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let file = match File::options().read(true).custom_flags(flags).open(&path) {
            Ok(file) => file,
            Err(error) => {
                // A socket can't be opened, nor can many a folder; there is no object either way.
                asked.look_up("load", &opened)?;
                return Err(failed("load", &opened, &path, error));
            }
        };
        let metadata = file.metadata().map_err(|error| failed("load", &opened, &path, error))?;
        if !metadata.is_file() {
            return Err(Error::missing("load", &opened));
        }
        let range = range.resolve(metadata.len(), &opened)?;
        let first = read_piece(&file, &path, &range)?;
        Ok((file, metadata.len(), range, first))
    })
    .await?;
    let rest = range.start + first.len() as u64..range.end;
    let path = place.path("load", location)?;
    let more = stream::try_unfold((Arc::new(file), rest), move |(file, left)| {
        let path = path.clone();
        async move {
            if left.is_empty() {
                return Ok(None);
            }
            let (reading, wanted) = (file.clone(), left.clone());
            let piece = unblock(move || read_piece(&reading, &path, &wanted)).await?;
            // Somebody cut the file: the stream ends early, which is an error to its reader.
            let next = left.start + piece.len() as u64..left.end;
            Ok((!piece.is_empty()).then_some((piece, (file, next))))
        }
    });
    let first = stream::iter((!first.is_empty()).then_some(Ok(first)));
    Ok(Loaded::new(location, size, range, first.chain(more)))
}

/// The first bytes of `range`, up to one piece; fewer only where the file ends.
fn read_piece(file: &File, path: &Path, range: &Range<u64>) -> Result<Bytes> {
    let length = usize::try_from(PIECE_BYTES.min(range.end - range.start)).expect("a piece fits memory");
    let mut buffer = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut buffer[filled..], range.start + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::from_io("load", path.display(), error)),
        }
    }
    buffer.truncate(filled);
    Ok(buffer.into())
}
