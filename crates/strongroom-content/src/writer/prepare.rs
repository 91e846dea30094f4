//! What can be done with sources before it is decided where their content goes: reading, hashing and compressing what is
//! small. Several are prepared by one thread while those before them are placed.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use strongroom_storage::{
    ByteStream, Digest, DigestSet, Digests, PathSource, ReadBuffer, Result, Source, SourceFile, unblock,
};

use super::packer::Item;
use super::{Input, SMALL_MAX_BYTES, Taken, UNBLOCK_BYTES};
use crate::compress::compress;
use crate::config::Layout;
use crate::content::{Content, INLINE_MAX_BYTES};
use crate::record::Kind;
use crate::store::Inner;

/// A source, and how its content is to be kept.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub source: Source,
    /// With a layout, it is kept so even if it is there in another way; without, by the store's policy.
    pub layout: Option<Layout>,
    /// Digests to compute besides BLAKE3.
    pub digests: DigestSet,
}

/// What is ready to be placed.
pub(crate) enum Prepared {
    /// It is kept with its name.
    Inline(Taken),
    /// It is one chunk.
    Small(Small),
    /// It is looked at when it is placed.
    Large(Input, Option<Layout>, DigestSet),
}

impl Prepared {
    pub(crate) fn is_large(&self) -> bool {
        matches!(self, Self::Large(..))
    }
}

/// Content that is one chunk.
pub(crate) struct Small {
    pub digests: Digests,
    pub digest: Digest,
    pub bytes: Bytes,
    /// As it goes into a pack; nothing if it seems to be there already, or if that is not known yet.
    pub item: Option<Item>,
}

/// What one thread did with a source.
struct Looked {
    prepared: Result<Prepared>,
    /// Whether an index file must be read to tell if its content is there.
    unsure: bool,
}

impl Looked {
    /// There is no more to find out.
    fn done(prepared: Result<Prepared>) -> Self {
        Self { prepared, unsure: false }
    }
}

/// What is known of content before it is placed.
pub(super) enum Known {
    /// It seems to be there.
    Kept,
    /// It is not.
    New,
    /// An index file must be read to tell.
    Unsure,
}

impl Inner {
    /// Prepares sources; the results have their order.
    ///
    /// # Errors
    /// Of all of them, only that the runtime is shutting down.
    pub(crate) async fn prepare(self: &Arc<Self>, wanted: Vec<Wanted>) -> Result<Vec<Result<Prepared>>> {
        let mut opened = Vec::with_capacity(wanted.len());
        let mut work = 0;
        for Wanted { source, layout, digests } in wanted {
            let input = match source {
                Source::Bytes(bytes) => Ok(Input::Bytes(bytes)),
                Source::Path(path) => Ok(Input::Path(path)),
                other => gather(other).await,
            };
            work += match &input {
                Ok(Input::Bytes(bytes)) if bytes.len() <= SMALL_MAX_BYTES => bytes.len(),
                Ok(Input::Path(_)) => UNBLOCK_BYTES + 1,
                _ => 0,
            };
            opened.push((input, layout, DigestSet::BLAKE3.union(digests)));
        }
        let store = self.clone();
        let each = move || {
            let one = |(input, layout, digests): (Result<Input>, _, _)| match input {
                Ok(input) => store.look_at(input, layout, digests),
                Err(error) => Looked::done(Err(error)),
            };
            opened.into_iter().map(one).collect::<Vec<_>>()
        };
        let looked = if work <= UNBLOCK_BYTES { each() } else { unblock(move || Ok(each())).await? };
        if looked.iter().any(|looked| looked.unsure) {
            return self.look_again(looked, work).await;
        }
        Ok(looked.into_iter().map(|looked| looked.prepared).collect())
    }

