//! Copying large files: who looks at the copy does so on a thread of its own, behind the one that writes it, and it is begun to be
//! made durable on another, so that all of it takes little longer than the slowest.
//!
//! Who looks reads what has landed by himself. That is one more copy out of the page cache, but each thread has its own buffer
//! then, which stays in its core's own cache: to hand buffers from one core to another took twice as long. Where there are fewer
//! processors than would have something to do, the thread that writes looks too, at what it has in its buffer.

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, Scope, ScopedJoinHandle};

use bytes::Bytes;

use crate::buffer::ReadBuffer;
use crate::error::{Error, ErrorKind, Result};

/// How much is copied at a time, in bytes. More than fits a core's own cache takes longer.
pub(super) const COPY_BYTES: usize = 256 << 10;
/// Smaller files are not worth a thread.
pub(super) const LARGE_BYTES: u64 = 8 << 20;
/// From how many bytes on a file system is asked to share them.
pub(super) const CLONE_BYTES: u64 = 1 << 20;
/// After how many bytes they are begun to be made durable: what is written while others are still read need not be waited for
/// at the end.
const SYNC_BYTES: usize = 16 << 20;

/// How many pieces the copy is ahead of those who look at it, at most. A digest may take longer than all the rest: it gets a
/// processor for itself while the others wait for it.
const AHEAD: usize = 64;

/// Somebody who sees all bytes, piece by piece, in order.
pub type Onlooker<'a> = Box<dyn FnMut(&[u8]) + Send + 'a>;

/// A file that is looked at, and why it can't be read.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub file: &'a File,
    pub failed: &'a (dyn Fn(io::Error) -> Error + Sync),
}

impl Seen<'_> {
    /// Shows `range` to `see`, unless it is given up.
    ///
    /// # Errors
    /// Those of reading; `UnexpectedEof` if there is less.
    fn show(self, range: Range<u64>, buffer: &mut [u8], see: &mut Onlooker<'_>, given_up: &AtomicBool) -> Result<()> {
        let mut at = range.start;
        while at < range.end && !given_up.load(Ordering::Relaxed) {
            let wanted = usize::try_from(range.end - at).map_or(buffer.len(), |left| left.min(buffer.len()));
            match self.file.read_at(&mut buffer[..wanted], at) {
                Ok(0) => return Err((self.failed)(io::ErrorKind::UnexpectedEof.into())),
                Ok(length) => {
                    see(&buffer[..length]);
                    at += length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((self.failed)(error)),
            }
        }
        Ok(())
    }
}

/// Reads pieces to their end and writes each. What was written is in `landed`, from its beginning on, where each onlooker sees it
/// on a thread of its own; the first of them here, if the machine has not so many processors. `sync` is called on another one now
/// and then, if there is any.
///
/// # Errors
/// The first of those of `read` and `write`; else one of those of `sync`, or of reading what has landed.
pub(super) fn copy(
    mut read: impl FnMut(&mut [u8]) -> Result<usize>,
    mut write: impl FnMut(&[u8]) -> Result<()>,
    landed: Seen<'_>,
    mut onlookers: Vec<Onlooker<'_>>,
    sync: Option<impl Fn() -> Result<()> + Send>,
) -> Result<()> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let others = onlookers.split_off(onlookers.len().saturating_sub(processors - 1));
    let mut here = onlookers;
    let given_up = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut waiting = Vec::with_capacity(others.len());
        let mut looking = Vec::with_capacity(others.len());
        for mut see in others {
            let (tell, told) = mpsc::sync_channel::<u64>(AHEAD);
            waiting.push(tell);
            let given_up = &given_up;
            looking.push(spawn(scope, move || {
                let (mut seen, mut buffer) = (0, ReadBuffer::new(COPY_BYTES));
                for end in told {
                    landed.show(seen..end, &mut buffer, &mut see, given_up)?;
                    seen = end;
                }
                Ok(())
            })?);
        }
        let (tell, told) = mpsc::sync_channel::<()>(1);
        let syncing = match sync {
            Some(sync) => Some(spawn(scope, move || told.into_iter().try_for_each(|()| sync()))?),
            None => None,
        };
        let mut copy = || {
            let (mut end, mut unsynced, mut buffer) = (0, 0, ReadBuffer::new(COPY_BYTES));
            loop {
                let length = read(&mut buffer)?;
                if length == 0 {
                    return Ok(());
                }
                write(&buffer[..length])?;
                here.iter_mut().for_each(|see| see(&buffer[..length]));
                end += length as u64;
                unsynced += length;
                if unsynced >= SYNC_BYTES && tell.try_send(()).is_ok() {
                    unsynced = 0;
                }
                // An onlooker ends early only if it failed, which is found below.
                if waiting.iter().any(|told| told.send(end).is_err()) {
                    return Ok(());
                }
            }
        };
        let copied = copy();
        given_up.store(copied.is_err(), Ordering::Relaxed);
        drop((waiting, tell));
        let ended = syncing.into_iter().chain(looking).map(joined).fold(Ok(()), Result::and);
        copied.and(ended)
    })
}

