//! Content that has to leave the pack or file it is in, because that is about to go.

use strongroom_storage::{ByteRange, Digest, Result};

use super::ContentWriter;
use super::packer::Item;
use crate::chunk::{Cell, Chunk, List, Place, decode_list_body, encode_list_body};
use crate::compress::decompress;
use crate::content::{Body, Content};
use crate::nonce::Nonce;
use crate::paths;
use crate::record::{Kind, Record};

/// What became of content that had to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// It is sound in another place that can be relied on.
    Elsewhere,
    /// So many bytes were copied.
    Copied(u64),
    /// It can't be read anywhere.
    Damaged(Digest),
}

impl ContentWriter {
    /// Sees to it that what `pack` has as `record` is somewhere else.
    ///
    /// Another copy is read before it is relied on: it may be the damaged one.
    ///
    /// # Errors
    /// Those of the backend. Durable it is when [`finish`](Self::finish) has returned.
    pub(crate) async fn move_record(&mut self, pack: &Nonce, record: &Record) -> Result<Moved> {
        self.beat().await?;
        let Record { kind, digest, size, .. } = *record;
        if let Some((_, pack)) = self.store.packer.find(kind, &digest, self.session.epoch) {
            self.rely_on(pack);
            return Ok(Moved::Elsewhere);
        }
        for found in self.store.catalog.find(kind, &digest).await? {
            if found.place.pack != *pack
                && found.size == size
                && self.relies_on_pack(&found.place.pack).await?
                && self.read_item(kind, &digest, found.place, size).await?.is_some()
            {
                return Ok(Moved::Elsewhere);
            }
        }
        let place = Place { pack: *pack, offset: record.offset, stored: record.stored, method: record.method };
        let item = match self.read_item(kind, &digest, place, size).await? {
            Some(item) if kind == Kind::ChunkList => self.with_places_now(item).await?,
            Some(item) => item,
            // It may be sound in another place that is about to go.
            None if kind == Kind::Chunk => match self.store.read_chunk(&Chunk { digest, size, place }).await {
                Ok(bytes) => self.store.item(kind, digest, bytes),
                Err(error) if error.kind() == strongroom_storage::ErrorKind::Corrupt => {
                    return Ok(Moved::Damaged(digest));
                }
                Err(error) => return Err(error),
            },
            None => return Ok(Moved::Damaged(digest)),
        };
        let copied = item.stored.len() as u64;
        self.add_item(item).await?;
        Ok(Moved::Copied(copied))
    }

    /// Sees to it that there is another file with this content than the one named so.
    ///
    /// # Errors
    /// As for [`move_record`](Self::move_record).
    pub(crate) async fn move_file(&mut self, digest: &Digest, nonce: &Nonce) -> Result<Moved> {
        self.beat().await?;
        for other in self.store.catalog.files(digest) {
            let file = paths::whole_file(digest, &other)?;
            if other != *nonce
                && !self.session.is_listed(&file)
                && let Some(content) = self.sound_file(digest, &other).await?
                && self.relies_on_file(file, content.size).await?
            {
                return Ok(Moved::Elsewhere);
            }
        }
        match self.sound_file(digest, nonce).await? {
            None => Ok(Moved::Damaged(*digest)),
            Some(content) => {
                self.copy_file(&content).await?;
                Ok(Moved::Copied(content.size))
            }
        }
    }

    /// The content of a whole file, if all of it is what its name says.
    async fn sound_file(&self, digest: &Digest, nonce: &Nonce) -> Result<Option<Content>> {
        let size = match self.store.backend.metadata(&paths::whole_file(digest, nonce)?).await {
            Ok(metadata) => metadata.size,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error),
        };
        let content = Content { digest: *digest, size, body: Body::Whole(*nonce, List::Inline(Vec::new())) };
        let cells = self.store.cells_from_file(&content, nonce).await?;
        Ok(cells.map(|cells| Content { body: Body::Whole(*nonce, List::Inline(cells)), ..content }))
    }

    /// What is at a place in a pack, as it is stored there, if it is sound.
    async fn read_item(&self, kind: Kind, digest: &Digest, place: Place, size: u32) -> Result<Option<Item>> {
        let range = place.offset..place.offset + u64::from(place.stored);
        let read = self.store.backend.load_bytes(&paths::pack(&place.pack)?, ByteRange::from(range)).await;
        let stored = match read {
            Ok(stored) => stored,
            Err(error) if crate::read::is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Ok(bytes) = decompress(place.method, stored.clone(), size) else { return Ok(None) };
        let is_sound = match kind {
            Kind::Chunk => Digest::of(&bytes) == *digest,
            Kind::ChunkList => decode_list_body::<Chunk>(digest, &bytes).is_ok(),
            Kind::CellList => decode_list_body::<Cell>(digest, &bytes).is_ok(),
        };
        Ok(is_sound.then_some(Item { kind, digest: *digest, size, method: place.method, stored }))
    }

    /// A chunk list that says where its chunks are now, so that readers need not look for them.
    async fn with_places_now(&mut self, item: Item) -> Result<Item> {
        let Ok(body) = decompress(item.method, item.stored.clone(), item.size) else { return Ok(item) };
        let Ok(mut chunks) = decode_list_body::<Chunk>(&item.digest, &body) else { return Ok(item) };
        let mut is_changed = false;
        for chunk in &mut chunks {
            if !self.relies_on_pack(&chunk.place.pack).await?
                && let Some(place) =
                    self.find_chunk(&chunk.digest, usize::try_from(chunk.size).unwrap_or(usize::MAX)).await?
            {
                is_changed |= place != chunk.place;
                chunk.place = place;
            }
        }
        if !is_changed {
            return Ok(item);
        }
        Ok(self.store.item(Kind::ChunkList, item.digest, encode_list_body(&item.digest, &chunks)))
    }
}
