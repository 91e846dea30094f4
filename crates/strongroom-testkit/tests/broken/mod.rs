//! A backend that is sound but for one defect.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use strongroom_storage::{
    ByteRange, Capabilities, ContentNamer, Copied, DigestSet, Digests, Error, ErrorKind, ExternalStorage, ListOptions,
    Listing, LoadOptions, Loaded, LocalPath, Location, MemoryStorage, Metadata, Result, Source, StoreItem, StoreMode,
    StoreOptions, Stored,
};
use tokio::task::yield_now;

/// What is wrong with a backend. Each is a mistake that somebody could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    None,
    WritesInPlace,
    AppendsInPlace,
    ReadsLate,
    KeepsToItsHandle,
    ChecksThenCreates,
    ReservesNames,
    CutsReads,
    StoresFailedStreams,
    DropsEmptyObjects,
    MissingIsInternal,
    DeletesSilently,
    FoldersExist,
    DecodesNames,
    FoldsCase,
    CutsNames,
    PrefixIsAFolder,
    ListsTwice,
    LeavesTemporaries,
    TruncatesThenDeletes,
    EndsAreInclusive,
    ListsBackwards,
    ListsWithoutFolding,
    ListsAThousand,
    BatchesBackwards,
    ClaimsAtomicBatches,
    StopsAtWhatIsAbsent,
    NamesByLength,
    StoresThenNames,
    ReadsSourcesUnchecked,
    LinksSources,
    RemovesSourcesFirst,
    RefusesLinks,
    HexdigestIsBlake3,
    RemembersDigests,
    ClaimsLocalPaths,
    DropsLocalPaths,
    TakesAnyPathName,
    LoadsInPlace,
    LoadsThroughLinks,
    LocksWhatIsReadOnly,
    DeniesNesting,
    PrunesFolders,
}

use Defect as D;

/// A handle on a broken storage; a clone is another one.
#[derive(Clone, Debug)]
pub struct Broken {
    objects: MemoryStorage,
    defect: Defect,
    digests: Arc<Mutex<HashMap<Location, Digests>>>,
    locked: Arc<Mutex<HashSet<Location>>>,
}

impl Broken {
    pub fn new(defect: Defect) -> Self {
        Self { objects: MemoryStorage::new(), defect, digests: Arc::default(), locked: Arc::default() }
    }

    /// Where an object is kept.
    fn key(&self, location: &Location) -> Location {
        let name = location.as_str();
        let name = match self.defect {
            D::DecodesNames => name.replace("%20", " ").replace('+', " "),
            D::FoldsCase => name.to_lowercase(),
            D::CutsNames => name.chars().take(200).collect(),
            _ => name.to_string(),
        };
        Location::parse(&name).expect("it is still a location")
    }

    async fn read_source(&self, source: Source) -> Result<Bytes> {
        match (self.defect, source) {
            (D::RefusesLinks, Source::Path(file)) if file.path.is_symlink() => {
                Err(Error::new(ErrorKind::Invalid, "read", file.path.display(), "this is a link"))
            }
            (D::ReadsSourcesUnchecked, Source::Path(file)) => std::fs::read(&file.path)
                .map(Bytes::from)
                .map_err(|error| Error::from_io("read", file.path.display(), error)),
            (D::LinksSources, Source::Path(file)) => Ok(format!("see {}", file.path.display()).into()),
            (D::RemovesSourcesFirst, Source::Path(file)) if file.consume => {
                std::fs::remove_file(&file.path).expect("it is there");
                Source::Path(file).into_bytes().await
            }
            (D::StoresFailedStreams, source) => {
                let mut stream = source.into_stream().await?;
                let mut bytes = Vec::new();
                while let Some(Ok(piece)) = stream.next().await {
                    bytes.extend_from_slice(&piece);
                }
                Ok(bytes.into())
            }
            (_, source) => source.into_bytes().await,
        }
    }

    async fn put(&self, key: &Location, content: Bytes) -> Result<()> {
        self.objects.store_bytes(key, content).await.map(drop)
    }

