use std::io::{self, BufRead};

use super::*;
use crate::error::ErrorKind;
use crate::memory::MemoryStorage;

fn at(text: &str) -> Location {
    Location::parse(text).expect("a location")
}

fn storage() -> Storage {
    Storage::new(Arc::new(MemoryStorage::new()))
}

#[test]
fn it_speaks_the_words_of_the_trait() {
    let storage = storage();
    let options = StoreOptions::default();
    storage.store(&at("a"), "1", &options).expect("store");
    storage.store_bytes(&at("b"), "22").expect("store");
    storage.store_all(vec![StoreItem::new(at("c/d"), "333")], &options).expect("store");
    assert!(storage.exists(&at("a")).expect("exists"));
    assert_eq!(storage.metadata(&at("b")).expect("metadata").size, 2);
    assert_eq!(storage.load_bytes(&at("c/d"), 1..2).expect("load"), "3");
    assert_eq!(storage.hexdigest(&at("a")).expect("hexdigest"), "c4ca4238a0b923820dcc509a6f75849b");
    assert!(storage.digests(&at("a"), DigestSet::ALL).expect("digests").sha256.is_some());
    let listing = storage.list(&ListOptions::directory("")).expect("list");
    assert_eq!((listing.objects.len(), listing.prefixes.len()), (2, 1));
    assert_eq!(storage.iter_contents("c").collect::<Result<Vec<_>>>().expect("list"), [at("c/d")]);
    storage.delete(&at("a")).expect("delete");
    storage.delete_all(&[at("a"), at("b")]).expect("delete");
    assert_eq!(storage.iter_contents("").count(), 1);
    assert_eq!(storage.local_path(&at("c/d"), None).expect_err("memory").kind(), ErrorKind::Unsupported);
    assert!(storage.capabilities().create_if_absent);
    assert_eq!(storage.to_string(), storage.inner().to_string());
}

#[test]
fn a_reader_gives_the_lines_of_an_object() {
    let storage = storage();
    let pieces = ["one\ntw", "", "o\nthr", "ee"].map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
    storage.store(&at("a"), Source::stream(stream::iter(pieces)), &StoreOptions::default()).expect("store");
    let reader = storage.load(&at("a"), 4..).expect("load");
    assert_eq!((reader.size(), reader.range()), (13, 4..13));
    assert_eq!(reader.lines().collect::<io::Result<Vec<_>>>().expect("text"), ["two", "three"]);
}

#[test]
fn an_error_while_reading_is_an_io_error_with_the_error_inside() {
    let location = at("a");
    let pieces = stream::iter([Ok(Bytes::from_static(b"12"))]);
    let mut reader = Reader::new(crate::Loaded::new(&location, 5, 0..5, pieces));
    let error = reader.read_to_end(&mut Vec::new()).expect_err("it ends early");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).expect("the error itself");
    assert_eq!(inner.kind(), ErrorKind::Corrupt);
    assert!(reader.read(&mut [0]).is_err(), "what comes after an error is no end");
}

#[test]
fn what_a_reader_gives_is_stored_whole() {
    let storage = storage();
    let content: Vec<u8> = (0..3 << 20).map(|index: u32| index.to_le_bytes()[1]).collect();
    storage.store(&at("a"), Source::reader(io::Cursor::new(content.clone())), &StoreOptions::default()).expect("store");
    assert_eq!(storage.load_bytes(&at("a"), ByteRange::All).expect("load"), content);
}

#[test]
fn a_reader_that_fails_stores_nothing() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::PermissionDenied))
        }
    }
    let storage = storage();
    let source = Source::reader(io::Cursor::new("some").chain(Broken));
    let error = storage.store(&at("a"), source, &StoreOptions::default()).expect_err("it fails");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(!storage.exists(&at("a")).expect("exists"));
}

#[tokio::test]
async fn it_can_be_used_inside_async_code() {
    let storage = storage();
    storage.store_bytes(&at("a"), "1").expect("store");
    let mut text = String::new();
    storage.load(&at("a"), ..).expect("load").read_to_string(&mut text).expect("read");
    assert_eq!(text, "1");
    assert_eq!(storage.iter_contents("").count(), 1);
}
