//! The command line as it is typed.

use std::ffi::OsString;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use strongroom::content::Compression;
use strongroom::{ByteRange, DigestSet, Error, ErrorKind, Layout, Sharing};

use crate::commands::{
    cat, completions, cp, diff, digest, du, exists, gc, get, init, log, ls, mv, put, rebuild, repair, restore, rm,
    stat, sync, tag, verify,
};
use crate::exit::Exit;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  strongroom put results/ run7/unit1       store a folder, as run7/unit1/...
  strongroom ls run7                       what is there under names that begin so
  strongroom get run7/unit1 back/          restore it to the folder back/
  simulate | strongroom put - run7/log     store what a program prints
  strongroom cat run7/log | tail           and print it again
  strongroom tag run7/unit1 submitted      keep this version for ever

A LOCATION is a name such as run7/unit1/traj.xtc. Its first two segments, or all but the last if there are fewer, are its \
NAMESPACE: one history of versions. Where a LOCATION is read, b3:<digest> or a unique beginning of one will do; a name that \
looks like that is written ./b3:...

Text lines give one name each; in a line that begins with \\, a newline in the name stands as \\n, a carriage return as \\r \
and a backslash as \\\\, as b3sum does it. With --json every line is one JSON object, errors and notes on stderr too.

What was computed once, such as an MD5, is kept in a cache that may be deleted at any time: in the folder STRONGROOM_CACHE, \
or without it strongroom in XDG_CACHE_HOME or in ~/.cache. If STRONGROOM_CACHE is empty or `off`, nothing is kept.

Exit codes: 0 ok, 1 failed, 2 usage, 3 partly failed, 4 not found, 5 damaged content, 6 conflict, \
changed meanwhile, or already there.";

/// Keeps what a workflow produces: once, by content, under names that are never half-written.
#[derive(Debug, Parser)]
#[command(name = "strongroom", version, after_help = EXAMPLES, max_term_width = 120, disable_help_subcommand = true)]
pub struct Cli {
    /// The store: a path or a URL; without it ./.strongroom
    #[arg(short, long, value_name = "URL", env = "STRONGROOM_STORE", hide_env_values = true, global = true)]
    pub store: Option<String>,
    /// Keep up to SIZE of what is read from a store that is not local, such as 10G, in the cache
    #[arg(long, value_name = "SIZE", value_parser = bytes, env = "STRONGROOM_CACHE_CONTENT", hide_env_values = true, global = true)]
    pub cache_content: Option<u64>,
    /// Nobody else writes to the store meanwhile: for buckets of services that replace what should be new
    #[arg(long, env = "STRONGROOM_SINGLE_WRITER", hide_env_values = true, global = true)]
    pub single_writer: bool,
    /// Print JSON, one object a line; errors too
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing but results and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    Init(init::InitArgs),
    Put(put::PutArgs),
    Get(get::GetArgs),
    Cat(cat::CatArgs),
    Ls(ls::LsArgs),
    Stat(stat::StatArgs),
    Exists(exists::ExistsArgs),
    Cp(cp::CpArgs),
    Mv(mv::MvArgs),
    Restore(restore::RestoreArgs),
    Tag(tag::TagArgs),
    Rm(rm::RmArgs),
    Log(log::LogArgs),
    Diff(diff::DiffArgs),
    Verify(verify::VerifyArgs),
    Repair(repair::RepairArgs),
    Rebuild(rebuild::RebuildArgs),
    Sync(sync::SyncArgs),
    Gc(gc::GcArgs),
    Du(du::DuArgs),
    Digest(digest::DigestArgs),
    Completions(completions::CompletionsArgs),
}

/// At which version to look.
#[derive(Args, Clone, Debug, Default)]
pub struct AtArgs {
    /// As it was at this version or tag of its namespace
    #[arg(long, value_name = "VERSION|TAG")]
    pub at: Option<String>,
}

impl AtArgs {
    /// The version or tag, as it was typed.
    pub fn as_deref(&self) -> Option<&str> {
        self.at.as_deref()
    }
}

/// How large objects are kept, as a word.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LayoutWord {
    /// Whole in local folders, chunked elsewhere
    Auto,
    /// As a plain file of their own
    Whole,
    /// As chunks cut by content, which versions of a file share
    Chunked,
}

impl From<LayoutWord> for Layout {
    fn from(word: LayoutWord) -> Self {
        match word {
            LayoutWord::Auto => Self::Auto,
            LayoutWord::Whole => Self::Whole,
            LayoutWord::Chunked => Self::Chunked,
        }
    }
}

/// When chunks are compressed, as a word.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum CompressionWord {
    /// With zstd where a sample says it pays
    Auto,
    /// Never
    None,
    /// With zstd wherever it saves a sixteenth
    Zstd,
}

impl From<CompressionWord> for Compression {
    fn from(word: CompressionWord) -> Self {
        match word {
            CompressionWord::Auto => Self::Auto,
            CompressionWord::None => Self::None,
            CompressionWord::Zstd => Self::Zstd,
        }
    }
}

