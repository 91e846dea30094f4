//! Memory that files are read into.
//!
//! The allocators of operating systems put large memory a few bytes behind the beginning of a page, and there some processors are
//! slow: AMD's Zen 3 takes three times as long to copy to an address that is less than 32 bytes behind such a beginning.

use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use rustix::buffer::{SpareCapacity, spare_capacity};

/// How far behind the beginning of its memory a large buffer begins, in bytes.
const SHIFT_BYTES: usize = 64;
/// From how many bytes on memory is large.
const LARGE_BYTES: usize = 64 << 10;

fn shift(length: usize) -> usize {
    if length < LARGE_BYTES { 0 } else { SHIFT_BYTES }
}

/// Bytes that are read into again and again.
#[derive(Debug, Default)]
pub struct ReadBuffer {
    memory: Vec<u8>,
    start: usize,
}

impl ReadBuffer {
    /// `length` bytes, all zero.
    #[must_use]
    pub fn new(length: usize) -> Self {
        let start = shift(length);
        Self { memory: vec![0; start + length], start }
    }

    /// What was read into it.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        let start = self.start;
        Bytes::from(self.memory).slice(start..)
    }
}

impl Deref for ReadBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..]
    }
}

impl DerefMut for ReadBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..]
    }
}

/// Memory that is read into once, and not filled with zeros before.
pub(crate) struct Room {
    memory: Vec<u8>,
    start: usize,
}

impl Room {
    /// For `length` bytes; there may be more.
    pub(crate) fn new(length: usize) -> Self {
        let start = shift(length);
        let mut memory = Vec::with_capacity(start + length);
        memory.resize(start, 0);
        Self { memory, start }
    }

    /// What is left of it.
    pub(crate) fn left(&mut self) -> SpareCapacity<'_, u8> {
        spare_capacity(&mut self.memory)
    }

    /// How many bytes were read.
    pub(crate) fn filled(&self) -> usize {
        self.memory.len() - self.start
    }

    /// The first `length` bytes that were read, or all if there are fewer.
    pub(crate) fn into_bytes(mut self, length: usize) -> Bytes {
        self.memory.truncate(self.start + length);
        Bytes::from(self.memory).slice(self.start..)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_read_is_all_there_is_however_long() {
        for length in [0, 10, LARGE_BYTES, LARGE_BYTES + 3] {
            let content: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut buffer = ReadBuffer::new(length);
            assert_eq!(buffer.len(), length);
            buffer.copy_from_slice(&content);
            assert!(*buffer == content[..]);
            assert!(buffer.into_bytes() == content);

            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(&content).expect("written");
            file.write_all(b"more").expect("written");
            let mut room = Room::new(length + 4);
            while room.filled() < length + 4 {
                let at = room.filled() as u64;
                rustix::io::pread(&file, room.left(), at).expect("read");
            }
            assert!(room.into_bytes(length) == content);
        }
    }
}
