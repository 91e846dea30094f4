//! Many small objects: what does one more cost?

use std::path::Path;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::Args;
use strongroom::{ByteRange, ContentConfig, ContentStorage, ExternalStorage, Location, PutOptions, Source};

use super::points;
use super::record::{Progress, Record, Value};
use crate::bench::usage;
use crate::data::Noise;
use crate::fresh;
use crate::measure::{Sample, median, time};
use crate::memory;
use crate::options::{count, size};
use crate::place::Place;

/// How many objects there are at the first point.
const FIRST: u64 = 1000;
/// How many objects are read at each point.
const READS: usize = 1000;
/// How many are stored by commits of their own.
const COMMITS: usize = 16;
/// How many new processes open the store.
const PROCESSES: usize = 3;

#[derive(Debug, Args)]
pub struct Objects {
    /// How many objects: 1000, 100K, 10M
    #[arg(long, value_parser = count, default_value = "1M")]
    count: u64,
    /// The size of an object, which is noise
    #[arg(long, value_name = "BYTES", value_parser = size, default_value = "1K")]
    size: u64,
    /// How many are stored in a batch
    #[arg(long, value_name = "COUNT", value_parser = count, default_value = "10000")]
    batch: u64,
    /// How many names are in a namespace
    #[arg(long, value_name = "COUNT", value_parser = count, default_value = "1000")]
    names: u64,
    /// All names are in one namespace
    #[arg(long, conflicts_with = "names")]
    one_namespace: bool,
}

impl Objects {
    pub fn label(&self) -> String {
        if self.one_namespace { "one namespace".into() } else { format!("{} names a namespace", self.names) }
    }

    /// Where object number `index` is.
    fn namespace(&self, index: u64) -> String {
        if self.one_namespace { "dag/all".into() } else { format!("dag/unit-{:05}", index / self.names.max(1)) }
    }

    fn location(&self, index: u64) -> Result<Location> {
        Ok(Location::parse(&format!("{}/object-{index:08}", self.namespace(index)))?)
    }

    pub fn run(&self, place: &Place, folder: &Path, mut record: Record) -> Result<()> {
        let store = place.create(folder, ContentConfig::default())?;
        let (mut noise, mut progress) = (Noise::new(91), Progress::new());
        let (mut stored, mut total) = (0, 0.0);
        for point in points(FIRST, self.count) {
            let (mut since, new) = (Sample { seconds: 0.0, cpu_seconds: 0.0 }, point - stored);
            while stored < point {
                let many = self.batch.clamp(1, point - stored);
                let mut batch = store.batch();
                let mut content = vec![0; (many * self.size) as usize];
                noise.fill(&mut content);
                let content = Bytes::from(content);
                for index in 0..many {
                    let bytes = content.slice((index * self.size) as usize..((index + 1) * self.size) as usize);
                    batch.put(self.location(stored + index)?, Source::bytes(bytes), PutOptions::default());
                }
                let (sample, _) = time(|| Ok(place.block_on(batch.commit())?))?;
                since.seconds += sample.seconds;
                since.cpu_seconds += sample.cpu_seconds;
                stored += many;
                progress.say(|| format!("{stored} of {} objects", self.count));
            }
            total += since.seconds;
            let memory = memory::peak_bytes()?;
            let (files, bytes) = usage(folder)?;
            let read = self.read(place, &store, stored, &mut noise)?;
            let commit = self.commit(place, &store, stored, &mut noise)?;
            let opened = self.open(folder, stored, &mut noise)?;
            let verified = fresh::ask(&["fresh-verify", path(folder)?])?;
            let planned = fresh::ask(&["fresh-plan", path(folder)?])?;
            record.add(&[
                Value("objects", "", stored as f64),
                Value("storing one, since the point before", "us", since.seconds / new as f64 * 1e6),
                Value("storing one: processor time", "us", since.cpu_seconds / new as f64 * 1e6),
                Value("storing all", "s", total),
                Value("peak memory of who stores", "MiB", mebibytes(memory)),
                Value("the store, for each object", "bytes", bytes as f64 / stored as f64),
                Value("files of the store", "", files as f64),
                Value("reading one at random", "us", read * 1e6),
                Value("a commit of one", "ms", commit.seconds * 1e3),
                Value("a commit of one: processor time", "ms", commit.cpu_seconds * 1e3),
                Value("a new process opens and reads one", "ms", opened.seconds * 1e3),
                Value("memory of that process", "MiB", mebibytes(opened.memory_bytes)),
                Value("verifying all names and packs, for each object", "us", verified.seconds / stored as f64 * 1e6),
                Value("memory of who verifies", "MiB", mebibytes(verified.memory_bytes)),
                Value("marking and planning a collection", "s", planned.seconds),
                Value("memory of who collects", "MiB", mebibytes(planned.memory_bytes)),
            ])?;
        }
        Ok(())
    }

    /// The seconds that reading one of `stored` objects takes, by the handle that stored them.
    fn read(&self, place: &Place, store: &ContentStorage, stored: u64, noise: &mut Noise) -> Result<f64> {
        let wanted: Vec<Location> = (0..READS).map(|_| self.location(noise.next() % stored)).collect::<Result<_>>()?;
        let read = async {
            for location in &wanted {
                let bytes = store.load_bytes(location, ByteRange::All).await?;
                ensure!(bytes.len() as u64 == self.size, "{location} has {} bytes", bytes.len());
            }
            Ok(())
        };
        Ok(time(|| place.block_on(read))?.0.seconds / READS as f64)
    }

    /// What it takes to store one more object, durably: the median.
    fn commit(&self, place: &Place, store: &ContentStorage, stored: u64, noise: &mut Noise) -> Result<Sample> {
        let mut samples = Vec::new();
        for number in 0..COMMITS {
            let namespace = self.namespace(noise.next() % stored);
            let location = Location::parse(&format!("{namespace}/more-{stored}-{number}"))?;
            let mut bytes = vec![0; self.size as usize];
            noise.fill(&mut bytes);
            let store_one = || Ok(place.block_on(store.store_bytes(&location, bytes.into()))?);
            samples.push(time(store_one)?.0);
        }
        Ok(Sample {
            seconds: median(samples.iter().map(|sample| sample.seconds)),
            cpu_seconds: median(samples.iter().map(|sample| sample.cpu_seconds)),
        })
    }

    /// What a new process needs to open the store and read an object.
    fn open(&self, folder: &Path, stored: u64, noise: &mut Noise) -> Result<fresh::Needed> {
        let ask = |_| fresh::ask(&["fresh-open", path(folder)?, self.location(noise.next() % stored)?.as_str()]);
        let needed: Vec<fresh::Needed> = (0..PROCESSES).map(ask).collect::<Result<_>>()?;
        Ok(fresh::Needed {
            seconds: median(needed.iter().map(|needed| needed.seconds)),
            memory_bytes: median(needed.iter().map(|needed| needed.memory_bytes as f64)) as u64,
        })
    }
}

fn path(folder: &Path) -> Result<&str> {
    folder.to_str().context("the folder's path is not UTF-8")
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
