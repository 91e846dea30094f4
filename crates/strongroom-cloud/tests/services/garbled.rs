//! What arrives otherwise than it was sent: the services notice, and it is sent again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use strongroom_cloud::ObjectStorage;
use strongroom_storage::{ByteRange, ErrorKind, ExternalStorage, Location, Source, StoreOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::{Settings, azurite, gcs, moto, s3s};

/// Stands in what is sent, again and again.
const MARK: &[u8] = b"this line may change on its way.\n";

/// What stands between a client and a server.
struct Relay {
    address: SocketAddr,
    /// In how many more of the pieces that come with the mark a bit is turned.
    left: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Relay {
    async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let (address, left) = (listener.local_addr().expect("its address"), Arc::new(AtomicUsize::new(0)));
        let (mut serving, counter) = (JoinSet::new(), Arc::clone(&left));
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let counter = Arc::clone(&counter);
                // Who goes away is no error of the relay's.
                connections.spawn(async move { carry(client, server, &counter).await.unwrap_or_default() });
            }
        });
        Self { address, left, _serving: serving }
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, left: &AtomicUsize) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let ((mut asked, mut told), (mut answers, mut there)) = (client.split(), server.split());
    let asking = async {
        let mut piece = vec![0; 64 << 10];
        loop {
            let length = asked.read(&mut piece).await?;
            if length == 0 {
                return there.shutdown().await;
            }
            let piece = &mut piece[..length];
            let take = |left: usize| left.checked_sub(1);
            if let Some(at) = piece.windows(MARK.len()).position(|bytes| bytes == MARK)
                && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok()
            {
                piece[at] ^= 1;
            }
            there.write_all(piece).await?;
        }
    };
    let answering = async { tokio::io::copy(&mut answers, &mut told).await.map(drop) };
    tokio::try_join!(asking, answering).map(drop)
}

/// What was put through the relay is what was sent, small and in parts, new and not; and what never arrives so is not there, of which
/// the error has the words.
async fn check(bucket: &str, server: SocketAddr, settings: impl Fn(SocketAddr) -> Settings, told: &str) {
    let relay = Relay::before(server).await;
    let garble = |times| relay.left.store(times, Ordering::SeqCst);
    let builder = ObjectStorage::builder(&format!("{bucket}/garbled")).with_settings(settings(relay.address));
    let storage = builder.clone().open().expect("a bucket");
    let at = |name: &str| Location::parse(name).expect("a location");
    for (name, size, options) in [
        ("small", 10 << 10, StoreOptions::default()),
        ("new", 300 << 10, StoreOptions::create()),
        ("in parts", 20 << 20, StoreOptions::default()),
    ] {
        let content = bytes::Bytes::from(MARK.repeat(size / MARK.len()));
        garble(1);
        storage.store(&at(name), Source::bytes(content.clone()), &options).await.expect(name);
        assert_eq!(relay.left.load(Ordering::SeqCst), 0, "{name} was garbled");
        assert!(storage.load_bytes(&at(name), ByteRange::All).await.expect(name) == content, "{name}: other bytes");
    }
    let storage = builder.with_retries(2, std::time::Duration::from_secs(60)).open().expect("a bucket");
    for (name, options) in [("never", StoreOptions::default()), ("never new", StoreOptions::create())] {
        garble(usize::MAX);
        let error = storage.store(&at(name), Source::bytes(MARK.repeat(100)), &options).await.expect_err(name);
        garble(0);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(format!("{error:?}").contains(told), "{error:?}");
        assert!(!storage.exists(&at(name)).await.expect("it answers"), "{name}");
    }
}

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").split('/').next().and_then(|address| address.parse().ok()).expect("an address")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_is_sent_again_what_did_not_arrive_as_it_was() {
    let (server, _serving) = s3s::serve().await;
    // This one says nothing else of it.
    check(&format!("s3://{}", s3s::BUCKET), server, |relay| moto::settings(&format!("http://{relay}")), "500").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azure_is_sent_again_what_did_not_arrive_as_it_was() {
    let Some(settings) = azurite::reach() else { return };
    let endpoint = settings.iter().find(|(key, _)| key.ends_with("endpoint")).map(|(_, url)| address(url));
    let server = endpoint.expect("an endpoint");
    let through = |relay: SocketAddr| {
        let through = |url: &String| url.replace(&server.to_string(), &relay.to_string());
        settings.iter().map(|(key, value)| (key.clone(), through(value))).collect()
    };
    check("az://test", server, through, "Garbled").await;
}

/// Of this service there is only our fake, so this shows what we have read of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn google_is_sent_again_what_did_not_arrive_as_it_was() {
    let (server, _serving) = gcs::serve().await;
    check("gs://test", server, |relay| gcs::reach(&format!("http://{relay}")), "Garbled").await;
}
