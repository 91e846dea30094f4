//! `strongroom`: a store on the command line.
//!
//! Every verb parses its arguments, calls the front door, and prints. stdout is data, stderr is talk. With `--json` every line
//! of stdout is one JSON object (verbs about many things print a line for each), and so is every line of stderr.
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

use std::process::ExitCode;
use std::time::Duration;

use strongroom::{Error, Result};
use tokio::signal::unix::{SignalKind, signal};

use context::Context;
use exit::Exit;

/// How long work that can't be interrupted (a file being written, a read of stdin) is waited for after Ctrl-C.
const INTERRUPTED_WAIT: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let cli = match args::parse() {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    let context = Context::new(&cli);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return context.fail(&Error::from_io("start", "threads", error)).into(),
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
            context.end(ended).into()
        }
        Err(signal) => {
            // Dropping the work removed what was half done; what is being written now is let finish.
            runtime.shutdown_timeout(INTERRUPTED_WAIT);
            match signal {
                Ok(exit) => exit.into(),
                Err(error) => context.fail(&error).into(),
            }
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
