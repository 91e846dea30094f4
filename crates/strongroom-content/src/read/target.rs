//! Writing objects into local files: whole files as the backend copies them best, chunks several at once.

use std::collections::VecDeque;
use std::sync::{Arc, mpsc};

use futures::{StreamExt, TryStreamExt, stream};
use strongroom_storage::{Digest, DigestSet, Digests, PieceVisitor, Result, TargetFile, unblock};

use super::{Wanted, check_chunk, neighbours, to_usize};
use crate::chunk::{Chunk, Method};
use crate::content::{Body, Content};
use crate::nonce::Nonce;
use crate::paths;
use crate::store::Inner;

/// Neighbouring chunks are copied together up to so many bytes.
const GROUP_BYTES: u64 = 4 << 20;
/// How many such groups are copied at once. All go into one file, which takes but one write at a time.
const GROUPS_AT_ONCE: usize = 3;

/// Neighbouring chunks, and where in the object they begin.
struct Group {
    chunks: Vec<Chunk>,
    offset: u64,
}

impl Inner {
    /// Writes all of `content` into `target`, which is empty, where there is a faster way than by its stream; gives its digests
    /// then, of which `digests` are wanted. Otherwise the file may hold anything.
    ///
    /// # Errors
    /// Those of writing; those of reading chunks.
    pub(crate) async fn copy_content(
        self: &Arc<Self>,
        content: &Content,
        target: &TargetFile,
        digests: DigestSet,
    ) -> Result<Option<Digests>> {
        match &content.body {
            Body::Whole(nonce, _) => self.copy_whole(content, nonce, target, digests).await,
            // Out of order, no other digest can be computed.
            Body::Chunked(_) if digests.is_empty() => {
                // Its list is read first: that is as long as it says.
                let chunks = self.chunks_of(content).await?;
                let (reserved, size) = (target.clone(), content.size);
                unblock(move || {
                    reserved.reserve(size);
                    Ok(())
                })
                .await?;
                self.copy_chunks(chunks, target).await?;
                Ok(Some(Digests::default()))
            }
            _ => Ok(None),
        }
    }

    /// Copies the file `nonce`; nothing if that is not what it should be.
    async fn copy_whole(
        &self,
        content: &Content,
        nonce: &Nonce,
        target: &TargetFile,
        digests: DigestSet,
    ) -> Result<Option<Digests>> {
        let location = paths::whole_file(&content.digest, nonce)?;
        if self.content_cache.is_on() {
            return Ok(None);
        }
        match self.backend.load_into(&location, target, digests.union(DigestSet::BLAKE3)).await {
            Ok(copied) if copied.size == content.size && copied.digests.blake3 == Some(content.digest) => {
                Ok(Some(copied.digests))
            }
            Err(error) if error.operation() == "write" => Err(error),
            // What is wrong, and whether it can be had elsewhere, its stream finds out.
            _ => Ok(None),
        }
    }

    async fn copy_chunks(self: &Arc<Self>, chunks: Vec<Chunk>, target: &TargetFile) -> Result<()> {
        let all = |chunk: Chunk| -> Wanted { (chunk, 0..to_usize(chunk.size.into())) };
        let mut offset = 0;
        let groups = neighbours(chunks.into_iter().map(all).collect(), 0, GROUP_BYTES).into_iter().map(move |group| {
            let chunks: Vec<Chunk> = group.into_iter().map(|(chunk, _)| chunk).collect();
            let start = offset;
            offset += chunks.iter().map(|chunk| u64::from(chunk.size)).sum::<u64>();
            Group { chunks, offset: start }
        });
        stream::iter(groups)
            .map(|group| self.copy_group(group, target))
            .buffer_unordered(GROUPS_AT_ONCE)
            .try_collect()
            .await
    }

    /// Copies neighbouring chunks. One that is not where it was, or is damaged there, is looked for elsewhere.
    async fn copy_group(&self, group: Group, target: &TargetFile) -> Result<()> {
        let (Some(first), Some(last)) = (group.chunks.first(), group.chunks.last()) else { return Ok(()) };
        let (pack, range) = (first.place.pack, first.place.offset..last.place.offset + u64::from(last.place.stored));
        let (tell, sound) = mpsc::channel();
        let copy = Copy::new(&group, target.clone(), tell).into_visitor();
        match self.packs.visit(&pack, range, copy).await {
            Err(error) if error.operation() == "write" => return Err(error),
            // What was not copied is tried one by one, and found elsewhere or gives its own error.
            _ => {}
        }
        let sound: Vec<usize> = sound.try_iter().collect();
        let mut offset = group.offset;
        for (index, chunk) in group.chunks.iter().enumerate() {
            if !sound.contains(&index) {
                let (bytes, target) = (self.read_chunk(chunk).await?, target.clone());
                unblock(move || target.write_at(&bytes, offset)).await?;
            }
            offset += u64::from(chunk.size);
        }
        Ok(())
    }
}

/// Chunks on their way from a pack to a file.
struct Copy {
    target: TargetFile,
    /// Those that are left, with their indices in the group.
    left: VecDeque<(usize, Chunk)>,
    /// Where in the object the first of them begins.
    offset: u64,
    /// How many of its bytes were taken, their hash, and if it is compressed, they themselves.
    taken: u32,
    hasher: blake3::Hasher,
    compressed: Vec<u8>,
    /// Is told which were copied, in order.
    sound: mpsc::Sender<usize>,
}

impl Copy {
    fn new(group: &Group, target: TargetFile, sound: mpsc::Sender<usize>) -> Self {
        let left = group.chunks.iter().copied().enumerate().collect();
        let (hasher, compressed) = (blake3::Hasher::new(), Vec::new());
        Self { target, left, offset: group.offset, taken: 0, hasher, compressed, sound }
    }

    fn into_visitor(mut self) -> PieceVisitor {
        Box::new(move |bytes| self.take(bytes))
    }

    /// Takes the next bytes of the pack. They are written before they are checked: nobody reads the file until all is.
    fn take(&mut self, mut bytes: &[u8]) -> Result<()> {
        while let Some((_, chunk)) = self.left.front().filter(|_| !bytes.is_empty()) {
            let (now, later) = bytes.split_at(to_usize((chunk.place.stored - self.taken).into()).min(bytes.len()));
            match chunk.place.method {
                Method::Plain => {
                    self.hasher.update(now);
                    self.target.write_at(now, self.offset + u64::from(self.taken))?;
                }
                Method::Zstd => self.compressed.extend_from_slice(now),
            }
            self.taken += u32::try_from(now.len()).expect("a part of a chunk is no longer than the chunk");
            if self.taken == chunk.place.stored {
                self.complete()?;
            }
            bytes = later;
        }
        Ok(())
    }

    /// Ends a chunk of which everything was taken.
    fn complete(&mut self) -> Result<()> {
        let Some((index, chunk)) = self.left.pop_front() else { return Ok(()) };
        let is_sound = match chunk.place.method {
            Method::Plain => Digest::from(self.hasher.finalize()) == chunk.digest,
            Method::Zstd => match check_chunk(&chunk, std::mem::take(&mut self.compressed).into()) {
                Some(bytes) => self.target.write_at(&bytes, self.offset).map(|()| true)?,
                None => false,
            },
        };
        if is_sound {
            // The other end waits for this one.
            self.sound.send(index).unwrap_or_default();
        }
        self.offset += u64::from(chunk.size);
        self.taken = 0;
        self.hasher.reset();
        Ok(())
    }
}
