//! A large volume of files that are edited: what does one more version cost?

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use strongroom::{ContentConfig, ContentStorage, Layout, Location, PutOptions, Source};

use super::points;
use super::record::{Progress, Record, Value};
use crate::bench::usage;
use crate::data::Noise;
use crate::fresh;
use crate::measure::{Sample, time};
use crate::memory;
use crate::options::size;
use crate::place::{Place, write_file};

/// How many bytes there are at the first point.
const FIRST: u64 = 1 << 29;
const GIBIBYTE: f64 = (1u64 << 30) as f64;

#[derive(Debug, Args)]
pub struct Volume {
    /// The sizes of all versions added up
    #[arg(long, value_name = "BYTES", value_parser = size, default_value = "5G")]
    size: u64,
    /// How large a file is at first
    #[arg(long, value_name = "BYTES", value_parser = size, default_value = "64M")]
    file: u64,
    /// How many versions a file has, about
    #[arg(long, value_name = "COUNT", default_value = "10")]
    versions: u64,
}

impl Volume {
    pub fn label(&self) -> String {
        format!("files of {} MiB, {} versions each", self.file >> 20, self.versions)
    }

    pub fn run(&self, place: &Place, folder: &Path, mut record: Record) -> Result<()> {
        let (sources, store_folder) = (folder.join("sources"), folder.join("store"));
        fs::create_dir(&sources)?;
        let config = ContentConfig::default().with_layout(Layout::Chunked);
        let store = place.create(&store_folder, config)?;
        let store_path = store_folder.to_str().context("the folder's path is not UTF-8")?;
        let (mut noise, mut progress) = (Noise::new(92), Progress::new());
        let (mut logical, mut steps, mut total) = (0, 0, 0.0);
        for point in points(FIRST, self.size) {
            let (mut since, before) = (Sample { seconds: 0.0, cpu_seconds: 0.0 }, logical);
            while logical < point {
                let (file, path) = self.step(&sources, steps, &mut noise)?;
                let (sample, ()) = time(|| place.block_on(put(&store, file, &path)))?;
                since.seconds += sample.seconds;
                since.cpu_seconds += sample.cpu_seconds;
                logical += fs::metadata(&path)?.len();
                steps += 1;
                progress.say(|| format!("{:.1} of {:.1} GiB", gibibytes(logical), gibibytes(self.size)));
            }
            total += since.seconds;
            let memory = memory::peak_bytes()?;
            let (files, bytes) = usage(&store_folder)?;
            let verified = fresh::ask(&["fresh-verify", store_path])?;
            let new = gibibytes(logical - before);
            record.add(&[
                Value("all versions", "GiB", gibibytes(logical)),
                Value("storing a GiB, since the point before", "s", since.seconds / new),
                Value("storing a GiB: processor time", "s", since.cpu_seconds / new),
                Value("storing all", "s", total),
                Value("peak memory of who stores", "MiB", memory as f64 / f64::from(1 << 20)),
                Value("store", "GiB", gibibytes(bytes)),
                Value("files of the store", "", files as f64),
                Value("all versions by the store's size", "", logical as f64 / bytes as f64),
                Value("verifying names and packs, for a GiB", "s", verified.seconds / gibibytes(logical)),
                Value("memory of who verifies", "MiB", verified.memory_bytes as f64 / f64::from(1 << 20)),
            ])?;
        }
        let verified = fresh::ask(&["fresh-verify", "--data", store_path])?;
        println!("every byte of the store verified in {:.1} s", verified.seconds);
        Ok(())
    }

    /// Makes the next version of a file: one in so many is a new file, the others are edits of any that is there.
    fn step(&self, sources: &Path, step: u64, noise: &mut Noise) -> Result<(u64, PathBuf)> {
        let files = step.div_ceil(self.versions.max(1));
        let new = step.is_multiple_of(self.versions.max(1));
        let file = if new { files } else { noise.next() % files };
        let path = sources.join(format!("file-{file:05}"));
        if new {
            write_file(&path, self.file, |buffer| noise.fill(buffer))?;
        } else {
            edit(&path, noise)?;
        }
        Ok((file, path))
    }
}

/// Changes 1 to 3 % of a file: a third is written over what was there, a third is inserted, a third is appended.
///
/// Not in memory, as the memory of this process is measured.
fn edit(path: &Path, noise: &mut Noise) -> Result<()> {
    let (mut old, next) = (File::open(path)?, path.with_extension("next"));
    let mut new = File::options().read(true).write(true).create(true).truncate(true).open(&next)?;
    let length = old.metadata()?.len();
    let mut part = vec![0; (length * (100 + noise.next() % 200) / 10_000 / 3) as usize];
    let inserted = noise.next() % (length + 1);
    io::copy(&mut (&mut old).take(inserted), &mut new)?;
    noise.fill(&mut part);
    new.write_all(&part)?;
    io::copy(&mut old, &mut new)?;
    noise.fill(&mut part);
    new.write_all(&part)?;
    noise.fill(&mut part);
    new.write_all_at(&part, noise.next() % (length - part.len() as u64 + 1))?;
    fs::rename(next, path)?;
    Ok(())
}

async fn put(store: &ContentStorage, file: u64, path: &Path) -> Result<()> {
    let mut batch = store.batch();
    batch.put(Location::parse(&format!("dag/unit-{file:05}/trajectory"))?, Source::path(path), PutOptions::default());
    batch.commit().await?;
    Ok(())
}

fn gibibytes(bytes: u64) -> f64 {
    bytes as f64 / GIBIBYTE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_adds_and_changes_what_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut noise) = (folder.path().join("file"), Noise::new(5));
        for _ in 0..20 {
            fs::write(&path, vec![0; 300_000]).unwrap();
            edit(&path, &mut noise).unwrap();
            let content = fs::read(&path).unwrap();
            let (added, changed) = (content.len() - 300_000, content.iter().filter(|byte| **byte != 0).count());
            assert!((2000 - 2..=6000).contains(&added), "{added}");
            assert!((1900..=9000).contains(&changed), "{changed}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }
}
