//! How fast strongroom is, beside what else one could use.
//!
//! Each file in `questions` asks one thing, and answers it with rows of a table: our figure, a rival's from the same run, the
//! ratio, and the goal that we set ourselves. `BENCHMARKS.md` says how to run and read it.
#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "a stopwatch reads the clock")]

mod bench;
mod chunk_sizes;
mod cloud;
mod data;
mod fresh;
mod measure;
mod memory;
mod options;
mod place;
mod python;
mod python_package;
mod questions;
mod race;
mod s3;
mod scale;
mod table;

use anyhow::Context;
use clap::Parser;

use crate::bench::Bench;
use crate::options::Options;
use crate::table::Table;

/// Answers the questions that the command line names: the table as Markdown to stdout, everything that was measured as JSON to
/// a file.
///
/// # Errors
/// Those of storing and reading, and those of rivals.
pub fn run() -> anyhow::Result<()> {
    let options = Options::parse();
    if let Some(work) = &options.fresh {
        return fresh::run(work);
    }
    if options.list {
        questions::ALL.iter().for_each(|question| println!("{}", question.name));
        return Ok(());
    }
    let bench = Bench::new(options)?;
    let mut table = Table::new(bench.options.smoke);
    for question in questions::ALL.iter().filter(|question| bench.options.asks(question.name)) {
        eprintln!("{}", question.name);
        table.question = question.name;
        (question.answer)(&bench, &mut table).with_context(|| format!("the question {}", question.name))?;
    }
    print!("{}", table.markdown());
    let path = bench.json_path();
    std::fs::write(&path, table.json(&bench.options)?).with_context(|| path.display().to_string())?;
    eprintln!("written to {}", path.display());
    Ok(())
}

/// Measures the Python package: a table as Markdown to stdout, everything that was measured as JSON to a file.
///
/// # Errors
/// Those of making the environment and of what is measured.
pub fn python_package() -> anyhow::Result<()> {
    python_package::run()
}

/// Stores edited data with chunks of several sizes: tables as Markdown to stdout, everything that was measured as JSON to a file.
///
/// # Errors
/// Those of storing and reading, and those of the programs that make data.
pub fn chunk_sizes() -> anyhow::Result<()> {
    chunk_sizes::run()
}

/// Lets a store grow and measures whether cost grows with it: points to stdout and to a JSON file, pictures by `plot`.
///
/// # Errors
/// Those of storing, reading and verifying.
pub fn scale() -> anyhow::Result<()> {
    scale::run()
}

/// Works with a bucket: the requests that it takes, and how fast large files come and go; tables as Markdown to stdout.
///
/// # Errors
/// Those of storing and reading, and those of rivals.
pub fn cloud() -> anyhow::Result<()> {
    cloud::run()
}
