//! Copying large files: what is copied is looked at on a second thread and begun to be made durable on a third, so that all
//! of it takes little longer than the slowest.

use std::sync::mpsc;
use std::thread::{self, Scope, ScopedJoinHandle};

use crate::error::{Error, ErrorKind, Result};

/// How much is copied at a time, in bytes. More than fits a core's own cache takes longer.
pub(super) const COPY_BYTES: usize = 256 << 10;
/// Smaller files are not worth a thread.
pub(super) const LARGE_BYTES: u64 = 8 << 20;
/// How many pieces may wait to be looked at.
const PIECES_AHEAD: usize = 8;
/// After how many bytes they are begun to be made durable: what is written while others are still read need not be waited for
/// at the end.
const SYNC_BYTES: usize = 64 << 20;

/// Reads pieces to their end; each is written here, and seen by `see` on another thread, in order. `sync` is called on a third
/// one now and then, if there is any.
///
/// # Errors
/// The first of those of `read`, `write` and `sync`.
pub(super) fn copy(
    mut read: impl FnMut(&mut [u8]) -> Result<usize>,
    mut write: impl FnMut(&[u8]) -> Result<()>,
    mut see: impl FnMut(&[u8]) + Send,
    sync: Option<impl Fn() -> Result<()> + Send>,
) -> Result<()> {
    thread::scope(|scope| {
        let (filled, to_see) = mpsc::sync_channel::<(Vec<u8>, usize)>(PIECES_AHEAD);
        let (give_back, free) = mpsc::channel();
        for _ in 0..=PIECES_AHEAD {
            // The other end stands beside.
            give_back.send(vec![0; COPY_BYTES]).unwrap_or_default();
        }
        spawn(scope, move || {
            for (buffer, length) in to_see {
                see(&buffer[..length]);
                // Who copies may have failed meanwhile.
                give_back.send(buffer).unwrap_or_default();
            }
        })?;
        let (tell, told) = mpsc::sync_channel::<()>(1);
        let syncing = match sync {
            Some(sync) => Some(spawn(scope, move || told.into_iter().try_for_each(|()| sync()))?),
            None => None,
        };
        let mut unsynced = 0;
        // It ends early only if the other thread panicked, which the scope passes on.
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
            if filled.send((buffer, length)).is_err() {
                break;
            }
        }
        drop((filled, tell));
        match syncing.map(ScopedJoinHandle::join) {
            Some(Ok(synced)) => synced,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    })
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    thread::Builder::new().spawn_scoped(scope, work).map_err(|error| {
        let detail = "the operating system gives no more threads; do less at once";
        Error::new(ErrorKind::Unavailable, "store", "a large file", detail).with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Copies `total` bytes; returns what was written and what was seen.
    fn copied(total: usize, fail_at: Option<usize>, sync: impl Fn() -> Result<()> + Send) -> Result<(usize, Vec<u8>)> {
        let (mut given, mut written, mut seen) = (0, 0, Vec::new());
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
        copy(read, write, |bytes| seen.extend_from_slice(bytes), Some(sync))?;
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
        assert_eq!((written, seen.len()), (total, total));
        assert!(seen.iter().enumerate().all(|(at, byte)| *byte == (at % 251) as u8));
        assert_eq!(syncs.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_fails_on_any_thread_fails_the_copy() {
        let failed = copied(10_000_000, Some(3_000_000), || Ok(())).expect_err("the source failed");
        assert_eq!(failed.kind(), ErrorKind::Missing);
        let unsynced = || Err(Error::new(ErrorKind::Unavailable, "sync", "the disk", "it is on fire"));
        assert_eq!(copied(SYNC_BYTES + 1, None, unsynced).expect_err("no sync").kind(), ErrorKind::Unavailable);
    }
}
