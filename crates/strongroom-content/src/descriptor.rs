//! `strongroom.json`: what a store is, created once.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strongroom_storage::{
    ByteRange, Digest, DigestSet, Error, ErrorKind, ExternalStorage, Host, Result, Source, StoreOptions,
};

use crate::config::{ChunkSizes, Compression, ContentConfig, Layout};
use crate::nonce::Nonce;
use crate::paths;

/// The format that this program reads and writes.
pub const FORMAT: &str = "1";
/// The features beyond the base format that this program understands.
const FEATURES: [&str; 0] = [];
/// The largest average chunk that a store may ask for, in bytes.
const CHUNK_AVERAGE_MAX: u32 = 16 << 20;

const README: &str = "\
This folder is a strongroom store. Do not change or remove files in it by hand.

  strongroom.json   the format, and what the store was made with
  packs/            content: many chunks a file, each with an index at its end
  files/            content: large files kept whole, named <BLAKE3 digest>.<random>; plain copies, readable as they are
  index/            hints of where chunks are; can be made anew from packs/
  names/            what is stored under which name: the history of each namespace, newest version first
  gc/               marks of writers and collectors at work

`strongroom --store <this folder> ls` lists the names, `strongroom verify` checks everything.
FORMAT.md in strongroom's source describes every byte, well enough to write a reader from it.
Copying a store that is in use is safe in this order: names/@tags/, the rest of names/, then everything else.
";

/// What stands in `strongroom.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Descriptor {
    format: String,
    required_features: Vec<String>,
    required_to_write: Vec<String>,
    /// The store's own name, drawn when it was made.
    pub id: String,
    pub layout: Layout,
    pub compression: Compression,
    digests: Vec<String>,
    grace_seconds: u64,
    lease_seconds: u64,
    pub chunk_bytes: ChunkSizes,
    /// Whether the backend takes `A` and `a` for the same name, so that capitals are encoded.
    pub folds_case: bool,
    /// Of everything else in the file.
    checksum: String,
}

impl Descriptor {
    /// Makes a store, or opens the one that is there.
    pub(crate) async fn create(backend: &dyn ExternalStorage, host: &dyn Host, config: &ContentConfig) -> Result<Self> {
        check(config)?;
        match Self::read(backend).await {
            Err(error) if error.is_missing() => {}
            found => return found,
        }
        let mut descriptor = Self {
            format: FORMAT.into(),
            required_features: Vec::new(),
            required_to_write: Vec::new(),
            id: Nonce::draw(host)?.to_string(),
            layout: config.layout,
            compression: config.compression,
            digests: names_of(config.digests),
            grace_seconds: config.grace.as_secs(),
            lease_seconds: config.lease.as_secs(),
            chunk_bytes: config.chunk_sizes,
            folds_case: folds_case(backend, host).await?,
            checksum: String::new(),
        };
        let unwritable = |error| {
            Error::new(ErrorKind::Internal, "create", "store", "its description can't be written").with_source(error)
        };
        descriptor.checksum = checksum(serde_json::to_value(&descriptor).map_err(unwritable)?);
        backend.store(&paths::fixed(paths::README_FILE)?, Source::from(README), &StoreOptions::default()).await?;
        let mut text = serde_json::to_vec_pretty(&descriptor).map_err(unwritable)?;
        text.push(b'\n');
        match backend.store(&paths::fixed(paths::STORE_FILE)?, Source::bytes(text), &paths::once()).await {
            // Somebody else was faster, or our own answer was lost: what stands there holds.
            Err(error) if error.is_already_exists() || error.may_have_happened() => match Self::read(backend).await {
                Err(none) if none.is_missing() => Err(error),
                found => found,
            },
            Err(error) => Err(error),
            Ok(_) => Ok(descriptor),
        }
    }

