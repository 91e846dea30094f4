//! The hostile backends do what they are told, and nothing else.

use std::sync::Arc;

use futures::TryStreamExt;
use strongroom_storage::{
    ByteRange, DigestSet, Durability, ErrorKind, ExternalStorage, ListOptions, Location, MemoryStorage, Source,
    StoreItem, StoreOptions,
};
use strongroom_testkit::{
    CrashingStorage, Damage, Fault, FaultyStorage, NonExclusiveStorage, Operation, PowerLoss, RecordingStorage,
    UnorderedStorage,
};

fn at(text: &str) -> Location {
    Location::parse(text).expect("a location")
}

async fn text(storage: &dyn ExternalStorage, location: &str) -> String {
    let bytes = storage.load_bytes(&at(location), ByteRange::All).await.expect("load");
    String::from_utf8(bytes.into()).expect("text")
}

#[tokio::test]
async fn every_request_is_recorded_as_one_line() {
    let storage = RecordingStorage::new(Arc::new(MemoryStorage::new()));
    let options = StoreOptions::create();
    storage.store(&at("a"), "1234".into(), &options).await.expect("store");
    let items = vec![StoreItem::new(at("b/c"), "2"), StoreItem::new(at("d"), "3")];
    storage.store_all(items, &StoreOptions::default()).await.expect("store");
    storage.load_bytes(&at("a"), (1..3).into()).await.expect("load");
    drop(storage.load_stream(&at("a")).await.expect("load"));
    storage.metadata(&at("a")).await.expect("metadata");
    storage.exists(&at("a")).await.expect("exists");
    storage.digests(&at("a"), DigestSet::ALL).await.expect("digests");
    storage.hexdigest(&at("a")).await.expect("hexdigest");
    storage.iter_contents("b").try_collect::<Vec<_>>().await.expect("list");
    storage.list(&ListOptions::directory("b/").with_start_after("b/a").with_limit(1)).await.expect("list");
    storage.local_path(&at("a"), None).await.expect_err("memory");
    storage.delete(&at("a")).await.expect("delete");
    storage.delete_all(&[at("d"), at("e")]).await.expect("delete");
    let expected = [
        "create a",
        "store b/c",
        "store d",
        "load a 1..3",
        "load a",
        "metadata a",
        "exists a",
        "digests a",
        "digests a",
        "iterate b",
        "list b/ delimited after b/a limit 1",
        "path a",
        "delete a",
        "delete d",
        "delete e",
    ];
    assert_eq!(storage.lines(), expected);
    assert_eq!(storage.count(Operation::is_write), 6);
    assert_eq!(storage.take().len(), expected.len());
    assert_eq!(storage.lines(), [""; 0]);
}

#[tokio::test]
async fn a_refused_operation_does_not_happen_and_a_lost_answer_does() {
    let memory = MemoryStorage::new();
    let storage = FaultyStorage::new(Arc::new(memory.clone()));
    storage.fail_nth(1, Fault::Refused(ErrorKind::Unavailable));
    storage.fail_nth(1, Fault::AnswerLost(ErrorKind::Unavailable));
    storage.store_bytes(&at("a"), "1".into()).await.expect("the first passes both");
    let error = storage.store_bytes(&at("b"), "2".into()).await.expect_err("refused");
    assert_eq!((error.kind(), error.may_have_happened()), (ErrorKind::Unavailable, false));
    assert!(!memory.exists(&at("b")).await.expect("exists"));
    let error = storage.store_bytes(&at("b"), "2".into()).await.expect_err("lost");
    assert_eq!((error.kind(), error.may_have_happened()), (ErrorKind::Unavailable, true));
    assert_eq!(text(&memory, "b").await, "2");
    storage.delete(&at("b")).await.expect("both faults are used up");
    assert_eq!(storage.struck(), 2);
}

#[tokio::test]
async fn operations_of_one_sort_fail_until_it_is_healed() {
    let storage = FaultyStorage::new(Arc::new(MemoryStorage::new()));
    storage.fail_all(Fault::Refused(ErrorKind::Denied), Operation::is_write);
    for _ in 0..2 {
        storage.store_bytes(&at("a"), "1".into()).await.expect_err("a write");
    }
    assert!(!storage.exists(&at("a")).await.expect("no write"));
    storage.heal();
    storage.store_bytes(&at("a"), "1".into()).await.expect("healed");
    assert_eq!(storage.struck(), 2);
}

