//! What does it cost to compute MD5 or SHA-256 as well while a large file is stored?
//!
//! The rival computes that digest alone, on one thread, and stores nothing.

use std::path::Path;

use anyhow::Result;
use md5::Digest;
use strongroom::{ContentConfig, DigestSet, Layout, PutOptions};

use super::store_again::read;
use super::store_new::put;
use crate::bench::Bench;
use crate::measure::time;
use crate::race::{Amount, Race};
use crate::table::{Goal, Table};

pub fn answer(bench: &Bench, table: &mut Table) -> Result<()> {
    let folder = bench.scratch()?;
    let file = bench.noise_file(folder.path(), bench.options.large)?;
    let amount = Amount::Bytes(bench.options.large);
    let mut race = Race::new(bench).settled();
    let mut store = |name: &str, set: DigestSet| {
        let file = &file;
        race.enter(name, amount, move || {
            let folder = bench.scratch()?;
            let store = bench.create(folder.path(), ContentConfig::default())?;
            let options = PutOptions::default().with_layout(Layout::Whole).with_digests(set);
            Ok(time(|| put(bench, &store, file, options))?.0)
        })
    };
    let with_md5 = store("with MD5", DigestSet::MD5);
    let mut sha256_only = DigestSet::NONE;
    sha256_only.sha256 = true;
    let with_sha256 = store("with SHA-256", sha256_only);
    let md5 = race.enter("MD5", amount, || Ok(time(|| hash::<md5::Md5>(&file))?.0));
    let sha256 = race.enter("SHA-256", amount, || Ok(time(|| hash::<sha2::Sha256>(&file))?.0));
    let figures = race.run()?;
    table.compare(
        "one new file, whole, with MD5",
        &figures[with_md5],
        "MD5 alone",
        &figures[md5],
        Goal::TimeAtMost(1.1),
    );
    let work = "one new file, whole, with SHA-256";
    table.compare(work, &figures[with_sha256], "SHA-256 alone", &figures[sha256], Goal::TimeAtMost(1.1));
    Ok(())
}

fn hash<D: Digest>(file: &Path) -> Result<()> {
    let mut hasher = D::new();
    read(file, |bytes| hasher.update(bytes))?;
    hasher.finalize();
    Ok(())
}
