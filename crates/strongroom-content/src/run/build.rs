//! A run on its way: merged and written piece by piece, so that no more of it is in memory than is on the move.

use bytes::Bytes;
use futures::{StreamExt, stream};
use strongroom_storage::{Result, Source};

use super::{Header, Merge, RunWriter};
use crate::config::Compression;

/// A run with no more bytes than this is built before it is sent.
const AT_ONCE_BYTES: usize = 1 << 20;

/// A run whose pieces are made when they are asked for.
pub(crate) struct Build {
    merge: Merge,
    header: Header,
    writer: RunWriter,
    is_finished: bool,
}

impl Build {
    /// The run of `header`, with the entries of `merge`.
    pub(crate) fn new(merge: Merge, header: Header, compression: Compression) -> Self {
        let writer = RunWriter::new(compression, merge.most_entries());
        Self { merge, header, writer, is_finished: false }
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(piece) = self.writer.take() {
                return Ok(Some(piece));
            }
            if self.is_finished {
                return Ok(None);
            }
            match self.merge.next_ref().await? {
                // Where nothing older is left, a removed name needs no entry.
                Some(entry) if !entry.is_object() && self.header.first == 1 => {}
                Some(entry) => self.writer.push(entry),
                None => {
                    self.writer.finish(&self.header);
                    self.is_finished = true;
                }
            }
        }
    }

    /// The run, to be stored. The bytes of a small one are in memory, and are given besides.
    ///
    /// # Errors
    /// Those of reading the runs that are merged; where they come later, they are in the stream.
    pub(crate) async fn into_source(mut self) -> Result<(Source, Option<Vec<Bytes>>)> {
        let (mut pieces, mut size) = (Vec::new(), 0);
        while size <= AT_ONCE_BYTES {
            let Some(piece) = self.next().await? else {
                return Ok((Source::Pieces(pieces.clone()), Some(pieces)));
            };
            size += piece.len();
            pieces.push(piece);
        }
        let rest =
            stream::try_unfold(self, |mut build| async move { Ok(build.next().await?.map(|piece| (piece, build))) });
        Ok((Source::stream(stream::iter(pieces.into_iter().map(Ok)).chain(rest)), None))
    }
}
