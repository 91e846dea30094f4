//! Compression of chunks, where it pays.

use std::io;
use std::sync::{Mutex, MutexGuard, TryLockError};

use bytes::Bytes;
use zstd::bulk::{Compressor, Decompressor};

use crate::chunk::{CHUNK_MAX_BYTES, Method};
use crate::codec::{Decoded, Malformed};
use crate::config::Compression;

/// zstd's level: the fastest that still finds matches.
const LEVEL: i32 = 1;
/// Fewer bytes than this are not tried: a frame's header eats the gain.
const MIN_BYTES: usize = 64;
/// How many bytes are looked at before more than that are compressed, in so many pieces.
const SAMPLE_BYTES: usize = 256;
const SAMPLE_PIECES: usize = 4;
/// How often two bytes of a sample are the same must be at least 1 in so many (in random bytes it is 1 in 256): a collision
/// entropy of 7.2 bits.
const MIN_COLLISIONS: usize = 147;

/// Contexts that are not in use: to make one takes longer than to compress a few KiB.
struct Contexts<T>(Mutex<Vec<T>>);

static COMPRESSORS: Contexts<Compressor<'static>> = Contexts(Mutex::new(Vec::new()));
static DECOMPRESSORS: Contexts<Decompressor<'static>> = Contexts(Mutex::new(Vec::new()));
/// How many of each are kept: what a machine has threads for, but not what a pool of threads that wait may have.
const KEPT_CONTEXTS: usize = 16;

