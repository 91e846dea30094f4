use std::time::Duration;

use futures::future::{self, BoxFuture};
use futures::{FutureExt, TryStreamExt};

use super::*;
use crate::error::ErrorKind;

fn at(text: &str) -> Location {
    Location::parse(text).expect("a location")
}

async fn filled(names: &[&str]) -> MemoryStorage {
    let storage = MemoryStorage::new();
    for name in names {
        storage.store_bytes(&at(name), Bytes::copy_from_slice(name.as_bytes())).await.expect("store");
    }
    storage
}

#[tokio::test]
async fn a_clone_shares_the_content() {
    let storage = MemoryStorage::new();
    let other = storage.clone();
    storage.store_bytes(&at("a"), "1".into()).await.expect("store");
    assert_eq!(other.load_bytes(&at("a"), ByteRange::All).await.expect("load"), "1");
    assert_eq!(other.to_string(), "memory://");
}

#[tokio::test]
async fn creating_what_exists_leaves_it_as_it_was() {
    let storage = filled(&["a"]).await;
    let error = storage.store(&at("a"), "new".into(), &StoreOptions::create()).await.expect_err("there is one");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(storage.load_bytes(&at("a"), ByteRange::All).await.expect("load"), "a");
}

#[tokio::test]
async fn the_modification_time_is_that_of_the_host() {
    #[derive(Debug)]
    struct Fixed;
    impl Host for Fixed {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_secs(5)
        }
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
        fn fill_random(&self, _: &mut [u8]) -> Result<()> {
            Ok(())
        }
        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            future::ready(()).boxed()
        }
    }
    let storage = MemoryStorage::with_host(Arc::new(Fixed));
    storage.store_bytes(&at("a"), "1".into()).await.expect("store");
    assert_eq!(storage.metadata(&at("a")).await.expect("metadata").modified, Some(Fixed.now()));
}

#[tokio::test]
async fn iteration_is_over_what_was_there_when_it_began() {
    let storage = filled(&["a", "b"]).await;
    let listing = storage.iter_contents("");
    storage.delete(&at("b")).await.expect("delete");
    storage.store_bytes(&at("c"), "3".into()).await.expect("store");
    assert_eq!(listing.try_collect::<Vec<_>>().await.expect("list"), [at("a"), at("b")]);
}

#[tokio::test]
async fn its_pages_are_those_of_the_provided_listing() {
    let storage = filled(&["a", "a/b", "a/b/c", "a/c", "a0", "a-", "b/x/y", "b/z"]).await;
    for prefix in ["", "a", "a/", "b/", "b/x/", "c", "/"] {
        for delimited in [false, true] {
            for start_after in [None, Some("a"), Some("a/b"), Some("a/b/c"), Some("b"), Some("zz")] {
                for limit in [None, Some(0), Some(1), Some(2), Some(9)] {
                    let start_after = start_after.map(str::to_string);
                    let options = ListOptions { prefix: prefix.into(), delimited, start_after, limit };
                    let listing = storage.list(&options).await.expect("list");
                    let names = storage.iter_contents(prefix).try_collect::<Vec<_>>().await.expect("list");
                    let sized = names.into_iter().map(|name| {
                        let size = name.as_str().len() as u64;
                        ListedObject::new(name, Some(size))
                    });
                    assert_eq!(listing, Listing::of_all(sized, &options), "{options:?}");
                }
            }
        }
    }
}
