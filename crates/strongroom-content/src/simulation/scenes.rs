//! Scenes: a few processes, each with something to do, in a situation that would take long to come about by itself.

use std::sync::Arc;
use std::time::Duration;

use strongroom_storage::{Digest, ExternalStorage, Location, Result, StoreMode};
use strongroom_testkit::{Dice, Weather};

use super::actors::{Actor, at, content};
use super::{Climate, Distance, Outcome, World};
use crate::collect::CollectOptions;
use crate::list;
use crate::mutation::{self, Mutation};
use crate::namespace::Namespace;
use crate::nonce::Nonce;
use crate::paths;
use crate::version::Version;

/// How many seeds each is played under in every test run.
const SEEDS: u64 = 300;

/// A scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    /// Two collectors, neither of which saw the other's list when it began, and content of which either list has a copy.
    TwoCollectors,
    /// A collector that keeps some old versions, and one that lets them go while the first reads them.
    TwoRetentions,
    /// Two writers rely on the same old content and stall, and somebody collects.
    TheSame,
    /// Somebody looks a name up, and copies it when it was removed, and what it stood for is listed.
    LateCopy,
    /// A writer stalls until the version that it is to publish was published, superseded and collected. Somebody reads now and then.
    LateVersion,
}

pub(super) const SCENES: [Scene; 5] =
    [Scene::TwoCollectors, Scene::TwoRetentions, Scene::TheSame, Scene::LateCopy, Scene::LateVersion];

/// Plays a scene, with the protocol broken in one way or not.
pub(super) fn play(scene: Scene, seed: u64, distance: Distance, mutation: Option<Mutation>) -> Outcome {
    mutation::set(mutation);
    let (climate, stalls, lengths) = match scene {
        Scene::TwoCollectors => (Climate::Calm, 25, [15, 15]),
        Scene::TwoRetentions => (Climate::Harsh, 40, [10, 20]),
        Scene::TheSame => (Climate::Harsh, 150, [4, 60]),
        Scene::LateCopy => (Climate::Harsh, 100, [10, 30]),
        Scene::LateVersion => (Climate::Harsh, 60, [200, 200]),
    };
    let world = World::new(seed, Weather::calm(Duration::from_millis(300)), climate, distance);
    let stage = Stage { world: &world, seed };
    match scene {
        Scene::TwoCollectors => stage.two_copies(),
        Scene::TwoRetentions => stage.versions(),
        Scene::TheSame | Scene::LateCopy => stage.old_content(),
        Scene::LateVersion => {}
    }
    let mut weather = Weather::calm(Duration::from_millis(300));
    weather.stalls = (stalls, lengths.map(Duration::from_secs).to_vec());
    match scene {
        Scene::TwoCollectors => {
            stage.enter(async |actor| collect(actor, 1).await);
            stage.enter(async |actor| collect(actor, 1).await);
        }
        Scene::TwoRetentions => {
            stage.enter(async |actor| collect(actor, 2).await);
            for versions in [2, 3] {
                stage.enter(async move |actor| {
                    collect_with(&actor, CollectOptions::default().with_keep_last(versions)).await;
                });
            }
        }
        Scene::TheSame => {
            stage.enter(async |actor| collect(actor, 3).await);
            weather.stalling = world.simulation.next_process()..;
            stage.enter(async |actor| put(&actor, "a/n1", 1).await);
            stage.enter(async |actor| put(&actor, "a/n1", 1).await);
        }
        Scene::LateCopy => {
            stage.enter(async |actor| collect(actor, 3).await);
            weather.stalling = world.simulation.next_process()..;
            stage.enter(async |actor| {
                let (from, to) = (at("b/c", "n0"), at("a", "n1"));
                let Ok(namespace) = Namespace::parse("b/c") else { return };
                let Ok(old) = actor.store.snapshot_at(&namespace, Version::new(1)).await else { return };
                let Ok(object) = old.find(&from).await else { return };
                actor.host.sleep(Duration::from_secs(10)).await;
                let mut batch = actor.store.batch();
                batch.link(to.clone(), object.clone(), StoreMode::Overwrite);
                if let Err(error) = actor.commit(batch, vec![(to, Some(object.digest()))]).await {
                    actor.failed("writer", &error);
                }
            });
        }
        Scene::LateVersion => {
            stage.enter(async |actor| {
                for number in 1..8 {
                    put(&actor, &format!("a/n{}", number % 3 + 1), number).await;
                    actor.host.sleep(Duration::from_secs(5)).await;
                }
            });
            stage.enter(async |actor| collect(actor, 25).await);
            stage.enter(async |mut actor| {
                for _ in 0..30 {
                    if let Err(error) = actor.read_the_newest().await {
                        actor.failed("reader", &error);
                    }
                    actor.host.sleep(Duration::from_secs(4)).await;
                }
            });
            weather.stalling = world.simulation.next_process()..;
            stage.enter(async move |actor| {
                actor.host.sleep(Duration::from_secs(seed % 50)).await;
                put(&actor, "a/n0", 0).await;
            });
        }
    }
    world.simulation.set_weather(weather);
    world.play_on();
    world.end(&format!("seed {seed}, {scene:?}, {distance:?}, {mutation:?}"), seed)
}