    /// Reads the description of the store that is there.
    ///
    /// # Errors
    /// `Missing` if there is none; `Unsupported` if it has a format or a feature that this program does not know.
    pub(crate) async fn read(backend: &dyn ExternalStorage) -> Result<Self> {
        let location = paths::fixed(paths::STORE_FILE)?;
        let text = match backend.load_bytes(&location, ByteRange::All).await {
            Ok(text) => text,
            Err(error) if error.is_missing() => {
                return Err(Error::new(
                    ErrorKind::Missing,
                    "open",
                    backend,
                    "this is not a strongroom store (there is no strongroom.json); make one with `strongroom init`",
                ));
            }
            Err(error) => return Err(error),
        };
        let damaged =
            || Error::new(ErrorKind::Corrupt, "open", &location, "it is damaged; restore it from a copy of the store");
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(|error| damaged().with_source(error))?;
        let unknown = |what: String| {
            Err(Error::new(ErrorKind::Unsupported, "open", backend, format!("{what}; use a strongroom that knows it")))
        };
        match value.get("format").and_then(|format| format.as_str()) {
            Some(FORMAT) => {}
            Some(other) => return unknown(format!("the store has format {other:?}, this program knows {FORMAT:?}")),
            None => return unknown("the store's format is not given".into()),
        }
        let features = value.get("required_features").and_then(|features| features.as_array()).into_iter().flatten();
        if let Some(feature) = features.filter_map(|feature| feature.as_str()).find(|name| !FEATURES.contains(name)) {
            return unknown(format!("the store needs the feature {feature:?}"));
        }
        let found = checksum(value.clone());
        let descriptor: Self = serde_json::from_value(value).map_err(|error| damaged().with_source(error))?;
        if descriptor.checksum != found {
            return Err(damaged());
        }
        check(&descriptor.config()).map_err(|error| damaged().with_source(error))?;
        if let Some(name) = descriptor.digests.iter().find(|name| !["md5", "sha256"].contains(&name.as_str())) {
            return unknown(format!("the store wants the digest {name:?}"));
        }
        Ok(descriptor)
    }

    /// Why this program must not write to the store, if there is a reason.
    ///
    /// # Errors
    /// `Unsupported` if writers have to know a feature that this program does not know.
    pub(crate) fn check_writable(&self, backend: &dyn ExternalStorage) -> Result<()> {
        let Some(feature) = self.required_to_write.iter().find(|name| !FEATURES.contains(&name.as_str())) else {
            return Ok(());
        };
        let detail = format!(
            "who writes to the store must know the feature {feature:?}; use a strongroom that knows it, or only read"
        );
        Err(Error::new(ErrorKind::Unsupported, "write to", backend, detail))
    }

    pub(crate) fn digests(&self) -> DigestSet {
        let mut set = DigestSet::NONE;
        set.md5 = self.digests.iter().any(|name| name == "md5");
        set.sha256 = self.digests.iter().any(|name| name == "sha256");
        set
    }

    /// What the store was made with.
    pub(crate) fn config(&self) -> ContentConfig {
        ContentConfig {
            layout: self.layout,
            compression: self.compression,
            digests: self.digests(),
            grace: self.grace(),
            lease: self.lease(),
            chunk_sizes: self.chunk_bytes,
        }
    }

    pub(crate) fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_seconds)
    }

    pub(crate) fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }
}

fn check(config: &ContentConfig) -> Result<()> {
    let refuse = |detail: &str| Err(Error::new(ErrorKind::Invalid, "create", "store", detail));
    let sizes = config.chunk_sizes;
    if config.lease.as_secs() < 1 || config.grace.as_secs() < 1 {
        return refuse("grace and lease are at least a second");
    }
    if !sizes.average.is_power_of_two()
        || sizes.minimum < 64
        || sizes.minimum > sizes.average
        || sizes.average > sizes.maximum
    {
        return refuse("chunk sizes are 64 <= minimum <= average <= maximum, and the average is a power of two");
    }
    if sizes.average > CHUNK_AVERAGE_MAX || sizes.maximum > crate::chunk::CHUNK_MAX_BYTES {
        return refuse("chunks are at most 64 MiB, and 16 MiB on average");
    }
    Ok(())
}

/// The BLAKE3 digest of a description without its checksum: compact, keys in order.
fn checksum(mut value: serde_json::Value) -> String {
    if let Some(fields) = value.as_object_mut() {
        fields.remove("checksum");
    }
    value.sort_all_objects();
    Digest::of(value.to_string().as_bytes()).to_string()
}

fn names_of(set: DigestSet) -> Vec<String> {
    let names = [("md5", set.md5), ("sha256", set.sha256)];
    names.into_iter().filter(|(_, wanted)| *wanted).map(|(name, _)| name.to_string()).collect()
}

/// Tries whether the backend takes names that differ in case for the same.
async fn folds_case(backend: &dyn ExternalStorage, host: &dyn Host) -> Result<bool> {
    let nonce = Nonce::draw(host)?;
    let name = format!("probe-{nonce}");
    let (lower, upper) = (paths::fixed(&format!("gc/{name}"))?, paths::fixed(&format!("gc/{}", name.to_uppercase()))?);
    let content = Digest::of(nonce.as_bytes()).to_string();
    backend.store(&lower, Source::bytes(content), &StoreOptions::create()).await?;
    let folds = backend.exists(&upper).await;
    // It is in nobody's way.
    backend.delete(&lower).await.unwrap_or_default();
    folds
}
