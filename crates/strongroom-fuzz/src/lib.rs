//! Forged input for everything of strongroom that parses, and what must hold for all of it.
//!
//! A target takes random bytes, makes a file, a text or a whole store of them, gives it to the library, and panics if something
//! does not hold. Files are made by `FORMAT.md`, mostly valid, and forged before their checksums are made: else only the
//! checksums would be tested. The same targets run for some seconds in every `cargo test`, and by `cargo fuzz` in the folder
//! `fuzz/` for as long as one likes.
//!
//! What must hold: no panic and no overflow; an end, after a bounded number of requests; an error is one of damage and names a
//! file; what is handed out is verified; damage never keeps the rest from being verified; and memory is bounded by the size of
//! the input (`tests/fuzz.rs` measures it).
#![forbid(unsafe_code)]

mod bombs;
mod craft;
mod draft;
mod exercise;
mod stores;
mod template;
mod texts;

use std::cell::OnceCell;
use std::collections::BTreeSet;

use arbitrary::{Result, Unstructured};

pub use bombs::{BOMBS, Bomb};

/// What was tried.
#[derive(Clone, Debug)]
pub struct Tried {
    /// How large it was, in bytes.
    pub bytes: u64,
    /// Whether nothing was found wrong with it.
    pub is_sound: bool,
    /// What the library said was wrong, without names and numbers: an input that leads to a new answer is worth being kept.
    pub answers: BTreeSet<String>,
}

/// Makes something of random bytes and tries it.
pub type Target = fn(&mut Unstructured<'_>) -> Result<Tried>;

/// All targets, by name.
pub const TARGETS: [(&str, Target); 9] = [
    ("damage", stores::damage),
    ("descriptors", stores::descriptors),
    ("index_files", stores::index_files),
    ("lists", stores::lists),
    ("packs", stores::packs),
    ("places", stores::places),
    ("runs", stores::runs),
    ("tags", stores::tags),
    ("texts", texts::texts),
];

/// Runs the target of this name. `None` if the input is too short for what it begins.
///
/// # Panics
/// If something does not hold, or there is no such target.
pub fn run(name: &str, input: &[u8]) -> Option<Tried> {
    let target = TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| target);
    target.expect("a target")(&mut Unstructured::new(input)).ok()
}

/// Drives a future to its end.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: OnceCell<tokio::runtime::Runtime> = const { OnceCell::new() };
    }
    RUNTIME.with(|runtime| {
        let make = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.max_blocking_threads(4).enable_all().build().expect("a runtime")
        };
        runtime.get_or_init(make).block_on(future)
    })
}