/// Where it is played.
struct Stage<'a> {
    world: &'a World,
    seed: u64,
}

impl Stage<'_> {
    /// A process whose beginning the dice delay.
    fn enter<Act: Future<Output = ()> + Send + 'static>(&self, act: impl FnOnce(Actor) -> Act + Send + 'static) {
        let World { simulation, server, oracle } = self.world;
        let (delay, dice) = simulation.dice(|dice| (dice.below(12_000), Dice::new(dice.roll())));
        Actor::enter(simulation, server, oracle, (self.seed, 0, dice), move |actor| async move {
            actor.host.sleep(Duration::from_millis(delay)).await;
            act(actor).await;
        });
    }

    /// One process after the other, each until it is over.
    fn first<Act: Future<Output = ()> + Send + 'static>(&self, act: impl FnOnce(Actor) -> Act + Send + 'static) {
        let World { simulation, server, oracle } = self.world;
        let dice = simulation.dice(|dice| Dice::new(dice.roll()));
        Actor::enter(simulation, server, oracle, (self.seed, 0, dice), act);
        self.world.play_on();
    }

    /// Three small packs, and some seconds later three others with the same content.
    fn two_copies(&self) {
        self.first(async |actor| {
            for number in 1..4 {
                put(&actor, &format!("a/n{number}"), number).await;
            }
            actor.host.sleep(Duration::from_secs(6)).await;
        });
        let server = self.world.server.clone();
        self.first(async move |actor| {
            // What a list names is stored again.
            let packs: Vec<Location> = packs(&server).await.expect("list packs");
            let nonce = Nonce::draw(&*actor.host).expect("draw a nonce");
            let list = list::publish(&*server, &nonce, packs.iter()).await.expect("publish a list");
            for number in 1..4 {
                put(&actor, &format!("b/c/n{number}"), number).await;
            }
            server.delete_all(&[list]).await.expect("delete the list");
        });
    }

    /// Ten versions. The eighth stays for the tenth to be found, and the ninth has put what nobody else has.
    fn versions(&self) {
        self.first(async |actor| {
            for version in 1..=10 {
                put(&actor, &format!("a/n{version}"), if version == 9 { 4 } else { version % 3 + 1 }).await;
            }
            actor.host.sleep(Duration::from_secs(10)).await;
        });
    }

    /// A pack with content that nobody needs any more.
    fn old_content(&self) {
        self.first(async |actor| {
            put(&actor, "b/c/n0", 1).await;
            put(&actor, "b/c/n0", 2).await;
            actor.host.sleep(Duration::from_secs(10)).await;
        });
    }
}

async fn packs(server: &Arc<dyn ExternalStorage>) -> Result<Vec<Location>> {
    use futures::TryStreamExt;
    server.iter_contents(paths::PACKS).try_collect().await
}

async fn put(actor: &Actor, location: &str, number: u64) {
    let (bytes, options) = content(number);
    let (namespace, name) = location.rsplit_once('/').expect("a namespace and a name");
    let (location, digest) = (at(namespace, name), Digest::of(&bytes));
    let mut batch = actor.store.batch();
    batch.put(location.clone(), bytes, options);
    if let Err(error) = actor.commit(batch, vec![(location, Some(digest))]).await {
        actor.failed("writer", &error);
    }
}

async fn collect(actor: Actor, times: u64) {
    for _ in 0..times {
        collect_with(&actor, CollectOptions::default()).await;
        actor.host.sleep(Duration::from_secs(7)).await;
    }
}

async fn collect_with(actor: &Actor, options: CollectOptions) {
    match actor.store.collect(options).await {
        Ok(report) => actor.oracle.collected(&report),
        Err(error) => actor.failed("collector", &error),
    }
}

#[test]
fn what_is_promised_holds_in_every_scene() {
    let seeds = std::env::var("STRONGROOM_SEARCH").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    for scene in SCENES {
        for seed in 0..seeds {
            // Two near and one far.
            let distance = if seed % 3 == 2 { Distance::Far } else { Distance::Near };
            super::assert_holds(&play(scene, seed, distance, None));
        }
    }
}

#[test]
fn one_seed() {
    let Some(seed) = std::env::var("STRONGROOM_SEED").ok().and_then(|text| text.parse().ok()) else { return };
    for scene in SCENES {
        for distance in [Distance::Near, Distance::Far] {
            println!("{scene:?}, {distance:?}: {:?}", play(scene, seed, distance, None));
        }
    }
}
