//! Reading whole files, cell by cell.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use strongroom_storage::{ByteStream, Digest, Location, Result, unblock};

use super::{damaged, is_absent, to_usize};
use crate::chunk::{Cell, GRID_BYTES};
use crate::content::Content;
use crate::grid::cell_matches;
use crate::nonce::Nonce;
use crate::paths;
use crate::store::Inner;

/// A file that is being read: whole cells are taken from the backend and verified before a byte is handed out.
struct FileReader {
    location: Location,
    digest: Digest,
    cells: Arc<Vec<Cell>>,
    stream: ByteStream,
    gathered: BytesMut,
    /// Where in the object the gathered bytes begin: at a cell.
    position: u64,
    /// Where the last wanted cell ends.
    end: u64,
    wanted: Range<u64>,
}

impl Inner {
    /// The bytes `range` of an object that is kept as the file `nonce`, or as another one if that is gone.
    pub(super) async fn stream_file(&self, content: &Content, nonce: Nonce, range: Range<u64>) -> Result<ByteStream> {
        let digest = content.digest;
        if range.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let cells = Arc::new(self.cells_of(content).await?);
        let start = range.start - range.start % GRID_BYTES;
        let end = range.end.next_multiple_of(GRID_BYTES).min(content.size);
        for learn in [false, true] {
            if learn {
                self.catalog.learn().await?;
            }
            let others = self.catalog.files(&digest).into_iter().filter(|other| *other != nonce);
            for nonce in std::iter::once(nonce).chain(others) {
                let location = paths::whole_file(&digest, &nonce)?;
                match self.backend.load(&location, (start..end).into()).await {
                    Ok(loaded) if loaded.size == content.size => {
                        let (cells, stream, wanted) = (cells.clone(), loaded.into_stream(), range.clone());
                        let gathered = BytesMut::new();
                        let reader =
                            FileReader { location, digest, cells, stream, gathered, position: start, end, wanted };
                        return Ok(stream::try_unfold(reader, FileReader::next).boxed());
                    }
                    Ok(_) => {}
                    Err(error) if is_absent(&error) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let location = paths::whole_file(&digest, &nonce)?;
        Err(damaged(&format!("b3:{digest}"), &format!("its file {location} is lost or has another length")))
    }
}

impl FileReader {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        if self.position >= self.end {
            return Ok(None);
        }
        let length = to_usize(GRID_BYTES.min(self.end - self.position));
        while self.gathered.len() < length {
            match self.stream.try_next().await? {
                Some(bytes) => self.gathered.extend_from_slice(&bytes),
                None => return Err(self.damaged()),
            }
        }
        let cell = self.gathered.split_to(length).freeze();
        let index = to_usize(self.position / GRID_BYTES);
        let (cells, digest) = (self.cells.clone(), self.digest);
        let (sound, cell) = unblock(move || Ok((cell_matches(&cells, index, &cell, &digest), cell))).await?;
        if !sound {
            return Err(self.damaged());
        }
        let from = to_usize(self.wanted.start.saturating_sub(self.position));
        let to = to_usize((self.wanted.end - self.position).min(length as u64));
        self.position += length as u64;
        Ok(Some((cell.slice(from..to), self)))
    }

    fn damaged(&self) -> strongroom_storage::Error {
        let cell = self.position / GRID_BYTES;
        damaged(&format!("b3:{}", self.digest), &format!("chunk {cell} of {} is damaged", self.location))
    }
}
