//! A bucket, or what is below a prefix in one, as a backend.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use strongroom_storage::{
    ByteRange, Capabilities, Copied, DigestSet, Error, ErrorKind, ExternalStorage, ListOptions, ListedObject, Listing,
    Loaded, Location, Metadata, Result, Source, StoreOptions, Stored, TargetFile,
};

use crate::builder::ObjectStorageBuilder;
use crate::requests::RequestCounts;
use crate::retries::Retries;
use crate::service::Service;
use crate::{download, error, upload};

/// Where unfinished large objects are, below the prefix; it is never listed.
pub(crate) const UNFINISHED: &str = ".strongroom-tmp/";
/// No service takes longer names, in bytes.
const NAME_MAX_BYTES: usize = 1024;
/// Nor does Azure take longer ones, in segments.
const AZURE_MAX_SEGMENTS: usize = 254;

/// Objects in a bucket.
///
/// A location is the object's name, below the prefix of the URL. Names with control characters are refused; on Azure, which takes them
/// for others, also those with a backslash, or a dot at the end of a segment. Two handles on one bucket see the same; a clone is another
/// handle.
///
/// Whether the service keeps that an object is created only if there is none (promise 4) is for whoever relies on it to try: some accept
/// the condition and overwrite. A content store tries it whenever somebody begins to write.
#[derive(Clone)]
pub struct ObjectStorage {
    pub(crate) service: Service,
    pub(crate) retries: Retries,
    prefix: String,
    url: String,
}

impl ObjectStorage {
    /// The bucket and prefix at `url`: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`,
    /// `abfs://container@account/prefix`, or `https://host/prefix` of a web server, to be read only. A prefix is percent-decoded.
    ///
    /// Credentials, region and endpoint are those of the environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`,
    /// `AWS_ENDPOINT_URL`, `AWS_ALLOW_HTTP`; `GOOGLE_APPLICATION_CREDENTIALS`; `AZURE_STORAGE_ACCOUNT_NAME`,
    /// `AZURE_STORAGE_ACCOUNT_KEY`; and the others that the services' own tools know; without them, those of the machine's role in its
    /// cloud. Profiles in files are not read. Nothing is sent yet.
    ///
    /// A web server needs to know single files and ranges of them; what needs a listing is [`ErrorKind::Unsupported`] there.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is no such URL, has credentials in it, or the environment does not say enough.
    pub fn open(url: &str) -> Result<Self> {
        Self::builder(url).open()
    }

    /// To say more of how the bucket at `url` is reached than the environment does.
    pub fn builder(url: &str) -> ObjectStorageBuilder {
        ObjectStorageBuilder::new(url)
    }

    /// What is below `prefix` (empty, or with a `/` at its end) of a client's bucket. `url` is what messages call it.
    ///
    /// How often requests are sent again, and how many at once, is the client's own matter.
    pub fn of_client<Client: ObjectStore + PaginatedListStore>(client: Client, prefix: &str, url: &str) -> Self {
        Self::new(Service::of(client), prefix, url)
    }

    /// The same of a client that lists no pages: listings with a limit then cost as much as those without.
    pub fn of_plain_client(client: impl ObjectStore, prefix: &str, url: &str) -> Self {
        Self::new(Service::plain(Arc::new(client)), prefix, url)
    }

    pub(crate) fn new(service: Service, prefix: &str, url: &str) -> Self {
        Self { service, retries: Retries::default(), prefix: prefix.into(), url: url.into() }
    }

    pub(crate) fn with_retries(self, retries: Retries) -> Self {
        Self { retries, ..self }
    }

    /// The requests that were sent for this storage and its clones; `None` for a client that was not made here.
    pub fn requests(&self) -> Option<RequestCounts> {
        self.service.requests.as_ref().map(|requests| requests.counts())
    }

    fn check_lists(&self) -> Result<()> {
        let detail = "a web server does not say what it has; open the store where it lies";
        if self.service.is_web { Err(Error::new(ErrorKind::Unsupported, "list", &self.url, detail)) } else { Ok(()) }
    }

    /// What changes something needs more than a web server.
    pub(crate) fn check_writable(&self, operation: &'static str) -> Result<()> {
        let detail = "a web server is only read; write where the store lies";
        if self.service.is_web { Err(Error::new(ErrorKind::Denied, operation, &self.url, detail)) } else { Ok(()) }
    }

