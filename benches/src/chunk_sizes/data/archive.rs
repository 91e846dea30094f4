//! Archives of a folder whose files change, come and go: as `tar` writes them, and compressed by `gzip`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use super::version_path;
use crate::bench::execute;
use crate::data::{Noise, Text};

const FILE_BYTES_MIN: u64 = 1 << 10;
/// How many times a file can be twice as large as the smallest.
const DOUBLINGS: u64 = 12;

pub fn tar(folder: &Path, size: u64) -> Result<Vec<PathBuf>> {
    let content = folder.join("content");
    fs::create_dir(&content)?;
    let mut noise = Noise::new(51);
    let (mut names, mut total) = (Vec::new(), 0);
    while total < size {
        let name = format!("file-{:06}.dat", names.len() * 100);
        total += write_file(&content.join(&name), &mut noise)?;
        names.push(name);
    }
    let mut versions = vec![pack(folder, &content, &names, 0)?];

    let some = |share: usize| (names.len() / share).max(1);
    let (changed, moved) = (some(100), some(50));
    for _ in 0..changed {
        write_file(&content.join(&names[choose(&mut noise, names.len())]), &mut noise)?;
    }
    versions.push(pack(folder, &content, &names, 1)?);

    for index in 0..moved {
        fs::remove_file(content.join(names.remove(choose(&mut noise, names.len()))))?;
        let name = format!("file-{:06}.dat", choose(&mut noise, names.len()) * 100 + index % 99 + 1);
        write_file(&content.join(&name), &mut noise)?;
        names.push(name);
    }
    names.sort();
    names.dedup();
    versions.push(pack(folder, &content, &names, 2)?);

    noise.shuffle(&mut names);
    versions.push(pack(folder, &content, &names, 3)?);
    fs::remove_dir_all(content)?;
    Ok(versions)
}

pub fn tar_gz(folder: &Path, size: u64) -> Result<Vec<PathBuf>> {
    let versions = tar(folder, size)?;
    let mut compressed = Vec::new();
    for path in versions {
        let target = path.with_extension("gz");
        let (input, output) = (File::open(&path)?, File::create(&target)?);
        let status = Command::new("gzip").args(["--no-name", "--fast"]).stdin(input).stdout(output).status()?;
        ensure!(status.success(), "gzip could not compress {}", path.display());
        fs::remove_file(path)?;
        compressed.push(target);
    }
    Ok(compressed)
}

fn choose(noise: &mut Noise, count: usize) -> usize {
    (noise.next() % count as u64) as usize
}

/// Small ones are as frequent as large ones; half of them are text.
fn write_file(path: &Path, noise: &mut Noise) -> Result<u64> {
    let least = FILE_BYTES_MIN << (noise.next() % DOUBLINGS);
    let size = least + noise.next() % least;
    let mut bytes = vec![0; size as usize];
    let mut own = Noise::new(noise.next());
    match noise.next() % 2 {
        0 => own.fill(&mut bytes),
        _ => Text::seeded(own).fill(&mut bytes),
    }
    fs::write(path, bytes)?;
    Ok(size)
}

fn pack(folder: &Path, content: &Path, names: &[String], version: u64) -> Result<PathBuf> {
    let (list, path) = (folder.join("list"), version_path(folder, version));
    fs::write(&list, names.join("\n"))?;
    // The same in every run.
    let header = ["--owner=ada:1000", "--group=lab:1000", "--mtime=@1600000000"];
    let mut command = Command::new("tar");
    execute(command.arg("--create").args(header).arg("--file").arg(&path).arg("-C").arg(content).arg("-T").arg(&list))?;
    Ok(path)
}