#[tokio::test]
async fn damage_strikes_the_middle_of_what_is_read() {
    let memory = MemoryStorage::new();
    let storage = FaultyStorage::new(Arc::new(memory.clone()));
    let pieces = ["01", "2345", "6789"].map(|piece| Ok(piece.into()));
    let source = Source::stream(futures::stream::iter(pieces));
    storage.store(&at("a"), source, &StoreOptions::default()).await.expect("store");

    storage.fail_nth(0, Fault::Read(Damage::Flipped));
    assert_eq!(text(&storage, "a").await, "01234%6789");
    for (damage, kind) in
        [(Damage::Cut, ErrorKind::Corrupt), (Damage::Broken(ErrorKind::Unavailable), ErrorKind::Unavailable)]
    {
        storage.fail_nth(0, Fault::Read(damage));
        let mut stream = storage.load_stream(&at("a")).await.expect("it opens");
        let mut read = Vec::new();
        let error = loop {
            match stream.try_next().await {
                Ok(piece) => read.extend_from_slice(&piece.expect("an error comes before the end")),
                Err(error) => break error,
            }
        };
        assert_eq!((read.as_slice(), error.kind()), (&b"01234"[..], kind));
    }
    assert_eq!(text(&storage, "a").await, "0123456789");
}

#[tokio::test]
async fn nothing_happens_after_a_crash() {
    for (takes_effect, left) in [(false, 1), (true, 2)] {
        let storage = CrashingStorage::new(Arc::new(MemoryStorage::new()));
        if takes_effect {
            storage.crash_during(1);
        } else {
            storage.crash_after(1);
        }
        storage.store_bytes(&at("a"), "1".into()).await.expect("it still lives");
        let error = storage.store_bytes(&at("b"), "2".into()).await.expect_err("it dies");
        assert_eq!(error.may_have_happened(), takes_effect);
        storage.store_bytes(&at("c"), "3".into()).await.expect_err("it is dead");
        storage.iter_contents("").try_collect::<Vec<_>>().await.expect_err("it is dead");
        assert!(storage.crashed());
        let next: Vec<_> = storage.inner().iter_contents("").try_collect().await.expect("list");
        assert_eq!(next.len(), left);
    }
}

#[tokio::test]
async fn a_power_loss_takes_what_was_not_durable() {
    for (loss, left) in [(PowerLoss::Removes, None), (PowerLoss::Truncates, Some("12"))] {
        let relaxed = StoreOptions::default().with_durability(Durability::Relaxed);
        let storage = CrashingStorage::new(Arc::new(MemoryStorage::new()));
        for name in ["lost", "kept", "gone"] {
            storage.store(&at(name), "1234".into(), &relaxed).await.expect("store");
        }
        storage.store_bytes(&at("kept"), "5678".into()).await.expect("store");
        storage.delete(&at("gone")).await.expect("delete");
        storage.lose_power(loss).await.expect("it takes effect");
        storage.exists(&at("kept")).await.expect_err("it is dead");
        let next = storage.inner().as_ref();
        assert_eq!(text(next, "kept").await, "5678");
        assert!(!next.exists(&at("gone")).await.expect("exists"));
        match left {
            Some(left) => assert_eq!(text(next, "lost").await, left),
            None => assert!(!next.exists(&at("lost")).await.expect("exists")),
        }
    }
}

#[tokio::test]
async fn a_non_exclusive_storage_overwrites_what_it_claims_to_create() {
    let storage = NonExclusiveStorage::new(Arc::new(MemoryStorage::new()));
    assert!(storage.capabilities().create_if_absent);
    for content in ["1", "2"] {
        storage.store(&at("a"), content.into(), &StoreOptions::create()).await.expect("no complaint");
    }
    assert_eq!(text(&storage, "a").await, "2");
}

#[tokio::test]
async fn an_unordered_storage_differs_in_what_it_claims() {
    let memory = MemoryStorage::new();
    let storage = UnorderedStorage::new(Arc::new(memory.clone()));
    assert!(memory.capabilities().ordered_listing);
    assert!(!storage.capabilities().ordered_listing);
    storage.store_bytes(&at("a"), "1".into()).await.expect("store");
    assert_eq!(storage.list(&ListOptions::default()).await.expect("list").objects.len(), 1);
}