    pub(crate) fn path(&self, operation: &'static str, location: &Location) -> Result<Path> {
        let refuse = |detail: &str| Err(Error::new(ErrorKind::Invalid, operation, location, detail));
        let name = format!("{}{location}", self.prefix);
        if name.len() > NAME_MAX_BYTES {
            return refuse(
                "with the prefix of the store it has more than 1,024 bytes, which is more than services take",
            );
        }
        if location.as_str().starts_with(UNFINISHED) {
            return refuse("names below .strongroom-tmp/ are for unfinished objects");
        }
        let segments = || name.split('/');
        if self.service.is_azure && (name.contains('\\') || segments().any(|segment| segment.ends_with('.'))) {
            return refuse("Azure takes a backslash for a slash, and leaves out a dot at the end of a segment");
        }
        if self.service.is_azure && segments().count() > AZURE_MAX_SEGMENTS {
            return refuse(
                "with the prefix of the store it has more than 254 segments, which is more than Azure takes",
            );
        }
        let path = Path::parse(&name).ok().filter(|_| is_beginning(&name));
        path.map_or_else(|| refuse("object storages take no control characters in names"), Ok)
    }

    /// A name for an object that is not finished, `name` being one that nobody else has.
    pub(crate) fn unfinished(&self, name: &str) -> Result<Path> {
        Path::parse(format!("{}{UNFINISHED}{name}", self.prefix))
            .map_err(|error| error::of("store", &self.url, error.into()))
    }

    /// `None` for what is not ours.
    fn location(&self, path: &Path) -> Option<Location> {
        let name = path.as_ref().strip_prefix(&self.prefix)?;
        let location = Location::parse(name).ok().filter(|location| location.as_str() == name)?;
        (!name.starts_with(UNFINISHED)).then_some(location)
    }

    fn listed(&self, meta: &ObjectMeta) -> Option<ListedObject> {
        Some(ListedObject::new(self.location(&meta.location)?, Some(meta.size)))
    }

    /// All objects whose names begin with a string.
    fn all(&self, prefix: &str) -> BoxStream<'static, Result<ObjectMeta>> {
        let (prefix, url) = (format!("{}{prefix}", self.prefix), self.url.clone());
        let failed = move |error| error::of("list", &url, error);
        if !is_beginning(&prefix) {
            return stream::empty().boxed();
        }
        let Some(pages) = self.service.pages.clone() else {
            // Such a client goes by whole segments.
            let folder = match prefix.rfind('/').map(|end| Path::parse(&prefix[..end])).transpose() {
                Ok(folder) => folder,
                // There is no such name.
                Err(_) => return stream::empty().boxed(),
            };
            let listed = self.service.objects.list(folder.as_ref()).map_err(failed);
            return listed
                .try_filter(move |meta| std::future::ready(meta.location.as_ref().starts_with(&prefix)))
                .boxed();
        };
        let itself = stream::once(self.clone().itself(prefix.clone())).try_filter_map(async |meta| Ok(meta));
        let listed = stream::try_unfold(Some(None), move |token: Option<Option<String>>| {
            let (pages, prefix, failed) = (pages.clone(), prefix.clone(), failed.clone());
            async move {
                let Some(page_token) = token else { return Ok(None) };
                let options = PaginatedListOptions { page_token, ..PaginatedListOptions::default() };
                let page = pages.list_paginated(Some(&prefix), options).await.map_err(failed)?;
                let objects = stream::iter(page.result.objects.into_iter().map(Ok));
                Ok(Some((objects, page.page_token.map(Some))))
            }
        })
        .try_flatten();
        itself.chain(listed).boxed()
    }

    /// The object whose name is a prefix, if listings leave it out.
    async fn itself(self, prefix: String) -> Result<Option<ObjectMeta>> {
        let Some(path) = Path::parse(&prefix).ok().filter(|path| self.service.is_azure && path.as_ref() == prefix)
        else {
            return Ok(None);
        };
        match self.service.objects.head(&path).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error::of("list", &self.url, error)),
        }
    }
}

/// Whether names may begin so: services list them as XML, which has no control characters, and no U+FFFE and U+FFFF.
fn is_beginning(name: &str) -> bool {
    !name.contains(|c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'))
}

impl fmt::Debug for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ObjectStorage").field(&self.url).finish()
    }
}

