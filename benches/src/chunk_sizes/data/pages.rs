//! A file of pages that are changed in place, as databases and array files are.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{EDITS, version_path};
use crate::data::Noise;
use crate::place::write_file;

const PAGE_BYTES: u64 = 4 << 10;
/// In so many bytes, one page changes.
const CHANGED_IN_BYTES: u64 = 8 << 20;
const APPENDED_BYTES: u64 = 256 << 10;

pub fn make(folder: &Path, size: u64) -> Result<Vec<PathBuf>> {
    let mut noise = Noise::new(61);
    let mut versions = vec![version_path(folder, 0)];
    write_file(&versions[0], size, |buffer| noise.fill(buffer))?;
    for version in 1..=EDITS {
        let path = version_path(folder, version);
        fs::copy(&versions[version as usize - 1], &path)?;
        let file = File::options().write(true).open(&path)?;
        let length = file.metadata()?.len();
        for _ in 0..size.div_ceil(CHANGED_IN_BYTES) {
            let mut page = vec![0; PAGE_BYTES as usize];
            noise.fill(&mut page);
            file.write_all_at(&page, noise.next() % (length / PAGE_BYTES) * PAGE_BYTES)?;
        }
        let mut appended = vec![0; APPENDED_BYTES as usize];
        noise.fill(&mut appended);
        file.write_all_at(&appended, length)?;
        versions.push(path);
    }
    Ok(versions)
}
