//! Reading packs, of which those that were read lately stay open.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use strongroom_storage::{ExternalStorage, ObjectReader, PieceVisitor, Result, unblock};

use crate::cache::ContentCache;
use crate::nonce::Nonce;
use crate::paths;

/// How many packs stay open. A process can usually have 1,024 files open in all.
const OPEN_MAX: usize = 64;

/// The packs of a backend, to be read from.
///
/// A pack never changes, so an open one can be read for as long as one likes; if it was deleted meanwhile, its content is still
/// what it was.
#[derive(Debug)]
pub(crate) struct PackReader {
    backend: Arc<dyn ExternalStorage>,
    cache: Arc<ContentCache>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    packs: HashMap<Nonce, Pack>,
    /// Those of which something was not as it should be: they are not read from the cache.
    distrusted: HashSet<Nonce>,
    /// How many reads there were.
    clock: u64,
}

#[derive(Debug)]
struct Pack {
    reader: Arc<dyn ObjectReader>,
    /// When it was last read, by the clock above.
    used: u64,
}

impl PackReader {
    pub(crate) fn new(backend: Arc<dyn ExternalStorage>, cache: Arc<ContentCache>) -> Self {
        Self { backend, cache, open: Mutex::default() }
    }

    /// The bytes `range` of a pack.
    ///
    /// # Errors
    /// `Missing` if there is no such pack; `Corrupt` or `Invalid` if it is shorter; those of the backend.
    pub(crate) async fn read(&self, pack: &Nonce, range: Range<u64>) -> Result<Bytes> {
        if let Some(reader) = self.known(pack) {
            match reader.read(range.clone()).await {
                Ok(bytes) => return Ok(bytes),
                // An open file can go bad by itself, as on a network file system whose server has started anew.
                Err(_) => drop(self.open().packs.remove(pack)),
            }
        }
        let location = paths::pack(pack)?;
        if self.cache.is_on() {
            let anew = self.open().distrusted.contains(pack);
            return self.cache.read(&location, pack, range, anew).await;
        }
        match self.open_reader(pack).await? {
            Some(reader) => reader.read(range).await,
            None => self.backend.load_bytes(&location, range.into()).await,
        }
    }

    /// The bytes `range` of a pack, seen by `visit` piece by piece. After an error it may have seen some.
    ///
    /// # Errors
    /// Those of [`read`](Self::read), and those of `visit`.
    pub(crate) async fn visit(&self, pack: &Nonce, range: Range<u64>, mut visit: PieceVisitor) -> Result<()> {
        let reader = match self.known(pack) {
            Some(reader) => Some(reader),
            None => self.open_reader(pack).await?,
        };
        match reader {
            Some(reader) => reader.visit(range, visit).await,
            None => {
                let bytes = self.read(pack, range).await?;
                unblock(move || visit(&bytes)).await
            }
        }
    }

    /// A pack that is open.
    fn known(&self, pack: &Nonce) -> Option<Arc<dyn ObjectReader>> {
        let mut open = self.open();
        open.clock += 1;
        let now = open.clock;
        open.packs.get_mut(pack).map(|pack| {
            pack.used = now;
            pack.reader.clone()
        })
    }

    /// Opens a pack, where the backend has something to keep open.
    async fn open_reader(&self, pack: &Nonce) -> Result<Option<Arc<dyn ObjectReader>>> {
        let reader = self.backend.reader(&paths::pack(pack)?).await?;
        if let Some(reader) = &reader {
            self.keep(*pack, reader.clone());
        }
        Ok(reader)
    }

    /// Reads a pack anew the next time: something in it is not as it should be.
    pub(crate) fn distrust(&self, pack: &Nonce) {
        let mut open = self.open();
        open.packs.remove(pack);
        open.distrusted.insert(*pack);
    }

    /// Closes a pack that is gone.
    pub(crate) fn forget(&self, pack: &Nonce) {
        self.open().packs.remove(pack);
    }

    fn keep(&self, pack: Nonce, reader: Arc<dyn ObjectReader>) {
        let mut open = self.open();
        if open.packs.len() >= OPEN_MAX
            && let Some(oldest) = open.packs.iter().min_by_key(|(_, pack)| pack.used).map(|(nonce, _)| *nonce)
        {
            open.packs.remove(&oldest);
        }
        let used = open.clock;
        open.packs.insert(pack, Pack { reader, used });
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
