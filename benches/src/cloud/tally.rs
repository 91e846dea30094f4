//! The requests of each operation, as a table.

use anyhow::{Context, Result};
use serde::Serialize;
use strongroom::cloud::{ObjectStorage, RequestCounts};

use crate::s3::Server;

/// What is to be reached.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum Goal {
    /// So many requests, or fewer.
    Total(u64),
    /// So many that write, or fewer.
    Writes(u64),
    /// Nothing: to know it.
    None,
}

/// One operation.
#[derive(Clone, Debug, Serialize)]
struct Row {
    operation: String,
    reads: u64,
    lists: u64,
    writes: u64,
    deletes: u64,
    total: u64,
    goal: Goal,
    reached: Option<bool>,
}

/// All operations so far.
pub struct Tally<'a> {
    server: &'a Server,
    shows_requests: bool,
    rows: Vec<Row>,
    /// The requests of the last operation.
    log: Vec<String>,
}

impl<'a> Tally<'a> {
    pub fn new(server: &'a Server, shows_requests: bool) -> Self {
        Self { server, shows_requests, rows: Vec::new(), log: Vec::new() }
    }

    /// Does `work`, and counts what it sends by `storage` and its clones.
    pub async fn count<T>(
        &mut self,
        operation: &str,
        goal: Goal,
        storage: &ObjectStorage,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let before = counts(storage)?;
        self.server.take_log();
        let done = work.await.with_context(|| operation.to_string())?;
        self.add(operation, goal, counts(storage)?.since(before));
        self.log = self.server.take_log();
        if self.shows_requests {
            eprintln!("{operation}");
            self.log.iter().for_each(|line| eprintln!("  {line}"));
        }
        Ok(done)
    }

    /// Counts those requests of the last operation again that it begins with, as long as `belongs` says so.
    pub fn add_part(&mut self, operation: &str, goal: Goal, belongs: impl Fn(&str) -> bool) {
        let mut counts = RequestCounts::default();
        for line in self.log.iter().take_while(|line| belongs(line)) {
            let counter = match line.split(' ').next() {
                Some("GET") if line.contains("list-type=") => &mut counts.lists,
                Some("GET" | "HEAD") => &mut counts.reads,
                Some("DELETE") => &mut counts.deletes,
                _ if line.contains("?delete") => &mut counts.deletes,
                _ => &mut counts.writes,
            };
            *counter += 1;
        }
        self.add(operation, goal, counts);
    }

    fn add(&mut self, operation: &str, goal: Goal, counts: RequestCounts) {
        let reached = match goal {
            Goal::Total(most) => Some(counts.total() <= most),
            Goal::Writes(most) => Some(counts.writes <= most),
            Goal::None => None,
        };
        let (operation, total) = (operation.to_string(), counts.total());
        let RequestCounts { reads, lists, writes, deletes, .. } = counts;
        self.rows.push(Row { operation, reads, lists, writes, deletes, total, goal, reached });
    }

    pub fn markdown(&self) -> String {
        let mut text = String::from("| operation | reads | lists | writes | deletes | total | wanted |\n");
        text.push_str("|---|---|---|---|---|---|---|\n");
        for row in &self.rows {
            let Row { operation, reads, lists, writes, deletes, total, .. } = row;
            let wanted = match row.goal {
                Goal::Total(most) => format!("<= {most}"),
                Goal::Writes(most) => format!("<= {most} writes"),
                Goal::None => String::new(),
            };
            let missed = if row.reached == Some(false) { " **missed**" } else { "" };
            let line =
                format!("| {operation} | {reads} | {lists} | {writes} | {deletes} | {total} | {wanted}{missed} |\n");
            text.push_str(&line);
        }
        text
    }

    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&self.rows)? + "\n")
    }
}

fn counts(storage: &ObjectStorage) -> Result<RequestCounts> {
    storage.requests().context("the requests are not counted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_miss_is_seen_in_the_table() {
        let server = Server::start().await.unwrap();
        let storage = crate::cloud::bucket(&server.url(), "bucket", "").unwrap();
        let mut tally = Tally::new(&server, false);
        for most in [0, 1] {
            use strongroom::ExternalStorage;
            let list = async { Ok(storage.list(&strongroom::ListOptions::prefix("")).await?) };
            tally.count("list", Goal::Total(most), &storage, list).await.unwrap();
        }
        let text = tally.markdown();
        assert!(text.contains("| list | 0 | 1 | 0 | 0 | 1 | <= 0 **missed** |"), "{text}");
        assert!(text.contains("| list | 0 | 1 | 0 | 0 | 1 | <= 1 |"), "{text}");
    }
}
