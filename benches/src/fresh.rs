//! Work for a process of its own: what it costs to begin, and how much memory it needs.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};
use bytes::Bytes;
use clap::{Subcommand, ValueEnum};
use futures::{TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use strongroom::content::CollectOptions;
use strongroom::{
    ByteRange, ContentStorage, Digest, ExternalStorage, Layout, Location, PutOptions, Source, VerifyOptions,
};

use crate::data::{Noise, tiny};
use crate::memory;

/// What the process is to do.
#[derive(Debug, Subcommand)]
#[command(hide = true)]
pub enum Work {
    /// Opens a store and reads an object
    #[command(name = "fresh-open", hide = true)]
    Open { store: String, location: String },
    /// Stores a file
    #[command(name = "fresh-store", hide = true)]
    Store { store: String, location: String, file: PathBuf, layout: Kept },
    /// Stores a stream
    #[command(name = "fresh-stream", hide = true)]
    Stream { store: String, location: String, bytes: u64, layout: Kept },
    /// Looks up the digests of some of so many small objects
    #[command(name = "fresh-lookup", hide = true)]
    Lookup { store: String, count: usize },
    /// Reads an object to its end
    #[command(name = "fresh-load", hide = true)]
    Load { store: String, location: String },
    /// Finds out what a collection would delete
    #[command(name = "fresh-plan", hide = true)]
    Plan { store: String },
    /// Verifies a store, its content too if wanted
    #[command(name = "fresh-verify", hide = true)]
    Verify {
        store: String,
        #[arg(long)]
        data: bool,
    },
}

/// How it is to be kept.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Kept {
    Whole,
    Chunked,
}

/// What the process needed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Needed {
    pub seconds: f64,
    pub memory_bytes: u64,
}

impl From<Kept> for Layout {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Whole => Self::Whole,
            Kept::Chunked => Self::Chunked,
        }
    }
}

/// Lets a new process do it.
pub fn ask(arguments: &[&str]) -> Result<Needed> {
    let output = Command::new(std::env::current_exe()?).args(arguments).output()?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Does it, in this process, and says what it needed.
pub fn run(work: &Work) -> Result<()> {
    let start = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(perform(work))?;
    let needed = Needed { seconds: start.elapsed().as_secs_f64(), memory_bytes: memory::peak_bytes()? };
    println!("{}", serde_json::to_string(&needed)?);
    Ok(())
}

async fn perform(work: &Work) -> Result<()> {
    match work {
        Work::Open { store, location } => {
            let store = strongroom::open(store).await?;
            let bytes = store.load_bytes(&Location::parse(location)?, ByteRange::All).await?;
            ensure!(!bytes.is_empty(), "nothing was read");
        }
        Work::Store { store, location, file, layout } => {
            put(&strongroom::open(store).await?, location, Source::path(file), *layout).await?;
        }
        Work::Stream { store, location, bytes, layout } => {
            let noise = stream::try_unfold((Noise::new(9), *bytes), |(mut noise, left)| async move {
                let mut piece = vec![0; left.min(1 << 20) as usize];
                noise.fill(&mut piece);
                let left = left - piece.len() as u64;
                Ok((!piece.is_empty()).then(|| (Bytes::from(piece), (noise, left))))
            });
            put(&strongroom::open(store).await?, location, Source::stream(noise), *layout).await?;
        }
        Work::Lookup { store, count } => {
            let store = strongroom::open(store).await?;
            let digests: Vec<Digest> = (0..*count).step_by(10).map(|index| Digest::of(&tiny(index))).collect();
            ensure!(store.contains_digests(&digests).await?.into_iter().all(|there| there), "one is not there");
        }
        Work::Load { store, location } => {
            let store = strongroom::open(store).await?;
            let mut stream = store.load_stream(&Location::parse(location)?).await?;
            while stream.try_next().await?.is_some() {}
        }
        Work::Plan { store } => {
            let store = strongroom::open(store).await?;
            let report = store.collect(CollectOptions::default().with_dry_run(true)).await?;
            ensure!(report.problems.is_empty(), "the store is damaged: {:?}", report.problems);
        }
        Work::Verify { store, data } => {
            let store = strongroom::open(store).await?;
            let report = store.verify(VerifyOptions::default().with_data(*data)).await?;
            ensure!(report.is_sound(), "the store is damaged: {:?}", report.problems);
        }
    }
    Ok(())
}

async fn put(store: &ContentStorage, location: &str, source: Source, kept: Kept) -> Result<()> {
    let mut batch = store.batch();
    batch.put(Location::parse(location)?, source, PutOptions::default().with_layout(kept.into()));
    batch.commit().await?;
    Ok(())
}
