//! The command `strongroom`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(strongroom_cli::run(std::env::args_os()))
}