/// Shows `range` of a file to each onlooker, on a thread of its own if there are several.
///
/// # Errors
/// Those of reading; `UnexpectedEof` if there is less.
pub(crate) fn look(seen: Seen<'_>, range: &Range<u64>, mut onlookers: Vec<Onlooker<'_>>) -> Result<()> {
    let Some(mut last) = onlookers.pop() else { return Ok(()) };
    let given_up = AtomicBool::new(false);
    let show = |see: &mut Onlooker<'_>| seen.show(range.clone(), &mut ReadBuffer::new(COPY_BYTES), see, &given_up);
    if range.end - range.start < LARGE_BYTES {
        onlookers.iter_mut().try_for_each(show)?;
        return show(&mut last);
    }
    thread::scope(|scope| {
        let mut looking = Vec::with_capacity(onlookers.len());
        for mut see in onlookers {
            looking.push(spawn(scope, move || show(&mut see))?);
        }
        let here = show(&mut last);
        looking.into_iter().map(joined).fold(here, Result::and)
    })
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Reads about `size` bytes to their end, in pieces.
pub(super) fn each_piece(
    size: u64,
    mut read: impl FnMut(&mut [u8]) -> Result<usize>,
    mut each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    // One byte more, so that what grew is seen at once.
    let mut buffer = ReadBuffer::new(usize::try_from(size).map_or(COPY_BYTES, |size| COPY_BYTES.min(size + 1)));
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
    use std::io::Write;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn failed(error: io::Error) -> Error {
        Error::from_io("write", "the copy", error)
    }

    fn seen(file: &File) -> Seen<'_> {
        Seen { file, failed: &failed }
    }

    fn onlookers(seen: &mut [Vec<u8>; 2]) -> Vec<Onlooker<'_>> {
        seen.iter_mut().map(|seen| Box::new(|bytes: &[u8]| seen.extend_from_slice(bytes)) as Onlooker<'_>).collect()
    }

    fn byte(at: usize) -> u8 {
        (at % 251) as u8
    }

    /// Copies `total` bytes; returns what two onlookers saw.
    fn copied(total: usize, fail_at: Option<usize>, sync: impl Fn() -> Result<()> + Send) -> Result<[Vec<u8>; 2]> {
        let file = tempfile::tempfile().expect("a file");
        let (mut given, mut saw) = (0, [Vec::new(), Vec::new()]);
        let read = |buffer: &mut [u8]| {
            let length = buffer.len().min(total - given).min(100_000);
            if fail_at.is_some_and(|at| given >= at) {
                return Err(Error::missing("read", "the source"));
            }
            buffer[..length].iter_mut().enumerate().for_each(|(at, to)| *to = byte(given + at));
            given += length;
            Ok(length)
        };
        let write = |bytes: &[u8]| (&file).write_all(bytes).map_err(failed);
        copy(read, write, seen(&file), onlookers(&mut saw), Some(sync))?;
        assert_eq!(file.metadata().expect("it is open").len(), total as u64);
        Ok(saw)
    }

    #[test]
    fn every_byte_is_written_and_seen_in_order_and_made_durable_meanwhile() {
        let syncs = AtomicUsize::new(0);
        let total = SYNC_BYTES + 5_000_001;
        let counted = || {
            syncs.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        let saw = copied(total, None, counted).expect("nothing fails");
        assert_eq!(saw[0].len(), total);
        assert!(saw[0].iter().enumerate().all(|(at, seen)| *seen == byte(at)));
        assert!(saw[0] == saw[1]);
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
    fn what_did_not_land_fails_the_copy() {
        let file = tempfile::tempfile().expect("a file");
        let three = || {
            let mut left = 3 * COPY_BYTES;
            move |buffer: &mut [u8]| {
                let length = buffer.len().min(left);
                left -= length;
                Ok(length)
            }
        };
        copy(three(), |_| Ok(()), seen(&file), Vec::new(), None::<fn() -> Result<()>>).expect("nobody looks");
        let mut saw = [Vec::new(), Vec::new()];
        let looked = copy(three(), |_| Ok(()), seen(&file), onlookers(&mut saw), None::<fn() -> Result<()>>);
        assert_eq!(looked.expect_err("there is nothing").operation(), "write");
    }

    #[test]
    fn a_part_of_a_file_is_seen_by_each_and_one_that_ends_before_is_an_error() {
        let mut file = tempfile::tempfile().expect("a file");
        let content: Vec<u8> = (0..COPY_BYTES * 2 + 17).map(byte).collect();
        file.write_all(&content).expect("written");
        let end = content.len() as u64;
        let mut saw = [Vec::new(), Vec::new()];
        look(seen(&file), &(5..end), onlookers(&mut saw)).expect("it is there");
        assert!(saw.iter().all(|saw| saw == &content[5..]));
        assert!(look(seen(&file), &(5..end + 1), onlookers(&mut saw)).is_err());
    }

    #[test]
    #[should_panic(expected = "an onlooker falls over")]
    fn an_onlooker_that_panics_ends_the_copy() {
        let file = tempfile::tempfile().expect("a file");
        let endless = |buffer: &mut [u8]| Ok(buffer.len());
        let falls = Box::new(|_: &[u8]| panic!("an onlooker falls over"));
        let write = |bytes: &[u8]| file.write_all_at(bytes, 0).map_err(failed);
        let _ = copy(endless, write, seen(&file), vec![falls, Box::new(|_| {})], None::<fn() -> Result<()>>);
    }
}
