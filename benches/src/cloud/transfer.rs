//! One large file to or from a bucket, by a process of its own, so that it is known what memory and processor time that took.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Name;
use object_store::{ObjectStoreExt, WriteMultipart};
use serde::{Deserialize, Serialize};
use strongroom::cloud::ObjectStorage;
use strongroom::{
    ContentConfig, ContentStorage, DigestSet, ExternalStorage, Layout, LoadOptions, Location, OpenOptions, PutOptions,
    Source, StoreOptions, TargetFile,
};

use super::{ACCESS_KEY, REGION, SECRET, bucket};
use crate::data::location;
use crate::measure::{Sample, time};
use crate::memory;

/// How the rival cuts an object, in bytes: as we do.
const PART_BYTES: u64 = 8 << 20;
/// How many of its requests are under way: as many as of ours.
const AT_ONCE: usize = 8;

/// What the process is to do.
#[derive(Clone, Debug, Args)]
pub struct Transfer {
    pub by: By,
    pub way: Way,
    pub at: At,
    /// Of the server
    pub url: String,
    pub bucket: String,
    pub prefix: String,
    /// What is sent, or written
    pub file: PathBuf,
    pub size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum By {
    /// The client that we make requests by, by itself.
    ObjectStore,
    /// A bucket as a backend.
    Storage,
    /// A content store that keeps large objects whole.
    Whole,
    /// One that keeps them in chunks.
    Chunked,
    /// Nothing is sent: the file is hashed, which no content store is spared.
    Hash,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Way {
    Store,
    Load,
}

/// Where the bytes are on this side.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum At {
    File,
    Memory,
}

/// What the process needed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Needed {
    pub sample: Sample,
    pub memory_bytes: u64,
}

