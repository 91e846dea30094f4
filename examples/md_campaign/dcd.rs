//! Trajectories as DCD files, in the layout of CHARMM 24 that VMD, MDAnalysis and MDTraj read: little-endian Fortran records.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::fluid::{State, TIME_STEP};

/// Where the number of frames stands: behind the record's length and the word `CORD`.
const FRAMES_AT: u64 = 8;
/// Where the number of steps stands, the fourth number after the word `CORD`.
const STEPS_AT: u64 = 20;
/// The record of numbers, that of two lines of title, and that of the number of atoms.
const HEADER_BYTES: u64 = (84 + 8) + (4 + 2 * 80 + 8) + (4 + 8);

/// A trajectory that is being written.
pub struct Trajectory {
    file: BufWriter<File>,
    frames: u32,
    steps_between: u32,
}

impl Trajectory {
    /// A new file, for frames of `atoms` atoms that are `steps_between` steps apart; the first is as far from `begun_at`.
    pub fn create(path: &Path, atoms: usize, begun_at: u64, steps_between: u32) -> io::Result<Self> {
        let mut numbers = [0i32; 20];
        numbers[1] = number(begun_at + u64::from(steps_between))?; // the step of the first frame
        numbers[2] = number(steps_between)?;
        numbers[9] = (TIME_STEP as f32).to_bits().cast_signed();
        numbers[10] = 1; // each frame has the unit cell
        numbers[19] = 24; // the version of CHARMM
        let mut control = b"CORD".to_vec();
        numbers.iter().for_each(|number| control.extend(number.to_le_bytes()));
        let mut title = 2i32.to_le_bytes().to_vec();
        for line in ["REMARKS Lennard-Jones fluid in reduced units", "REMARKS written by the md_campaign example"] {
            title.extend(format!("{line:<80}").bytes());
        }
        let mut file = BufWriter::new(File::create(path)?);
        record(&mut file, &control)?;
        record(&mut file, &title)?;
        record(&mut file, &number(atoms)?.to_le_bytes())?;
        Ok(Self { file, frames: 0, steps_between })
    }

    /// A file that is there, to add frames to.
    pub fn append(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut start = [0; 20];
        file.read_exact(&mut start)?;
        if &start[4..8] != b"CORD" {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no DCD file"));
        }
        let word = |at: usize| u32::from_le_bytes([start[at], start[at + 1], start[at + 2], start[at + 3]]);
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file: BufWriter::new(file), frames: word(8), steps_between: word(16) })
    }

    /// How many steps are between two frames.
    pub fn steps_between(&self) -> u32 {
        self.steps_between
    }

    /// Adds a frame.
    pub fn write(&mut self, state: &State) -> io::Result<()> {
        let cell = [state.edge, 90.0, state.edge, 90.0, 90.0, state.edge];
        record(&mut self.file, &cell.map(f64::to_le_bytes).concat())?;
        for axis in 0..3 {
            let mut column = Vec::with_capacity(4 * state.positions.len());
            for position in &state.positions {
                column.extend((position[axis] as f32).to_le_bytes());
            }
            record(&mut self.file, &column)?;
        }
        self.frames += 1;
        Ok(())
    }

    /// Writes the number of frames into the header, and ends.
    pub fn finish(self) -> io::Result<()> {
        let mut file = self.file.into_inner()?;
        for (at, value) in [(FRAMES_AT, self.frames), (STEPS_AT, self.frames * self.steps_between)] {
            file.seek(SeekFrom::Start(at))?;
            file.write_all(&number(value)?.to_le_bytes())?;
        }
        Ok(())
    }
}

/// Where frame `index` of a file with `atoms` atoms is, in bytes: so one frame can be loaded by itself.
pub fn frame_range(atoms: usize, index: u64) -> std::ops::Range<u64> {
    let frame_bytes = (48 + 8) + 3 * (4 * atoms as u64 + 8);
    let start = HEADER_BYTES + index * frame_bytes;
    start..start + frame_bytes
}

/// The edge of the cube and the positions in the bytes of one frame.
pub fn read_frame(frame: &[u8]) -> Option<(f64, Vec<[f64; 3]>)> {
    let (cell, columns) = frame.split_at_checked(56)?;
    let edge = f64::from_le_bytes(cell[4..12].try_into().ok()?);
    let column_bytes = columns.len() / 3;
    let mut positions = vec![[0.0; 3]; (column_bytes - 8) / 4];
    for (axis, column) in columns.chunks_exact(column_bytes).enumerate() {
        for (position, bytes) in positions.iter_mut().zip(column[4..].chunks_exact(4)) {
            position[axis] = f64::from(f32::from_le_bytes(bytes.try_into().ok()?));
        }
    }
    Some((edge, positions))
}

/// A Fortran record: its length, its bytes, its length again.
fn record(file: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = number(bytes.len())?.to_le_bytes();
    file.write_all(&length)?;
    file.write_all(bytes)?;
    file.write_all(&length)
}

fn number(value: impl TryInto<i32>) -> io::Result<i32> {
    value.try_into().map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a number is too large for a DCD file"))
}
