//! What does work on a bucket take: how many requests, and for large files how much time, beside `object_store` by itself?
//!
//! The bucket is that of a server of our own ([`crate::s3`]), which is spoken to by HTTP on a loopback port.

mod direct;
mod requests;
mod tally;
mod throughput;
mod transfer;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use strongroom::cloud::ObjectStorage;

/// Works with a bucket, and counts the requests or measures the time.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo bench -p strongroom-bench --bench cloud --", max_term_width = 120)]
struct Options {
    #[command(subcommand)]
    work: What,
    /// Everything tiny and once: shows that it runs, says nothing about speed
    #[arg(long, global = true)]
    smoke: bool,
    /// Where to work; a folder on the disk that is to be measured
    #[arg(long, value_name = "FOLDER", global = true)]
    folder: Option<PathBuf>,
    /// Where the JSON goes
    #[arg(long, value_name = "FILE", global = true)]
    json: Option<PathBuf>,
    /// Cargo says so
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// How many requests each operation takes
    Requests(requests::Requests),
    /// How fast a large file comes and goes
    Throughput(throughput::Throughput),
    /// Be the server, as long as there is input
    #[command(hide = true)]
    Serve,
    /// Store or load one file
    #[command(hide = true)]
    Transfer(transfer::Transfer),
}

const REGION: &str = "here";
const ACCESS_KEY: &str = "anybody";
const SECRET: &str = "nothing";

/// Does what the command line says.
pub fn run() -> Result<()> {
    let options = Options::parse();
    match &options.work {
        What::Requests(requests) => requests.run(&options),
        What::Throughput(throughput) => throughput.run(&options),
        What::Serve => throughput::serve(),
        What::Transfer(transfer) => transfer.run(),
    }
}

/// What is below `prefix` in a bucket of the server at `url`; nothing is sent yet.
fn bucket(url: &str, bucket: &str, prefix: &str) -> Result<ObjectStorage> {
    let settings = [
        ("aws_endpoint_url", url),
        ("aws_allow_http", "true"),
        ("aws_region", REGION),
        ("aws_access_key_id", ACCESS_KEY),
        ("aws_secret_access_key", SECRET),
    ];
    Ok(ObjectStorage::builder(&format!("s3://{bucket}/{prefix}")).with_settings(settings).open()?)
}
