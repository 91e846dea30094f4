//! Plain files in a folder: anyone can read them with `cat`, and files that others put there are objects.

mod cached;
mod config;
mod copy;
mod file_system;
mod folders;
mod handout;
mod listing;
mod load;
mod place;
mod publish;
mod reader;
mod reserve;
mod sharing;
mod temporary;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

pub use config::FileConfig;
pub use copy::Onlooker;
pub(crate) use copy::{Seen, look};
pub(crate) use reserve::reserve;
pub use sharing::Sharing;

use crate::digest::DigestSet;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::options::{
    ByteRange, Capabilities, Copied, ListOptions, Listing, Loaded, LocalPath, Metadata, StoreOptions, Stored,
};
use crate::source::Source;
use crate::storage::{ContentNamer, ExternalStorage, ObjectReader};
use crate::target::TargetFile;
use crate::unblock;
use place::{Place, failed};

/// A backend that keeps each object as the plain file `root/<location>`.
///
/// The root and the folders below it are made when something is stored, not before. Objects appear by link or rename, so
/// readers see old content or new, on NFS too. Create-if-absent is `link(2)`, or an exclusive rename where there are no links.
///
/// `a` and `a/b` can't both be objects; the second is [`Conflict`](crate::ErrorKind::Conflict). Only regular files are objects:
/// a symlink to a file can be read like one, and is replaced; a symlink to a folder is not followed by listings, and like pipes and
/// devices in the way of an object. Files whose names are not UTF-8 are not listed.
///
/// On network file systems whose clients keep listings for a while (NFS, SMB, FUSE, ...), and on those of which nothing is known,
/// [`consistent_listing`](Capabilities::consistent_listing) is not promised: there another machine may see late what this one did.
///
/// Deleting removes the file and leaves its folder. A delete is durable when the file system next writes its journal, not
/// before.
///
/// Permissions follow the umask, unless the root folder says otherwise by its own: where it is set-group-id and its group may
/// write, the group may read and write all that is put there, whatever the umask; if besides everybody may read and enter it,
/// everybody may read that too. [`share`](Self::share) sets them. A handle looks once, when it first puts something there. An object
/// that is replaced keeps the permissions that it had.
///
/// A local path is a hard link in a folder of its own, so that the file [lasts](LocalPath) until it is dropped. Nobody can make
/// one without being allowed to write to the root, where the file system has none, or of an object that a symlink has on another
/// file system; and Linux (`fs.protected_hardlinks`) lets nobody link a file of another user that they may not write to. There
/// the path is that of the object's own file, or of a symlink to it if another name was wished, and the file is there until the
/// object is replaced or deleted. Linking changes the times of the file's inode: who is just storing from that very file gets
/// [`Changed`](crate::ErrorKind::Changed).
///
/// Where files without a name (`O_TMPFILE`) don't work, and for a moment when an object is replaced, unfinished files are in
/// the folder `.strongroom-tmp` below the root, as are the folders with links. No folder of this name is listed, nor is a
/// location with such a segment allowed. A process that is killed may leave files and links there, which take space as long;
/// when nobody writes to the storage or holds a local path, the folder may be removed.
///
/// ```
/// # use strongroom_storage::{ExternalStorage, FileStorage, Location};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let folder = tempfile::tempdir().unwrap();
/// let storage = FileStorage::new(folder.path());
/// storage.store_bytes(&Location::parse("dag/unit/energy.csv")?, "step,energy".into()).await?;
/// assert_eq!(std::fs::read(folder.path().join("dag/unit/energy.csv")).unwrap(), b"step,energy");
/// # Ok::<(), strongroom_storage::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct FileStorage {
    place: Arc<Place>,
}

