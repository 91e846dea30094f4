//! Who uses the store: writers, readers and collectors, each a process of its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::join_all;
use strongroom_storage::{ByteRange, Digest, Error, ErrorKind, ExternalStorage, Host, Location, Result, StoreMode};
use strongroom_testkit::{Dice, Simulation};

use super::oracle::Oracle;
use crate::batch::{Batch, PutOptions};
use crate::collect::CollectOptions;
use crate::config::{Layout, OpenOptions};
use crate::namespace::Namespace;
use crate::object::ObjectRef;
use crate::store::ContentStorage;
use crate::version::Version;

/// Where what is written is.
const NAMESPACES: [&str; 2] = ["a", "b/c"];
/// How many names each has.
const NAMES: u64 = 5;
/// How many contents there are.
const CONTENTS: u64 = 10;

/// A process.
pub(super) struct Actor {
    process: usize,
    pub(super) store: ContentStorage,
    simulation: Simulation,
    pub(super) host: Arc<dyn Host>,
    pub(super) oracle: Arc<Oracle>,
    dice: Dice,
}

fn noise(seed: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into()
}

/// One of the contents, of each kind some. The chunked ones share chunks.
pub(super) fn content(number: u64) -> (Bytes, PutOptions) {
    let with = |layout| PutOptions::default().with_layout(layout);
    match number % CONTENTS {
        0 => (noise(0, 60), PutOptions::default()),
        number @ 1..=4 => (noise(number, 300 + 100 * usize::try_from(number).unwrap_or(0)), PutOptions::default()),
        5 => (noise(5, 5000), with(Layout::Chunked)),
        6 => ([noise(5, 5000), noise(6, 900)].concat().into(), with(Layout::Chunked)),
        7 => (noise(7, 24_000), with(Layout::Chunked)),
        number => (noise(number, 2000), with(Layout::Whole)),
    }
}

pub(super) fn at(namespace: &str, name: &str) -> Location {
    Location::parse(&format!("{namespace}/{name}")).expect("a location")
}

impl Actor {
    /// One of those who do what comes to their minds.
    pub(super) fn start(
        simulation: &Simulation,
        server: &Arc<dyn ExternalStorage>,
        oracle: &Arc<Oracle>,
        seed: u64,
        collectors: u64,
    ) {
        let (kind, skew, own) = simulation.dice(|dice| (dice.below(100), dice.below(7200), Dice::new(dice.roll())));
        let skew = i64::try_from(skew).unwrap_or(0) - 3600;
        Self::enter(simulation, server, oracle, (seed, skew, own), move |actor| async move {
            match kind {
                _ if kind < collectors => actor.collect().await,
                _ if kind < collectors + (100 - collectors) * 4 / 5 => actor.write().await,
                _ => actor.read().await,
            }
        });
    }

