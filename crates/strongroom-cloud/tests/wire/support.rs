//! A place of a test's own on the server, the way there, and what is put there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use strongroom_cloud::{ObjectStorage, ObjectStorageBuilder};
use strongroom_storage::Location;

use crate::moto::{self, BUCKET};
use crate::proxy::Proxy;

/// A prefix that nobody else has, and a proxy before the server that has it.
pub struct Place {
    server: String,
    pub proxy: Proxy,
    prefix: String,
}

impl Place {
    /// `None`, with a word on stderr, if there can't be a server.
    pub fn new() -> Option<Self> {
        static PLACES: AtomicU64 = AtomicU64::new(0);
        let server = moto::url()?;
        let address = server.trim_start_matches("http://").parse().expect("an address");
        let prefix = format!("wire{:016}", PLACES.fetch_add(1, Ordering::Relaxed));
        Some(Self { server, proxy: Proxy::before(address), prefix })
    }

    fn builder(&self) -> ObjectStorageBuilder {
        ObjectStorage::builder(&format!("s3://{BUCKET}/{}", self.prefix)).with_settings(moto::settings(&self.server))
    }

    /// A storage whose requests go through the proxy, of which each is tried again so many times.
    pub fn storage(&self, retries: usize) -> ObjectStorage {
        self.storage_with(retries, [])
    }

    pub fn storage_with<const N: usize>(&self, retries: usize, settings: [(&str, &str); N]) -> ObjectStorage {
        let endpoint = format!("http://{}", self.proxy.address());
        let builder = self.builder().with_settings([("aws_endpoint_url", endpoint)]).with_settings(settings);
        builder.with_retries(retries, Duration::from_secs(60)).open().expect("a storage")
    }

    /// One whose requests don't.
    pub fn clean(&self) -> ObjectStorage {
        self.builder().open().expect("a storage")
    }

    /// Where the server has an object.
    pub fn path(&self, location: &str) -> String {
        format!("/{BUCKET}/{}/{location}", self.prefix)
    }
}

pub fn at(text: &str) -> Location {
    Location::parse(text).expect("a location")
}

/// So many bytes, which say every so often whose they are and where.
pub fn content(mark: u32, length: usize) -> Bytes {
    let filling: Vec<u8> = (0..1024).flat_map(|at| (mark ^ (at << 16)).to_le_bytes()).collect();
    let mut bytes = Vec::with_capacity(length + filling.len());
    for at in 0u32.. {
        if bytes.len() >= length {
            break;
        }
        bytes.extend([mark.to_le_bytes(), at.to_le_bytes()].concat());
        bytes.extend_from_slice(&filling);
    }
    bytes.truncate(length);
    bytes.into()
}

/// The seeds of a run: as many as the environment says, or as in every test run, from the one that it says on.
pub fn seeds(runs: u64) -> std::ops::Range<u64> {
    let number = |key: &str| std::env::var(key).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("STRONGROOM_SEED").unwrap_or(0);
    first..first + number("STRONGROOM_WIRE").unwrap_or(runs)
}

/// The seed that is run; it is said if that fails.
pub struct Seed(pub u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("this was seed {}: STRONGROOM_SEED={} runs it again", self.0, self.0);
        }
    }
}
