//! Objects as plain files of their own.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::future::try_join_all;
use strongroom_storage::{
    ContentNamer, Digest, DigestSet, Digests, Error, ErrorKind, FileIdentity, Hasher, Location, Onlooker, PathSource,
    Result, Source, SourceFile, unblock,
};
use tokio::sync::Notify;

use super::{ContentWriter, Input, Taken};
use crate::chunk::{Cell, List};
use crate::content::{Body, Content};
use crate::grid::GridHasher;
use crate::nonce::Nonce;
use crate::paths;
use crate::record::Kind;
use crate::session::Session;

/// After how many bytes of a local file that is hashed the writer gives a sign of life.
const SHOWN_BYTES: u64 = 64 << 20;

/// What was seen of content on its way.
#[derive(Debug)]
struct Seen {
    digest: Digest,
    size: u64,
    cells: Vec<Cell>,
    digests: Digests,
}

/// Computes everything that a whole file's entry says, in one pass over its bytes.
#[derive(Debug)]
struct ContentHasher {
    grid: GridHasher,
    /// One for each other digest.
    others: Vec<Hasher>,
}

impl ContentHasher {
    fn new(set: DigestSet) -> Self {
        Self { grid: GridHasher::new(), others: Hasher::new(others(set)).split() }
    }

    fn onlookers(&mut self) -> Vec<Onlooker<'_>> {
        let grid = Box::new(|bytes: &[u8]| self.grid.update(bytes)) as Onlooker<'_>;
        let others = self.others.iter_mut().map(|hasher| Box::new(|bytes: &[u8]| hasher.update(bytes)) as Onlooker<'_>);
        [grid].into_iter().chain(others).collect()
    }

    fn finish(self) -> Seen {
        let digests = self.others.into_iter().fold(Digests::default(), |known, hasher| known.or(hasher.finish()));
        Seen::new(self.grid, digests)
    }
}

impl Seen {
    fn new(grid: GridHasher, mut digests: Digests) -> Self {
        let (digest, size, cells) = grid.finish();
        digests.blake3 = Some(digest);
        Self { digest, size, cells, digests }
    }
}

/// The digests besides BLAKE3.
fn others(mut set: DigestSet) -> DigestSet {
    set.blake3 = false;
    set
}

/// Content that was hashed before it is stored, and is there to be stored still.
enum Hashed {
    /// Of a local file, which must be the same then.
    File(PathSource, Seen),
    Bytes(Bytes, Seen),
}

async fn hash_file(mut file: PathSource, set: DigestSet, session: &Session) -> Result<Hashed> {
    let opened = file.clone();
    let mut work = unblock(move || Ok((SourceFile::open(&opened)?, ContentHasher::new(set)))).await?;
    let mut has_more = true;
    while has_more {
        session.beat().await?;
        (has_more, work) = unblock(move || {
            let (source, hasher) = &mut work;
            Ok((source.show(SHOWN_BYTES, hasher.onlookers())?, work))
        })
        .await?;
    }
    let (source, hasher) = work;
    file.expected = Some(unblock(move || source.finish()).await?);
    Ok(Hashed::File(file, hasher.finish()))
}

async fn hash_bytes(bytes: Bytes, set: DigestSet) -> Result<Hashed> {
    let ContentHasher { mut grid, others } = ContentHasher::new(set);
    let in_grid = bytes.clone();
    let grid = unblock(move || {
        grid.update(&in_grid);
        Ok(grid)
    });
    let others = others.into_iter().map(|mut hasher| {
        let bytes = bytes.clone();
        unblock(move || {
            hasher.update(&bytes);
            Ok(hasher)
        })
    });
    let (grid, others) = futures::try_join!(grid, try_join_all(others))?;
    Ok(Hashed::Bytes(bytes, ContentHasher { grid, others }.finish()))
}

/// How content may be kept that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Files,
    Chunks,
    Both,
}

/// What came of looking for content that is there.
pub(super) enum Kept {
    There(Taken),
    Not(Input),
}

/// Finds a file with this content that can be relied on.
type FindFile = Box<dyn Fn(&Digest) -> Option<Nonce> + Send>;
/// What was seen, and a file with this content that can be relied on, so that no other was published.
type Outcome = (Seen, Option<Nonce>);

