//! How many requests does each operation take?
//!
//! Each is counted as it is sent, by clients that know nothing yet where the table says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use futures::TryStreamExt;
use strongroom::cloud::ObjectStorage;
use strongroom::{
    ByteRange, CollectOptions, ContentConfig, ContentStorage, Digest, ExternalStorage, Layout, LoadOptions, Location,
    Namespace, OpenOptions, PutOptions, Source, StoreMode, VerifyOptions, Version,
};

use super::direct::Direct;
use super::tally::{Goal, Tally};
use super::{Options, bucket};
use crate::data::{Objects, location, tiny};
use crate::options::{count, size};
use crate::place::Place;
use crate::s3::Server;

/// The size of a small file, in bytes.
const SMALL_BYTES: u64 = 4 << 10;
/// How many files a unit of work has.
const UNIT: usize = 1000;
/// The bucket that all stores are in.
const BUCKET: &str = "bucket";
/// Names of the store of many packs are in so many namespaces.
const NAMESPACES: u64 = 1000;

#[derive(Debug, Args)]
pub struct Requests {
    /// How many packs the store has in which content is looked for
    #[arg(long, value_name = "COUNT", value_parser = count, default_value = "100K", default_value_if("smoke", "true", "3K"))]
    packs: u64,
    /// The size of a large file
    #[arg(long, value_name = "BYTES", value_parser = size, default_value = "1G", default_value_if("smoke", "true", "64M"))]
    large: u64,
    /// Print each request
    #[arg(long)]
    trace: bool,
}

/// What all operations are counted with.
struct Count<'a> {
    tally: Tally<'a>,
    url: String,
}

/// A handle on a store, and what its requests are counted by.
struct Handle {
    storage: ObjectStorage,
    store: ContentStorage,
}

impl Requests {
    pub fn run(&self, options: &Options) -> Result<()> {
        let place = Place::new(options.folder.as_deref())?;
        let markdown = place.block_on(async {
            let server = Server::start().await?;
            let mut count = Count { tally: Tally::new(&server, self.trace), url: server.url() };
            count.beginning().await?;
            count.units().await?;
            count.histories().await?;
            count.care().await?;
            count.large(&place, self.large).await?;
            fill(&server, self.packs).await?;
            count.many_packs(self.packs).await?;
            let path = options.json.clone().unwrap_or_else(|| place.kept("cloud-requests.json"));
            std::fs::write(&path, count.tally.json()?).with_context(|| path.display().to_string())?;
            eprintln!("written to {}", path.display());
            anyhow::Ok(count.tally.markdown())
        })?;
        print!("{markdown}");
        Ok(())
    }
}