    /// Reads what is needed to tell which content is there, and compresses what is not.
    async fn look_again(self: &Arc<Self>, looked: Vec<Looked>, work: usize) -> Result<Vec<Result<Prepared>>> {
        let digests: Vec<Digest> = looked
            .iter()
            .filter_map(|looked| match looked {
                Looked { prepared: Ok(Prepared::Small(small)), unsure: true } => Some(small.digest),
                _ => None,
            })
            .collect();
        self.catalog.fetch(&digests).await;
        let store = self.clone();
        let each = move || {
            let one = |mut looked: Looked| {
                if let (Ok(Prepared::Small(small)), true) = (&mut looked.prepared, looked.unsure) {
                    store.make_item(small);
                }
                looked.prepared
            };
            looked.into_iter().map(one).collect()
        };
        if work <= UNBLOCK_BYTES { Ok(each()) } else { unblock(move || Ok(each())).await }
    }

    /// Blocks.
    fn look_at(&self, input: Input, layout: Option<Layout>, digests: DigestSet) -> Looked {
        let input = match input {
            Input::Path(source) => match read_small(source) {
                Ok(input) => input,
                Err(error) => return Looked::done(Err(error)),
            },
            input => input,
        };
        match input {
            Input::Bytes(bytes) if bytes.len() <= INLINE_MAX_BYTES && layout != Some(Layout::Whole) => {
                let digests = Digests::of(&bytes, digests);
                Looked::done(Ok(Prepared::Inline(Taken { content: Content::inline(bytes), digests })))
            }
            Input::Bytes(bytes) if bytes.len() <= SMALL_MAX_BYTES && matches!(layout, None | Some(Layout::Auto)) => {
                let digests = Digests::of(&bytes, digests);
                let digest = digests.blake3.unwrap_or_else(|| Digest::of(&bytes));
                let mut small = Small { digests, digest, bytes, item: None };
                let unsure = self.make_item(&mut small);
                Looked { prepared: Ok(Prepared::Small(small)), unsure }
            }
            input => Looked::done(Ok(Prepared::Large(input, layout, digests))),
        }
    }

    /// Makes the item for a pack if the content is not there. Returns whether an index file must be read to tell.
    fn make_item(&self, small: &mut Small) -> bool {
        let known = self.looks_kept(&small.digest);
        small.item = matches!(known, Known::New).then(|| self.item(Kind::Chunk, small.digest, small.bytes.clone()));
        matches!(known, Known::Unsure)
    }

    /// Whether content of one chunk is there, as far as is known without reading. If not, it will be needed compressed.
    pub(super) fn looks_kept(&self, digest: &Digest) -> Known {
        if self.packer.find(Kind::Chunk, digest, 0).is_some() || self.catalog.has_files_of(digest) {
            return Known::Kept;
        }
        match self.catalog.knows(Kind::Chunk, digest) {
            Some(true) => Known::Kept,
            Some(false) => Known::New,
            None => Known::Unsure,
        }
    }

    /// Bytes as they go into a pack.
    pub(super) fn item(&self, kind: Kind, digest: Digest, bytes: Bytes) -> Item {
        let size = u32::try_from(bytes.len()).expect("a chunk and a list have a bound that 32 bits hold");
        let (method, stored) = compress(bytes, self.descriptor.compression);
        Item { kind, digest, size, method, stored }
    }
}

/// Reads a local file if it is small. Blocks.
fn read_small(mut source: PathSource) -> Result<Input> {
    let mut file = SourceFile::open(&source)?;
    let size = match usize::try_from(file.identity().size()) {
        Ok(size) if size <= SMALL_MAX_BYTES => size,
        _ => {
            source.expected = Some(file.identity().clone());
            return Ok(Input::Path(source));
        }
    };
    // One byte more, so that the end is seen.
    let mut buffer = ReadBuffer::new(size + 1);
    let mut filled = 0;
    while filled <= size {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            length => filled += length,
        }
    }
    file.finish()?;
    Ok(Input::Bytes(buffer.into_bytes().slice(..filled)))
}

/// Reads so much of a stream that it is known whether it is small.
async fn gather(source: Source) -> Result<Input> {
    let mut stream: ByteStream = source.into_stream().await?;
    let mut gathered = BytesMut::new();
    while gathered.len() <= SMALL_MAX_BYTES {
        match stream.try_next().await? {
            Some(bytes) => gathered.extend_from_slice(&bytes),
            None => return Ok(Input::Bytes(gathered.freeze())),
        }
    }
    Ok(Input::Stream(stream::iter([Ok(gathered.freeze())]).chain(stream).boxed()))
}
