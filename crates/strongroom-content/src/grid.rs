//! Whole files: one BLAKE3 pass gives the file's digest and, for each cell of a 1 MiB grid, what its bytes can be verified by.
//!
//! BLAKE3 is a tree over 1 KiB chunks, and an aligned run of 2^k of them is a subtree. A cell's chaining value thus is an
//! inner node of the file's own hash: cells are verified one by one, and the list of cells by the file's digest
//! (O'Connor, Aumasson, Neves, Wilcox-O'Hearn: "BLAKE3", section 2.1; `blake3::hazmat`).

use blake3::hazmat::{self, HasherExt, Mode};
use bytes::Bytes;
use futures::TryStreamExt;
use strongroom_storage::{ByteStream, Digest, Result, unblock};

use crate::chunk::{Cell, GRID_BYTES};
use crate::content::cell_count;

/// Hashes a file's bytes as they pass.
#[derive(Debug)]
pub(crate) struct GridHasher {
    cells: Vec<Cell>,
    current: blake3::Hasher,
    /// Bytes in the current cell.
    filled: u64,
    size: u64,
}

impl GridHasher {
    pub(crate) fn new() -> Self {
        Self { cells: Vec::new(), current: blake3::Hasher::new(), filled: 0, size: 0 }
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.filled == GRID_BYTES {
                self.cells.push(self.current.finalize_non_root());
                self.current = blake3::Hasher::new();
                self.current.set_input_offset(self.size);
                self.filled = 0;
            }
            let room = usize::try_from(GRID_BYTES - self.filled).unwrap_or(usize::MAX).min(bytes.len());
            let (now, later) = bytes.split_at(room);
            self.current.update(now);
            self.filled += now.len() as u64;
            self.size += now.len() as u64;
            bytes = later;
        }
    }

    /// Takes all that a stream gives, on a thread where that may take its time.
    ///
    /// # Errors
    /// Those of the stream.
    pub(crate) async fn read(mut self, mut stream: ByteStream) -> Result<Self> {
        while let Some(bytes) = stream.try_next().await? {
            self = self.take(bytes).await?;
        }
        Ok(self)
    }

    /// Takes the next bytes, on a thread where that may take its time.
    ///
    /// # Errors
    /// Only if the runtime is shutting down.
    pub(crate) async fn take(mut self, bytes: Bytes) -> Result<Self> {
        unblock(move || {
            self.update(&bytes);
            Ok(self)
        })
        .await
    }

    /// The file's digest, its size in bytes, and its cells (none if there is at most one).
    pub(crate) fn finish(mut self) -> (Digest, u64, Vec<Cell>) {
        if self.cells.is_empty() {
            return (self.current.finalize().into(), self.size, Vec::new());
        }
        self.cells.push(self.current.finalize_non_root());
        (root(&self.cells, self.size), self.size, self.cells)
    }
}

/// Whether `cells` are those of a file of `size` bytes with this digest.
pub(crate) fn cells_match(cells: &[Cell], size: u64, digest: &Digest) -> bool {
    cells.len() as u64 == cell_count(size) && (cells.is_empty() || root(cells, size) == *digest)
}

/// Whether `bytes` are cell number `index` of a file.
pub(crate) fn cell_matches(cells: &[Cell], index: usize, bytes: &[u8], digest: &Digest) -> bool {
    match cells.get(index) {
        Some(cell) => {
            let offset = index as u64 * GRID_BYTES;
            blake3::Hasher::new().set_input_offset(offset).update(bytes).finalize_non_root() == *cell
        }
        None => index == 0 && cells.is_empty() && Digest::of(bytes) == *digest,
    }
}

/// The root of the tree over at least two cells of a file of `size` bytes.
fn root(cells: &[Cell], size: u64) -> Digest {
    let (left, right) = halves(cells, size);
    hazmat::merge_subtrees_root(&left, &right, Mode::Hash).into()
}

fn subtree(cells: &[Cell], size: u64) -> Cell {
    if let [cell] = cells {
        return *cell;
    }
    let (left, right) = halves(cells, size);
    hazmat::merge_subtrees_non_root(&left, &right, Mode::Hash)
}

fn halves(cells: &[Cell], size: u64) -> (Cell, Cell) {
    let left_size = hazmat::left_subtree_len(size);
    let left_cells = usize::try_from(left_size / GRID_BYTES).unwrap_or(usize::MAX).min(cells.len());
    let (left, right) = cells.split_at(left_cells);
    (subtree(left, left_size), subtree(right, size - left_size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(size: u64) -> Vec<u8> {
        (0..size).map(|n| (n % 251) as u8).collect()
    }

    #[test]
    fn the_digest_is_that_of_b3sum_for_sizes_around_the_grid() {
        for size in [
            0,
            1,
            1024,
            GRID_BYTES - 1,
            GRID_BYTES,
            GRID_BYTES + 1,
            2 * GRID_BYTES,
            2 * GRID_BYTES + 5,
            3 * GRID_BYTES,
            5 * GRID_BYTES - 1,
            7 * GRID_BYTES + 1025,
        ] {
            let content = content(size);
            let mut hasher = GridHasher::new();
            content.chunks(70_001).for_each(|piece| hasher.update(piece));
            let (digest, hashed, cells) = hasher.finish();
            assert_eq!(digest, Digest::of(&content), "{size} bytes");
            assert_eq!(hashed, size);
            assert!(cells_match(&cells, size, &digest));
            for (index, cell) in content.chunks(GRID_BYTES as usize).enumerate() {
                assert!(cell_matches(&cells, index, cell, &digest), "cell {index} of {size} bytes");
                let mut damaged = cell.to_vec();
                damaged[cell.len() / 2] ^= 1;
                assert!(!cell_matches(&cells, index, &damaged, &digest));
            }
        }
    }

    #[test]
    fn forged_cells_do_not_match() {
        let mut hasher = GridHasher::new();
        hasher.update(&content(3 * GRID_BYTES));
        let (digest, size, mut cells) = hasher.finish();
        cells.swap(0, 1);
        assert!(!cells_match(&cells, size, &digest));
        assert!(!cells_match(&cells[..2], size, &digest));
        assert!(!cells_match(&[], size, &digest));
    }
}