    async fn store_piecewise(&self, key: &Location, source: Source) -> Result<()> {
        let mut stream = source.into_stream().await?;
        let mut written = Bytes::new();
        self.put(key, written.clone()).await?;
        while let Some(piece) = stream.try_next().await? {
            if self.defect == D::AppendsInPlace {
                written = self.objects.load_bytes(key, ByteRange::All).await?;
            }
            written = [written, piece].concat().into();
            self.put(key, written.clone()).await?;
            yield_now().await;
        }
        Ok(())
    }

    fn check_unlocked(&self, key: &Location) -> Result<()> {
        if self.locked.lock().expect("nobody panics").contains(key) {
            return Err(Error::new(ErrorKind::Denied, "store", key, "permission denied"));
        }
        Ok(())
    }

    async fn store(&self, location: &Location, source: Source, options: &StoreOptions) -> Result<Stored> {
        let key = self.key(location);
        self.check_unlocked(&key)?;
        if self.defect == D::LocksWhatIsReadOnly && options.read_only {
            self.locked.lock().expect("nobody panics").insert(key.clone());
        }
        let create = options.mode == StoreMode::Create;
        if matches!(self.defect, D::WritesInPlace | D::AppendsInPlace) && !create {
            self.store_piecewise(&key, source).await?;
            let content = self.objects.load_bytes(&key, ByteRange::All).await?;
            return Ok(Stored::of(location, &content, options));
        }
        if create && self.defect == D::ReservesNames {
            self.objects.store(&key, "reserved".into(), options).await?;
            let content = self.read_source(source).await?;
            self.put(&key, content.clone()).await?;
            return Ok(Stored::of(location, &content, options));
        }
        let content = self.read_source(source).await?;
        match self.defect {
            D::ChecksThenCreates if create => {
                if self.objects.exists(&key).await? {
                    return Err(Error::already_exists("store", location));
                }
                yield_now().await;
                self.put(&key, content.clone()).await?;
            }
            D::DropsEmptyObjects if content.is_empty() => {}
            D::LeavesTemporaries => {
                let temporary = Location::parse(&format!("{key}.part"))?;
                self.put(&temporary, content.clone()).await?;
                yield_now().await;
                let result = self.objects.store(&key, content.clone().into(), options).await;
                self.objects.delete(&temporary).await?;
                result?;
            }
            _ => drop(self.objects.store(&key, content.clone().into(), options).await?),
        }
        Ok(Stored::of(location, &content, options))
    }

    async fn load(&self, location: &Location, range: ByteRange) -> Result<Loaded> {
        let key = self.key(location);
        let content = self.objects.load_bytes(&key, ByteRange::All).await.map_err(|error| self.excuse(error))?;
        let size = content.len() as u64;
        match (self.defect, range) {
            (D::LinksSources, _) => {
                let linked = content.strip_prefix(b"see ").and_then(|path| std::str::from_utf8(path).ok());
                let content = linked.map_or(content.clone(), |path| std::fs::read(path).unwrap_or_default().into());
                Loaded::slice(location, &content, range)
            }
            (D::CutsReads, _) => Loaded::slice(location, &content.slice(..content.len().min(1 << 16)), range),
            (D::EndsAreInclusive, ByteRange::Span { start, end }) => {
                Loaded::slice(location, &content, ByteRange::Span { start, end: end.saturating_add(1) })
            }
            (D::ReadsLate, _) => {
                let range = range.resolve(size, location)?;
                let objects = self.objects.clone();
                let starts = stream::iter(range.clone().step_by(1 << 16));
                let end = range.end;
                let late = starts.then(move |start| {
                    let (objects, key) = (objects.clone(), key.clone());
                    async move { objects.load_bytes(&key, (start..end.min(start + (1 << 16))).into()).await }
                });
                // The first piece is there at once, as it is with real requests.
                let mut late = late.boxed();
                let first = late.next().await;
                Ok(Loaded::new(location, size, range, stream::iter(first).chain(late)))
            }
            _ => Loaded::slice(location, &content, range),
        }
    }

    fn excuse(&self, error: Error) -> Error {
        if self.defect == D::MissingIsInternal {
            return Error::new(ErrorKind::Internal, error.operation(), error.subject(), "the server said 404");
        }
        error
    }

