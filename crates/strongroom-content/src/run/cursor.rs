//! Going over all entries in order, of one run or of several over each other.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use strongroom_storage::Result;

use super::Run;
use super::entries::{Entries, EntryRef};
use crate::entry::Entry;

/// A position in the entries of one run, or of a list in memory.
pub(crate) struct Cursor {
    run: Option<Arc<Run>>,
    /// The first block that was not read yet.
    next_block: usize,
    /// How many are read at once: more and more, as it gets likelier that all are wanted.
    stride: usize,
    ahead: VecDeque<Entries>,
    entries: Entries,
    at: usize,
}

impl Cursor {
    /// Before the first entry of `run` whose name is not before `from`.
    pub(crate) async fn seek(run: Arc<Run>, from: &str) -> Result<Self> {
        let first = run.block_of(from.as_bytes()).unwrap_or(0);
        let entries = run.read_block(first).await?;
        let at = entries.count_before(from.as_bytes());
        Ok(Self { run: Some(run), next_block: first + 1, stride: 1, ahead: VecDeque::new(), entries, at })
    }

    /// Before the first of `entries`.
    pub(crate) fn over(entries: Entries) -> Self {
        Self { run: None, next_block: 0, stride: 0, ahead: VecDeque::new(), entries, at: 0 }
    }

    /// How many entries there are in all.
    fn count(&self) -> u64 {
        self.run.as_ref().map_or(self.entries.len() as u64, |run| run.entries)
    }

    /// The entry that it stands before, if that was read already.
    fn peek(&self) -> Option<EntryRef<'_>> {
        self.entries.get(self.at)
    }

    /// Reads the next entry, if it was not read and there is one.
    async fn fill(&mut self) -> Result<()> {
        while self.at >= self.entries.len() {
            if self.ahead.is_empty()
                && let Some(run) = self.run.as_ref().filter(|run| self.next_block < run.blocks.len())
            {
                self.stride *= 2;
                self.ahead = run.read_blocks(self.next_block, self.stride).await?;
                self.next_block += self.ahead.len();
            }
            let Some(entries) = self.ahead.pop_front() else { return Ok(()) };
            (self.entries, self.at) = (entries, 0);
        }
        Ok(())
    }
}

/// The entries of several runs in order of their names; where more than one has a name, that of the newest.
pub(crate) struct Merge {
    /// The newest first.
    cursors: Vec<Cursor>,
    /// Those that stand before the entry that was given last, or an older one of its name.
    given: Vec<usize>,
}

impl Merge {
    /// Over `cursors`, the newest first.
    pub(crate) fn new(cursors: Vec<Cursor>) -> Self {
        Self { cursors, given: Vec::new() }
    }

    /// How many entries there can be.
    pub(super) fn most_entries(&self) -> u64 {
        self.cursors.iter().map(Cursor::count).fold(0, u64::saturating_add)
    }

    /// The next entry, all of it.
    ///
    /// # Errors
    /// Those of the backend; `Corrupt` if a run is damaged.
    pub(crate) async fn next(&mut self) -> Result<Option<Entry>> {
        let Some((cursor, entry)) = self.step().await? else { return Ok(None) };
        let decoded = cursor.run.as_ref().map(|run| run.decode(entry));
        decoded.unwrap_or_else(|| entry.decode().map_err(|malformed| malformed.in_file("a commit"))).map(Some)
    }

    /// The next entry.
    ///
    /// # Errors
    /// As for [`next`](Self::next).
    pub(crate) async fn next_ref(&mut self) -> Result<Option<EntryRef<'_>>> {
        Ok(self.step().await?.map(|(_, entry)| entry))
    }

    /// The next name's entries in all runs that have it.
    ///
    /// # Errors
    /// As for [`next`](Self::next).
    pub(crate) async fn next_all(&mut self) -> Result<Option<Vec<EntryRef<'_>>>> {
        if self.step().await?.is_none() {
            return Ok(None);
        }
        Ok(Some(self.given.iter().filter_map(|cursor| self.cursors[*cursor].peek()).collect()))
    }

    async fn step(&mut self) -> Result<Option<(&Cursor, EntryRef<'_>)>> {
        for given in self.given.drain(..) {
            self.cursors[given].at += 1;
        }
        for cursor in &mut self.cursors {
            if cursor.peek().is_none() {
                cursor.fill().await?;
            }
        }
        let mut least: Option<EntryRef<'_>> = None;
        for (index, cursor) in self.cursors.iter().enumerate() {
            let Some(entry) = cursor.peek() else { continue };
            match least.map_or(Ordering::Less, |least| entry.name().cmp(least.name())) {
                Ordering::Less => {
                    least = Some(entry);
                    self.given.clear();
                    self.given.push(index);
                }
                Ordering::Equal => self.given.push(index),
                Ordering::Greater => {}
            }
        }
        Ok(self.given.first().map(|newest| &self.cursors[*newest]).zip(least))
    }
}