/// Names a whole file, or refuses to where there is one already.
struct WholeNamer {
    grid: GridHasher,
    progress: Arc<Notify>,
    nonce: Nonce,
    there: FindFile,
    outcome: Arc<Mutex<Option<Outcome>>>,
}

impl ContentNamer for WholeNamer {
    fn update(&mut self, bytes: &[u8]) {
        self.grid.update(bytes);
        self.progress.notify_one();
    }

    fn location(&mut self) -> Result<Location> {
        let seen = Seen::new(std::mem::replace(&mut self.grid, GridHasher::new()), Digests::default());
        let there = (self.there)(&seen.digest);
        let location = paths::whole_file(&seen.digest, &self.nonce)?;
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some((seen, there));
        match there {
            None => Ok(location),
            Some(_) => Err(Error::already_exists("store", location)),
        }
    }
}

impl ContentWriter {
    /// Keeps content as a file of its own; unless `exact`, what is kept as chunks already is left so.
    pub(super) async fn take_whole(&mut self, input: Input, exact: bool, set: DigestSet) -> Result<Taken> {
        match self.find_kept(input, if exact { Look::Files } else { Look::Both }, set).await? {
            Kept::There(taken) => Ok(taken),
            Kept::Not(Input::Bytes(bytes)) => self.store_or_heal(|| Source::Bytes(bytes.clone()), set).await,
            Kept::Not(Input::Path(file)) => self.store_or_heal(|| Source::Path(file.clone()), set).await,
            Kept::Not(Input::Stream(stream)) => {
                // What a stream holds is known when it has been stored; by then it must be known what may be relied on.
                self.store.catalog.list_files_for(&self.session).await?;
                self.store_whole(Source::Stream(stream), set).await
            }
        }
    }

    /// Looks for content that is there and can be relied on. Where there may be such, it is hashed before it is written. A
    /// stream can't be.
    pub(super) async fn find_kept(&mut self, input: Input, look: Look, set: DigestSet) -> Result<Kept> {
        let size = match &input {
            Input::Bytes(bytes) => Some(bytes.len() as u64),
            Input::Path(file) => file.expected.as_ref().map(FileIdentity::size),
            Input::Stream(_) => return Ok(Kept::Not(input)),
        };
        self.store.catalog.learn_with_files_for(&self.session).await?;
        // Where only chunks will do, chunks that are there are found one by one as well.
        let chunked = (look == Look::Both).then_some(self.store.descriptor.chunk_bytes);
        if let Some(size) = size
            && !self.store.catalog.may_have(size, chunked).await?
        {
            return Ok(Kept::Not(input));
        }
        let hashed = match input {
            Input::Path(file) => hash_file(file, set, &self.session).await?,
            Input::Bytes(bytes) => hash_bytes(bytes, set).await?,
            Input::Stream(_) => return Ok(Kept::Not(input)),
        };
        let (Hashed::File(_, seen) | Hashed::Bytes(_, seen)) = &hashed;
        if let Some(body) = self.find_large(seen, look).await? {
            let content = Content { digest: seen.digest, size: seen.size, body };
            return Ok(Kept::There(Taken { content, digests: seen.digests.clone() }));
        }
        Ok(Kept::Not(match hashed {
            Hashed::File(file, _) => Input::Path(file),
            Hashed::Bytes(bytes, _) => Input::Bytes(bytes),
        }))
    }

    async fn find_large(&mut self, seen: &Seen, look: Look) -> Result<Option<Body>> {
        let Seen { digest, size, cells, .. } = seen;
        if look != Look::Chunks
            && let Some(nonce) = self.find_file(digest, *size).await?
        {
            return Ok(Some(Body::Whole(nonce, self.place_list_of_cells(digest, cells.clone()).await?)));
        }
        if look == Look::Files { Ok(None) } else { self.find_chunked(digest, *size).await }
    }

