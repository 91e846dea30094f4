//! Where the campaign's files are, how much they take, and somebody who alters them behind the store's back.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use strongroom::content::Usage;
use strongroom::workflow::{DagResult, Storages};
use strongroom::{ContentConfig, ContentStorage, ErrorKind, Layout, VerifyOptions};

/// Opens the storages in `folder`: plain files that are shared while the campaign runs, and a content store for what stays.
pub async fn open(folder: &Path) -> Result<(ContentStorage, Storages)> {
    let url = |name: &str| folder.join(name).to_str().map(String::from).context("the folder's name is not UTF-8");
    // Chunks that are cut by content are shared by trajectories that begin the same.
    let config = ContentConfig::default().with_layout(Layout::Chunked);
    let permanent = strongroom::create(&url("store")?, config).await?;
    let shared = strongroom::open_storage(&url("shared")?)?;
    Ok((permanent.clone(), Storages::new(shared, permanent.into())))
}

/// Prints how much there is by name, and how much it takes.
pub async fn show(content: &ContentStorage) -> Result<Usage> {
    let usage = content.usage().await?;
    // What the engine remembers of results is small.
    for row in usage.namespaces.iter().filter(|row| row.logical_bytes > 1 << 20) {
        let name = row.namespace.to_string();
        println!("    {name:32} {:3} files {:6.1} MiB", row.objects, mebibytes(row.logical_bytes));
    }
    println!(
        "  {} files of {:.1} MiB take {:.1} MiB in {} files of the store",
        usage.objects,
        mebibytes(usage.logical_bytes),
        mebibytes(usage.stored_bytes),
        usage.stored_files,
    );
    Ok(usage)
}

/// Flips a byte in the largest file of the store, makes sure that it is found whatever is asked, and flips it back.
pub async fn survive_a_flipped_byte(folder: &Path, result: &DagResult) -> Result<()> {
    ensure!(is_sound(folder).await?, "the store is damaged before anything was done to it");
    let file = largest_file(&folder.join("store"))?;
    flip(&file)?;
    let (mut caught, mut intact) = (Vec::new(), 0);
    let (_, storages) = open(folder).await?;
    for entry in
        result.units.iter().filter_map(|unit| unit.outcome.as_ref().ok()).flat_map(|unit| &unit.permanent.entries)
    {
        match entry.verify(&storages).await {
            Ok(()) => intact += 1,
            Err(error) if error.kind() == ErrorKind::Corrupt => caught.push(error),
            Err(error) => bail!(error),
        }
    }
    for error in &caught {
        println!("  {error}");
    }
    println!("  {intact} other files are whole");
    ensure!(!caught.is_empty() && !is_sound(folder).await?, "nobody saw that a byte was flipped");
    flip(&file)?;
    ensure!(is_sound(folder).await?, "the store is damaged although the byte is back");
    println!("  flipped back: the store is sound");
    Ok(())
}

/// Reads everything, as another process would: without anything that was known before.
async fn is_sound(folder: &Path) -> Result<bool> {
    let (content, _) = open(folder).await?;
    let report = content.verify(VerifyOptions::default().with_data(true)).await?;
    for problem in &report.problems {
        println!("  verify: {}: {}; {} objects are affected", problem.file, problem.detail, problem.affected.len());
    }
    Ok(report.is_sound())
}

/// Inverts the bits of the byte in the middle of a file.
fn flip(path: &Path) -> Result<()> {
    let metadata = fs::metadata(path)?;
    let mut bytes = fs::read(path)?;
    let middle = bytes.len() / 2;
    bytes[middle] = !bytes[middle];
    // A file of the store is read-only.
    fs::remove_file(path)?;
    fs::write(path, bytes)?;
    Ok(fs::set_permissions(path, metadata.permissions())?)
}

fn largest_file(folder: &Path) -> Result<PathBuf> {
    let (mut largest, mut folders) = ((0, PathBuf::new()), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let (entry, path) = entry.map(|entry| (entry.metadata(), entry.path()))?;
            match entry? {
                metadata if metadata.is_dir() => folders.push(path),
                metadata => largest = largest.max((metadata.len(), path)),
            }
        }
    }
    Ok(largest.1)
}

pub fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