impl Count<'_> {
    /// What a process begins with that has sent nothing yet.
    fn client(&self, prefix: &str) -> Result<ObjectStorage> {
        bucket(&self.url, BUCKET, prefix)
    }

    async fn create(&self, prefix: &str, config: ContentConfig) -> Result<Handle> {
        let storage = self.client(prefix)?;
        let store = ContentStorage::create(Arc::new(storage.clone()), config, OpenOptions::default()).await?;
        Ok(Handle { storage, store })
    }

    async fn open(&self, prefix: &str) -> Result<Handle> {
        let storage = self.client(prefix)?;
        let store = open(&storage).await?;
        Ok(Handle { storage, store })
    }

    async fn beginning(&mut self) -> Result<()> {
        let storage = self.client("small")?;
        let create = async {
            Ok(ContentStorage::create(Arc::new(storage.clone()), ContentConfig::default(), OpenOptions::default())
                .await?)
        };
        self.tally.count("create a store", Goal::None, &storage, create).await?;
        let storage = self.client("small")?;
        let store = self.tally.count("open a store", Goal::None, &storage, open(&storage)).await?;
        for (index, which) in ["first", "next"].into_iter().enumerate() {
            let put = put(&store, 0, index..index + 1);
            self.tally.count(&format!("put one file of 4 KiB, {which} of a handle"), Goal::None, &storage, put).await?;
        }
        Ok(())
    }

    /// Units of work: many files, each time in a namespace of their own.
    async fn units(&mut self) -> Result<()> {
        self.create("units", ContentConfig::default()).await?;
        let Handle { storage, store } = self.open("units").await?;
        for unit in 0..17 {
            let (which, goal) = match unit {
                0 => ("first of a handle", Goal::None),
                1 => ("next", Goal::Total(8)),
                8 => ("the ninth", Goal::Total(8)),
                _ => ("", Goal::None),
            };
            let put = put(&store, unit, unit * UNIT..(unit + 1) * UNIT);
            if which.is_empty() {
                put.await?;
            } else {
                let operation = format!("put 1,000 files of 4 KiB at once, {which}");
                self.tally.count(&operation, goal, &storage, put).await?;
            }
        }
        let many = 20 * UNIT..30 * UNIT;
        let work = put(&store, 20, many.clone());
        self.tally
            .count("put 10,000 files of 4 KiB at once, on an open handle", Goal::Writes(10), &storage, work)
            .await?;
        let work = put(&store, 21, many);
        self.tally.count("the same 10,000 under other names", Goal::None, &storage, work).await?;

        let name = location(3, 3 * UNIT);
        let fresh = self.client("units")?;
        let load = async {
            let store = open(&fresh).await?;
            store.load_bytes(&name, ByteRange::All).await?;
            Ok(store)
        };
        let store = self.tally.count("read one object, new process", Goal::Total(4), &fresh, load).await?;
        let load = async { Ok(store.load_bytes(&name, ByteRange::All).await?) };
        self.tally.count("read it again", Goal::Total(2), &fresh, load).await?;

        let fresh = self.client("units")?;
        let exists = async {
            let store = open(&fresh).await?;
            ensure!(store.exists(&name).await?, "it is there");
            Ok(store)
        };
        let store = self.tally.count("`exists` of one name, new process", Goal::None, &fresh, exists).await?;
        let exists = async { Ok(store.exists(&name).await?) };
        self.tally.count("`exists` of it again", Goal::None, &fresh, exists).await?;
        let names = unit_names(4);
        let fresh = self.client("units")?;
        let exists = async { Ok(open(&fresh).await?.exists_all(&names).await?) };
        self.tally.count("`exists` of 1,000 names at once, new process", Goal::None, &fresh, exists).await?;
        let fresh = self.client("units")?;
        let list = async { Ok(open(&fresh).await?.objects("bench/4/").try_collect::<Vec<_>>().await?) };
        let objects = self.tally.count("ls of 1,000 names, new process", Goal::None, &fresh, list).await?;
        ensure!(objects.len() == UNIT, "{} objects", objects.len());

        let Handle { storage, store } = self.open("units").await?;
        let copy = async {
            let mut batch = store.batch();
            for (index, object) in store.objects("bench/4/").try_collect::<Vec<_>>().await?.into_iter().enumerate() {
                batch.link(location(40, index), object, StoreMode::Create);
            }
            Ok(batch.commit().await?)
        };
        self.tally.count("cp of 1,000 names", Goal::None, &storage, copy).await?;
        let Handle { storage, store } = self.open("units").await?;
        let remove = async { Ok(store.delete_all(&names).await?) };
        self.tally.count("rm of 1,000 names", Goal::None, &storage, remove).await?;
        Ok(())
    }

    /// What was there before, where a version's names are one run, and where they are several.
    async fn histories(&mut self) -> Result<()> {
        let Handle { store, .. } = self.create("history", ContentConfig::default()).await?;
        // A state of less than 64 KiB is in one run.
        let [small, large] =
            [("350 names", [Goal::Total(4), Goal::Total(2)]), ("7,000 names", [Goal::None, Goal::None])];
        for (number, (files, (names, [cold, again]))) in [(50, small), (UNIT, large)].into_iter().enumerate() {
            let namespace = Namespace::parse(&format!("bench/{number}"))?;
            for version in 0..20 {
                put(&store, number, version * files..(version + 1) * files).await?;
            }
            let old = async |store: &ContentStorage| {
                let snapshot = store.snapshot_at(&namespace, Version::new(7)).await?;
                anyhow::Ok(snapshot.find(&location(number, 5 * files)).await?.load_bytes(ByteRange::All).await?)
            };
            let fresh = self.client("history")?;
            let load = async {
                let store = open(&fresh).await?;
                old(&store).await?;
                Ok(store)
            };
            let operation = format!("read one object as of version 7 of 20, {names}, new process");
            let store = self.tally.count(&operation, cold, &fresh, load).await?;
            self.tally.count("read it again", again, &fresh, old(&store)).await?;
            let fresh = self.client("history")?;
            let log = async { Ok(open(&fresh).await?.log(&namespace, None).await?) };
            let log = self.tally.count("log of these 20 versions, new process", Goal::None, &fresh, log).await?;
            ensure!(log.len() == 20, "{} commits", log.len());
        }
        Ok(())
    }

    /// Verification and collection, of a store of which half is garbage.
    async fn care(&mut self) -> Result<()> {
        let second = Duration::from_secs(1);
        let config = ContentConfig::default().with_grace(second).with_lease(second);
        let Handle { store, .. } = self.create("care", config).await?;
        for unit in 0..10 {
            put(&store, unit, unit * UNIT..(unit + 1) * UNIT).await?;
        }
        for unit in 0..5 {
            store.delete_all(&unit_names(unit)).await?;
        }
        let Handle { storage, store } = self.open("care").await?;
        for (what, data) in [("verify of 10,000 objects in 10 packs", false), ("the same with all data", true)] {
            let verify = async { Ok(store.verify(VerifyOptions::default().with_data(data)).await?) };
            let report = self.tally.count(what, Goal::None, &storage, verify).await?;
            ensure!(report.is_sound(), "the store is damaged: {:?}", report.problems);
        }
        // What is younger than the grace period stays.
        tokio::time::sleep(3 * second).await;
        let Handle { storage, store } = self.open("care").await?;
        let collect = async { Ok(store.collect(CollectOptions::default().with_keep_last(1)).await?) };
        let report = self.tally.count("gc of it, half being garbage", Goal::None, &storage, collect).await?;
        ensure!(report.deleted_files >= 10, "{report:?}");
        Ok(())
    }

    async fn large(&mut self, place: &Place, bytes: u64) -> Result<()> {
        let folder = place.scratch()?;
        let file = place.noise_file(folder.path(), bytes)?;
        let named = format!("{} MiB", bytes >> 20);
        for (prefix, layout) in [("chunked", Layout::Chunked), ("whole", Layout::Whole)] {
            let Handle { storage, store } = self.create(prefix, ContentConfig::default()).await?;
            let put = async {
                let mut batch = store.batch();
                batch.put(location(0, 0), Source::path(&file), PutOptions::default().with_layout(layout));
                Ok(batch.commit().await?)
            };
            let operation = format!("put a file of {named}, {prefix}, first of a handle");
            self.tally.count(&operation, Goal::None, &storage, put).await?;
            let fresh = self.client(prefix)?;
            let load = async {
                let store = open(&fresh).await?;
                Ok(store.load_path(&location(0, 0), &folder.path().join("loaded"), &LoadOptions::default()).await?)
            };
            let operation = format!("read it, {prefix}, new process");
            self.tally.count(&operation, Goal::None, &fresh, load).await?;
        }
        Ok(())
    }

    /// What a process finds that knows nothing of a store of many packs.
    async fn many_packs(&mut self, packs: u64) -> Result<()> {
        let among = format!("among {packs} packs, new process");
        for (which, index) in [("one of the first", packs / 100), ("one of the last", packs - 20)] {
            let (bytes, fresh) = (tiny(index as usize), self.client("packs")?);
            let read = async {
                let object = open(&fresh).await?.find_digest(&format!("b3:{}", Digest::of(&bytes))).await?;
                ensure!(object.load_bytes(ByteRange::All).await? == bytes, "other bytes");
                Ok(())
            };
            let operation = format!("read `b3:...`, {which}, {among}");
            self.tally.count(&operation, Goal::Total(10), &fresh, read).await?;
        }
        let digest = Digest::of(&tiny(packs as usize / 2));
        let fresh = self.client("packs")?;
        let ask = async {
            let there = open(&fresh).await?.contains_digests(&[digest]).await?;
            ensure!(there == [true], "it is there");
            Ok(())
        };
        self.tally.count(&format!("is this content there? {among}"), Goal::Total(10), &fresh, ask).await?;
        for (which, index) in [("is there", packs as usize / 2), ("is new", packs as usize)] {
            let fresh = self.client("packs")?;
            let put = async {
                let store = open(&fresh).await?;
                Ok(store.store_bytes(&location(NAMESPACES as usize + 1, index), tiny(index)).await?)
            };
            let operation = format!("put one object that {which}, {among}");
            self.tally.count(&operation, Goal::None, &fresh, put).await?;
            // Then a pack is sent, if need be, and the commit begins with a look at the names.
            let is_question =
                |request: &str| !request.contains("names%2F") && !request.starts_with("PUT /bucket/packs/packs/");
            self.tally.add_part("of these, until that is known", Goal::Total(10), is_question);
        }
        Ok(())
    }
}