impl FileStorage {
    /// The storage in the folder `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self::with_config(root, FileConfig::default())
    }

    /// The storage in the folder `root`, set up as `config` says.
    pub fn with_config(root: impl Into<PathBuf>, config: FileConfig) -> Self {
        Self { place: Arc::new(Place::new(&root.into(), config)) }
    }

    /// The folder, as an absolute path.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.place.root
    }

    /// Makes the root folder if need be, and gives it the permissions that say that all which is put there is shared.
    ///
    /// They hold for this storage and for every later one in this folder, of any process. What is there already keeps its
    /// permissions, and other handles that have put something there go on as they did. The group is the one that the folder
    /// has.
    ///
    /// # Errors
    /// [`Denied`](crate::ErrorKind::Denied) if the folder is not shared so and belongs to somebody else or to a group of others;
    /// [`Conflict`](crate::ErrorKind::Conflict) if it is a file.
    pub async fn share(&self, sharing: Sharing) -> Result<()> {
        self.on_thread(move |place| place.share(sharing)).await
    }

    async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(Arc<Place>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = self.place.clone();
        unblock(move || work(place)).await
    }
}

impl fmt::Display for FileStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.root.display().fmt(f)
    }
}

#[async_trait]
impl ExternalStorage for FileStorage {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            create_if_absent: true,
            ordered_listing: false,
            consistent_listing: self.place.is_coherent(),
            nested_locations: false,
            atomic_batches: false,
            local_paths: true,
            local: true,
        }
    }

    async fn store(&self, location: &Location, source: Source, options: &StoreOptions) -> Result<Stored> {
        writer::store(&self.place, location, source, options).await
    }

    async fn load(&self, location: &Location, range: ByteRange) -> Result<Loaded> {
        reader::load(&self.place, location, range).await
    }

    async fn load_bytes(&self, location: &Location, range: ByteRange) -> Result<Bytes> {
        reader::load_bytes(&self.place, location, range).await
    }

    async fn load_into(&self, location: &Location, target: &TargetFile, digests: DigestSet) -> Result<Copied> {
        load::load_into(&self.place, location, target, digests).await
    }

    async fn reader(&self, location: &Location) -> Result<Option<Arc<dyn ObjectReader>>> {
        Ok(Some(Arc::new(reader::open(&self.place, location).await?)))
    }

    async fn metadata(&self, location: &Location) -> Result<Metadata> {
        let found = match self.place.look_up_cached(location)? {
            Some(found) => found.ok_or_else(|| Error::missing("metadata", location))?,
            None => {
                let location = location.clone();
                self.on_thread(move |place| place.look_up("metadata", &location)).await?
            }
        };
        Ok(Metadata::new(found.len()).with_modified(found.modified().ok()))
    }

    async fn make_durable(&self, locations: &[Location]) -> Result<()> {
        let locations = locations.to_vec();
        self.on_thread(move |place| place.make_durable(&locations)).await
    }

    async fn available_bytes(&self) -> Result<Option<u64>> {
        self.on_thread(|place| Ok(file_system::available_bytes(&place.root))).await
    }

    async fn exists(&self, location: &Location) -> Result<bool> {
        if let Some(found) = self.place.look_up_cached(location)? {
            return Ok(found.is_some());
        }
        let location = location.clone();
        self.on_thread(move |place| match place.look_up("exists", &location) {
            Ok(_) => Ok(true),
            Err(error) if error.is_missing() => Ok(false),
            Err(error) => Err(error),
        })
        .await
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        let location = location.clone();
        self.on_thread(move |place| {
            place.look_up("delete", &location)?;
            let path = place.path("delete", &location)?;
            std::fs::remove_file(&path).map_err(|error| failed("delete", &location, &path, error))
        })
        .await
    }

    fn iter_contents(&self, prefix: &str) -> BoxStream<'static, Result<Location>> {
        listing::iter_contents(&self.place, prefix)
    }

    async fn list(&self, options: &ListOptions) -> Result<Listing> {
        let options = options.clone();
        self.on_thread(move |place| listing::list(&place, &options)).await
    }

    async fn store_named(
        &self,
        source: Source,
        namer: Box<dyn ContentNamer>,
        options: &StoreOptions,
    ) -> Result<Stored> {
        writer::store_named(&self.place, source, namer, options).await
    }

    async fn local_path(&self, location: &Location, name: Option<&str>) -> Result<LocalPath> {
        let (location, name) = (location.clone(), name.map(str::to_string));
        self.on_thread(move |place| place.hand_out(&location, name.as_deref())).await
    }
}

#[cfg(test)]
mod tests;
