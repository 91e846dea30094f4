//! How many requests a handle has under way at once, and that it always has one left.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use hyper::service::service_fn;
use strongroom_cloud::ObjectStorage;
use strongroom_content::{ContentConfig, ContentStorage, Layout, OpenOptions, PutOptions};
use strongroom_storage::{ByteRange, ExternalStorage, Location};
use tokio::task::JoinSet;

use crate::fake_gcs::{BUCKET, FakeGcs};
use crate::{gcs, loopback};

/// How long the server thinks about a request.
const PAUSE: Duration = Duration::from_millis(5);

/// Requests that a server has in hand.
#[derive(Default)]
struct InHand {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// One of them, until it is answered or given up.
struct One(Arc<InHand>);

impl One {
    fn new(all: &Arc<InHand>) -> Self {
        all.most.fetch_max(all.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Self(Arc::clone(all))
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A bucket to which so many requests may be under way, on a server of its own.
async fn bucket(requests: usize) -> (ObjectStorage, Arc<InHand>, JoinSet<()>) {
    let (fake, in_hand) = (Arc::new(FakeGcs::default()), Arc::new(InHand::default()));
    let counted = Arc::clone(&in_hand);
    let answer = move |request| {
        let (fake, counted) = (Arc::clone(&fake), Arc::clone(&counted));
        async move {
            let _one = One::new(&counted);
            tokio::time::sleep(PAUSE).await;
            fake.answer(request).await
        }
    };
    let (address, server) = loopback::serve(service_fn(answer)).await;
    let storage = ObjectStorage::builder(&format!("gs://{BUCKET}/at-once"))
        .with_settings(gcs::reach(&format!("http://{address}")))
        .with_requests_at_once(requests)
        .open();
    (storage.expect("a bucket"), in_hand, server)
}

fn at(text: &str) -> Location {
    Location::parse(text).expect("a location")
}

#[tokio::test]
async fn a_handle_has_no_more_requests_under_way_than_it_is_told() {
    for requests in [1, 3] {
        let (storage, in_hand, _server) = bucket(requests).await;
        let names: Vec<Location> = (0..20).map(|n| at(&format!("a/{n}"))).collect();
        for stored in join_all(names.iter().map(|name| storage.store_bytes(name, "content".into()))).await {
            stored.expect("store");
        }
        for loaded in join_all(names.iter().map(|name| storage.load_bytes(name, ByteRange::All))).await {
            assert_eq!(loaded.expect("load"), "content");
        }
        assert_eq!(in_hand.most.load(Ordering::SeqCst), requests);
    }
}

/// Each in a namespace of its own, to which nobody comes back.
#[tokio::test]
async fn commits_that_are_given_up_at_any_time_leave_a_handle_that_works() {
    let (storage, _, _server) = bucket(2).await;
    let store = ContentStorage::create(Arc::new(storage), ContentConfig::default(), OpenOptions::default()).await;
    let store = store.expect("create");
    for n in 0..60 {
        let location = at(&format!("unit-{n}/file"));
        let given_up = store.store_bytes(&location, vec![n; 1000].into());
        // The first takes about twelve requests, the next seven.
        drop(tokio::time::timeout(PAUSE * u32::from(n % 15), given_up).await);
    }
    let last = at("last/file");
    let last = store.store_bytes(&last, "content".into());
    tokio::time::timeout(Duration::from_secs(60), last).await.expect("it does not wait for ever").expect("store");
}

/// Packs that are on their way rest while the batch goes on; what it asks for meanwhile must not wait for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_many_packs_needs_no_more_than_one_request_at_once() {
    let (storage, _, _server) = bucket(1).await;
    let store = ContentStorage::create(Arc::new(storage), ContentConfig::default(), OpenOptions::default()).await;
    let store = store.expect("create");
    let mut batch = store.batch();
    for n in 0..300u32 {
        let mut content = vec![0; 250_000];
        blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof().fill(&mut content);
        batch.put(at(&format!("unit/{n}")), content, PutOptions::default());
        if n % 100 == 99 {
            let whole = PutOptions::default().with_layout(Layout::Whole);
            batch.put(at(&format!("unit/whole-{n}")), vec![n as u8; 5_000_000], whole);
        }
    }
    tokio::time::timeout(Duration::from_secs(60), batch.commit())
        .await
        .expect("it does not wait for ever")
        .expect("commit");
}
