//! Where a bench works: a folder on the disk that is measured, a runtime, and the target folder for what is kept.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use strongroom::{ContentConfig, ContentStorage};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::data::Noise;

/// Where a bench works.
pub struct Place {
    pub runtime: Runtime,
    target: PathBuf,
    folder: PathBuf,
}

impl Place {
    /// Works in `folder`, or else below the target folder.
    pub fn new(folder: Option<&Path>) -> Result<Self> {
        // The program is target/<profile>/deps/<bench>-<hash>.
        let program = std::env::current_exe()?;
        let target = program.ancestors().nth(3).context("the program is not in a target folder")?.join("bench");
        let folder = folder.map_or_else(|| target.join("work"), Path::to_path_buf);
        for folder in [&target, &folder] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        Ok(Self { runtime, target, folder })
    }

    /// The folder on the disk that is measured.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file or folder that outlives the run: results, and what is costly to get.
    pub fn kept(&self, name: &str) -> PathBuf {
        self.target.join(name)
    }

    /// A new folder on the disk that is measured.
    pub fn scratch(&self) -> Result<TempDir> {
        Ok(TempDir::new_in(&self.folder)?)
    }

    /// Brings the machine into the same state before each large case: nothing is waiting to be written, and as much memory as
    /// will be needed (`warm` bytes) was in use a moment ago. A virtual machine's host takes unused memory back, and giving it again
    /// costs several times what writing to it does.
    pub fn settle(&self, warm: u64) -> Result<()> {
        nix::unistd::sync();
        if warm > 0 {
            let mut file = tempfile::tempfile_in(self.folder())?;
            let piece = vec![1; 1 << 20];
            for _ in 0..warm >> 20 {
                file.write_all(&piece)?;
            }
        }
        Ok(())
    }

    /// A file of `size` bytes that no one can compress.
    pub fn noise_file(&self, folder: &Path, size: u64) -> Result<PathBuf> {
        let path = folder.join("noise");
        let mut noise = Noise::new(1);
        write_file(&path, size, |buffer| noise.fill(buffer))?;
        Ok(path)
    }

    /// Waits for `future`.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// A new store in `folder`.
    pub fn create(&self, folder: &Path, config: ContentConfig) -> Result<ContentStorage> {
        let path = folder.to_str().context("the folder's path is not UTF-8")?;
        Ok(self.block_on(strongroom::create(path, config))?)
    }

    /// A new handle on the store in `folder`.
    pub fn open(&self, folder: &Path) -> Result<ContentStorage> {
        let path = folder.to_str().context("the folder's path is not UTF-8")?;
        Ok(self.block_on(strongroom::open(path))?)
    }
}

/// Writes a file of `size` bytes, durably, from pieces that `fill` makes.
pub fn write_file(path: &Path, size: u64, mut fill: impl FnMut(&mut [u8])) -> Result<()> {
    let mut file = File::create(path)?;
    let mut buffer = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        let length = left.min(buffer.len() as u64) as usize;
        fill(&mut buffer[..length]);
        file.write_all(&buffer[..length])?;
        left -= length as u64;
    }
    file.sync_all()?;
    Ok(())
}
