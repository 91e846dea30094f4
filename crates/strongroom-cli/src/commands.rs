//! The verbs: one file each, with its arguments and what it does.

pub mod cat;
pub mod completions;
pub mod cp;
pub mod diff;
pub mod digest;
pub mod du;
pub mod exists;
pub mod gc;
pub mod get;
pub mod init;
pub mod log;
pub mod ls;
pub mod mv;
pub mod put;
pub mod rebuild;
pub mod repair;
pub mod restore;
pub mod rm;
pub mod stat;
pub mod sync;
pub mod tag;
pub mod verify;

use strongroom::Result;

use crate::args::Command;
use crate::context::Context;
use crate::exit::Exit;

/// Does what was asked for.
///
/// # Errors
/// Those of the verb.
pub async fn run(command: Command, context: &Context) -> Result<Exit> {
    match command {
        Command::Init(args) => init::run(args, context).await,
        Command::Put(args) => put::run(args, context).await,
        Command::Get(args) => get::run(args, context).await,
        Command::Cat(args) => cat::run(args, context).await,
        Command::Ls(args) => ls::run(args, context).await,
        Command::Stat(args) => stat::run(args, context).await,
        Command::Exists(args) => exists::run(args, context).await,
        Command::Cp(args) => cp::run(args, context).await,
        Command::Mv(args) => mv::run(args, context).await,
        Command::Restore(args) => restore::run(args, context).await,
        Command::Tag(args) => tag::run(args, context).await,
        Command::Rm(args) => rm::run(args, context).await,
        Command::Log(args) => log::run(args, context).await,
        Command::Diff(args) => diff::run(args, context).await,
        Command::Verify(args) => verify::run(args, context).await,
        Command::Repair(args) => repair::run(args, context).await,
        Command::Rebuild(args) => rebuild::run(args, context).await,
        Command::Sync(args) => sync::run(args, context).await,
        Command::Gc(args) => gc::run(args, context).await,
        Command::Du(args) => du::run(args, context).await,
        Command::Digest(args) => digest::run(args, context).await,
        Command::Completions(args) => completions::run(args, context),
    }
}
