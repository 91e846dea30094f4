//! The names of a namespace at one version.

use std::sync::Arc;

use strongroom_storage::Result;

use crate::codec::Decoded;
use crate::entry::Entry;
use crate::run::{Cursor, EntryRef, Merge, Run};

/// The names of a namespace at one version.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The version; 0 if nothing was ever committed.
    pub version: u64,
    /// Its live runs, the newest first.
    pub runs: Vec<Arc<Run>>,
}

impl State {
    pub(super) const EMPTY: Self = Self { version: 0, runs: Vec::new() };

    /// The entry of `name` if there is an object under it.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<Entry>> {
        let read = |entry: EntryRef<'_>| entry.is_object().then(|| entry.decode()).transpose();
        Ok(self.read(name, read).await?.flatten())
    }

    /// The newest entry of `name`, also if it was removed.
    #[cfg(test)]
    pub(crate) async fn entry(&self, name: &str) -> Result<Option<Entry>> {
        let decode = |entry: EntryRef<'_>| entry.decode();
        self.read(name, decode).await
    }

    /// Whether there is an object under `name`.
    pub(crate) async fn contains(&self, name: &str) -> Result<bool> {
        Ok(self.read(name, |entry| Ok(entry.is_object())).await?.unwrap_or(false))
    }

    /// What `read` makes of the newest entry of `name`, if there is one.
    async fn read<T>(&self, name: &str, read: impl Fn(EntryRef<'_>) -> Decoded<T> + Send + Sync) -> Result<Option<T>> {
        for run in &self.runs {
            if let Some(found) = run.get(name.as_bytes(), &read).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Gives `found` for each of the `wanted` positions in `names`, in any order, the entry if there is an object under the name.
    pub(crate) async fn get_all(
        &self,
        names: &[&[u8]],
        mut wanted: Vec<usize>,
        found: &mut (dyn FnMut(usize, Option<EntryRef<'_>>) -> Decoded<()> + Send),
    ) -> Result<()> {
        for run in &self.runs {
            let mut object = |at, entry: EntryRef<'_>| found(at, entry.is_object().then_some(entry));
            run.get_all(names, &mut wanted, &mut object).await?;
        }
        // What is in no run can't be malformed.
        wanted.into_iter().try_for_each(|at| found(at, None)).map_err(|malformed| malformed.in_file("a name"))
    }

    /// All entries from `from` on, in order, removed ones too.
    pub(crate) async fn entries(&self, from: &str) -> Result<Merge> {
        let mut cursors = Vec::with_capacity(self.runs.len());
        for run in &self.runs {
            cursors.push(Cursor::seek(run.clone(), from).await?);
        }
        Ok(Merge::new(cursors))
    }

    /// The next entry with an object whose name begins with `prefix`.
    pub(crate) async fn next_object(merge: &mut Merge, prefix: &str) -> Result<Option<Entry>> {
        while let Some(entry) = merge.next().await? {
            if !entry.name.starts_with(prefix) {
                return Ok(None);
            }
            if entry.object.is_some() {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// The size of its runs, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.runs.iter().map(|run| run.size).sum()
    }

    /// The memory that it takes, without blocks that are kept, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.runs.iter().map(|run| run.memory_bytes()).sum()
    }
}
