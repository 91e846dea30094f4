//! Many processes that commit to one bucket, and a collector beside them.

#[path = "../services/moto.rs"]
mod moto;
#[path = "../../../../tests/python/mod.rs"]
mod python;
#[path = "../services/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use strongroom_cloud::ObjectStorage;
use strongroom_content::{
    CollectOptions, ContentConfig, ContentStorage, Namespace, OpenOptions, PutOptions, VerifyOptions,
};
use strongroom_storage::{ByteRange, Digest, ExternalStorage, Host, Location, SystemHost};

use moto::BUCKET;

const WORKERS: u64 = 16;
/// How many commits each makes; `STRONGROOM_TEST_COMMITS` says otherwise.
const COMMITS: u64 = 25;
/// So many files has a unit. Their content comes from a pool: it becomes garbage, and somebody else stores it again.
const FILES: u64 = 20;
const POOL: u64 = 200;
/// What was replaced so long ago may go, and who says nothing for so long is given up.
const GRACE: Duration = Duration::from_secs(2);
const LEASE: Duration = Duration::from_secs(20);
const WORKER: &str = "STRONGROOM_TEST_WORKER";

fn commits() -> u64 {
    std::env::var("STRONGROOM_TEST_COMMITS").map_or(COMMITS, |commits| commits.parse().expect("a number"))
}

fn at(text: &str) -> Location {
    Location::parse(text).expect("a location")
}

/// Bytes that nothing compresses and that no other number gives.
fn pooled(number: u64) -> Bytes {
    let mut bytes = vec![0; 300 + 40 * number as usize];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into()
}

/// What worker `id` puts by its `n`th commit: a unit of its own, or again under a name of its own in a namespace of all.
fn commit(id: u64, n: u64) -> Vec<(String, Bytes)> {
    if n % 4 == 3 {
        return vec![(format!("dag/all/{id}-{}", n % 8), pooled((id + n) % POOL))];
    }
    // Now and then the one before is replaced.
    let unit = if n % 5 == 4 { n - 1 } else { n };
    (0..FILES).map(|file| (format!("dag/{id}-{unit}/{file}"), pooled((id * 7 + n * 3 + file) % POOL))).collect()
}

async fn open(url: &str, server: &str) -> (ObjectStorage, ContentStorage) {
    let storage = ObjectStorage::builder(url).with_settings(moto::settings(server)).open().expect("a bucket");
    let store = ContentStorage::open(Arc::new(storage.clone()), OpenOptions::default()).await.expect("open");
    (storage, store)
}

/// What a process of its own does: a worker commits and says so, line by line; the one that is called `gc` collects until it is told to
/// end.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "other tests start it as a process of its own"]
async fn a_process_of_a_fleet() {
    let order = std::env::var(WORKER).expect("it is told what to do");
    let (who, place) = order.split_once(' ').expect("who and where");
    let (url, address) = place.split_once(' ').expect("where and at which server");
    let (storage, store) = open(url, address).await;
    if who == "gc" {
        let over = std::thread::spawn(|| std::io::stdin().read_to_end(&mut Vec::new()));
        let mut deleted = 0;
        while !over.is_finished() {
            deleted += store.collect(CollectOptions::default()).await.expect("collect").deleted_files;
            println!("\ncollected {deleted}");
        }
        return;
    }
    let id: u64 = who.parse().expect("a number");
    for n in 0..commits() {
        let before = storage.requests().expect("they are counted");
        let files = commit(id, n);
        let mut batch = store.batch();
        for (name, bytes) in &files {
            batch.put(at(name), bytes.clone(), PutOptions::default());
        }
        let receipt = batch.commit().await.expect("commit");
        let version = receipt.versions.values().next().expect("a version");
        let requests = storage.requests().expect("they are counted").since(before).total();
        println!("\ncommitted {n} {version} {requests}");
        let (name, bytes) = &files[n as usize % files.len()];
        assert!(store.load_bytes(&at(name), ByteRange::All).await.expect("load") == *bytes, "{name}");
    }
}

/// Starts a process of the fleet.
fn start(who: &str, url: &str, server: &str) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["a_process_of_a_fleet", "--exact", "--ignored", "--nocapture"])
        .env(WORKER, format!("{who} {url} {}", server))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start a process")
}

