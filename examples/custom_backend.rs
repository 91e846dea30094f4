//! A backend of one's own: objects as rows of an SQLite database, so that a whole store is one file.
//!
//! It writes the six methods that have no body in the trait, passes the conformance suite, and so carries a content store.
//! SQLite takes objects of up to 1 GB, which is enough for packs.
//!
//! ```text
//! cargo test --example custom_backend    # the conformance suite
//! cargo run --example custom_backend     # a content store on it
//! ```

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use rusqlite::{Connection, ErrorCode, MAIN_DB};
use strongroom::{
    ByteRange, Capabilities, ContentConfig, ContentStorage, Error, ErrorKind, ExternalStorage, Loaded, Location,
    Metadata, OpenOptions, Result, Source, StoreMode, StoreOptions, Stored, VerifyOptions,
};
use strongroom_storage::unblock;

/// Objects in a table. SQLite is atomic, durable and exclusive; the rest is translation.
#[derive(Clone, Debug)]
struct SqliteStorage(Arc<Mutex<Connection>>);

impl SqliteStorage {
    fn open(path: &Path) -> rusqlite::Result<Self> {
        let database = Connection::open(path)?;
        database.busy_timeout(Duration::from_secs(60))?;
        database.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE IF NOT EXISTS objects (location TEXT PRIMARY KEY, content BLOB NOT NULL)",
        )?;
        Ok(Self(Arc::new(Mutex::new(database))))
    }

    /// Runs SQL about `name` on a thread where it may block.
    async fn sql<T: Send + 'static>(
        &self,
        operation: &'static str,
        name: &str,
        work: impl FnOnce(&Connection, &str) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (database, name) = (Arc::clone(&self.0), name.to_string());
        unblock(move || {
            let database = database.lock().unwrap_or_else(PoisonError::into_inner);
            work(&database, &name).map_err(|error| match (&error, error.sqlite_error_code()) {
                (rusqlite::Error::QueryReturnedNoRows, _) => Error::missing(operation, name),
                (_, Some(ErrorCode::ConstraintViolation)) => Error::already_exists(operation, name),
                _ => Error::new(ErrorKind::Unavailable, operation, name, "SQLite can't do it now").with_source(error),
            })
        })
        .await
    }
}

impl fmt::Display for SqliteStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an SQLite database")
    }
}

#[async_trait]
impl ExternalStorage for SqliteStorage {
    fn capabilities(&self) -> Capabilities {
        Capabilities::basic()
    }

    async fn store(&self, location: &Location, source: Source, options: &StoreOptions) -> Result<Stored> {
        let content = source.into_bytes().await?;
        let stored = Stored::of(location, &content, options);
        let verb = if options.mode == StoreMode::Create { "INSERT" } else { "REPLACE" };
        let statement = format!("{verb} INTO objects VALUES (?1, ?2)");
        self.sql("store", location.as_str(), move |sql, name| sql.execute(&statement, (name, &*content))).await?;
        Ok(stored)
    }

    async fn load(&self, location: &Location, range: ByteRange) -> Result<Loaded> {
        let read = self.sql("load", location.as_str(), move |sql, name| {
            let snapshot = sql.unchecked_transaction()?;
            let row = snapshot.query_row("SELECT rowid FROM objects WHERE location = ?1", [name], |row| row.get(0))?;
            let blob = snapshot.blob_open(MAIN_DB, "objects", "content", row, true)?;
            let range = match range.resolve(blob.len() as u64, &name) {
                Ok(range) => range,
                Err(error) => return Ok(Err(error)),
            };
            let mut content = vec![0; (range.end - range.start) as usize];
            blob.read_at_exact(&mut content, range.start as usize)?;
            Ok(Ok((blob.len() as u64, range, content)))
        });
        let (size, range, content) = read.await??;
        Ok(Loaded::new(location, size, range, stream::iter([Ok(content.into())])))
    }

    async fn metadata(&self, location: &Location) -> Result<Metadata> {
        Ok(Metadata::new(self.load(location, (0..0).into()).await?.size))
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        let statement = "DELETE FROM objects WHERE location = ?1 RETURNING 1";
        self.sql("delete", location.as_str(), |sql, name| sql.query_row(statement, [name], |_| Ok(()))).await
    }

    fn iter_contents(&self, prefix: &str) -> BoxStream<'static, Result<Location>> {
        let (storage, prefix) = (self.clone(), prefix.to_string());
        let query = "SELECT location FROM objects WHERE substr(location, 1, length(?1)) = ?1";
        let names = async move {
            let names = storage.sql("list", &prefix, |sql, prefix| {
                sql.prepare(query)?.query_map([prefix], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
            });
            Ok(stream::iter(names.await?).map(|name| Location::parse(&name)))
        };
        stream::once(names).try_flatten().boxed()
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("campaign.sqlite");
    let backend = Arc::new(SqliteStorage::open(&path)?);
    let store = ContentStorage::create(backend, ContentConfig::default(), OpenOptions::default()).await?;

    let frames: Vec<u8> = (0..3 << 20).map(|index: u32| (index % 251) as u8).collect();
    for unit in ["replica-1", "replica-2"] {
        let location = Location::parse(&format!("campaign/{unit}/trajectory.xtc"))?;
        let stored = store.store_bytes(&location, frames.clone().into()).await?;
        println!("{}  {} bytes", stored.location, stored.size);
    }

    let usage = store.usage().await?;
    println!("{} bytes under names, {} of them different", usage.logical_bytes, usage.unique_bytes);
    anyhow::ensure!(usage.unique_bytes == frames.len() as u64, "the same content is kept twice");
    let report = store.verify(VerifyOptions::default().with_data(true)).await?;
    anyhow::ensure!(report.problems.is_empty(), "{report:?}");
    println!("every byte verified, in {}", store.backend());
    Ok(())
}

#[cfg(test)]
mod tests {
    use strongroom_testkit::conformance::Place;
    use strongroom_testkit::conformance_tests;

    use super::*;

    fn place() -> Place {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("objects.sqlite");
        Place::new(move || {
            let storage = SqliteStorage::open(&path).expect("SQLite opens a file in a new folder");
            std::future::ready(Ok(Arc::new(storage) as Arc<dyn ExternalStorage>))
        })
        .with_guard(folder)
    }

    conformance_tests!(sqlite, async || place());

    conformance_tests!(content_on_sqlite, async || {
        let below = place();
        let below = Arc::new(below);
        Place::new(move || {
            let below = Arc::clone(&below);
            async move {
                let (config, options) = (ContentConfig::default(), OpenOptions::default());
                Ok(Arc::new(ContentStorage::create(below.open().await?, config, options).await?) as _)
            }
        })
    });
}
