//! A backend of one's own: objects as rows of an SQLite database, so that a whole store is one file.
//!
//! It writes the four methods that have no body in the trait, passes the conformance suite, and so carries a content store.
//! SQLite is atomic, durable and exclusive; the rest is translation. It takes objects of up to 1 GB, which is enough for packs.
//!
//! ```text
//! cargo test --example custom_backend    # the conformance suite
//! cargo run --example custom_backend     # a content store on it
//! ```

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use displaydoc::Display;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use rusqlite::{Connection, ErrorCode, MAIN_DB, Result as SqlResult};
use strongroom::{
    ByteRange, ContentConfig, ContentStorage, Error, ErrorKind, ExternalStorage, Loaded, Location, OpenOptions, Result,
    Source, StoreMode, StoreOptions, Stored, VerifyOptions,
};
use strongroom_storage::unblock;

// The backend: under sixty lines, which `tests/architecture.rs` counts. Its documentation is what it shows itself as.

/// an SQLite database
#[derive(Debug, Display)]
struct SqliteStorage(PathBuf);

const SETUP: &str = "PRAGMA busy_timeout = 60000; PRAGMA synchronous = EXTRA;
    CREATE TABLE IF NOT EXISTS objects (name PRIMARY KEY, content)";

impl SqliteStorage {
    /// Runs `work` about `name` on a thread where it may block.
    fn sql<T, W>(&self, verb: &'static str, name: &str, work: W) -> BoxFuture<'static, Result<T>>
    where
        T: Send + 'static,
        W: FnOnce(&Connection, &str) -> SqlResult<T> + Send + 'static,
    {
        let (path, name) = (self.0.clone(), name.to_string());
        Box::pin(unblock(move || {
            let database = Connection::open(path).and_then(|sql| sql.execute_batch(SETUP).map(|()| sql));
            database.and_then(|sql| work(&sql, &name)).map_err(|error| match (&error, error.sqlite_error_code()) {
                (rusqlite::Error::QueryReturnedNoRows, _) => Error::missing(verb, name),
                (_, Some(ErrorCode::ConstraintViolation)) => Error::already_exists(verb, name),
                _ => Error::new(ErrorKind::Unavailable, verb, name, "SQLite can't do it now").with_source(error),
            })
        }))
    }
}

#[async_trait]
impl ExternalStorage for SqliteStorage {
    async fn store(&self, location: &Location, source: Source, options: &StoreOptions) -> Result<Stored> {
        let content = source.into_bytes().await?;
        let stored = Stored::of(location, &content, options);
        let verb = if options.mode == StoreMode::Create { "INSERT" } else { "REPLACE" };
        let statement = format!("{verb} INTO objects VALUES (?1, ?2)");
        self.sql("store", location.as_str(), move |sql, name| sql.execute(&statement, (name, &*content))).await?;
        Ok(stored)
    }

    async fn load(&self, location: &Location, range: ByteRange) -> Result<Loaded> {
        let loaded = self.sql("load", location.as_str(), move |sql, name| {
            let snapshot = sql.unchecked_transaction()?;
            let row = snapshot.query_row("SELECT rowid FROM objects WHERE name = ?1", [name], |row| row.get(0))?;
            Ok(Loaded::read(name, range, &mut snapshot.blob_open(MAIN_DB, "objects", "content", row, true)?))
        });
        loaded.await?
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        let statement = "DELETE FROM objects WHERE name = ?1 RETURNING 1";
        self.sql("delete", location.as_str(), |sql, name| sql.query_row(statement, [name], |_| Ok(()))).await
    }

    fn iter_contents(&self, prefix: &str) -> BoxStream<'static, Result<Location>> {
        let query = "SELECT name FROM objects WHERE substr(name, 1, length(?1)) = ?1";
        let names = self.sql("list", prefix, |sql, prefix| {
            sql.prepare(query)?.query_map([prefix], |row| row.get(0))?.collect::<SqlResult<Vec<String>>>()
        });
        stream::once(names).map_ok(|names| stream::iter(names).map(|name| Location::parse(&name))).try_flatten().boxed()
    }
}

// The end of the backend.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let backend = Arc::new(SqliteStorage(folder.path().join("campaign.sqlite")));
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
        Place::new(move || std::future::ready(Ok(Arc::new(SqliteStorage(path.clone())) as Arc<dyn ExternalStorage>)))
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