impl Transfer {
    /// Lets a new process do it.
    pub fn ask(&self) -> Result<Needed> {
        let name = |value: Option<clap::builder::PossibleValue>| Some(value?.get_name().to_string());
        let [by, way, at] =
            [name(self.by.to_possible_value()), name(self.way.to_possible_value()), name(self.at.to_possible_value())]
                .map(Option::unwrap_or_default);
        let output = Command::new(std::env::current_exe()?)
            .args(["transfer", &by, &way, &at, &self.url, &self.bucket, &self.prefix])
            .arg(&self.file)
            .arg(self.size.to_string())
            .output()?;
        ensure!(output.status.success(), "{self:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Does it, in this process, and says what it needed.
    pub fn run(&self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        // With it comes what any client of this process encrypts by, also the rival.
        let storage = bucket(&self.url, &self.bucket, &self.prefix)?;
        let sample = match self.by {
            By::ObjectStore => {
                let client = AmazonS3Builder::new()
                    .with_endpoint(&self.url)
                    .with_allow_http(true)
                    .with_bucket_name(&self.bucket)
                    .with_region(REGION)
                    .with_access_key_id(ACCESS_KEY)
                    .with_secret_access_key(SECRET)
                    .build()?;
                let name = Name::parse(format!("{}/{}", self.prefix, location(0, 0)))?;
                self.timed(|input| runtime.block_on(self.by_client(&client, &name, input)))?
            }
            By::Storage => self.timed(|input| runtime.block_on(self.by_storage(&storage, &location(0, 0), input)))?,
            By::Whole | By::Chunked => {
                let (config, options) = (ContentConfig::default(), OpenOptions::default());
                let store = runtime.block_on(ContentStorage::create(Arc::new(storage), config, options))?;
                self.timed(|_| runtime.block_on(self.by_content(&store)))?
            }
            By::Hash => self.timed(|_| hash(&self.file))?,
        };
        // What is sent out of memory is not ours.
        let sent = if self.way == Way::Store && self.at == At::Memory { self.size } else { 0 };
        let memory_bytes = memory::peak_bytes()?.saturating_sub(sent);
        println!("{}", serde_json::to_string(&Needed { sample, memory_bytes })?);
        Ok(())
    }

    /// The stopwatch runs when the client is there, and what it sends out of memory is in memory.
    fn timed(&self, work: impl FnOnce(Option<Bytes>) -> Result<()>) -> Result<Sample> {
        let input = (self.way == Way::Store && self.at == At::Memory).then(|| fs::read(&self.file)).transpose()?;
        Ok(time(|| work(input.map(Bytes::from)))?.0)
    }

    async fn by_client(&self, client: &AmazonS3, name: &Name, input: Option<Bytes>) -> Result<()> {
        match (self.way, self.at) {
            (Way::Store, _) => {
                let mut writer =
                    WriteMultipart::new_with_chunk_size(client.put_multipart(name).await?, PART_BYTES as usize);
                let mut pieces = pieces(&self.file, input)?;
                while let Some(piece) = pieces.try_next().await? {
                    writer.wait_for_capacity(AT_ONCE).await?;
                    writer.put(piece);
                }
                writer.finish().await?;
            }
            (Way::Load, at) => {
                let size = client.head(name).await?.size;
                let starts = (0..size).step_by(PART_BYTES as usize);
                let parts = stream::iter(starts.map(|start| start..size.min(start + PART_BYTES)));
                if at == At::Memory {
                    let parts = parts.map(|part| client.get_range(name, part)).buffered(AT_ONCE);
                    let loaded = parts.try_fold(0, async |sum, bytes| Ok(sum + bytes.len() as u64)).await?;
                    ensure!(loaded == self.size, "{loaded} bytes");
                } else {
                    let file = Arc::new(File::create(&self.file)?);
                    let written = parts.map(|part| {
                        let file = Arc::clone(&file);
                        async move {
                            let (start, bytes) = (part.start, client.get_range(name, part).await?);
                            let written = tokio::task::spawn_blocking(move || file.write_all_at(&bytes, start));
                            anyhow::Ok(written.await??)
                        }
                    });
                    written.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
                }
            }
        }
        Ok(())
    }

    async fn by_storage(&self, storage: &ObjectStorage, location: &Location, input: Option<Bytes>) -> Result<()> {
        match (self.way, input) {
            (Way::Store, Some(bytes)) => {
                storage.store(location, Source::bytes(bytes), &StoreOptions::default()).await?;
            }
            (Way::Store, None) => {
                storage.store_path(location, &self.file).await?;
            }
            (Way::Load, _) if self.at == At::Memory => {
                let stream = storage.load_stream(location).await?;
                let loaded = stream.try_fold(0, async |sum, bytes| Ok(sum + bytes.len() as u64)).await?;
                ensure!(loaded == self.size, "{loaded} bytes");
            }
            (Way::Load, _) => {
                let target = TargetFile::new(File::create(&self.file)?, &self.file);
                storage.load_into(location, &target, DigestSet::NONE).await?;
            }
        }
        Ok(())
    }

    async fn by_content(&self, store: &ContentStorage) -> Result<()> {
        let layout = if self.by == By::Whole { Layout::Whole } else { Layout::Chunked };
        match self.way {
            Way::Store => {
                let mut batch = store.batch();
                batch.put(location(0, 0), Source::path(&self.file), PutOptions::default().with_layout(layout));
                batch.commit().await?;
            }
            Way::Load => {
                store.load_path(&location(0, 0), &self.file, &LoadOptions::default()).await?;
            }
        }
        Ok(())
    }
}

/// What is to be sent, out of memory or out of a file, in pieces of the size of a part.
fn pieces(path: &Path, input: Option<Bytes>) -> Result<stream::BoxStream<'static, Result<Bytes>>> {
    if let Some(bytes) = input {
        let starts = (0..bytes.len()).step_by(PART_BYTES as usize);
        let pieces: Vec<_> =
            starts.map(|start| Ok(bytes.slice(start..bytes.len().min(start + PART_BYTES as usize)))).collect();
        return Ok(stream::iter(pieces).boxed());
    }
    let file = File::open(path).with_context(|| path.display().to_string())?;
    Ok(stream::try_unfold(file, |file| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = Vec::with_capacity(PART_BYTES as usize);
            (&file).take(PART_BYTES).read_to_end(&mut piece)?;
            anyhow::Ok((!piece.is_empty()).then(|| (Bytes::from(piece), file)))
        });
        read.await?
    })
    .boxed())
}

fn hash(path: &Path) -> Result<()> {
    let (mut hasher, mut file, mut buffer) = (blake3::Hasher::new(), File::open(path)?, vec![0; 256 << 10]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => hasher.update(&buffer[..length]),
        };
    }
    std::hint::black_box(hasher.finalize());
    Ok(())
}
