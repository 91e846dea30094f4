//! Reading whole files, cell by cell, from whichever copy is sound.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use strongroom_storage::{ByteStream, Digest, Error, Location, Result, unblock};

use super::{damaged, is_absent, to_usize};
use crate::cache::ContentCache;
use crate::chunk::{Cell, GRID_BYTES};
use crate::content::Content;
use crate::grid::cell_matches;
use crate::nonce::Nonce;
use crate::paths;
use crate::store::Inner;

/// A file that is being read: whole cells are taken from the backend and verified before a byte is handed out.
struct FileReader {
    store: Arc<Inner>,
    digest: Digest,
    size: u64,
    cells: Arc<Vec<Cell>>,
    /// Which copy is read, and which the entry names.
    copy: Nonce,
    named: Nonce,
    stream: ByteStream,
    gathered: BytesMut,
    /// What is kept of it is not what it should be.
    anew: bool,
    /// The cell at the present position, if it was read and verified already.
    ready: Option<Bytes>,
    /// Where in the object the gathered bytes begin: at a cell.
    position: u64,
    /// Where the last wanted cell ends.
    end: u64,
    wanted: Range<u64>,
}

impl Inner {
    /// The bytes `range` of an object that is kept as the file `nonce`, or from another copy where that is gone or damaged.
    pub(super) async fn stream_file(
        self: &Arc<Self>,
        content: &Content,
        nonce: Nonce,
        range: Range<u64>,
    ) -> Result<ByteStream> {
        let digest = content.digest;
        if content.size == 0 && digest != Digest::of(b"") {
            let location = paths::whole_file(&digest, &nonce)?;
            return Err(damaged(&format!("b3:{digest}"), &format!("its file {location} has lost its content")));
        }
        if range.is_empty() {
            return Ok(stream::empty().boxed());
        }
        match self.stream_cells(content, nonce, &range).await? {
            Some(stream) => Ok(stream),
            None => self.stream_copies(content, nonce, range).await,
        }
    }

    /// The bytes `range`, which is not empty, of the file `nonce`, or of other copies where that is gone or damaged.
    pub(super) async fn stream_copies(
        self: &Arc<Self>,
        content: &Content,
        nonce: Nonce,
        range: Range<u64>,
    ) -> Result<ByteStream> {
        let mut reader = FileReader::new(self, content, nonce, range).await?;
        if !reader.open(nonce).await? {
            reader.ready = Some(reader.change_copy().await?);
        }
        Ok(stream::try_unfold(reader, FileReader::next).boxed())
    }

    /// Whether all of the file `copy` is what its content should be.
    pub(super) async fn is_sound(self: &Arc<Self>, content: &Content, copy: Nonce) -> Result<bool> {
        let mut reader = FileReader::new(self, content, copy, 0..content.size).await?;
        if !reader.open(copy).await? {
            return Ok(false);
        }
        while reader.position < reader.end {
            let Some(cell) = reader.cell().await? else { return Ok(false) };
            reader.position += cell.len() as u64;
        }
        Ok(true)
    }

    /// The copies of a file besides `nonce`; with `learn` after a look at what there is now.
    pub(crate) async fn other_copies(&self, digest: &Digest, nonce: &Nonce, learn: bool) -> Result<Vec<Nonce>> {
        if learn {
            self.catalog.learn().await?;
        }
        let mut copies = self.catalog.files(digest);
        copies.retain(|copy| copy != nonce);
        Ok(copies)
    }
}

/// How much of a file is read through the cache by one request, and how many requests are under way ahead of the reader.
const KEPT_BYTES: u64 = 8 << 20;
const KEPT_AT_ONCE: usize = 2;

/// The bytes `range` of a file, through the cache; with `anew`, into it.
fn kept_pieces(cache: Arc<ContentCache>, file: (Location, Nonce), range: Range<u64>, anew: bool) -> ByteStream {
    let file = Arc::new(file);
    let starts = (range.start..range.end).step_by(KEPT_BYTES as usize);
    let pieces = starts.map(move |start| start..range.end.min(start + KEPT_BYTES));
    stream::iter(pieces)
        .map(move |piece| {
            let (cache, file) = (cache.clone(), file.clone());
            async move { cache.read(&file.0, &file.1, piece, anew).await }
        })
        .buffered(KEPT_AT_ONCE)
        .boxed()
}