/// The numbers in the lines that begin with a word.
fn numbers(child: &mut Child, word: &str) -> Vec<Vec<u64>> {
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let lines = output.lines().map(|line| line.expect("a line"));
    let lines = lines.filter_map(|line| Some(line.strip_prefix(word)?.to_string()));
    lines.map(|line| line.split_whitespace().map(|number| number.parse().expect("a number")).collect()).collect()
}

#[test]
fn a_fleet_commits_to_one_bucket_beside_a_collector_and_nothing_is_lost_or_twice() {
    let Some(server) = moto::url() else { return };
    let server = server.as_str();
    let url = format!("s3://{BUCKET}/fleet");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let storage = ObjectStorage::builder(&url).with_settings(moto::settings(server)).open().expect("a bucket");
        let config = ContentConfig::default().with_grace(GRACE).with_lease(LEASE);
        ContentStorage::create(Arc::new(storage), config, OpenOptions::default()).await.expect("create");
    });
    let host = SystemHost::new();
    let begun = host.monotonic();
    let mut collector = start("gc", &url, server);
    let mut workers: Vec<Child> = (0..WORKERS).map(|id| start(&id.to_string(), &url, server)).collect();
    let reports: Vec<Vec<Vec<u64>>> = std::thread::scope(|scope| {
        let reading: Vec<_> =
            workers.iter_mut().map(|worker| scope.spawn(move || numbers(worker, "committed "))).collect();
        reading.into_iter().map(|thread| thread.join().expect("a report")).collect()
    });
    let took = host.monotonic() - begun;
    drop(collector.stdin.take());
    let deleted = numbers(&mut collector, "collected ").last().expect("a collection")[0];
    assert!(collector.wait().expect("it ends").success(), "the collector");
    for (id, worker) in workers.iter_mut().enumerate() {
        assert!(worker.wait().expect("it ends").success(), "worker {id}");
    }

    // What stands under each name, and how many versions of the namespace of all were acknowledged.
    let mut expected: BTreeMap<String, Bytes> = BTreeMap::new();
    for (id, n) in (0..WORKERS).flat_map(|id| (0..commits()).map(move |n| (id, n))) {
        expected.extend(commit(id, n));
    }
    let mut shared: Vec<u64> =
        reports.iter().flatten().filter(|report| report[0] % 4 == 3).map(|report| report[1]).collect();
    shared.sort_unstable();
    let acknowledged = reports.iter().map(Vec::len).sum::<usize>() as u64;
    assert_eq!(acknowledged, WORKERS * commits());
    runtime.block_on(async {
        let (_, store) = open(&url, server).await;
        let mut objects = store.objects("");
        while let Some(object) = objects.try_next().await.expect("list") {
            let bytes = expected.remove(object.location().as_str()).expect("somebody has put it there");
            assert_eq!(object.digest(), Digest::of(&bytes), "{}", object.location());
        }
        assert_eq!(expected.keys().next(), None, "lost");
        let all = Namespace::parse("dag/all").expect("a namespace");
        let head = store.snapshot(&all).await.expect("snapshot").version().get();
        let once: Vec<u64> = shared.iter().copied().collect::<std::collections::BTreeSet<_>>().into_iter().collect();
        assert_eq!(once.len(), shared.len(), "two commits were acknowledged as one version");
        assert!(head >= shared.len() as u64 && shared.last() == Some(&head), "{head} versions of {}", shared.len());
        let report = store.verify(VerifyOptions::default().with_data(true)).await.expect("verify");
        assert!(report.is_sound(), "{:#?}", report.problems);
    });
    let mut requests: Vec<u64> = reports.iter().flatten().map(|report| report[2]).collect();
    requests.sort_unstable();
    println!(
        "{acknowledged} commits of {WORKERS} processes in {:.0} s; requests a commit: {} in the middle, {:.1} on average, {} at most; \
         {deleted} files collected meanwhile",
        took.as_secs_f64(),
        requests[requests.len() / 2],
        requests.iter().sum::<u64>() as f64 / requests.len() as f64,
        requests.last().expect("some"),
    );
}