async fn open(storage: &ObjectStorage) -> Result<ContentStorage> {
    Ok(ContentStorage::open(Arc::new(storage.clone()), OpenOptions::default()).await?)
}

/// Puts small files into a namespace by one commit.
async fn put(store: &ContentStorage, namespace: usize, indexes: std::ops::Range<usize>) -> Result<()> {
    let objects = Objects::new(indexes.end, SMALL_BYTES);
    let mut batch = store.batch();
    for index in indexes {
        batch.put(location(namespace, index), objects.source(index), PutOptions::default());
    }
    batch.commit().await?;
    Ok(())
}

fn unit_names(unit: usize) -> Vec<Location> {
    (unit * UNIT..(unit + 1) * UNIT).map(|index| location(unit, index)).collect()
}

/// Puts many objects one by one, so that each gets a pack, past the network. The last are put as into any bucket, whose writers merge
/// what there is of index files more eagerly; done by all, that would take minutes.
async fn fill(server: &Server, packs: u64) -> Result<()> {
    let start = Instant::now();
    let last = packs - packs / 100;
    for (local, indexes) in [(true, 0..last), (false, last..packs)] {
        let (objects, prefix) = (Arc::clone(&server.objects), format!("{BUCKET}/packs/"));
        let direct = Arc::new(Direct { objects, prefix, local });
        let store = ContentStorage::create(direct, ContentConfig::default(), OpenOptions::default()).await?;
        for index in indexes {
            let location = location((index % NAMESPACES) as usize, index as usize);
            store.store_bytes(&location, tiny(index as usize)).await?;
        }
    }
    eprintln!("{packs} packs made in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}
