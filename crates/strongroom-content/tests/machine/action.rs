//! What a worker can be told to do, as a line of text; the same is done again by the test itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use strongroom_content::{
    ChunkSizes, CollectOptions, ContentConfig, ContentStorage, Layout, Namespace, OpenOptions, PutOptions,
    VerifyOptions, Version,
};
use strongroom_storage::{
    ByteRange, Error, ErrorKind, ExternalStorage, FileStorage, LoadOptions, Location, Result, Source, StoreMode,
};

pub fn at(text: &str) -> Location {
    Location::parse(text).expect("a location")
}

/// Bytes that nothing compresses and that no other seed gives.
pub fn noise(seed: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into()
}

/// Whoever does it: a folder with the store in `store`, local files in `files`, and a handle, once there is one.
pub struct Actor {
    folder: PathBuf,
    store: Option<ContentStorage>,
}

impl Actor {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf(), store: None }
    }

    fn backend(&self) -> Arc<dyn ExternalStorage> {
        Arc::new(FileStorage::new(self.folder.join("store")))
    }

    /// The handle, opened when it is first asked for.
    pub async fn store(&mut self) -> Result<&ContentStorage> {
        let store = match self.store.take() {
            Some(store) => store,
            None => ContentStorage::open(self.backend(), OpenOptions::default()).await?,
        };
        Ok(self.store.insert(store))
    }

    /// Does what `line` says. Of a commit, the version of each namespace, as `namespace=version`.
    pub async fn act(&mut self, line: &str) -> Result<String> {
        let words: Vec<&str> = line.split(' ').collect();
        let files = self.folder.join("files");
        match words[..] {
            ["init", ref policy @ ..] => {
                let mut sizes = ChunkSizes::default();
                (sizes.minimum, sizes.average, sizes.maximum) = (1 << 10, 4 << 10, 16 << 10);
                let mut config = ContentConfig::default().with_chunk_sizes(sizes);
                if let [grace, lease] = policy {
                    config = config.with_grace(seconds(grace)).with_lease(seconds(lease));
                }
                self.store = Some(ContentStorage::create(self.backend(), config, OpenOptions::default()).await?);
                return Ok(String::new());
            }
            ["get", location, file] => {
                self.store().await?.load_path(&at(location), &files.join(file), &LoadOptions::default()).await?;
                return Ok(String::new());
            }
            ["read", location] => {
                let bytes = self.store().await?.load_bytes(&at(location), ByteRange::All).await?;
                return Ok(blake3::hash(&bytes).to_string());
            }
            ["list"] => {
                let objects: Vec<_> = self.store().await?.objects("").try_collect().await?;
                return Ok(objects.len().to_string());
            }
            ["verify"] => {
                let report = self.store().await?.verify(VerifyOptions::default().with_data(true)).await?;
                return match report.problems.first() {
                    None => Ok(String::new()),
                    Some(problem) => Err(Error::new(problem.kind, "verify", &problem.file, problem.detail.clone())),
                };
            }
            ["gc"] => {
                let report = self.store().await?.collect(CollectOptions::default()).await?;
                return match report.problems.first() {
                    None => Ok(format!("{} {}", report.deleted_files, report.sessions_ended)),
                    Some(problem) => Err(Error::new(problem.kind, "gc", &problem.file, problem.detail.clone())),
                };
            }
            ["tag", namespace, version, name] => {
                let namespace = Namespace::parse(namespace).expect("a namespace");
                self.store().await?.tag(&namespace, Version::new(number(version)), name, StoreMode::Overwrite).await?;
                return Ok(String::new());
            }
            ["untag", namespace, name] => {
                let namespace = Namespace::parse(namespace).expect("a namespace");
                self.store().await?.untag(&namespace, name).await?;
                return Ok(String::new());
            }
            _ => {}
        }
        let store = self.store().await?;
        let mut batch = store.batch();
        let mut has_begun = false;
        match words[..] {
            ["put", location, seed, size, layout] => {
                batch.put(at(location), noise(number(seed), number(size) as usize), options(layout));
            }
            ["file", location, file, layout] => {
                batch.put(at(location), Source::path(files.join(file)), options(layout));
            }
            ["consume", location, file] => {
                batch.put(at(location), Source::consumed_path(files.join(file)), options("whole"));
            }
            ["batch", prefix, count, seed, size] => {
                for n in 0..number(count) {
                    let bytes = noise(number(seed) + n, number(size) as usize);
                    batch.put(at(&format!("{prefix}/{n:05}")), bytes, PutOptions::default());
                }
            }
            ["kinds", seed] => {
                let seed = number(seed);
                batch
                    .put(at("root.bin"), noise(seed, 3000), PutOptions::default())
                    .put(at("a/chunked"), noise(seed + 1, 30_000), options("chunked"))
                    .put(at("a/inline"), noise(seed + 2, 20), PutOptions::default())
                    .put(at("dag/unit/chunks"), noise(seed + 3, 120_000), options("chunked"))
                    .put(at("dag/unit/sub/whole"), noise(seed + 4, 50_000), options("whole"))
                    .put(at("dag/unit/empty"), "", PutOptions::default());
            }
            ["rm", ref locations @ ..] => {
                for location in locations {
                    batch.remove_if_present(at(location));
                }
            }
            ["cp", from, to] => {
                batch.link(at(to), store.find(&at(from)).await?, StoreMode::Overwrite);
            }
            ["mv", from, to] => {
                let found = store.find(&at(from)).await?;
                batch.link(at(to), found.clone(), StoreMode::Overwrite);
                if Namespace::of(&at(from)) != Namespace::of(&at(to)) {
                    // The new name first, or a failure in between would leave none.
                    batch.commit().await?;
                    has_begun = true;
                    batch = store.batch();
                }
                batch.remove_found(&found);
            }
            ["restore", location, version] => {
                let location = at(location);
                let old = store.snapshot_at(&Namespace::of(&location), Version::new(number(version))).await?;
                batch.link(location.clone(), old.find(&location).await?, StoreMode::Overwrite);
            }
            _ => return Err(Error::new(ErrorKind::Invalid, "act", line, "nobody knows how")),
        }
        let receipt = batch.commit().await;
        let versions = receipt.map_err(|error| if has_begun { error.with_outcome_unknown() } else { error })?.versions;
        let versions = versions.iter().map(|(namespace, version)| format!("{namespace}={version}"));
        Ok(versions.collect::<Vec<_>>().join(" "))
    }
}

fn number(word: &str) -> u64 {
    word.parse().expect("a number")
}

fn seconds(word: &str) -> Duration {
    Duration::from_secs(number(word))
}

fn options(layout: &str) -> PutOptions {
    match layout {
        "auto" => PutOptions::default(),
        "whole" => PutOptions::default().with_layout(Layout::Whole),
        "chunked" => PutOptions::default().with_layout(Layout::Chunked),
        other => unreachable!("there is no layout {other}"),
    }
}
