//! How much there is, and how much of the backend it takes.

use std::collections::HashSet;

use futures::TryStreamExt;
use strongroom_storage::{ListOptions, Result};

use crate::names::LogName;
use crate::namespace::Namespace;
use crate::store::ContentStorage;

/// How much a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Each namespace by itself.
    pub namespaces: Vec<NamespaceUsage>,
    /// How many objects stand under names.
    pub objects: u64,
    /// Their sizes added up, in bytes.
    pub logical_bytes: u64,
    /// The same, each content counted once, in bytes.
    pub unique_bytes: u64,
    /// How many files the store has in its backend.
    pub stored_files: u64,
    /// What they take there, history and all, in bytes.
    pub stored_bytes: u64,
}

/// How much a namespace holds at its newest version.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamespaceUsage {
    /// Which.
    pub namespace: Namespace,
    /// How many objects it has.
    pub objects: u64,
    /// Their sizes added up, in bytes.
    pub logical_bytes: u64,
    /// The sizes of those whose content stands in no namespace before this one, in bytes.
    pub unique_bytes: u64,
}

impl ContentStorage {
    /// Counts the names of all namespaces, and the files in the backend.
    ///
    /// # Errors
    /// Those of the backend; `Corrupt` if a history can't be read.
    pub async fn usage(&self) -> Result<Usage> {
        let mut usage = Usage::default();
        let mut contents = HashSet::new();
        for namespace in self.namespaces("").await? {
            let mut row =
                NamespaceUsage { namespace: namespace.clone(), objects: 0, logical_bytes: 0, unique_bytes: 0 };
            let state = self.inner.names.current(&LogName::Namespace(namespace.clone()), None).await?;
            let mut objects = self.inner.objects_of(namespace, state.entries("").await?, String::new());
            while let Some(object) = objects.try_next().await? {
                row.objects += 1;
                // What sizes say was not compared with any content.
                row.logical_bytes = row.logical_bytes.saturating_add(object.size());
                if contents.insert(object.digest()) {
                    row.unique_bytes = row.unique_bytes.saturating_add(object.size());
                }
            }
            usage.objects += row.objects;
            usage.logical_bytes = usage.logical_bytes.saturating_add(row.logical_bytes);
            usage.unique_bytes = usage.unique_bytes.saturating_add(row.unique_bytes);
            usage.namespaces.push(row);
        }
        for file in self.inner.backend.list(&ListOptions::default()).await?.objects {
            let size = match file.size {
                Some(size) => size,
                None => match self.inner.backend.metadata(&file.location).await {
                    Ok(metadata) => metadata.size,
                    Err(error) if error.is_missing() => continue,
                    Err(error) => return Err(error),
                },
            };
            usage.stored_files += 1;
            usage.stored_bytes += size;
        }
        Ok(usage)
    }
}
