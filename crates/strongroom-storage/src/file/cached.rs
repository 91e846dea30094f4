//! What the operating system has in memory, had at once: without a thread where waiting is allowed, which costs several times
//! what the calls themselves do.
//!
//! Linux can be told to give up where it would have to wait (openat2(2) with `RESOLVE_CACHED`, preadv2(2) with `RWF_NOWAIT`).
//! Elsewhere, and where that is not known, nothing is had at once; nor on file systems that are not known to be local: what the
//! client of a network file system has in memory may not be what is there, and opening a file may ask the server.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

/// More than this is copied on another thread, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// How a file is opened: to be read, or only to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Read,
    Look,
}

/// Opens the file at `path`, or says why that can't be; `None` if that is not known without waiting.
#[cfg(target_os = "linux")]
pub(super) fn open(path: &Path, purpose: Purpose) -> Option<io::Result<File>> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
    use rustix::io::Errno;
    let flags = match purpose {
        // Opening a FIFO must not wait for a writer.
        Purpose::Read => OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
        Purpose::Look => OFlags::PATH,
    };
    match rustix::fs::openat2(CWD, path, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::CACHED) {
        Ok(file) => Some(Ok(file.into())),
        // Not in memory; an older kernel; a filter that knows no such call.
        Err(Errno::AGAIN | Errno::NOSYS | Errno::INVAL | Errno::PERM | Errno::TOOBIG) => None,
        Err(error) => Some(Err(error.into())),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn open(_: &Path, _: Purpose) -> Option<io::Result<File>> {
    None
}

/// The bytes `range` of an open file; `None` if they are not all in memory, or many.
#[cfg(target_os = "linux")]
pub(super) fn read(file: &File, range: &Range<u64>) -> Option<Bytes> {
    use rustix::io::{IoSliceMut, ReadWriteFlags};
    let length = range.end.checked_sub(range.start).filter(|length| *length <= MAX_BYTES)?;
    let mut buffer = vec![0; usize::try_from(length).ok()?];
    let count =
        rustix::io::preadv2(file, &mut [IoSliceMut::new(&mut buffer)], range.start, ReadWriteFlags::NOWAIT).ok()?;
    (count == buffer.len()).then(|| buffer.into())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn read(_: &File, _: &Range<u64>) -> Option<Bytes> {
    None
}
