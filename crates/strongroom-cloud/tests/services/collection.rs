//! Collection in a bucket: what nothing needs goes, and nothing else, whoever collects and writes at the same time.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use strongroom_content::{
    CollectOptions, ContentConfig, ContentStorage, Layout, OpenOptions, PutOptions, VerifyOptions,
};
use strongroom_storage::{ByteRange, ErrorKind, ExternalStorage, Location};
use strongroom_testkit::conformance::Place;

/// What was superseded so long ago may go, and who says nothing for so long is given up.
const GRACE: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_secs(10);
/// So many units are stored at first, of which all but each third are removed.
const UNITS: u64 = 6;
/// How each unit is kept, and how large it is.
const KINDS: [(Layout, usize); 3] = [(Layout::Auto, 3000), (Layout::Chunked, 1_500_000), (Layout::Whole, 40_000)];

fn at(unit: u64, kind: usize) -> Location {
    Location::parse(&format!("dag/unit-{unit}/{kind}")).expect("a location")
}

fn content(unit: u64, kind: usize) -> Bytes {
    let mut bytes = vec![0; KINDS[kind].1];
    blake3::Hasher::new().update(&[unit as u8, kind as u8]).finalize_xof().fill(&mut bytes);
    bytes.into()
}

async fn put(store: &ContentStorage, unit: u64) {
    let mut batch = store.batch();
    for (kind, (layout, _)) in KINDS.iter().enumerate() {
        batch.put(at(unit, kind), content(unit, kind), PutOptions::default().with_layout(*layout));
    }
    batch.commit().await.expect("commit");
}

async fn remove(store: &ContentStorage, unit: u64) {
    let names: Vec<Location> = (0..KINDS.len()).map(|kind| at(unit, kind)).collect();
    store.delete_all(&names).await.expect("delete");
}

fn stays(unit: u64) -> bool {
    unit.is_multiple_of(3)
}

/// Two collectors, beside writers, some of whom store what was removed again.
pub async fn check_collection(place: Place) {
    let config = ContentConfig::default().with_grace(GRACE).with_lease(LEASE);
    let backend = place.open().await.expect("a bucket");
    ContentStorage::create(backend, config, OpenOptions::default()).await.expect("create");
    let open = async || {
        let backend = place.open().await.expect("a bucket");
        ContentStorage::open(backend, OpenOptions::default()).await.expect("open")
    };
    let store = open().await;
    for unit in 0..UNITS {
        put(&store, unit).await;
    }
    for unit in (0..UNITS).filter(|unit| !stays(*unit)) {
        remove(&store, unit).await;
    }
    let stored = store.usage().await.expect("usage").stored_bytes;
    tokio::time::sleep(2 * GRACE).await;

    let collect = async || open().await.collect(CollectOptions::default()).await.expect("collect");
    let write = async |first: u64| {
        let store = open().await;
        for unit in first..first + 3 {
            put(&store, unit).await;
        }
    };
    let (collected, ..) = tokio::join!(join_all([collect(), collect()]), write(UNITS), write(1));
    assert!(collected.iter().any(|report| report.deleted_files > 0), "{collected:?}");

    let kept: Vec<u64> =
        (0..UNITS + 3).filter(|unit| stays(*unit) || (1..4).contains(unit) || *unit >= UNITS).collect();
    let fresh = open().await;
    for unit in 0..UNITS + 3 {
        for kind in 0..KINDS.len() {
            let loaded = fresh.load_bytes(&at(unit, kind), ByteRange::All).await;
            if kept.contains(&unit) {
                assert!(loaded.expect("it has its name") == content(unit, kind), "{unit} {kind}");
            } else {
                assert_eq!(loaded.expect_err("removed").kind(), ErrorKind::Missing);
            }
        }
    }
    for unit in kept {
        remove(&fresh, unit).await;
    }
    tokio::time::sleep(2 * GRACE).await;
    // What one collector has condemned, another takes away.
    for _ in 0..2 {
        collect().await;
    }
    let left = open().await.usage().await.expect("usage").stored_bytes;
    assert!(left < stored / 20, "{left} of {stored} bytes are left");
    let report = open().await.verify(VerifyOptions::default().with_data(true)).await.expect("verify");
    assert!(report.is_sound(), "{:?}", report.problems);
}
