//! `strongroom`: a store on the command line.
//!
//! Every verb parses its arguments, calls the front door, and prints. stdout is data, stderr is talk. With `--json` every line
//! of stdout is one JSON object (verbs about many things print a line for each), and so is every line of stderr.
//!
//! It is a library so that the Python package has the command too.
#![forbid(unsafe_code)]

mod args;
mod cache;
mod commands;
mod context;
mod exit;
mod format;
mod lookup;
mod output;
mod progress;
mod restore;
mod scan;
mod transfer;

use std::ffi::OsString;
use std::time::Duration;

use strongroom::{Error, Result};
use tokio::signal::unix::{SignalKind, signal};

use context::Context;
use exit::Exit;

/// How long work that can't be interrupted (a file being written, a read of stdin) is waited for after Ctrl-C.
const INTERRUPTED_WAIT: Duration = Duration::from_secs(2);

/// Does what the command line says, of which the first word is the program's name, and returns the exit code.
///
/// It reads and writes the process's own streams, and listens for its signals.
pub fn run(words: impl IntoIterator<Item = OsString>) -> u8 {
    let words: Vec<OsString> = words.into_iter().collect();
    args::parse(&words).map_or_else(|exit| exit, run_parsed) as u8
}

fn run_parsed(cli: args::Cli) -> Exit {
    let context = Context::new(&cli);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return context.fail(&Error::from_io("start", "threads", error)),
    };
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = commands::run(cli.command, &context) => Ok(ended),
            ended = interruption() => Err(ended),
        }
    });
    match ended {
        Ok(ended) => {
            runtime.shutdown_background();
            context.end(ended)
        }
        Err(signal) => {
            // Dropping the work removed what was half done; what is being written now is let finish.
            runtime.shutdown_timeout(INTERRUPTED_WAIT);
            signal.unwrap_or_else(|error| context.fail(&error))
        }
    }
}

/// Waits for Ctrl-C or a request to end.
async fn interruption() -> Result<Exit> {
    let listen = |kind| signal(kind).map_err(|error| Error::from_io("listen", "signals", error));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => Ok(Exit::Interrupted),
        _ = terminate.recv() => Ok(Exit::Terminated),
    }
}
