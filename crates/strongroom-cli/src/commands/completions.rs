//! `strongroom completions`

use clap::Args;
use clap_complete::{Shell, generate};
use strongroom::Result;

use crate::args;
use crate::context::Context;
use crate::exit::Exit;

/// Print a shell's completions for this command
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  strongroom completions bash > ~/.local/share/bash-completion/completions/strongroom
  strongroom completions zsh > ~/.zfunc/_strongroom
  strongroom completions fish > ~/.config/fish/completions/strongroom.fish")]
pub struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

pub fn run(args: CompletionsArgs, context: &Context) -> Result<Exit> {
    let mut script = Vec::new();
    generate(args.shell, &mut args::command(), "strongroom", &mut script);
    let text = || String::from_utf8_lossy(&script).trim_end().to_string();
    context.output.result(text, || serde_json::json!({ "shell": args.shell.to_string(), "script": text() }))?;
    Ok(Exit::Done)
}