    /// A process that opens the store and does what it is told.
    pub(super) fn enter<Act: Future<Output = ()> + Send + 'static>(
        simulation: &Simulation,
        server: &Arc<dyn ExternalStorage>,
        oracle: &Arc<Oracle>,
        (seed, skew, dice): (u64, i64, Dice),
        act: impl FnOnce(Self) -> Act + Send + 'static,
    ) {
        let process = simulation.next_process();
        let host = simulation.host(process, seed, skew);
        let backend: Arc<dyn ExternalStorage> = Arc::new(simulation.watched_storage(server, process, oracle.clone()));
        let (simulation_, oracle) = (simulation.clone(), oracle.clone());
        simulation.start(async move {
            let options = OpenOptions::default().with_host(host.clone());
            let Ok(store) = ContentStorage::open(backend, options).await else { return };
            act(Self { process, store, simulation: simulation_, host, oracle, dice }).await;
        });
    }

    fn namespace(&mut self) -> &'static str {
        self.dice.pick::<&'static str>(&NAMESPACES)
    }

    fn name(&mut self) -> String {
        format!("n{}", self.dice.below(NAMES))
    }

    async fn pause(&mut self) {
        let seconds = *self.dice.pick(&[0, 0, 1, 5, 15, 40]);
        if seconds > 0 {
            self.host.sleep(Duration::from_secs(seconds)).await;
        }
    }

    async fn write(mut self) {
        for _ in 0..=self.dice.below(5) {
            let result = match self.dice.below(100) {
                0..32 => self.put().await,
                32..42 => self.remove().await,
                42..56 => self.copy(false).await,
                56..61 => self.copy(true).await,
                61..70 => self.restore().await,
                70..78 => self.tag().await,
                78..93 => self.put_together().await,
                _ => self.put_a_pair().await,
            };
            match result {
                Ok(()) => {}
                Err(error) => self.failed("writer", &error),
            }
            self.pause().await;
        }
    }

    pub(super) fn failed(&self, who: &str, error: &Error) {
        self.oracle.count(&format!("{who}: {}", error.kind()), 1);
        if error.kind() == ErrorKind::Internal {
            self.oracle.breaks(format!("{who}: {error:?}"));
        }
    }

    /// Commits what stands in `batch`, and has it remembered that it was acknowledged.
    pub(super) async fn commit(&self, batch: Batch, names: Vec<(Location, Option<Digest>)>) -> Result<()> {
        let removed = names.iter().filter(|(_, digest)| digest.is_none());
        let removals: Vec<(Location, u64)> =
            removed.map(|(location, _)| (location.clone(), self.oracle.removes(location))).collect();
        let receipt = batch.commit().await?;
        for (location, id) in removals {
            if let Some(version) = receipt.versions.get(&Namespace::of(&location)) {
                self.oracle.removed(&location, id, version.get());
            }
        }
        for (namespace, version) in receipt.versions {
            let of = |(location, digest): &(Location, Option<Digest>)| {
                let (of, name) = Namespace::split(location);
                (of == namespace).then(|| (name.to_string(), *digest))
            };
            let names: Vec<_> = names.iter().filter_map(of).collect();
            self.oracle.acknowledge(self.process, &namespace, version.get(), &names);
        }
        Ok(())
    }

    async fn put(&mut self) -> Result<()> {
        let (mut batch, mut names) = (self.store.batch(), Vec::new());
        let namespace = self.namespace();
        for _ in 0..=self.dice.below(2) {
            let (bytes, options) = content(self.dice.roll());
            // Now and then a batch is about both namespaces.
            let namespace = if self.dice.per_mille(100) { self.namespace() } else { namespace };
            let location = at(namespace, &self.name());
            if names.iter().all(|(known, _)| *known != location) {
                names.push((location.clone(), Some(Digest::of(&bytes))));
                batch.put(location, bytes, options);
            }
        }
        self.commit(batch, names).await
    }

    /// Several tasks of one handle, each of which puts something.
    async fn put_together(&mut self) -> Result<()> {
        let mut tasks = Vec::new();
        for _ in 0..3 {
            let (bytes, options) = content(self.dice.roll());
            tasks.push((at(self.namespace(), &self.name()), bytes, options));
        }
        let this = &*self;
        let tasks = tasks.into_iter().map(|(location, bytes, options)| async move {
            let (mut batch, digest) = (this.store.batch(), Digest::of(&bytes));
            batch.put(location.clone(), bytes, options);
            this.commit(batch, vec![(location, Some(digest))]).await
        });
        join_all(tasks).await.into_iter().collect()
    }

    /// Two names that always stand for the same.
    async fn put_a_pair(&mut self) -> Result<()> {
        let value = Bytes::from(format!("value {}", self.dice.roll()));
        let (mut batch, mut names) = (self.store.batch(), Vec::new());
        for name in ["x", "y"] {
            batch.put(at("pair", name), value.clone(), PutOptions::default());
            names.push((at("pair", name), Some(Digest::of(&value))));
        }
        self.commit(batch, names).await
    }

    async fn remove(&mut self) -> Result<()> {
        let location = at(self.namespace(), &self.name());
        let mut batch = self.store.batch();
        batch.remove_if_present(location.clone());
        self.commit(batch, vec![(location, None)]).await
    }

    /// A name of one namespace gets a second one in any, or another.
    async fn copy(&mut self, moves: bool) -> Result<()> {
        let (from, to) = (at(self.namespace(), &self.name()), at(self.namespace(), &self.name()));
        let object = match self.store.find(&from).await {
            Ok(object) if from != to => object,
            Ok(_) => return Ok(()),
            Err(error) if error.is_missing() => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut names = vec![(to.clone(), Some(object.digest()))];
        let mut batch = self.store.batch();
        batch.link(to, object.clone(), StoreMode::Overwrite);
        if moves {
            batch.remove_found(&object);
            names.push((from, None));
        }
        self.commit(batch, names).await
    }

    /// A name gets what it had some versions ago.
    async fn restore(&mut self) -> Result<()> {
        let namespace = Namespace::parse(self.namespace())?;
        let newest = self.store.snapshot(&namespace).await?.version().get();
        let version = newest.saturating_sub(self.dice.below(4));
        let location = at(namespace.as_str(), &self.name());
        let found = async { self.store.snapshot_at(&namespace, Version::new(version)).await?.find(&location).await };
        let object: ObjectRef = match found.await {
            Ok(object) => object,
            Err(error) if error.is_missing() => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut batch = self.store.batch();
        batch.link(location.clone(), object.clone(), StoreMode::Overwrite);
        self.commit(batch, vec![(location, Some(object.digest()))]).await
    }

    async fn tag(&mut self) -> Result<()> {
        let namespace = Namespace::parse(self.namespace())?;
        // Of its own: nobody else moves it.
        let name = format!("t-{}-{}", self.process, self.dice.below(2));
        self.oracle.untags(&namespace, &name);
        if self.dice.per_mille(400) {
            return self.store.untag(&namespace, &name).await;
        }
        let newest = self.store.snapshot(&namespace).await?.version().get();
        let version = newest.saturating_sub(self.dice.below(4));
        self.store.tag(&namespace, Version::new(version), &name, StoreMode::Overwrite).await?;
        self.oracle.tagged(&namespace, version, &name);
        Ok(())
    }

    async fn collect(mut self) {
        for _ in 0..=self.dice.below(2) {
            let keep_last = (self.dice.below(4) == 0).then(|| self.dice.below(3) + 1);
            let options = CollectOptions { keep_last, ..CollectOptions::default() };
            match self.store.collect(options).await {
                Ok(report) => self.oracle.collected(&report),
                Err(error) => self.failed("collector", &error),
            }
            self.pause().await;
        }
    }

    async fn read(mut self) {
        for _ in 0..=self.dice.below(3) {
            if let Err(error) = self.read_a_snapshot().await {
                self.failed("reader", &error);
            }
            if let Err(error) = self.read_the_pair().await {
                self.failed("reader", &error);
            }
            if let Err(error) = self.read_the_newest().await {
                self.failed("reader", &error);
            }
            self.pause().await;
        }
    }

    async fn read_a_snapshot(&mut self) -> Result<()> {
        let namespace = Namespace::parse(self.namespace())?;
        let taken = self.simulation.now();
        let snapshot = self.store.snapshot(&namespace).await?;
        let content = self.oracle.took_snapshot(&namespace, snapshot.version().get(), taken);
        let until = taken + self.store.config().grace;
        for _ in 0..3 {
            for (name, digest) in &content {
                let read =
                    async { snapshot.find(&at(namespace.as_str(), name)).await?.load_bytes(ByteRange::All).await };
                match read.await {
                    Ok(bytes) if Digest::of(&bytes) == *digest => {}
                    Ok(_) => self.oracle.breaks(format!("{name} in a snapshot is another")),
                    Err(error) if self.simulation.now() > until || error.kind() == ErrorKind::Unavailable => {
                        return Err(error);
                    }
                    Err(error) => self.oracle.breaks(format!("a reader of a snapshot finds {name} gone: {error:?}")),
                }
            }
            self.pause().await;
        }
        Ok(())
    }

    /// What was acknowledged before is seen, or something later.
    pub(super) async fn read_the_newest(&mut self) -> Result<()> {
        let location = at(self.namespace(), &self.name());
        let Some((version, digest)) = self.oracle.expected(&location) else { return Ok(()) };
        let object = self.store.find(&location).await?;
        if object.version().get() < version && Some(object.digest()) != digest {
            let found = object.version();
            self.oracle
                .breaks(format!("{location} is seen as in version {found}, after version {version} was acknowledged"));
        }
        Ok(())
    }

    async fn read_the_pair(&self) -> Result<()> {
        let objects: Vec<ObjectRef> = self.store.objects("pair/").try_collect().await?;
        let is_half = objects.len() == 1 || objects.windows(2).any(|pair| pair[0].digest() != pair[1].digest());
        if is_half {
            self.oracle.breaks("half a batch is seen".into());
        }
        Ok(())
    }
}