    /// Stores content that is there to be read again: beside a file of the store that turns out to be damaged.
    async fn store_or_heal(&mut self, source: impl Fn() -> Source, set: DigestSet) -> Result<Taken> {
        match self.store_whole(source(), set).await {
            // By now it is known that the damaged one can't be relied on.
            Err(error) if error.kind() == ErrorKind::Corrupt => self.store_whole(source(), set).await,
            stored => stored,
        }
    }

    pub(super) async fn store_whole(&mut self, source: Source, set: DigestSet) -> Result<Taken> {
        let nonce = Nonce::draw(&*self.store.host)?;
        let outcome = Arc::new(Mutex::new(None));
        let progress = Arc::new(Notify::new());
        let (catalog, session) = (self.store.catalog.clone(), self.session.clone());
        let namer = WholeNamer {
            grid: GridHasher::new(),
            progress: progress.clone(),
            nonce,
            there: Box::new(move |digest| {
                let reliable =
                    |nonce: &Nonce| paths::whole_file(digest, nonce).is_ok_and(|location| session.relies_on(&location));
                catalog.files(digest).into_iter().find(reliable)
            }),
            outcome: outcome.clone(),
        };
        let options = paths::once().with_digests(others(set));
        let stored = self.store.backend.store_named(source, Box::new(namer), &options);
        let stored = self.session.beat_during(stored, &progress).await;
        let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (seen, nonce) = match (stored, outcome) {
            (Ok(stored), Some((mut seen, None))) => {
                seen.digests = seen.digests.or(stored.digests);
                self.store.durable.note([stored.location.clone()]);
                self.session.saw(stored.location);
                self.store.catalog.stored_file(seen.digest, nonce);
                self.store.catalog.note_size(seen.size);
                self.stored_bytes += seen.size;
                (seen, nonce)
            }
            (_, Some((seen, Some(there)))) => {
                // By now nothing is left of the content to be stored in its place.
                let location = paths::whole_file(&seen.digest, &there)?;
                if !self.relies_on_file(location.clone(), seen.size).await? {
                    let damaged = "this file of the store has the same content and is damaged; restore it from a copy of the \
                                   store, or store the content from a file instead of a stream";
                    return Err(Error::new(ErrorKind::Corrupt, "read", location, damaged));
                }
                (seen, there)
            }
            (Err(error), _) => return Err(error),
            (Ok(stored), None) => {
                return Err(Error::new(
                    ErrorKind::Internal,
                    "store",
                    stored.location,
                    "the backend did not ask for the file's name",
                ));
            }
        };
        self.session.beat().await?;
        let cells = self.place_list_of_cells(&seen.digest, seen.cells).await?;
        let content = Content { digest: seen.digest, size: seen.size, body: Body::Whole(nonce, cells) };
        let missing = others(set).without(&seen.digests);
        let digests = if missing.is_empty() {
            seen.digests
        } else {
            // A file with this content was there, and the backend gave up the stream.
            seen.digests.or(self.digests_of(&content, missing).await?)
        };
        Ok(Taken { content, digests })
    }

    /// Digests of what is kept, by reading it.
    async fn digests_of(&self, content: &Content, set: DigestSet) -> Result<Digests> {
        let subject = format!("b3:{}", content.digest);
        let stream = self.store.open_content(content, 0..content.size, &subject).await?;
        Ok(Hasher::new(set).read(stream).await?.finish())
    }

    /// A whole file of `size` bytes that can be relied on.
    pub(super) async fn find_file(&mut self, digest: &Digest, size: u64) -> Result<Option<Nonce>> {
        self.store.catalog.learn_with_files_for(&self.session).await?;
        for nonce in self.store.catalog.files(digest) {
            if self.relies_on_file(paths::whole_file(digest, &nonce)?, size).await? {
                return Ok(Some(nonce));
            }
        }
        Ok(None)
    }

    /// The list of a file's cells; a short one stands with its entry only, as it can be had from the file.
    pub(super) async fn place_list_of_cells(&mut self, digest: &Digest, cells: Vec<Cell>) -> Result<List<Cell>> {
        if List::<Cell>::fits_inline(cells.len()) {
            return Ok(List::Inline(cells));
        }
        self.place_list(Kind::CellList, digest, cells).await
    }
}
