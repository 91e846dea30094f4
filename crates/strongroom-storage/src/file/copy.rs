//! Copying large files: each who looks at what is copied does so on a thread of its own, and it is begun to be made durable on
//! another, so that all of it takes little longer than the slowest.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, Scope, ScopedJoinHandle};

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};

/// How much is copied at a time, in bytes. More than fits a core's own cache takes longer.
pub(super) const COPY_BYTES: usize = 256 << 10;
/// Smaller files are not worth a thread.
pub(super) const LARGE_BYTES: u64 = 8 << 20;
/// From how many bytes on a file system is asked to share them.
pub(super) const CLONE_BYTES: u64 = 1 << 20;
/// How many pieces may wait for one who looks at them.
const PIECES_AHEAD: usize = 8;
/// How many pieces there are: those that wait for the slowest, the one that it looks at, the one that is to wait, and one more,
/// so that a copy whose onlooker died with all others still finds that out.
const PIECES: usize = PIECES_AHEAD + 3;
/// After how many bytes they are begun to be made durable: what is written while others are still read need not be waited for
/// at the end.
const SYNC_BYTES: usize = 64 << 20;

/// Somebody who sees all bytes, piece by piece, in order.
pub type Onlooker<'a> = Box<dyn FnMut(&[u8]) + Send + 'a>;

/// A piece on its way; it is used again when the last who sees it has done so.
type Piece = Arc<(Vec<u8>, usize)>;

