//! Taking content in: what is there already is relied on, the rest goes inline, into packs, or into a file of its own.

mod blocks;
mod chunked;
mod foreign;
mod mending;
mod moving;
mod packer;
mod prepare;
mod secure;
mod whole;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use strongroom_storage::{ByteStream, Digest, Digests, Error, ErrorKind, Location, PathSource, Result, unblock};

use crate::catalog::Found;
use crate::chunk::{List, ListItem, Place, encode_list_body};
use crate::config::Layout;
use crate::content::{Body, Content};
use crate::nonce::Nonce;
use crate::paths;
use crate::record::Kind;
use crate::session::Session;
use crate::store::Inner;
pub(crate) use blocks::Buffers;
pub(crate) use foreign::Adopted;
pub(crate) use moving::Moved;
pub(crate) use packer::Packer;
use packer::{Item, Pack};
use prepare::Small;
pub(crate) use prepare::{Prepared, Wanted};
use whole::{Kept, Look};

/// Objects up to this many bytes are one chunk, unless a layout is asked for.
pub(crate) const SMALL_MAX_BYTES: usize = 1 << 20;
/// More than this is hashed and compressed on another thread.
const UNBLOCK_BYTES: usize = 64 << 10;
/// How many full packs are on their way out at once.
const PACKS_AT_ONCE: usize = 3;

/// Stores the content of one batch within one session.
///
/// What it returned can be relied on when [`finish`](Self::finish) has.
pub(crate) struct ContentWriter {
    store: Arc<Inner>,
    session: Arc<Session>,
    /// The packs that are relied on and were not durable when they were last looked at, in order.
    packs: Vec<Arc<Pack>>,
    /// The packs and files that are relied on and were there.
    relied_on: HashSet<Location>,
    /// The lists that this writer has added.
    lists: HashSet<(Kind, Digest)>,
    /// How many bytes it has given to packs and files.
    stored_bytes: u64,
}

/// What became of a source.
#[derive(Debug)]
pub(crate) struct Taken {
    pub content: Content,
    /// BLAKE3, and the others that were asked for.
    pub digests: Digests,
}

/// Content by how it comes.
pub(crate) enum Input {
    /// At most [`SMALL_MAX_BYTES`], or given as bytes.
    Bytes(Bytes),
    /// A local file with more.
    Path(PathSource),
    /// A stream with more.
    Stream(ByteStream),
}

impl ContentWriter {
    pub(crate) fn new(store: Arc<Inner>, session: Arc<Session>) -> Self {
        Self { store, session, packs: Vec::new(), relied_on: HashSet::new(), lists: HashSet::new(), stored_bytes: 0 }
    }

    /// How many bytes were given to packs and files so far, as they are stored there.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// Keeps the session alive. Who places much that is small calls this now and then.
    pub(crate) async fn beat(&self) -> Result<()> {
        self.session.beat().await
    }

    /// Places what was prepared.
    pub(crate) async fn place(&mut self, prepared: Prepared) -> Result<Taken> {
        let (input, layout, digests) = match prepared {
            Prepared::Inline(taken) => return Ok(taken),
            Prepared::Small(small) => return self.place_small(small).await,
            Prepared::Large(input, layout, digests) => (input, layout, digests),
        };
        self.session.beat().await?;
        let local = self.store.backend.capabilities().local;
        match layout.unwrap_or(self.store.descriptor.layout) {
            Layout::Whole => self.take_whole(input, layout == Some(Layout::Whole), digests).await,
            Layout::Auto if local => self.take_whole(input, false, digests).await,
            Layout::Auto | Layout::Chunked => {
                // It may be there as a file, which is good enough unless chunks were asked for.
                let look = if layout == Some(Layout::Chunked) { Look::Chunks } else { Look::Both };
                match self.find_kept(input, look, digests).await? {
                    Kept::There(taken) => Ok(taken),
                    Kept::Not(input) => self.take_chunked(input, digests).await,
                }
            }
        }
    }

    async fn place_small(&mut self, small: Small) -> Result<Taken> {
        let Small { digests, digest, bytes, item } = small;
        let size = bytes.len() as u64;
        let body = match item {
            Some(item) => Body::Packed(self.add_item(item).await?.place),
            None => match self.find_chunk(&digest, bytes.len()).await? {
                Some(place) => Body::Packed(place),
                None => match self.find_file(&digest, size).await? {
                    Some(nonce) => Body::Whole(nonce, List::Inline(Vec::new())),
                    None => Body::Packed(self.add(Kind::Chunk, digest, bytes).await?),
                },
            },
        };
        Ok(Taken { content: Content { digest, size, body }, digests })
    }

    /// A chunk that can be relied on.
    async fn find_chunk(&mut self, digest: &Digest, length: usize) -> Result<Option<Place>> {
        let found = self.find(Kind::Chunk, digest).await?;
        Ok(found.filter(|found| usize::try_from(found.size) == Ok(length)).map(|found| found.place))
    }

