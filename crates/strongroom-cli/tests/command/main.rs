//! The command from outside: what users and scripts see.
#![expect(clippy::panic, reason = "tests fail by panicking")]

mod care;
mod collect;
mod damage;
mod get;
mod history;
mod hostile;
mod json;
mod look;
mod machine;
mod names;
mod put;
mod rebuild;
mod repair;
mod sharing;
mod sources;
mod support;
mod sync;
mod transfer;
