//! The server's objects without the network between, to fill a bucket with more than anybody would wait for.
//!
//! To a content store it is a bucket like the one behind the server, or a folder where writers need not mind requests.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use hyper::HeaderMap;
use strongroom::{
    ByteRange, Capabilities, Error, ExternalStorage, Loaded, Location, Result, Source, StoreMode, StoreOptions, Stored,
};

use crate::s3::{Content, Objects, Wanted};

/// What is below a prefix, which ends with `/`.
#[derive(Clone)]
pub struct Direct {
    pub objects: Arc<Objects>,
    pub prefix: String,
    /// Whether requests are said to cost little, so that writers are thrifty with bytes instead.
    pub local: bool,
}

impl Direct {
    fn name(&self, location: &Location) -> String {
        format!("{}{location}", self.prefix)
    }

    fn location(&self, name: &str) -> Option<Location> {
        Location::parse(name.strip_prefix(&self.prefix)?).ok()
    }
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Direct").field(&self.prefix).finish()
    }
}

impl fmt::Display for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server's {}", self.prefix)
    }
}

#[async_trait]
impl ExternalStorage for Direct {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::basic();
        (capabilities.ordered_listing, capabilities.local) = (true, self.local);
        capabilities
    }

    async fn store(&self, location: &Location, source: Source, options: &StoreOptions) -> Result<Stored> {
        let bytes = source.into_bytes().await?;
        let is_new = options.mode == StoreMode::Create;
        let content = Content::of(vec![bytes.clone()]);
        let tag = self.objects.put(&self.name(location), content, HeaderMap::new(), is_new);
        tag.ok_or_else(|| Error::already_exists("store", location))?;
        Ok(Stored::of(location, &bytes, options))
    }

    async fn load(&self, location: &Location, range: ByteRange) -> Result<Loaded> {
        let object = self.objects.get(&self.name(location)).ok_or_else(|| Error::missing("load", location))?;
        let range = range.resolve(object.content.size, location)?;
        let pieces = stream::iter(object.content.slice(range.clone())).map(Ok);
        Ok(Loaded::new(location, object.content.size, range, pieces))
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        let was_there = self.objects.remove(&self.name(location));
        was_there.then_some(()).ok_or_else(|| Error::missing("delete", location))
    }

    fn iter_contents(&self, prefix: &str) -> BoxStream<'static, Result<Location>> {
        let prefix = format!("{}{prefix}", self.prefix);
        let page = self.objects.list(&Wanted { prefix: &prefix, after: "", delimited: false, limit: usize::MAX });
        let found: Vec<_> = page.objects.iter().filter_map(|(name, _)| self.location(name)).map(Ok).collect();
        stream::iter(found).boxed()
    }
}