impl fmt::Display for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[async_trait]
impl ExternalStorage for ObjectStorage {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::basic();
        capabilities.ordered_listing = self.service.pages.is_some();
        capabilities.create_if_absent &= !self.service.is_web;
        capabilities
    }

    async fn store(&self, location: &Location, source: Source, options: &StoreOptions) -> Result<Stored> {
        upload::store(self, location, source, options).await
    }

    async fn load(&self, location: &Location, range: ByteRange) -> Result<Loaded> {
        download::load(self, location, range).await
    }

    async fn load_into(&self, location: &Location, target: &TargetFile, digests: DigestSet) -> Result<Copied> {
        download::load_into(self, location, target, digests).await
    }

    async fn metadata(&self, location: &Location) -> Result<Metadata> {
        let path = self.path("metadata", location)?;
        let meta = self.service.objects.head(&path).await;
        let meta = meta.map_err(|error| error::of_reading("metadata", location, error))?;
        Ok(Metadata::new(meta.size).with_modified(Some(SystemTime::from(meta.last_modified))))
    }

    /// Services don't say whether there was anything, so it is asked for first.
    async fn delete(&self, location: &Location) -> Result<()> {
        self.check_writable("delete")?;
        let path = self.path("delete", location)?;
        let failed = |error| error::of_reading("delete", location, error);
        self.service.objects.head(&path).await.map_err(failed)?;
        match self.service.objects.delete(&path).await {
            // The client may have sent it before, and nobody knows what came of that.
            Err(error) => Err(failed(error).with_outcome_unknown()),
            Ok(()) => Ok(()),
        }
    }

    async fn delete_all(&self, locations: &[Location]) -> Result<()> {
        self.check_writable("delete")?;
        let paths: Vec<_> = locations.iter().map(|location| self.path("delete", location)).collect::<Result<_>>()?;
        let mut deleted = self.service.objects.delete_stream(stream::iter(paths).map(Ok).boxed());
        let mut failure = None;
        while let Some(result) = deleted.next().await {
            match result {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(()), |error| Err(error::of("delete", &self.url, error).with_outcome_unknown()))
    }

    fn iter_contents(&self, prefix: &str) -> BoxStream<'static, Result<Location>> {
        if let Err(error) = self.check_lists() {
            return stream::once(std::future::ready(Err(error))).boxed();
        }
        let this = self.clone();
        let locations = move |meta: ObjectMeta| std::future::ready(Ok(this.location(&meta.location)));
        self.all(prefix).try_filter_map(locations).boxed()
    }

    async fn list(&self, options: &ListOptions) -> Result<Listing> {
        self.check_lists()?;
        let Some(pages) = &self.service.pages else {
            let objects: Vec<ObjectMeta> = self.all(&options.prefix).try_collect().await?;
            return Ok(Listing::of_all(objects.iter().filter_map(|meta| self.listed(meta)), options));
        };
        let prefix = format!("{}{}", self.prefix, options.prefix);
        // All of them come after what is before the prefix; Garage lists none then.
        let after = options.start_after.as_ref().filter(|after| ***after > *options.prefix);
        let after = after.map(|after| format!("{}{after}", self.prefix));
        let is_after = |name: &str| options.start_after.as_deref().is_none_or(|after| name > after);
        let mut listing = Listing::default();
        if !is_beginning(&prefix) {
            return Ok(listing);
        }
        if is_after(&options.prefix) && options.limit != Some(0) {
            let itself = self.clone().itself(prefix.clone()).await?;
            listing.objects.extend(itself.iter().filter_map(|meta| self.listed(meta)));
        }
        let (mut page_token, limit) = (None, options.limit.unwrap_or(usize::MAX));
        loop {
            let missing = limit - listing.objects.len() - listing.prefixes.len();
            if missing == 0 {
                return Ok(listing);
            }
            let wanted = PaginatedListOptions {
                offset: after.clone().filter(|_| page_token.is_none()),
                delimiter: options.delimited.then_some("/".into()),
                max_keys: options.limit.map(|_| missing.min(1000)),
                page_token,
                ..PaginatedListOptions::default()
            };
            let page = pages.list_paginated(Some(&prefix), wanted).await;
            let page = page.map_err(|error| error::of("list", &self.url, error))?;
            let objects = page.result.objects.iter().filter_map(|meta| self.listed(meta));
            listing.objects.extend(objects.filter(|object| is_after(object.location.as_str())));
            let prefixes = page.result.common_prefixes.iter().filter_map(|path| {
                let name = format!("{}/", path.as_ref().strip_prefix(&self.prefix)?);
                (name != UNFINISHED && is_after(&name)).then_some(name)
            });
            listing.prefixes.extend(prefixes);
            page_token = page.page_token;
            if page_token.is_none() {
                return Ok(listing);
            }
        }
    }
}
