//! A trajectory as CHARMM and NAMD write it (DCD): a header with the number of frames, then frames of coordinates.

use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{EDITS, version_path};
use crate::data::Noise;

const ATOMS: u32 = 20_000;
/// The unit cell and three records of coordinates, each between two lengths.
const FRAME_BYTES: u64 = 56 + 3 * (8 + 4 * ATOMS as u64);
/// Where the header has the number of frames.
const COUNT_OFFSET: u64 = 8;

pub fn make(folder: &Path, size: u64) -> Result<Vec<PathBuf>> {
    let frames = (size / FRAME_BYTES).max(1);
    let mut noise = Noise::new(31);
    let homes: Vec<f32> = (0..3 * ATOMS).map(|_| unit(&mut noise) * 80.0).collect();
    let mut versions = Vec::new();
    for version in 0..=EDITS {
        let path = version_path(folder, version);
        let mut file = match versions.last() {
            None => File::create(&path)?,
            Some(before) => {
                fs::copy(before, &path)?;
                File::options().write(true).open(&path)?
            }
        };
        if version == 0 {
            file.write_all(&header())?;
        }
        let added = if version == 0 { frames } else { (frames / 50).max(1) };
        let total = frames + version * (frames / 50).max(1);
        file.seek(SeekFrom::Start(COUNT_OFFSET))?;
        file.write_all(&(total as u32).to_le_bytes())?;
        file.seek(SeekFrom::End(0))?;
        let mut writer = BufWriter::new(file);
        for _ in 0..added {
            write_frame(&mut writer, &homes, &mut noise)?;
        }
        writer.flush()?;
        versions.push(path);
    }
    Ok(versions)
}

/// From 0 to 1.
fn unit(noise: &mut Noise) -> f32 {
    (noise.next() >> 40) as f32 / (1 << 24) as f32
}

fn header() -> Vec<u8> {
    let mut bytes = Vec::new();
    record(&mut bytes, &[b"CORD".as_slice(), &[0; 80]].concat());
    record(&mut bytes, &[&2u32.to_le_bytes(), [b' '; 160].as_slice()].concat());
    record(&mut bytes, &ATOMS.to_le_bytes());
    bytes
}

/// Fortran's: the length before and after.
fn record(bytes: &mut Vec<u8>, content: &[u8]) {
    let length = (content.len() as u32).to_le_bytes();
    bytes.extend([&length, content, &length].concat());
}

/// Each atom somewhere near its home.
fn write_frame(writer: &mut impl Write, homes: &[f32], noise: &mut Noise) -> Result<()> {
    let mut bytes = Vec::with_capacity(FRAME_BYTES as usize);
    let cell = [80.0f64, 90.0, 80.0, 90.0, 90.0, 80.0].map(f64::to_le_bytes);
    record(&mut bytes, cell.as_flattened());
    for axis in homes.chunks(ATOMS as usize) {
        let coordinates: Vec<u8> = axis.iter().flat_map(|home| (home + unit(noise)).to_le_bytes()).collect();
        record(&mut bytes, &coordinates);
    }
    writer.write_all(&bytes)?;
    Ok(())
}