    async fn metadata(&self, location: &Location) -> Result<Metadata> {
        let metadata = self.objects.metadata(&self.key(location)).await;
        if self.defect == D::FoldersExist && metadata.is_err() {
            let below: Vec<_> = self.objects.iter_contents(&format!("{location}/")).try_collect().await?;
            if !below.is_empty() {
                return Ok(Metadata::new(0));
            }
        }
        // The size of what is linked to is not known here.
        if self.defect == D::LinksSources {
            return Ok(Metadata::new(self.load(location, ByteRange::All).await?.size));
        }
        metadata.map_err(|error| self.excuse(error))
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        let key = self.key(location);
        self.check_unlocked(&key)?;
        match self.defect {
            D::DeletesSilently => drop(self.objects.delete(&key).await),
            D::TruncatesThenDeletes if self.objects.exists(&key).await? => {
                self.put(&key, Bytes::new()).await?;
                yield_now().await;
                self.objects.delete(&key).await?;
            }
            D::PrunesFolders => {
                self.objects.delete(&key).await?;
                let Some((folder, _)) = key.as_str().rsplit_once('/') else { return Ok(()) };
                let left: Vec<_> = self.objects.iter_contents(&format!("{folder}/")).try_collect().await?;
                if left.is_empty() {
                    yield_now().await;
                    let there: Vec<_> = self.objects.iter_contents(&format!("{folder}/")).try_collect().await?;
                    self.objects.delete_all(&there).await?;
                }
            }
            _ => self.objects.delete(&key).await.map_err(|error| self.excuse(error))?,
        }
        Ok(())
    }

    fn iter_contents(&self, prefix: &str) -> BoxStream<'static, Result<Location>> {
        let all = self.objects.iter_contents(prefix);
        match self.defect {
            D::PrefixIsAFolder if !prefix.is_empty() => {
                let folder = format!("{}/", prefix.trim_end_matches('/'));
                all.try_filter(move |name| std::future::ready(name.as_str().starts_with(&folder))).boxed()
            }
            D::ListsTwice => all.chain(self.objects.iter_contents(prefix).skip(2)).boxed(),
            D::ListsAThousand => all.take(1000).boxed(),
            _ => all,
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a storage that {:?}", self.defect)
    }
}

/// The same with all provided methods as they are provided.
#[derive(Debug)]
struct Provided(Broken);

impl fmt::Display for Provided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[async_trait]
impl ExternalStorage for Provided {
    fn capabilities(&self) -> Capabilities {
        ExternalStorage::capabilities(&self.0)
    }

    async fn store(&self, location: &Location, source: Source, options: &StoreOptions) -> Result<Stored> {
        self.0.store(location, source, options).await
    }

    async fn load(&self, location: &Location, range: ByteRange) -> Result<Loaded> {
        self.0.load(location, range).await
    }

    async fn metadata(&self, location: &Location) -> Result<Metadata> {
        self.0.metadata(location).await
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        self.0.delete(location).await
    }

    fn iter_contents(&self, prefix: &str) -> BoxStream<'static, Result<Location>> {
        self.0.iter_contents(prefix)
    }
}