/// With whom a store is shared, as a word.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SharingWord {
    /// The folder's group may read and write, others nothing
    Group,
    /// The folder's group may read and write, everybody may read
    All,
}

impl SharingWord {
    /// The word itself.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::All => "all",
        }
    }
}

impl From<SharingWord> for Sharing {
    fn from(word: SharingWord) -> Self {
        match word {
            SharingWord::Group => Self::Group,
            SharingWord::All => Self::All,
        }
    }
}

/// A digest besides BLAKE3, as a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DigestWord {
    Md5,
    Sha256,
}

/// The set that the words name.
pub fn digest_set(words: &[DigestWord]) -> DigestSet {
    let mut set = DigestSet::NONE;
    set.md5 = words.contains(&DigestWord::Md5);
    set.sha256 = words.contains(&DigestWord::Sha256);
    set
}

/// Reads a range of bytes: `A..B` without B, `A-B` with it as HTTP does, `A..` or `A-`, `..B`, `-N` for the last N.
pub fn byte_range(text: &str) -> Result<ByteRange, String> {
    let wrong = || {
        format!(
            "{text:?} is no range; write A..B for byte A to before B, A-B to have B too, A.. for the rest, -N for the last N"
        )
    };
    let number = |digits: &str| digits.parse::<u64>().map_err(|_| wrong());
    let range = match (text.split_once(".."), text.split_once('-')) {
        (Some(("", end)), _) => ByteRange::Span { start: 0, end: number(end)? },
        (Some((start, "")), _) | (None, Some((start, ""))) => ByteRange::From(number(start)?),
        (Some((start, end)), _) => ByteRange::Span { start: number(start)?, end: number(end)? },
        (None, Some(("", length))) => ByteRange::Last(number(length)?),
        (None, Some((start, last))) => {
            ByteRange::Span { start: number(start)?, end: number(last)?.checked_add(1).ok_or_else(wrong)? }
        }
        (None, None) => return Err(wrong()),
    };
    match range {
        ByteRange::Span { start, end } if end < start => Err(format!("{text:?} ends before it begins")),
        range => Ok(range),
    }
}

/// Reads a number of bytes that is not 0: `100M`, `1.5G`, `4096`.
///
/// # Errors
/// Says what is wrong.
pub fn bytes(text: &str) -> Result<u64, String> {
    let upper = text.to_ascii_uppercase();
    let number = upper.trim_end_matches("IB").trim_end_matches('B');
    let unit = |letter| number.strip_suffix(letter);
    let (number, power) = [('K', 10), ('M', 20), ('G', 30), ('T', 40)]
        .into_iter()
        .find_map(|(letter, power)| Some((unit(letter)?, power)))
        .unwrap_or((number, 0));
    let value: f64 = number.trim().parse().map_err(|_| "a number of bytes is like 100M, 1.5G or 4096".to_string())?;
    let bytes = value * f64::from(2).powi(power);
    if bytes >= 1.0 { Ok(bytes as u64) } else { Err("that is less than a byte".to_string()) }
}

/// Reads the command line. Help and usage errors are printed here.
pub fn parse(words: &[OsString]) -> Result<Cli, Exit> {
    let error = match Cli::try_parse_from(words) {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    if error.use_stderr() && words.iter().any(|word| word == "--json") {
        let text = error.to_string();
        let text = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ").trim();
        Output::new(true, false).error(&Error::new(ErrorKind::Invalid, "read", "the command line", text));
        return Err(Exit::Usage);
    }
    // Nobody is there to hear it if this fails.
    let _unheard = error.print();
    Err(if error.use_stderr() { Exit::Usage } else { Exit::Done })
}

/// The command line as a whole, for completions.
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        command().debug_assert();
    }

    #[test]
    fn numbers_of_bytes_are_read_with_and_without_a_unit() {
        for (text, expected) in [
            ("1", 1),
            ("4096", 4096),
            ("2k", 2048),
            ("100M", 100 << 20),
            ("100MiB", 100 << 20),
            ("1.5G", 3 << 29),
            ("2 TB", 2 << 40),
            ("1e30T", u64::MAX),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "M", "fast", "0", "-5M", "0.1", "NaN", "10X", "5MM"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_are_read_in_each_notation() {
        for (text, range) in [
            ("2..5", ByteRange::Span { start: 2, end: 5 }),
            ("2-4", ByteRange::Span { start: 2, end: 5 }),
            ("..5", ByteRange::Span { start: 0, end: 5 }),
            ("2..", ByteRange::From(2)),
            ("2-", ByteRange::From(2)),
            ("-3", ByteRange::Last(3)),
            ("5..5", ByteRange::Span { start: 5, end: 5 }),
        ] {
            assert_eq!(byte_range(text), Ok(range), "{text}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "5", "a..b", "5..2", "-", "..", "1-2-3", "0-18446744073709551615"] {
            assert!(byte_range(text).is_err(), "{text}");
        }
    }
}