impl FileReader {
    async fn new(store: &Arc<Inner>, content: &Content, copy: Nonce, wanted: Range<u64>) -> Result<Self> {
        Ok(Self {
            store: store.clone(),
            digest: content.digest,
            size: content.size,
            cells: Arc::new(store.cells_of(content).await?),
            copy,
            named: copy,
            stream: stream::empty().boxed(),
            gathered: BytesMut::new(),
            anew: false,
            ready: None,
            position: wanted.start - wanted.start % GRID_BYTES,
            end: wanted.end.next_multiple_of(GRID_BYTES).min(content.size),
            wanted,
        })
    }

    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        if self.position >= self.end {
            return Ok(None);
        }
        let ready = match self.ready.take() {
            Some(cell) => Some(cell),
            None => self.cell().await?,
        };
        let cell = match ready {
            Some(cell) => cell,
            None => self.change_copy().await?,
        };
        let from = to_usize(self.wanted.start.saturating_sub(self.position));
        let to = to_usize((self.wanted.end - self.position).min(cell.len() as u64));
        self.position += cell.len() as u64;
        Ok(Some((cell.slice(from..to), self)))
    }

    /// Reads on in this copy from the present position. False if it is gone or has another length.
    async fn open(&mut self, copy: Nonce) -> Result<bool> {
        let location = paths::whole_file(&self.digest, &copy)?;
        if self.store.content_cache.is_on() {
            let (cache, range) = (self.store.content_cache.clone(), self.position..self.end);
            (self.copy, self.stream) = (copy, kept_pieces(cache, (location, copy), range, self.anew));
            self.gathered.clear();
            return Ok(true);
        }
        match self.store.backend.load(&location, (self.position..self.end).into()).await {
            Ok(loaded) if loaded.size == self.size => {
                (self.copy, self.stream) = (copy, loaded.into_stream());
                self.gathered.clear();
                Ok(true)
            }
            Ok(_) => Ok(false),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The cell at the present position. `None` if this copy does not have it as it was.
    async fn cell(&mut self) -> Result<Option<Bytes>> {
        let length = to_usize(GRID_BYTES.min(self.end - self.position));
        while self.gathered.len() < length {
            match self.stream.try_next().await {
                Ok(Some(bytes)) => self.gathered.extend_from_slice(&bytes),
                Ok(None) => return Ok(None),
                Err(error) if is_absent(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        let cell = self.gathered.split_to(length).freeze();
        let index = to_usize(self.position / GRID_BYTES);
        let (cells, digest) = (self.cells.clone(), self.digest);
        let (sound, cell) = unblock(move || Ok((cell_matches(&cells, index, &cell, &digest), cell))).await?;
        Ok(sound.then_some(cell))
    }

    /// Goes on in another copy that has the cell at the present position, and returns the cell. It may be the cache alone that is damaged.
    async fn change_copy(&mut self) -> Result<Bytes> {
        if self.store.content_cache.is_on() && !std::mem::replace(&mut self.anew, true) {
            let copy = self.copy;
            if self.open(copy).await?
                && let Some(cell) = self.cell().await?
            {
                return Ok(cell);
            }
        }
        for learn in [false, true] {
            for copy in self.store.other_copies(&self.digest, &self.copy, learn).await? {
                if self.open(copy).await?
                    && let Some(cell) = self.cell().await?
                {
                    return Ok(cell);
                }
            }
        }
        Err(self.damaged()?)
    }

    fn damaged(&self) -> Result<Error> {
        let location = paths::whole_file(&self.digest, &self.named)?;
        let cell = self.position / GRID_BYTES;
        Ok(damaged(&format!("b3:{}", self.digest), &format!("chunk {cell} of {location} is lost or damaged")))
    }
}
