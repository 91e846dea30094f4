//! A choice of sizes, and what it does to some data.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use futures::TryStreamExt;
use serde::Serialize;
use strongroom::content::ChunkSizes;
use strongroom::{ByteRange, ContentConfig, ContentStorage, ExternalStorage, Layout, Location, PutOptions, Source};

use crate::bench::usage;
use crate::data::{Noise, location};
use crate::measure::time;
use crate::place::Place;

/// How many small ranges are read.
const RANGES: u64 = 200;
/// How long each of them is.
const RANGE_BYTES: u64 = 4 << 10;

/// A choice of sizes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    pub sizes: ChunkSizes,
}

/// What a choice did to some data.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub data: &'static str,
    pub sizes: ChunkSizes,
    /// The sizes of the versions.
    pub version_bytes: Vec<u64>,
    /// What each version added to the store, everything counted.
    pub stored_bytes: Vec<u64>,
    /// The processor time that storing each version took.
    pub cpu_seconds: Vec<f64>,
    /// How many chunks the first version has.
    pub chunks: u64,
    /// The processor time that reading the last version took.
    pub read_cpu_seconds: f64,
    /// The time that reading a few bytes of it somewhere took.
    pub range_seconds: f64,
}

/// Averages from 64 KiB to 4 MiB, each with a minimum of a quarter and of a half.
pub fn all() -> Vec<Candidate> {
    let averages = (16..=22).map(|power| 1 << power);
    averages.flat_map(|average| [average / 4, average / 2].map(|minimum| Candidate::new(minimum, average))).collect()
}

impl Candidate {
    fn new(minimum: u32, average: u32) -> Self {
        let mut sizes = ChunkSizes::default();
        (sizes.minimum, sizes.average, sizes.maximum) = (minimum, average, 4 * average);
        Self { sizes }
    }

    /// Minimum, average and maximum in KiB.
    pub fn name(&self) -> String {
        let ChunkSizes { minimum, average, maximum, .. } = self.sizes;
        format!("{} / {} / {}", minimum >> 10, average >> 10, maximum >> 10)
    }

    /// Stores all versions in a new store, one after the other, and reads the last one.
    pub fn measure(&self, place: &Place, data: &'static str, versions: &[PathBuf]) -> Result<Outcome> {
        let folder = place.scratch()?;
        let config = ContentConfig::default().with_chunk_sizes(self.sizes).with_layout(Layout::Chunked);
        let store = place.create(folder.path(), config)?;
        let location = location(0, 0);
        let mut outcome = Outcome {
            data,
            sizes: self.sizes,
            version_bytes: Vec::new(),
            stored_bytes: Vec::new(),
            cpu_seconds: Vec::new(),
            chunks: 0,
            read_cpu_seconds: 0.0,
            range_seconds: 0.0,
        };
        let (_, mut before) = usage(folder.path())?;
        for version in versions {
            let (sample, ()) = time(|| place.block_on(put(&store, &location, version)))?;
            let (_, after) = usage(folder.path())?;
            outcome.version_bytes.push(fs::metadata(version)?.len());
            outcome.stored_bytes.push(after - before);
            outcome.cpu_seconds.push(sample.cpu_seconds);
            before = after;
            if outcome.chunks == 0 {
                outcome.chunks = place.block_on(store.find(&location))?.chunk_count();
            }
        }
        // Handles that have read nothing yet.
        let size = *outcome.version_bytes.last().unwrap_or(&0);
        let store = place.open(folder.path())?;
        outcome.read_cpu_seconds = time(|| place.block_on(read(&store, &location, size)))?.0.cpu_seconds;
        let store = place.open(folder.path())?;
        outcome.range_seconds =
            time(|| place.block_on(read_ranges(&store, &location, size)))?.0.seconds / RANGES as f64;
        Ok(outcome)
    }
}

impl Outcome {
    /// What the first version added to the store, by its size.
    pub fn first(&self) -> f64 {
        self.stored_bytes[0] as f64 / self.version_bytes[0] as f64
    }

    /// What an edit added to the store, by the size of what was edited.
    pub fn edit(&self) -> f64 {
        self.stored_bytes[1..].iter().sum::<u64>() as f64 / self.version_bytes[1..].iter().sum::<u64>() as f64
    }

    /// In a line.
    pub fn summary(&self) -> String {
        let cpu: f64 = self.cpu_seconds.iter().sum();
        format!(
            "{} chunks, {:.1} % first, {:.2} % each edit, CPU {cpu:.2} s",
            self.chunks,
            self.first() * 100.0,
            self.edit() * 100.0
        )
    }
}

async fn put(store: &ContentStorage, location: &Location, file: &Path) -> Result<()> {
    let mut batch = store.batch();
    batch.put(location.clone(), Source::path(file), PutOptions::default());
    batch.commit().await?;
    Ok(())
}

async fn read(store: &ContentStorage, location: &Location, size: u64) -> Result<()> {
    let mut stream = store.load_stream(location).await?;
    let mut read = 0;
    while let Some(bytes) = stream.try_next().await? {
        read += bytes.len() as u64;
    }
    ensure!(read == size, "{read} bytes were read of {size}");
    Ok(())
}

async fn read_ranges(store: &ContentStorage, location: &Location, size: u64) -> Result<()> {
    let mut noise = Noise::new(21);
    for _ in 0..RANGES {
        let start = noise.next() % size.saturating_sub(RANGE_BYTES).max(1);
        store.load_bytes(location, ByteRange::Span { start, end: (start + RANGE_BYTES).min(size) }).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stores_are_made_with_is_one_of_the_choices() {
        assert!(all().iter().any(|candidate| candidate.sizes == ChunkSizes::default()));
    }
}
