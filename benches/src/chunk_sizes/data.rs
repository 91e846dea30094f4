//! Data as people have it, edited as people edit it. Each maker writes the versions of one file.

mod archive;
mod checkpoint;
mod pages;
mod python;
mod text;
mod trajectory;

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::place::Place;

/// How often data is edited.
const EDITS: u64 = 3;

/// Writes the versions of a file of about so many bytes into a folder. If that can't be there is a note instead.
pub type Make = fn(&Place, &Path, u64) -> Result<Result<Vec<PathBuf>, String>>;

/// Data and its edits.
pub struct Data {
    pub name: &'static str,
    pub what: &'static str,
    pub make: Make,
}

pub const ALL: &[Data] = &[
    Data {
        name: "trajectory",
        what: "DCD: the count in the header changes, 2 % of frames are appended",
        make: |_, folder, size| trajectory::make(folder, size).map(Ok),
    },
    Data {
        name: "checkpoint",
        what: "safetensors: a quarter of the layers is trained; one layer, the header grows; one layer is inserted",
        make: |_, folder, size| checkpoint::make(folder, size).map(Ok),
    },
    Data {
        name: "tar",
        what: "files of 1 KiB to 4 MiB: 1 % change; 2 % are removed, 2 % added; all are in another order",
        make: |_, folder, size| archive::tar(folder, size).map(Ok),
    },
    Data {
        name: "tar.gz",
        what: "the same, compressed by gzip: nothing but the part before the first change can be shared",
        make: |_, folder, size| archive::tar_gz(folder, size).map(Ok),
    },
    Data {
        name: "pages",
        what: "HDF5-like: pages of 4 KiB are changed in place, one for each 8 MiB, and 256 KiB are appended",
        make: |_, folder, size| pages::make(folder, size).map(Ok),
    },
    Data {
        name: "csv",
        what: "lines of numbers: 20 are inserted at each of 5 places, 1 % is appended",
        make: |_, folder, size| text::make(folder, size).map(Ok),
    },
    Data {
        name: "sqlite",
        what: "rows of 2 KB: 1 % side by side and 20 elsewhere are updated, 1 % are added",
        make: |place, folder, size| python::make(place, folder, "sqlite", size),
    },
    Data {
        name: "parquet-append",
        what: "1 % of rows are appended",
        make: |place, folder, size| python::make(place, folder, "parquet-append", size),
    },
    Data {
        name: "parquet",
        what: "100 rows are inserted at each of 2 places",
        make: |place, folder, size| python::make(place, folder, "parquet", size),
    },
    Data {
        name: "parquet-cdc",
        what: "the same, written with pages that are cut by content",
        make: |place, folder, size| python::make(place, folder, "parquet-cdc", size),
    },
];

/// The file of a version.
fn version_path(folder: &Path, version: u64) -> PathBuf {
    folder.join(format!("version-{version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_edit_changes_little_and_something() {
        for (name, most) in [("trajectory", 0.03), ("csv", 0.02), ("pages", 0.2)] {
            let folder = tempfile::tempdir().unwrap();
            let place = Place::new(Some(folder.path())).unwrap();
            let data = ALL.iter().find(|data| data.name == name).unwrap();
            let versions = (data.make)(&place, folder.path(), 8 << 20).unwrap().unwrap();
            assert_eq!(versions.len(), 1 + EDITS as usize, "{name}");
            for pair in versions.windows(2) {
                let [before, after] = [&pair[0], &pair[1]].map(|path| std::fs::read(path).unwrap());
                assert_ne!(before, after, "{name}");
                assert!(after.len() as f64 <= before.len() as f64 * (1.0 + most), "{name}");
                let same = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
                assert!(same > 0 && same < before.len(), "{name}: the first {same} bytes are the same");
            }
        }
    }
}