impl<T> Contexts<T> {
    fn with<R>(
        &self,
        make: impl FnOnce() -> io::Result<T>,
        work: impl FnOnce(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let kept = self.kept().and_then(|mut kept| kept.pop());
        let mut context = kept.map_or_else(make, Ok)?;
        let done = work(&mut context);
        // One that has failed is not used again.
        if let Some(mut kept) = self.kept().filter(|kept| done.is_ok() && kept.len() < KEPT_CONTEXTS) {
            kept.push(context);
        }
        done
    }

    /// Nobody waits for it: a thread that had it when its process forked never gives it back to the fork.
    fn kept(&self) -> Option<MutexGuard<'_, Vec<T>>> {
        match self.0.try_lock() {
            Ok(kept) => Some(kept),
            Err(TryLockError::Poisoned(kept)) => Some(kept.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// Compresses `bytes` if the policy allows it and it saves at least a sixteenth.
pub(crate) fn compress(bytes: Bytes, policy: Compression) -> (Method, Bytes) {
    // What has more, as lists of large objects may, no reader would decompress.
    let tried = (MIN_BYTES..=CHUNK_MAX_BYTES as usize).contains(&bytes.len())
        && match policy {
            Compression::None => false,
            Compression::Zstd => true,
            Compression::Auto => promises_gain(&bytes),
        };
    if !tried {
        return (Method::Plain, bytes);
    }
    match COMPRESSORS.with(|| Compressor::new(LEVEL), |compressor| compressor.compress(&bytes)) {
        Ok(mut compressed) if compressed.len() <= bytes.len() - bytes.len() / 16 => {
            // It was made with room for what can't be compressed, and may wait for its pack.
            compressed.shrink_to_fit();
            (Method::Zstd, compressed.into())
        }
        _ => (Method::Plain, bytes),
    }
}

/// The `size` bytes that `stored` holds.
pub(crate) fn decompress(method: Method, stored: Bytes, size: u32) -> Decoded<Bytes> {
    let size = usize::try_from(size).map_err(|_| Malformed("a chunk in it is larger than memory"))?;
    let bytes = match method {
        Method::Plain => stored,
        // The capacity bounds what a forged frame can make us allocate.
        Method::Zstd => DECOMPRESSORS
            .with(Decompressor::new, |decompressor| decompressor.decompress(&stored, size))
            .map_err(|_| Malformed("a compressed chunk in it can't be decompressed"))?
            .into(),
    };
    if bytes.len() == size { Ok(bytes) } else { Err(Malformed("a chunk in it has another length than its entry says")) }
}

/// Whether a sample from all over the content has few enough bits per byte, by Rényi's collision entropy of its histogram
/// ("On measures of entropy and information", 1961), which takes no logarithms and is never more than Shannon's. Trying is
/// cheaper than sampling where there is little.
fn promises_gain(bytes: &[u8]) -> bool {
    const PIECE: usize = SAMPLE_BYTES / SAMPLE_PIECES;
    let Some(room) = bytes.len().checked_sub(SAMPLE_BYTES) else { return true };
    let mut counts = [0u16; 256];
    for piece in 0..SAMPLE_PIECES {
        let start = piece * PIECE + room * (piece + 1) / (SAMPLE_PIECES + 1);
        for byte in &bytes[start..start + PIECE] {
            counts[usize::from(*byte)] += 1;
        }
    }
    // Of n bytes that are the same, each of the n * n pairs but those of a byte with itself.
    let squares: u32 = counts.iter().map(|count| u32::from(*count) * u32::from(*count)).sum();
    let pairs = squares as usize - SAMPLE_BYTES;
    pairs * MIN_COLLISIONS >= SAMPLE_BYTES * (SAMPLE_BYTES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize) -> Bytes {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes.into()
    }

    #[test]
    fn text_is_compressed_and_noise_is_not() {
        let text = Bytes::from("the quick brown fox ".repeat(1000));
        let (method, stored) = compress(text.clone(), Compression::Auto);
        assert_eq!(method, Method::Zstd);
        assert!(stored.len() < text.len() / 10);
        assert_eq!(decompress(method, stored, 20_000).expect("sound"), text);
        for length in [64, 1000, 4096, 100_000] {
            assert_eq!(compress(noise(length), Compression::Auto).0, Method::Plain);
        }
    }

    #[test]
    fn the_policy_is_kept() {
        let text = Bytes::from("ab".repeat(1000));
        assert_eq!(compress(text.clone(), Compression::None).0, Method::Plain);
        assert_eq!(compress(text, Compression::Zstd).0, Method::Zstd);
        assert_eq!(compress(noise(5000), Compression::Zstd).0, Method::Plain);
    }

    #[test]
    fn what_no_reader_would_decompress_is_kept_as_it_is() {
        let zeros = Bytes::from(vec![0; CHUNK_MAX_BYTES as usize + 1]);
        assert_eq!(compress(zeros.slice(1..), Compression::Zstd).0, Method::Zstd);
        assert_eq!(compress(zeros, Compression::Zstd).0, Method::Plain);
    }

    #[test]
    fn a_frame_that_gives_more_than_it_should_is_refused() {
        let bomb: Bytes = zstd::bulk::compress(&vec![0; 1 << 20], LEVEL).expect("compresses").into();
        assert!(decompress(Method::Zstd, bomb.clone(), 1000).is_err());
        assert!(decompress(Method::Zstd, bomb, (1 << 20) + 1).is_err());
        assert!(decompress(Method::Zstd, Bytes::from_static(b"no frame"), 8).is_err());
        assert!(decompress(Method::Plain, Bytes::from_static(b"short"), 8).is_err());
    }

    #[test]
    fn contexts_are_used_again_and_one_that_has_failed_is_not() {
        let contexts = Contexts(Mutex::new(Vec::new()));
        let mut made = 0;
        let mut work = |fails: bool| {
            let make = || {
                made += 1;
                Ok(made)
            };
            contexts.with(make, |context| if fails { Err(io::ErrorKind::InvalidData.into()) } else { Ok(*context) })
        };
        let used: Vec<Option<i32>> = [false, false, true, false].map(|fails| work(fails).ok()).into();
        assert_eq!(used, [Some(1), Some(1), None, Some(2)]);
    }
}
