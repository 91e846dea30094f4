//! Reading whole files that are local: several cells at once, each verified where it was read.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use strongroom_storage::{ByteStream, ObjectReader, Result, unblock};

use super::to_usize;
use crate::chunk::{Cell, GRID_BYTES};
use crate::content::Content;
use crate::grid::cell_matches;
use crate::nonce::Nonce;
use crate::paths;
use crate::store::Inner;

/// How many cells are read and verified at once.
const CELLS_AT_ONCE: usize = 3;

/// A cell, if it is what it should be.
type Read = BoxFuture<'static, Result<Option<Bytes>>>;

/// A file that is being read.
struct Cells {
    store: Arc<Inner>,
    content: Content,
    nonce: Nonce,
    reader: Arc<dyn ObjectReader>,
    cells: Arc<Vec<Cell>>,
    /// The cells that are being read, in order.
    reading: VecDeque<Read>,
    /// The first that is not.
    next: u64,
    /// What is still to be handed out.
    wanted: Range<u64>,
}

impl Inner {
    /// The bytes `range` of an object that is kept as the local file `nonce`. `None` if it is not local, gone, or has another
    /// length.
    pub(super) async fn stream_cells(
        self: &Arc<Self>,
        content: &Content,
        nonce: Nonce,
        range: &Range<u64>,
    ) -> Result<Option<ByteStream>> {
        let location = paths::whole_file(&content.digest, &nonce)?;
        let Ok(Some(reader)) = self.backend.reader(&location).await else { return Ok(None) };
        if reader.size() != content.size {
            return Ok(None);
        }
        let cells = Cells {
            store: self.clone(),
            content: content.clone(),
            nonce,
            reader,
            cells: Arc::new(self.cells_of(content).await?),
            reading: VecDeque::with_capacity(CELLS_AT_ONCE),
            next: range.start / GRID_BYTES,
            wanted: range.clone(),
        };
        Ok(Some(stream::try_unfold(cells, Cells::next).try_flatten().boxed()))
    }
}

impl Cells {
    /// What is to be handed out next: a cell; or if one is damaged, all that is left, from wherever it is sound.
    async fn next(mut self) -> Result<Option<(ByteStream, Self)>> {
        if self.wanted.is_empty() {
            return Ok(None);
        }
        while self.reading.len() < CELLS_AT_ONCE && self.next * GRID_BYTES < self.wanted.end {
            let mut reading = self.read(self.next);
            // Asked once, it is read on another thread while those before it are handed out.
            match (&mut reading).now_or_never() {
                Some(done) => self.reading.push_back(futures::future::ready(done).boxed()),
                None => self.reading.push_back(reading),
            }
            self.next += 1;
        }
        let Some(reading) = self.reading.pop_front() else { return Ok(None) };
        let position = self.wanted.start - self.wanted.start % GRID_BYTES;
        match reading.await? {
            Some(cell) => {
                let from = to_usize(self.wanted.start - position);
                let to = to_usize((self.wanted.end - position).min(cell.len() as u64));
                self.wanted.start = position + to as u64;
                Ok(Some((stream::iter([Ok(cell.slice(from..to))]).boxed(), self)))
            }
            None => {
                let rest = std::mem::replace(&mut self.wanted, 0..0);
                self.reading.clear();
                let rest = self.store.stream_copies(&self.content, self.nonce, rest).await?;
                Ok(Some((rest, self)))
            }
        }
    }

    fn read(&self, index: u64) -> Read {
        let (reader, cells, digest) = (self.reader.clone(), self.cells.clone(), self.content.digest);
        let range = index * GRID_BYTES..((index + 1) * GRID_BYTES).min(self.content.size);
        async move {
            // What can't be read here may be sound in another copy.
            let Ok(cell) = reader.read(range).await else { return Ok(None) };
            unblock(move || Ok(cell_matches(&cells, to_usize(index), &cell, &digest).then_some(cell))).await
        }
        .boxed()
    }
}
