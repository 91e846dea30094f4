//! When content was last read and found to be sound.

use std::collections::HashMap;

use bytes::Bytes;
use strongroom_storage::Digest;

use super::Cache;
use crate::codec::{Decoded, Decoder, Encoder, Malformed};

/// Where they are.
const PREFIX: &str = "verified/";
/// Bytes of a row: print, time.
const ROW_BYTES: usize = 16 + 8;

/// What tells one checked thing from another: the beginning of a digest of what it is.
pub(crate) type Print = [u8; 16];

/// What one verification has found to be sound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VerifiedLog {
    /// When it began, in seconds since 1970.
    pub began: u64,
    /// Whether it came to its end.
    pub is_finished: bool,
    /// When each thing was found to be sound, in seconds since 1970.
    pub rows: HashMap<Print, u64>,
}

impl Cache {
    /// The logs of earlier verifications, by their names.
    pub(crate) async fn verified_logs(&self) -> Vec<(String, VerifiedLog)> {
        let mut logs = Vec::new();
        for name in self.names(PREFIX).await {
            if let Some(log) = self.load(&name).await.and_then(|file| decode(&file).ok()) {
                logs.push((name, log));
            }
        }
        logs
    }

    /// Keeps a log under the name that belongs to one verification alone.
    pub(crate) async fn keep_verified(&self, name: &str, log: &VerifiedLog) {
        self.store(&format!("{PREFIX}{name}"), encode(log)).await;
    }

    /// Deletes all logs but this one.
    pub(crate) async fn keep_only_verified(&self, name: &str) {
        let own = format!("{PREFIX}{name}");
        self.tidy(PREFIX, |name| name == own).await;
    }
}

fn encode(log: &VerifiedLog) -> Bytes {
    let mut out = Encoder::default();
    out.u64(log.began);
    out.u8(log.is_finished.into());
    for (print, time) in &log.rows {
        out.raw(print);
        out.u64(*time);
    }
    let mut file = out.finish();
    let checksum = Digest::of(&file);
    file.extend_from_slice(checksum.as_bytes());
    file.into()
}

fn decode(file: &[u8]) -> Decoded<VerifiedLog> {
    let damaged = Malformed("it does not match its checksum");
    let (content, checksum) = file.split_last_chunk::<{ Digest::BYTES }>().ok_or(damaged)?;
    if Digest::of(content).as_bytes() != checksum {
        return Err(damaged);
    }
    let mut input = Decoder::new(content);
    let (began, is_finished) = (input.u64()?, input.u8()? != 0);
    let rows = &content[8 + 1..];
    if !rows.len().is_multiple_of(ROW_BYTES) {
        return Err(damaged);
    }
    let row = |row| {
        let mut input = Decoder::new(row);
        Ok((input.array()?, input.u64()?))
    };
    let rows = rows.chunks_exact(ROW_BYTES).map(row).collect::<Decoded<_>>()?;
    Ok(VerifiedLog { began, is_finished, rows })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn log(rows: u8) -> VerifiedLog {
        let rows = (0..rows).map(|n| ([n; 16], u64::from(n) + 1_000_000)).collect();
        VerifiedLog { began: 77, is_finished: false, rows }
    }

    #[test]
    fn what_is_not_as_it_was_written_is_nothing() {
        let file = encode(&log(5));
        assert_eq!(decode(&file), Ok(log(5)));
        for byte in 0..file.len() {
            let mut damaged = file.to_vec();
            damaged[byte] ^= 1;
            assert!(decode(&damaged).is_err(), "byte {byte}");
            assert!(decode(&file[..byte]).is_err());
        }
    }

    #[tokio::test]
    async fn logs_stand_beside_each_other_until_one_takes_the_place_of_all() {
        let cache = Cache::new(Some(Arc::new(strongroom_storage::MemoryStorage::new())), "id");
        cache.keep_verified("one", &log(1)).await;
        cache.keep_verified("two", &log(2)).await;
        cache.store("verified/bad", "neither".into()).await;
        let mut logs = cache.verified_logs().await;
        logs.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(logs, [("verified/one".into(), log(1)), ("verified/two".into(), log(2))]);
        cache.keep_only_verified("two").await;
        assert_eq!(cache.verified_logs().await, [("verified/two".into(), log(2))]);
        assert_eq!(cache.load("verified/bad").await, None);
        assert_eq!(Cache::none().verified_logs().await, []);
    }
}
