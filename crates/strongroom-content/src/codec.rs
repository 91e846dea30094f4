//! Integers of fixed width, little-endian, and byte strings with their length before them.

use strongroom_storage::{Digest, Error, ErrorKind};

use crate::nonce::Nonce;

/// Bytes that are not what the format says. It becomes [`ErrorKind::Corrupt`] where the file's name is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub &'static str);

impl Malformed {
    /// The error for the file `subject`.
    pub(crate) fn in_file(self, subject: impl std::fmt::Display) -> Error {
        Error::new(
            ErrorKind::Corrupt,
            "read",
            subject,
            format!(
                "this file of the store is damaged: {}; run `strongroom verify`, then restore the file from a copy of the store",
                self.0
            ),
        )
    }
}

pub(crate) type Decoded<T> = Result<T, Malformed>;

/// Appends to a buffer.
#[derive(Debug, Default)]
pub(crate) struct Encoder(Vec<u8>);

impl Encoder {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn digest(&mut self, digest: &Digest) {
        self.raw(digest.as_bytes());
    }

    pub(crate) fn nonce(&mut self, nonce: &Nonce) {
        self.raw(nonce.as_bytes());
    }

    /// Bytes with their length in 16 bits before them.
    pub(crate) fn short_bytes(&mut self, bytes: &[u8]) {
        self.u16(u16::try_from(bytes.len()).expect("names, texts and attributes have bounds that 16 bits hold"));
        self.raw(bytes);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads from a buffer; never past its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn raw(&mut self, length: usize) -> Decoded<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed("it ends in the middle of a field"))?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Malformed("it ends in the middle of a field"))?;
        self.0 = rest;
        Ok(*bytes)
    }

    pub(crate) fn u8(&mut self) -> Decoded<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Decoded<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Decoded<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Decoded<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Decoded<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn digest(&mut self) -> Decoded<Digest> {
        self.array().map(Digest::from_bytes)
    }

    pub(crate) fn nonce(&mut self) -> Decoded<Nonce> {
        self.array().map(Nonce::from_bytes)
    }

    pub(crate) fn short_bytes(&mut self) -> Decoded<&'a [u8]> {
        let length = self.u16()?;
        self.raw(usize::from(length))
    }

    pub(crate) fn short_text(&mut self) -> Decoded<&'a str> {
        std::str::from_utf8(self.short_bytes()?).map_err(|_| Malformed("a text in it is not UTF-8"))
    }

    /// A count of things of at least `size_bytes` each: never more than there are bytes for.
    pub(crate) fn count(&mut self, size_bytes: usize) -> Decoded<usize> {
        let count = usize::try_from(self.u32()?).map_err(|_| Malformed("a count in it is too large"))?;
        if count > self.0.len() / size_bytes.max(1) {
            return Err(Malformed("a count in it is larger than the file"));
        }
        Ok(count)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn finish(self) -> Decoded<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("there are bytes behind its end")) }
    }
}
