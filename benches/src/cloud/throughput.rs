//! How fast does a large file come and go, beside `object_store` by itself with as many requests at once?
//!
//! The server is another process, and each transfer is one, so that the processor time is the client's alone.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;

use super::Options;
use super::transfer::{At, By, Transfer, Way};
use crate::measure::median;
use crate::options::size;
use crate::place::Place;
use crate::race::{Amount, Entry, Figure, Figures, Race, Rounds};
use crate::s3::{DISCARDING, Server};

/// What is wanted of `object_store`'s speed, and of its processor time by ours.
const LEAST: f64 = 0.9;
/// How much memory a client may have, in bytes.
const MEMORY_MAX: f64 = 256.0 * 1024.0 * 1024.0;
/// The bucket that stores are read from.
const KEPT: &str = "kept";

#[derive(Debug, Args)]
pub struct Throughput {
    /// How often each thing is measured, after one round that doesn't count
    #[arg(long, default_value = "5", default_value_if("smoke", "true", "1"))]
    repeats: usize,
    /// The size of the file
    #[arg(long, value_name = "BYTES", value_parser = size, default_value = "1G", default_value_if("smoke", "true", "72M"))]
    large: u64,
    /// How much is written and deleted before each transfer, so that the host has given us the memory
    #[arg(long, value_name = "BYTES", value_parser = size, default_value = "2G", default_value_if("smoke", "true", "0"))]
    warm: u64,
    /// Only transfers whose description contains this
    #[arg(value_name = "WORK")]
    only: Option<String>,
}

/// A server in a process of its own, which ends with this value.
struct Served {
    process: Child,
    url: String,
}

/// What is compared.
struct Pair {
    work: String,
    ours: Entry,
    theirs: Entry,
    /// Whether ours hashes all of it.
    verifies: bool,
}

/// One line of the table.
#[derive(Serialize)]
struct Row {
    work: String,
    ours: Figure,
    theirs: Figure,
    speed_ratio: f64,
    cpu_ratio: f64,
    /// The same against `object_store` and a pass of BLAKE3, without which no content store can verify.
    verified_cpu_ratio: Option<f64>,
    memory_bytes: f64,
}

impl Served {
    fn start() -> Result<Self> {
        let mut server = Command::new(std::env::current_exe()?);
        let mut process = server.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut url = String::new();
        BufReader::new(process.stdout.take().context("no output")?).read_line(&mut url)?;
        ensure!(!url.is_empty(), "the server did not start");
        Ok(Self { process, url: url.trim().into() })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It ends when its input does.
        drop(self.process.stdin.take());
        self.process.wait().map(drop).unwrap_or_default();
    }
}

/// Serves until the input ends.
pub fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let server = runtime.block_on(Server::start())?;
    println!("{}", server.url());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}

impl Throughput {
    pub fn run(&self, options: &Options) -> Result<()> {
        let place = Place::new(options.folder.as_deref())?;
        let served = Served::start()?;
        let folder = place.scratch()?;
        let noise = place.noise_file(folder.path(), self.large)?;
        let target = folder.path().join("target");
        let memory: RefCell<BTreeMap<String, Vec<f64>>> = RefCell::default();

        let transfer = |by, way, at, bucket: &str, prefix: &str| {
            let file = if way == Way::Store { noise.clone() } else { target.clone() };
            let (url, bucket, prefix) = (served.url.clone(), bucket.into(), prefix.into());
            Transfer { by, way, at, url, bucket, prefix, file, size: self.large }
        };
        for (by, bucket) in [(By::Storage, DISCARDING), (By::Whole, KEPT), (By::Chunked, KEPT)] {
            transfer(by, Way::Store, At::File, bucket, prefix(by)).ask()?;
        }

        let mut race =
            Race::at(&place, Rounds { repeats: self.repeats, smoke: options.smoke, warm: self.warm }).settled();
        let mut pairs = Vec::new();
        let is_asked = |work: &str| self.only.as_ref().is_none_or(|only| work.contains(only.as_str()));
        for (way, at) in
            [(Way::Store, At::File), (Way::Store, At::Memory), (Way::Load, At::File), (Way::Load, At::Memory)]
        {
            let described = |by| describe(by, way, at);
            let mut contenders = vec![By::Storage];
            if at == At::File {
                contenders.extend([By::Whole, By::Chunked]);
            }
            contenders.retain(|by| is_asked(&described(*by)));
            if contenders.is_empty() {
                continue;
            }
            let mut enter = |by: By| {
                let (work, mut run) = (described(by), 0);
                let (transfer, memory, target) = (&transfer, &memory, &target);
                race.enter(&work.clone(), Amount::Bytes(self.large), move || {
                    run += 1;
                    let needed = match (way, by) {
                        (Way::Store, _) => transfer(by, way, at, DISCARDING, &format!("{}-{run}", prefix(by))),
                        (Way::Load, By::Whole | By::Chunked) => transfer(by, way, at, KEPT, prefix(by)),
                        // The rival reads what the backend has stored.
                        (Way::Load, _) => transfer(by, way, at, DISCARDING, prefix(By::Storage)),
                    }
                    .ask()?;
                    memory.borrow_mut().entry(work.clone()).or_default().push(needed.memory_bytes as f64);
                    std::fs::remove_file(target).unwrap_or_default();
                    Ok(needed.sample)
                })
            };
            let theirs = enter(By::ObjectStore);
            for by in contenders {
                let verifies = matches!(by, By::Whole | By::Chunked);
                pairs.push(Pair { work: described(by), ours: enter(by), theirs, verifies });
            }
        }
        let hashed = race.enter("BLAKE3", Amount::Bytes(self.large), || {
            Ok(transfer(By::Hash, Way::Store, At::File, DISCARDING, "none").ask()?.sample)
        });
        let figures = race.run()?;
        let memory = memory.into_inner();
        let rows: Vec<Row> = pairs.iter().map(|pair| row(pair, &figures, hashed, &memory)).collect();
        print!("{}", markdown(&rows, &figures[hashed]));
        let path = options.json.clone().unwrap_or_else(|| place.kept("cloud-throughput.json"));
        std::fs::write(&path, serde_json::to_string_pretty(&rows)? + "\n")
            .with_context(|| path.display().to_string())?;
        eprintln!("written to {}", path.display());
        Ok(())
    }
}