    /// Content of a kind in a pack that can be relied on: on its way out, or seen within the session.
    async fn find(&mut self, kind: Kind, digest: &Digest) -> Result<Option<Found>> {
        if let Some((found, pack)) = self.store.packer.find(kind, digest, self.session.epoch) {
            self.rely_on(pack);
            return Ok(Some(found));
        }
        self.store.catalog.learn_for(&self.session).await?;
        for found in self.store.catalog.find(kind, digest).await? {
            if self.relies_on_pack(&found.place.pack).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Whether a pack can be relied on, which is noted then.
    async fn relies_on_pack(&mut self, pack: &Nonce) -> Result<bool> {
        let location = paths::pack(pack)?;
        let relies = self.session.may_rely_on(&location).await?;
        self.relied_on.extend(relies.then_some(location));
        Ok(relies)
    }

    /// Whether a whole file of `size` bytes can be relied on, which is noted then.
    async fn relies_on_file(&mut self, location: Location, size: u64) -> Result<bool> {
        let relies = self.session.may_rely_on_file(&location, size).await?;
        self.relied_on.extend(relies.then_some(location));
        Ok(relies)
    }

    /// Compresses content and adds it to a pack, without asking whether it is there.
    async fn add(&mut self, kind: Kind, digest: Digest, bytes: Bytes) -> Result<Place> {
        let item = if bytes.len() > UNBLOCK_BYTES {
            let store = self.store.clone();
            unblock(move || Ok(store.item(kind, digest, bytes))).await?
        } else {
            self.store.item(kind, digest, bytes)
        };
        Ok(self.add_item(item).await?.place)
    }

    async fn add_item(&mut self, item: Item) -> Result<Found> {
        self.stored_bytes += item.stored.len() as u64;
        let (found, pack) = self.store.packer.add(item, self.session.epoch)?;
        if self.rely_on(pack) {
            // What is in memory has a bound.
            while self.packs.iter().filter(|pack| pack.is_begun()).count() > PACKS_AT_ONCE {
                let oldest = self.packs.remove(0);
                self.wait_for(&oldest).await?;
            }
        }
        Ok(found)
    }

    /// Returns whether it was not relied on before.
    fn rely_on(&mut self, pack: Arc<Pack>) -> bool {
        let is_new = !self.packs.iter().any(|known| Arc::ptr_eq(known, &pack));
        if is_new {
            self.packs.push(pack);
        }
        is_new
    }

    /// Waits until a pack is durable. It was not there before the session had its marker, so it was seen within it.
    async fn wait_for(&self, pack: &Arc<Pack>) -> Result<()> {
        self.session.beat().await?;
        let location = self.store.packer.stored(pack).await?;
        if self.session.is_listed(&location) {
            let listed = "a collector is about to delete this pack, which was stored just now; store it again";
            return Err(Error::new(ErrorKind::Unavailable, "store", location, listed));
        }
        self.store.durable.note([location.clone()]);
        self.session.saw(location);
        // A batch may be larger than what should stand in no index file, and in memory; a hint that can't be written costs time.
        self.store.catalog.cover(&self.session).await.unwrap_or_default();
        Ok(())
    }

    /// A list of an object: in a pack, and with its entry if it is short.
    async fn place_list<T: ListItem + PartialEq>(
        &mut self,
        kind: Kind,
        object: &Digest,
        items: Vec<T>,
    ) -> Result<List<T>> {
        let place = match self.find(kind, object).await? {
            Some(found) if self.says_the_same(&found, &items).await? => (found.place, found.size),
            _ => {
                let body = encode_list_body(object, &items);
                let size = u32::try_from(body.len()).map_err(|_| too_many_parts(object))?;
                self.lists.insert((kind, *object));
                (self.add(kind, *object, body).await?, size)
            }
        };
        if List::<T>::fits_inline(items.len()) { Ok(List::Inline(items)) } else { Ok(List::Packed(place.0, place.1)) }
    }

    /// Whether a list that is there already has these items. One of our own was made of them.
    async fn says_the_same<T: ListItem + PartialEq>(&mut self, found: &Found, items: &[T]) -> Result<bool> {
        if self.lists.contains(&(found.kind, found.digest)) {
            return Ok(true);
        }
        if let Some((_, pack)) = self.store.packer.find(found.kind, &found.digest, self.session.epoch) {
            self.wait_for(&pack).await?;
        }
        let known = self.store.read_list_at::<T>(&found.digest, &found.place, found.size).await;
        Ok(known.is_ok_and(|known| known == items))
    }

    /// Makes everything durable that was taken in.
    pub(crate) async fn finish(self) -> Result<()> {
        for pack in &self.packs {
            self.wait_for(pack).await?;
        }
        self.store.durable.make_sure(self.relied_on).await?;
        self.session.beat().await
    }
}

fn too_many_parts(object: &Digest) -> strongroom_storage::Error {
    strongroom_storage::Error::new(
        strongroom_storage::ErrorKind::Unsupported,
        "store",
        format!("b3:{object}"),
        "the object is larger than the format allows",
    )
}