/// Reads pieces to their end; each is written here, and seen by each onlooker on a thread of its own. `sync` is called on
/// another one now and then, if there is any.
///
/// # Errors
/// The first of those of `read`, `write` and `sync`.
pub(crate) fn copy(
    mut read: impl FnMut(&mut [u8]) -> Result<usize>,
    mut write: impl FnMut(&[u8]) -> Result<()>,
    onlookers: Vec<Onlooker<'_>>,
    sync: Option<impl Fn() -> Result<()> + Send>,
) -> Result<()> {
    thread::scope(|scope| {
        let (give_back, free) = mpsc::channel();
        for _ in 0..PIECES {
            // The other end stands beside.
            give_back.send(vec![0; COPY_BYTES]).unwrap_or_default();
        }
        let recycle = |give_back: &mpsc::Sender<Vec<u8>>, piece: Piece| {
            if let Some((buffer, _)) = Arc::into_inner(piece) {
                // Who copies may have failed meanwhile.
                give_back.send(buffer).unwrap_or_default();
            }
        };
        let mut waiting = Vec::with_capacity(onlookers.len());
        for mut see in onlookers {
            let (filled, to_see) = mpsc::sync_channel::<Piece>(PIECES_AHEAD);
            let give_back = give_back.clone();
            spawn(scope, move || {
                for piece in to_see {
                    see(&piece.0[..piece.1]);
                    recycle(&give_back, piece);
                }
            })?;
            waiting.push(filled);
        }
        let (tell, told) = mpsc::sync_channel::<()>(1);
        let syncing = match sync {
            Some(sync) => Some(spawn(scope, move || told.into_iter().try_for_each(|()| sync()))?),
            None => None,
        };
        let mut unsynced = 0;
        while let Ok(mut buffer) = free.recv() {
            let length = read(&mut buffer)?;
            if length == 0 {
                break;
            }
            write(&buffer[..length])?;
            unsynced += length;
            if unsynced >= SYNC_BYTES && tell.try_send(()).is_ok() {
                unsynced = 0;
            }
            let piece = Arc::new((buffer, length));
            // An onlooker ends early only if it panicked, which the scope passes on.
            if waiting.iter().any(|filled| filled.send(piece.clone()).is_err()) {
                break;
            }
            recycle(&give_back, piece);
        }
        drop((waiting, tell));
        match syncing.map(ScopedJoinHandle::join) {
            Some(Ok(synced)) => synced,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    })
}

/// Reads about `size` bytes to their end, in pieces.
pub(super) fn each_piece(
    size: u64,
    mut read: impl FnMut(&mut [u8]) -> Result<usize>,
    mut each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    // One byte more, so that what grew is seen at once.
    let mut buffer = vec![0; usize::try_from(size).map_or(COPY_BYTES, |size| COPY_BYTES.min(size + 1))];
    loop {
        match read(&mut buffer)? {
            0 => return Ok(()),
            length => each(&buffer[..length])?,
        }
    }
}

/// Reads the next bytes of a file.
pub(super) fn read(mut file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Lets `to` share the blocks of `from`, where the file system can.
pub(super) fn share_blocks(from: &File, to: &File) -> bool {
    #[cfg(target_os = "linux")]
    return rustix::fs::ioctl_ficlone(to, from).is_ok();
    #[cfg(not(target_os = "linux"))]
    return {
        let _ = (from, to);
        false
    };
}

/// Shows `pieces`, which are much together, to each onlooker on a thread of its own, while `write` writes them here.
///
/// # Errors
/// That of `write`.
pub(super) fn show(pieces: &[Bytes], onlookers: Vec<Onlooker<'_>>, write: impl FnOnce() -> Result<()>) -> Result<()> {
    thread::scope(|scope| {
        for mut see in onlookers {
            spawn(scope, move || pieces.iter().for_each(|piece| see(piece)))?;
        }
        write()
    })
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    thread::Builder::new().spawn_scoped(scope, work).map_err(|error| {
        let detail = "the operating system gives no more threads; do less at once";
        Error::new(ErrorKind::Unavailable, "copy", "a large file", detail).with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Copies `total` bytes; returns what was written and what two onlookers saw.
    fn copied(
        total: usize,
        fail_at: Option<usize>,
        sync: impl Fn() -> Result<()> + Send,
    ) -> Result<(usize, [Vec<u8>; 2])> {
        let (mut given, mut written, mut seen) = (0, 0, [Vec::new(), Vec::new()]);
        let read = |buffer: &mut [u8]| {
            let length = buffer.len().min(total - given).min(100_000);
            if fail_at.is_some_and(|at| given >= at) {
                return Err(Error::missing("read", "the source"));
            }
            buffer[..length].iter_mut().enumerate().for_each(|(at, byte)| *byte = ((given + at) % 251) as u8);
            given += length;
            Ok(length)
        };
        let write = |bytes: &[u8]| {
            written += bytes.len();
            Ok(())
        };
        let onlookers =
            seen.iter_mut().map(|seen| Box::new(|bytes: &[u8]| seen.extend_from_slice(bytes)) as Onlooker<'_>);
        copy(read, write, onlookers.collect(), Some(sync))?;
        Ok((written, seen))
    }

    #[test]
    fn every_byte_is_written_and_seen_in_order_and_made_durable_meanwhile() {
        let syncs = AtomicUsize::new(0);
        let total = SYNC_BYTES + 5_000_001;
        let counted = || {
            syncs.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        let (written, seen) = copied(total, None, counted).expect("nothing fails");
        assert_eq!((written, seen[0].len()), (total, total));
        assert!(seen[0].iter().enumerate().all(|(at, byte)| *byte == (at % 251) as u8));
        assert_eq!(seen[0], seen[1]);
        assert_eq!(syncs.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_fails_on_any_thread_fails_the_copy() {
        let failed = copied(10_000_000, Some(3_000_000), || Ok(())).expect_err("the source failed");
        assert_eq!(failed.kind(), ErrorKind::Missing);
        let unsynced = || Err(Error::new(ErrorKind::Unavailable, "sync", "the disk", "it is on fire"));
        assert_eq!(copied(SYNC_BYTES + 1, None, unsynced).expect_err("no sync").kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn a_copy_without_onlookers_is_complete() {
        let mut left = 3 * PIECES * COPY_BYTES;
        let read = |buffer: &mut [u8]| {
            let length = buffer.len().min(left);
            left -= length;
            Ok(length)
        };
        let mut written = 0;
        let write = |bytes: &[u8]| {
            written += bytes.len();
            Ok(())
        };
        copy(read, write, Vec::new(), None::<fn() -> Result<()>>).expect("nothing fails");
        assert_eq!(written, 3 * PIECES * COPY_BYTES);
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn an_onlooker_that_panics_ends_the_copy() {
        let endless = |buffer: &mut [u8]| Ok(buffer.len());
        let falls = Box::new(|_: &[u8]| std::panic::resume_unwind(Box::new("an onlooker falls over")));
        let _ = copy(endless, |_| Ok(()), vec![falls, Box::new(|_| {})], None::<fn() -> Result<()>>);
    }
}
