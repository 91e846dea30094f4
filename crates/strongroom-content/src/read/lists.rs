//! The lists that belong to objects: with the entry, in a pack, or computed from the file itself.

use strongroom_storage::{ByteRange, Digest, ErrorKind, Result};

use super::{damaged, is_absent};
use crate::chunk::{Cell, Chunk, List, ListItem, Place, decode_list_body};
use crate::codec::Malformed;
use crate::compress::decompress;
use crate::content::{Body, Content};
use crate::grid::{GridHasher, cells_match};
use crate::nonce::Nonce;
use crate::paths;
use crate::record::Kind;
use crate::store::Inner;

impl Inner {
    /// The chunks of `content`, which is kept as one or more.
    pub(crate) async fn chunks_of(&self, content: &Content) -> Result<Vec<Chunk>> {
        let fits = |chunks: &[Chunk]| content.can_have(chunks);
        match &content.body {
            Body::Packed(place) => Ok(vec![content.as_chunk(*place)]),
            Body::Chunked(List::Inline(chunks)) => Ok(chunks.clone()),
            Body::Chunked(List::Packed(place, size)) => {
                self.read_list(Kind::ChunkList, &content.digest, place, *size, fits).await
            }
            Body::Inline(_) | Body::Whole(..) => Ok(Vec::new()),
        }
    }

    /// The cells of `content`, which is kept as a file of its own.
    pub(crate) async fn cells_of(&self, content: &Content) -> Result<Vec<Cell>> {
        let fits = |cells: &[Cell]| cells_match(cells, content.size, &content.digest);
        let Body::Whole(nonce, list) = &content.body else { return Ok(Vec::new()) };
        let known = match list {
            List::Inline(cells) if fits(cells) => return Ok(cells.clone()),
            List::Inline(_) => {
                Err(damaged(&format!("b3:{}", content.digest), "its list of cells does not match its digest"))
            }
            List::Packed(place, size) => self.read_list(Kind::CellList, &content.digest, place, *size, fits).await,
        };
        match known {
            Err(error) if is_absent(&error) => self.cells_from_files(content, nonce).await,
            known => known,
        }
    }

    /// Computes the cells of a file whose list is lost or was never stored, from the copy `nonce` or another one.
    async fn cells_from_files(&self, content: &Content, nonce: &Nonce) -> Result<Vec<Cell>> {
        if let Some(cells) = self.cells_from_file(content, nonce).await? {
            return Ok(cells);
        }
        for copy in self.other_copies(&content.digest, nonce, true).await? {
            if let Some(cells) = self.cells_from_file(content, &copy).await? {
                return Ok(cells);
            }
        }
        let location = paths::whole_file(&content.digest, nonce)?;
        Err(damaged(&format!("b3:{}", content.digest), &format!("its file {location} is lost or damaged")))
    }

    /// Computes the cells of a file by reading all of it. `None` if it is not what its name says.
    pub(crate) async fn cells_from_file(&self, content: &Content, nonce: &Nonce) -> Result<Option<Vec<Cell>>> {
        let location = paths::whole_file(&content.digest, nonce)?;
        let read = async {
            let stream = self.backend.load(&location, ByteRange::All).await?.into_stream();
            GridHasher::new().read(stream).await
        };
        let hasher = match read.await {
            Ok(hasher) => hasher,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let (digest, size, cells) = hasher.finish();
        Ok((digest == content.digest && size == content.size).then_some(cells))
    }

    /// A list of `object` that `fits`, from where it was last seen or from wherever it is.
    async fn read_list<T: ListItem>(
        &self,
        kind: Kind,
        object: &Digest,
        place: &Place,
        size: u32,
        fits: impl Fn(&[T]) -> bool,
    ) -> Result<Vec<T>> {
        match self.read_list_at(object, place, size).await {
            Ok(items) if fits(&items) => return Ok(items),
            Err(error) if !is_absent(&error) => return Err(error),
            _ => {}
        }
        self.packs.distrust(&place.pack);
        let mut unread = None;
        for learn in [false, true] {
            if learn {
                unread = self.catalog.learn_all().await.err();
            }
            for found in self.catalog.find(kind, object).await? {
                match self.read_list_at(object, &found.place, found.size).await {
                    Ok(items) if fits(&items) => return Ok(items),
                    Err(error) if !is_absent(&error) => return Err(error),
                    _ => {}
                }
            }
        }
        if let Some(error) = unread {
            return Err(error);
        }
        let pack = paths::pack(&place.pack)?;
        Err(damaged(&format!("b3:{object}"), &format!("the list of its parts in {pack} is lost or damaged")))
    }

    /// The list of `object` at this place, which has `size` bytes before compression.
    pub(crate) async fn read_list_at<T: ListItem>(&self, object: &Digest, place: &Place, size: u32) -> Result<Vec<T>> {
        let pack = paths::pack(&place.pack)?;
        let range = place.offset..place.offset + u64::from(place.stored);
        let ends = || Malformed("it ends before or in the middle of a list").in_file(&pack);
        let stored = match self.packs.read(&place.pack, range).await {
            Ok(stored) => stored,
            // It is the pack that is wrong, not the call.
            Err(error) if error.kind() == ErrorKind::Invalid => return Err(ends()),
            Err(error) => return Err(error),
        };
        if stored.len() as u64 != u64::from(place.stored) {
            return Err(ends());
        }
        decompress(place.method, stored, size)
            .and_then(|body| decode_list_body(object, &body))
            .map_err(|malformed| malformed.in_file(&pack))
    }
}
