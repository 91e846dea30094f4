//! What to measure, and how much of it: the command line.

use std::path::PathBuf;

use clap::Parser;
use serde::Serialize;

use crate::fresh::Work;

/// Answers questions about the speed of strongroom beside that of others.
///
/// Prints a table as Markdown, and writes all that was measured as JSON.
#[derive(Debug, Parser, Serialize)]
#[command(bin_name = "cargo bench -p strongroom-bench --", max_term_width = 120)]
pub struct Options {
    /// Only questions whose names contain one of these
    #[arg(value_name = "QUESTION")]
    questions: Vec<String>,
    /// Print the names of the questions
    #[arg(long)]
    pub list: bool,
    /// Everything tiny and once: shows that it runs, says nothing about speed
    #[arg(long)]
    pub smoke: bool,
    /// How often each thing is measured, after one round that doesn't count
    #[arg(long, default_value = "5", default_value_if("smoke", "true", "1"))]
    pub repeats: usize,
    /// The size of a large file
    #[arg(long, value_name = "BYTES", value_parser = size, default_value = "1G", default_value_if("smoke", "true", "3M"))]
    pub large: u64,
    /// The size of a stream that is larger than memory should be
    #[arg(long, value_name = "BYTES", value_parser = size, default_value = "4G", default_value_if("smoke", "true", "9M"))]
    pub stream: u64,
    /// How many small objects
    #[arg(long, value_name = "COUNT", default_value = "100000", default_value_if("smoke", "true", "200"))]
    pub objects: usize,
    /// The size of a small object
    #[arg(long, value_name = "BYTES", value_parser = size, default_value = "4K")]
    pub small: u64,
    /// How many tasks store at once
    #[arg(long, value_name = "COUNT", default_value = "64", default_value_if("smoke", "true", "4"))]
    pub tasks: usize,
    /// How many objects each of these stores
    #[arg(long, value_name = "COUNT", default_value = "50", default_value_if("smoke", "true", "2"))]
    pub task_objects: usize,
    /// How many names the store has that is opened
    #[arg(long, value_name = "COUNT", default_value = "1000000", default_value_if("smoke", "true", "500"))]
    pub names: usize,
    /// In how many namespaces
    #[arg(long, value_name = "COUNT", default_value = "20000", default_value_if("smoke", "true", "10"))]
    pub namespaces: usize,
    /// How many objects the store has in which digests are looked up
    #[arg(long, value_name = "COUNT", default_value = "1000000", default_value_if("smoke", "true", "300"))]
    pub digests: usize,
    /// How many names the namespace has to which is committed
    #[arg(long, value_name = "COUNT", default_value = "100000", default_value_if("smoke", "true", "500"))]
    pub commit_names: usize,
    /// How many commits are made to it
    #[arg(long, value_name = "COUNT", default_value = "300", default_value_if("smoke", "true", "5"))]
    pub commits: usize,
    /// How much is written and deleted before each large case, so that the host has given us the memory
    #[arg(long, value_name = "BYTES", value_parser = size, default_value = "2G", default_value_if("smoke", "true", "0"))]
    pub warm: u64,
    /// Where to work; a folder on the disk that is to be measured
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    /// Where the JSON goes
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Cargo says so
    #[arg(long, hide = true, global = true)]
    #[serde(skip)]
    bench: bool,
    /// What a process of its own is to do
    #[command(subcommand)]
    #[serde(skip)]
    pub fresh: Option<Work>,
}

impl Options {
    /// Whether a question is to be answered.
    pub fn asks(&self, question: &str) -> bool {
        self.questions.is_empty() || self.questions.iter().any(|part| question.contains(part.as_str()))
    }
}

/// A number of bytes: 4096, 4K, 3M, 1G.
pub fn size(text: &str) -> Result<u64, String> {
    number(text, 1 << 10).ok_or_else(|| "this is no size; write it as 4096, 4K, 3M or 1G".into())
}

/// A number of things: 1000, 100K, 10M.
pub fn count(text: &str) -> Result<u64, String> {
    number(text, 1000).ok_or_else(|| "this is no count; write it as 1000, 100K or 10M".into())
}

fn number(text: &str, thousand: u64) -> Option<u64> {
    let (digits, power) = match text.chars().last()? {
        'K' => (&text[..text.len() - 1], 1),
        'M' => (&text[..text.len() - 1], 2),
        'G' => (&text[..text.len() - 1], 3),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(thousand.pow(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        assert_eq!((size("512"), size("4K"), size("3M"), size("2G")), (Ok(512), Ok(4096), Ok(3 << 20), Ok(2 << 30)));
        assert_eq!((count("7"), count("100K"), count("10M")), (Ok(7), Ok(100_000), Ok(10_000_000)));
        assert!(count("").is_err() && count("K").is_err());
        assert!(size("G").is_err() && size("-1").is_err() && size("99999999999G").is_err());
    }

    #[test]
    fn a_smoke_run_is_small_and_can_be_adjusted() {
        let options = Options::try_parse_from(["bench", "--smoke", "--objects", "7", "--bench"]).unwrap();
        assert_eq!((options.repeats, options.warm, options.objects), (1, 0, 7));
        assert!(options.asks("store_new"));
    }

    #[test]
    fn a_question_is_chosen_by_a_part_of_its_name() {
        let options = Options::try_parse_from(["bench", "new"]).unwrap();
        assert!(options.asks("store_new") && !options.asks("store_again"));
    }
}