fn prefix(by: By) -> &'static str {
    match by {
        By::ObjectStore => "client",
        By::Storage => "storage",
        By::Whole => "whole",
        By::Chunked => "chunked",
        By::Hash => "none",
    }
}

fn describe(by: By, way: Way, at: At) -> String {
    let what = match (way, at) {
        (Way::Store, At::File) => "store a file",
        (Way::Store, At::Memory) => "store from memory",
        (Way::Load, At::File) => "load to a file",
        (Way::Load, At::Memory) => "load to memory",
    };
    let how = match by {
        By::ObjectStore => "`object_store`",
        By::Storage => "`ObjectStorage` alone",
        By::Whole => "content store, whole",
        By::Chunked => "content store, chunked",
        By::Hash => "BLAKE3",
    };
    format!("{what}, {how}")
}

fn row(pair: &Pair, figures: &Figures, hashed: Entry, memory: &BTreeMap<String, Vec<f64>>) -> Row {
    let (ours, theirs) = (&figures[pair.ours], &figures[pair.theirs]);
    let verified_cpu = theirs.cpu_seconds() + figures[hashed].cpu_seconds();
    Row {
        work: pair.work.clone(),
        ours: ours.clone(),
        theirs: theirs.clone(),
        speed_ratio: ours.rate() / theirs.rate(),
        cpu_ratio: theirs.cpu_seconds() / ours.cpu_seconds(),
        verified_cpu_ratio: pair.verifies.then(|| verified_cpu / ours.cpu_seconds()),
        memory_bytes: memory.get(&pair.work).map_or(f64::NAN, |peaks| median(peaks.iter().copied())),
    }
}

fn markdown(rows: &[Row], hashed: &Figure) -> String {
    let shown = |figure: &Figure| {
        format!("{:.0} MB/s ({:.2} s, CPU {:.2} s)", figure.rate() / 1e6, figure.seconds(), figure.cpu_seconds())
    };
    let ratio = |ratio: f64| if ratio < LEAST { format!("**{ratio:.2}x**") } else { format!("{ratio:.2}x") };
    let mut text = String::from(
        "| work | strongroom | `object_store` | speed | CPU | CPU, with BLAKE3 | memory |\n|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let mebibytes = row.memory_bytes / f64::from(1 << 20);
        let memory = if row.memory_bytes > MEMORY_MAX {
            format!("**{mebibytes:.0} MiB**")
        } else {
            format!("{mebibytes:.0} MiB")
        };
        let (speed, cpu) = (ratio(row.speed_ratio), ratio(row.cpu_ratio));
        let (ours, theirs) = (shown(&row.ours), shown(&row.theirs));
        let verified = row.verified_cpu_ratio.map(ratio).unwrap_or_default();
        text.push_str(&format!("| {} | {ours} | {theirs} | {speed} | {cpu} | {verified} | {memory} |\n", row.work));
    }
    text.push_str(&format!("\nBLAKE3 of the file alone: {}.\n", shown(hashed)));
    text
}
