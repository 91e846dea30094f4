//! Runs: immutable files of sorted entries, the result of one or more commits.

mod build;
mod cursor;
mod entries;
mod keys;
mod reader;
mod runs;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;

use strongroom_storage::Digest;

use crate::chunk::Method;
use crate::codec::{Decoded, Decoder, Encoder, Malformed};
use crate::envelope::Magic;
use crate::names::LogName;
use crate::namespace::Namespace;
use crate::nonce::Nonce;

pub(crate) use build::Build;
pub(crate) use cursor::{Cursor, Merge};
pub(crate) use entries::{Drafts, Entries, EntryRef};
pub(crate) use reader::Run;
pub(crate) use runs::Runs;
use writer::RunWriter;

/// The magic number of runs.
pub(crate) const MAGIC: Magic = b"SRRUN01\n";
/// A block is closed when it has this many bytes.
const BLOCK_BYTES: usize = 16 << 10;
/// A block has no more bytes than this, before compression: much more than one entry of ours can have. Many are read at once.
const BLOCK_MAX_BYTES: usize = 1 << 20;
/// A run with as many entries has a filter; those of smaller ones are had by one request. Tests have small ones.
const FILTER_ENTRIES: u64 = if cfg!(test) { 40 } else { 8192 };
/// The filter has no more bytes than this, which is enough for 53 million names; with more, names that are not there are looked
/// up in vain more often.
const FILTER_MAX_BYTES: usize = 64 << 20;
/// Bytes of a block's checksum: the beginning of its BLAKE3 digest.
const CHECKSUM_BYTES: usize = 16;

/// What a run's directory says of the run and of the commit that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub log: LogName,
    /// The version that this run published.
    pub version: u64,
    /// The first version whose commits it holds.
    pub first: u64,
    pub commit: Nonce,
    /// The commit that made the version before; all zeros if there is none. A version that does not have the one before as its
    /// parent does not follow it: see [`NameLog::is_part`](crate::names::NameLog::is_part).
    pub parent: Nonce,
    /// Microseconds since 1970.
    pub time: i64,
    /// How many names the commit put and removed.
    pub put: u32,
    pub removed: u32,
    pub author: Arc<str>,
    pub message: Arc<str>,
}

impl Header {
    fn encode(&self, out: &mut Encoder) {
        out.u64(self.version);
        out.u64(self.first);
        out.nonce(&self.commit);
        out.nonce(&self.parent);
        out.i64(self.time);
        out.u32(self.put);
        out.u32(self.removed);
        match &self.log {
            LogName::Namespace(namespace) => {
                out.u8(0);
                out.short_bytes(namespace.as_str().as_bytes());
            }
            LogName::Tags => {
                out.u8(1);
                out.short_bytes(b"");
            }
        }
        out.short_bytes(cut(&self.author).as_bytes());
        out.short_bytes(cut(&self.message).as_bytes());
    }

    fn decode(input: &mut Decoder<'_>) -> Decoded<Self> {
        let (version, first) = (input.u64()?, input.u64()?);
        if first == 0 || first > version {
            return Err(Malformed("the versions in it do not fit together"));
        }
        let (commit, parent) = (input.nonce()?, input.nonce()?);
        let (time, put, removed) = (input.i64()?, input.u32()?, input.u32()?);
        let log = match (input.u8()?, input.short_text()?) {
            (0, text) => LogName::Namespace(Namespace::from_run(text).ok_or(Malformed("it has no proper namespace"))?),
            (1, "") => LogName::Tags,
            _ => return Err(Malformed("it belongs to an unknown kind of log")),
        };
        let (author, message) = (input.short_text()?.into(), input.short_text()?.into());
        Ok(Self { log, version, first, commit, parent, time, put, removed, author, message })
    }
}

/// Texts in a header are for people and have a bound.
fn cut(text: &str) -> &str {
    const MAX_BYTES: usize = 4096;
    let mut end = text.len().min(MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Where a block of entries lies in a run.
#[derive(Clone, Debug)]
struct Block {
    /// The name of its first entry.
    first: Arc<str>,
    offset: u64,
    stored: u32,
    size: u32,
    method: Method,
    checksum: [u8; CHECKSUM_BYTES],
}

/// The least bytes of an encoded [`Block`].
const BLOCK_ROW_BYTES: usize = 2 + 8 + 4 + 4 + 1 + CHECKSUM_BYTES;

impl Block {
    fn encode(&self, out: &mut Encoder) {
        out.short_bytes(self.first.as_bytes());
        out.u64(self.offset);
        out.u32(self.stored);
        out.u32(self.size);
        out.u8(self.method as u8);
        out.raw(&self.checksum);
    }

    fn decode(input: &mut Decoder<'_>) -> Decoded<Self> {
        let block = Self {
            first: input.short_text()?.into(),
            offset: input.u64()?,
            stored: input.u32()?,
            size: input.u32()?,
            method: Method::decode(input.u8()?)?,
            checksum: input.array()?,
        };
        block.offset.checked_add(u64::from(block.stored)).ok_or(Malformed("a block in it is beyond any file"))?;
        block.method.check(block.stored, block.size)?;
        if block.size as usize > BLOCK_MAX_BYTES {
            return Err(Malformed("a block in it is larger than the format allows"));
        }
        Ok(block)
    }
}

fn checksum(stored: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Digest::of(stored);
    let mut checksum = [0; CHECKSUM_BYTES];
    checksum.copy_from_slice(&digest.as_bytes()[..CHECKSUM_BYTES]);
    checksum
}
