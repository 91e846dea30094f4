//! One byte is inserted at the front of a large file: how much of it is new to a chunked store?

use std::io::Write;

use anyhow::Result;
use strongroom::{ContentConfig, Layout, PutOptions};

use super::store_again::read;
use super::store_new::put;
use crate::bench::{Bench, usage};
use crate::table::{Goal, Table};

pub fn answer(bench: &Bench, table: &mut Table) -> Result<()> {
    let folder = bench.scratch()?;
    let file = bench.noise_file(folder.path(), bench.options.large)?;
    let shifted = folder.path().join("shifted");
    let mut writer = std::fs::File::create(&shifted)?;
    writer.write_all(b"!")?;
    let mut written = Ok(());
    read(&file, |bytes| written = std::mem::replace(&mut written, Ok(())).and_then(|()| writer.write_all(bytes)))?;
    written?;

    let store_folder = folder.path().join("store");
    let store = bench.create(&store_folder, ContentConfig::default())?;
    let options = PutOptions::default().with_layout(Layout::Chunked);
    put(bench, &store, &file, options.clone())?;
    let (_, before) = usage(&store_folder)?;
    put(bench, &store, &shifted, options)?;
    let (_, after) = usage(&store_folder)?;
    let percent = (after - before) as f64 / bench.options.large as f64 * 100.0;
    table.value("new bytes after one inserted at the front, chunked", percent, "%", Goal::ValueAtMost(0.5));
    Ok(())
}
