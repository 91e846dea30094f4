//! A table of lines, into which lines are inserted.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{EDITS, version_path};
use crate::data::{Noise, Text};

const PLACES: u64 = 5;
const LINES_BYTES: usize = 20 * 41;

pub fn make(folder: &Path, size: u64) -> Result<Vec<PathBuf>> {
    let (mut noise, mut text) = (Noise::new(71), Text::seeded(Noise::new(72)));
    let mut lines = |length: usize| {
        let mut bytes = vec![0; length];
        text.fill(&mut bytes);
        bytes
    };
    let mut table = lines(size as usize);
    let mut versions = vec![version_path(folder, 0)];
    fs::write(&versions[0], &table)?;
    for version in 1..=EDITS {
        for _ in 0..PLACES {
            let place = (noise.next() % table.len() as u64) as usize;
            let place = place + table[place..].iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            table.splice(place..place, lines(LINES_BYTES));
        }
        table.extend(lines(size as usize / 100));
        versions.push(version_path(folder, version));
        fs::write(&versions[version as usize], &table)?;
    }
    Ok(versions)
}
