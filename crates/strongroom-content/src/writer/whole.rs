//! Objects as plain files of their own.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use strongroom_storage::{
    ContentNamer, Digest, DigestSet, Digests, Error, ErrorKind, FileIdentity, Hasher, Location, PathSource, Result,
    Source, SourceFile, unblock,
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

/// How much of a local file is read at a time, in bytes.
const READ_BYTES: usize = 256 << 10;
/// After how many reads the writer gives a sign of life.
const READS_AT_ONCE: usize = 256;

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
    others: Hasher,
}

impl ContentHasher {
    fn new(mut set: DigestSet) -> Self {
        set.blake3 = false;
        Self { grid: GridHasher::new(), others: Hasher::new(set) }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.grid.update(bytes);
        self.others.update(bytes);
    }

    fn finish(self) -> Seen {
        let (digest, size, cells) = self.grid.finish();
        let mut digests = self.others.finish();
        digests.blake3 = Some(digest);
        Seen { digest, size, cells, digests }
    }
}

/// Content that was hashed before it is stored, and is there to be stored still.
enum Hashed {
    /// Of a local file, which must be the same then.
    File(PathSource, Seen),
    Bytes(Bytes, Seen),
}

async fn hash_file(mut file: PathSource, set: DigestSet, session: &Session) -> Result<Hashed> {
    let opened = file.clone();
    let mut work =
        unblock(move || Ok((SourceFile::open(&opened)?, ContentHasher::new(set), vec![0; READ_BYTES]))).await?;
    let mut is_last = false;
    while !is_last {
        session.beat().await?;
        (is_last, work) = unblock(move || {
            let (source, hasher, buffer) = &mut work;
            for _ in 0..READS_AT_ONCE {
                match source.read(buffer)? {
                    0 => return Ok((true, work)),
                    length => hasher.update(&buffer[..length]),
                }
            }
            Ok((false, work))
        })
        .await?;
    }
    let (source, hasher, _) = work;
    file.expected = Some(unblock(move || source.finish()).await?);
    Ok(Hashed::File(file, hasher.finish()))
}

async fn hash_bytes(bytes: Bytes, set: DigestSet) -> Result<Hashed> {
    unblock(move || {
        let mut hasher = ContentHasher::new(set);
        hasher.update(&bytes);
        Ok(Hashed::Bytes(bytes, hasher.finish()))
    })
    .await
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
    hasher: ContentHasher,
    progress: Arc<Notify>,
    nonce: Nonce,
    there: FindFile,
    outcome: Arc<Mutex<Option<Outcome>>>,
}

impl ContentNamer for WholeNamer {
    fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.progress.notify_one();
    }

    fn location(&mut self) -> Result<Location> {
        let seen = std::mem::replace(&mut self.hasher, ContentHasher::new(DigestSet::NONE)).finish();
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
        self.store.catalog.learn_for(&self.session).await?;
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
            hasher: ContentHasher::new(set),
            progress: progress.clone(),
            nonce,
            there: Box::new(move |digest| {
                let reliable =
                    |nonce: &Nonce| paths::whole_file(digest, nonce).is_ok_and(|location| session.relies_on(&location));
                catalog.files(digest).into_iter().find(reliable)
            }),
            outcome: outcome.clone(),
        };
        let options = paths::once();
        let stored = self.store.backend.store_named(source, Box::new(namer), &options);
        let stored = self.session.beat_during(stored, &progress).await;
        let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (seen, nonce) = match (stored, outcome) {
            (Ok(stored), Some((seen, None))) => {
                self.session.saw(stored.location);
                self.store.catalog.stored_file(seen.digest, nonce);
                self.store.catalog.note_size(seen.size);
                (seen, nonce)
            }
            (_, Some((seen, Some(there)))) => {
                // By now nothing is left of the content to be stored in its place.
                let location = paths::whole_file(&seen.digest, &there)?;
                if !self.session.may_rely_on_file(&location, seen.size).await? {
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
        Ok(Taken { content, digests: seen.digests })
    }

    /// A whole file of `size` bytes that can be relied on.
    pub(super) async fn find_file(&mut self, digest: &Digest, size: u64) -> Result<Option<Nonce>> {
        self.store.catalog.learn_for(&self.session).await?;
        for nonce in self.store.catalog.files(digest) {
            if self.session.may_rely_on_file(&paths::whole_file(digest, &nonce)?, size).await? {
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