#[async_trait]
impl ExternalStorage for Broken {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::basic();
        capabilities.atomic_batches = self.defect == D::ClaimsAtomicBatches;
        capabilities.local_paths =
            matches!(self.defect, D::ClaimsLocalPaths | D::DropsLocalPaths | D::TakesAnyPathName);
        capabilities.nested_locations = self.defect != D::DeniesNesting;
        capabilities
    }

    async fn store(&self, location: &Location, source: Source, options: &StoreOptions) -> Result<Stored> {
        self.store(location, source, options).await
    }

    async fn load(&self, location: &Location, range: ByteRange) -> Result<Loaded> {
        self.load(location, range).await
    }

    async fn metadata(&self, location: &Location) -> Result<Metadata> {
        self.metadata(location).await
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        self.delete(location).await
    }

    fn iter_contents(&self, prefix: &str) -> BoxStream<'static, Result<Location>> {
        self.iter_contents(prefix)
    }

    async fn store_named(
        &self,
        source: Source,
        mut namer: Box<dyn ContentNamer>,
        options: &StoreOptions,
    ) -> Result<Stored> {
        match self.defect {
            D::NamesByLength => {
                let content = source.into_bytes().await?;
                self.store(&Location::parse(&format!("named/{}", content.len()))?, content.into(), options).await
            }
            D::StoresThenNames => {
                let content = source.into_bytes().await?;
                namer.update(&content);
                let unnamed = Location::parse("unnamed")?;
                self.put(&unnamed, content.clone()).await?;
                let location = namer.location()?;
                self.objects.delete(&unnamed).await?;
                self.store(&location, content.into(), options).await
            }
            _ => Provided(self.clone()).store_named(source, namer, options).await,
        }
    }

    async fn store_all(&self, items: Vec<StoreItem>, options: &StoreOptions) -> Result<Vec<Stored>> {
        if self.defect == D::BatchesBackwards {
            let reversed = items.into_iter().rev().collect();
            let mut stored = Provided(self.clone()).store_all(reversed, options).await?;
            stored.reverse();
            return Ok(stored);
        }
        Provided(self.clone()).store_all(items, options).await
    }

    async fn delete_all(&self, locations: &[Location]) -> Result<()> {
        if self.defect == D::StopsAtWhatIsAbsent {
            for location in locations {
                if self.delete(location).await.is_err() {
                    break;
                }
            }
            return Ok(());
        }
        Provided(self.clone()).delete_all(locations).await
    }

    async fn list(&self, options: &ListOptions) -> Result<Listing> {
        let mut options = options.clone();
        options.delimited &= self.defect != D::ListsWithoutFolding;
        let mut listing = Provided(self.clone()).list(&options).await?;
        if self.defect == D::ListsBackwards {
            listing.objects.reverse();
        }
        Ok(listing)
    }

    async fn digests(&self, location: &Location, set: DigestSet) -> Result<Digests> {
        if self.defect == D::RemembersDigests
            && let Some(digests) = self.digests.lock().expect("nobody panics").get(location)
        {
            return Ok(digests.clone());
        }
        let digests = Provided(self.clone()).digests(location, set).await?;
        if set == DigestSet::ALL {
            self.digests.lock().expect("nobody panics").insert(location.clone(), digests.clone());
        }
        Ok(digests)
    }

    async fn hexdigest(&self, location: &Location) -> Result<String> {
        if self.defect == D::HexdigestIsBlake3 {
            let digests = self.digests(location, DigestSet::BLAKE3).await?;
            return Ok(digests.blake3.map(|digest| digest.to_string()).unwrap_or_default());
        }
        Provided(self.clone()).hexdigest(location).await
    }

    async fn load_path(&self, location: &Location, path: &Path, options: &LoadOptions) -> Result<Copied> {
        let failed = |error| Error::from_io("write", path.display(), error);
        match self.defect {
            D::LoadsInPlace => {
                std::fs::write(path, "").map_err(failed)?;
                yield_now().await;
                let content = self.objects.load_bytes(location, ByteRange::All).await?;
                std::fs::write(path, &content).map_err(failed)?;
                Ok(Copied::new(content.len() as u64, Digests::of(&content, options.digests)))
            }
            D::LoadsThroughLinks => {
                let path = path.canonicalize().unwrap_or(path.to_path_buf());
                Provided(self.clone()).load_path(location, &path, options).await
            }
            _ => Provided(self.clone()).load_path(location, path, options).await,
        }
    }

    async fn local_path(&self, location: &Location, name: Option<&str>) -> Result<LocalPath> {
        if !matches!(self.defect, D::DropsLocalPaths | D::TakesAnyPathName) {
            return Provided(self.clone()).local_path(location, name).await;
        }
        let content = self.objects.load_bytes(location, ByteRange::All).await?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("local");
        std::fs::write(&path, content).expect("write");
        match self.defect {
            D::DropsLocalPaths => Ok(LocalPath::new(path, ())),
            _ => Ok(LocalPath::new(path, folder)),
        }
    }
}
