//! The questions, in the order in which they are answered.

mod commit_large;
mod digests;
mod exists_many;
mod lookup;
mod memory;
mod open_large;
mod read_back;
mod read_random;
mod store_again;
mod store_many;
mod store_new;
mod store_shifted;
mod store_tasks;

use anyhow::Result;

use crate::bench::Bench;
use crate::table::Table;

/// A question, and what answers it.
pub struct Question {
    pub name: &'static str,
    pub answer: fn(&Bench, &mut Table) -> Result<()>,
}

pub const ALL: &[Question] = &[
    Question { name: "store_new", answer: store_new::answer },
    Question { name: "store_again", answer: store_again::answer },
    Question { name: "store_shifted", answer: store_shifted::answer },
    Question { name: "read_back", answer: read_back::answer },
    Question { name: "store_many", answer: store_many::answer },
    Question { name: "store_tasks", answer: store_tasks::answer },
    Question { name: "read_random", answer: read_random::answer },
    Question { name: "exists_many", answer: exists_many::answer },
    Question { name: "lookup", answer: lookup::answer },
    Question { name: "open_large", answer: open_large::answer },
    Question { name: "commit_large", answer: commit_large::answer },
    Question { name: "memory", answer: memory::answer },
    Question { name: "digests", answer: digests::answer },
];
