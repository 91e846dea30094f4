use std::collections::HashSet;

use strongroom_storage::{ByteRange, MemoryStorage};
use strongroom_testkit::{Fault, FaultyStorage, Operation, RecordingStorage, TestHost};

use std::time::Duration;

use super::*;
use crate::chunk::Method;
use crate::paths;
use crate::record::Records;
use crate::session::{Epoch, Session, Sessions};

const RECORDS: u32 = 1000;

fn digest(n: u32) -> Digest {
    Digest::of(&n.to_le_bytes())
}

/// A pack of which nothing is there but its index; the chunk `n` lies at an offset that tells it.
fn table(pack: u8, numbers: std::ops::Range<u32>) -> Table {
    let record = |n: u32| {
        let offset = 8 + u64::from(n);
        Record { digest: digest(n), offset, stored: 4, size: 4, pack: 0, kind: Kind::Chunk, method: Method::Plain }
    };
    let mut records: Vec<Record> = numbers.map(record).collect();
    records.sort_by_key(|record| record.digest);
    Table { pack: Nonce::from_bytes([pack; 16]), records: Records::of(&records) }
}

/// A session that has no part in it.
async fn session() -> Arc<Session> {
    let (backend, host): (Arc<dyn ExternalStorage>, _) = (Arc::new(MemoryStorage::new()), Arc::new(TestHost::new(9)));
    let sessions = Sessions::new(backend, host, Duration::from_secs(60), Epoch::default(), Ok(()));
    sessions.begin().await.expect("begin a session")
}

/// A catalog that has stored so many packs with so many records each, and how many it has in all.
async fn filled(packs: u8, records: u32) -> (RecordingStorage, Catalog, u32) {
    let storage = RecordingStorage::new(Arc::new(MemoryStorage::new()));
    let catalog = Catalog::new(Arc::new(storage.clone()), Arc::new(TestHost::new(1)), &Cache::none());
    for pack in 0..packs {
        let first = u32::from(pack) * records;
        catalog.stored_pack(table(pack, first..first + records));
        catalog.cover(&*session().await).await.expect("cover");
    }
    (storage, catalog, u32::from(packs) * records)
}

fn store_packs(catalog: &Catalog, packs: std::ops::Range<u8>) {
    for pack in packs {
        let first = u32::from(pack) * RECORDS;
        catalog.stored_pack(table(pack, first..first + RECORDS));
    }
}

/// With just so many packs that an index file covers them all.
async fn covered() -> (RecordingStorage, Catalog, u32) {
    let filled = filled(65, RECORDS).await;
    assert_eq!(filled.1.known().recent.records(), 0);
    assert_eq!(filled.1.known().searched().len(), 1);
    filled
}

#[tokio::test]
async fn how_many_records_in_no_index_file_are_in_memory_has_a_bound() {
    let (_, catalog, count) = filled(9, 1 << 16).await;
    let in_memory = catalog.known().recent.records();
    assert!(in_memory <= 1 << 16, "{in_memory} of {count}");
    assert_eq!(catalog.find(Kind::Chunk, &digest(3)).await.expect("find").len(), 1);
}

#[tokio::test]
async fn what_is_known_is_found_however_little_of_it_is_in_memory() {
    let (storage, catalog, count) = covered().await;
    assert_eq!(catalog.knows(Kind::Chunk, &digest(0)), None, "its block was not read");
    storage.take();
    for n in (0..count).step_by(500) {
        let found = catalog.find(Kind::Chunk, &digest(n)).await.expect("find");
        let [found] = found[..] else { panic!("{found:?}") };
        let pack = Nonce::from_bytes([u8::try_from(n / RECORDS).expect("few packs"); 16]);
        assert_eq!((found.place.pack, found.place.offset), (pack, 8 + u64::from(n)));
        assert_eq!(catalog.knows(Kind::Chunk, &digest(n)), Some(true));
        assert_eq!(catalog.knows(Kind::CellList, &digest(n)), Some(false));
        assert!(catalog.find(Kind::ChunkList, &digest(n)).await.expect("find").is_empty());
    }
    let reads = storage.take().len();
    assert!((100..=130).contains(&reads), "{reads}: a block each, unless that was read");
    let some = digest(0).to_string();
    let found = catalog.search(&DigestPrefix::parse(&some[..2]).expect("hex")).await.expect("search");
    let expected = (0..count).filter(|n| digest(*n).to_string()[..2] == some[..2]).count();
    assert_eq!(found.iter().map(|found| found.digest).collect::<HashSet<_>>().len(), expected);
}

#[tokio::test]
async fn of_what_is_new_nearly_nothing_is_read() {
    let (storage, catalog, count) = covered().await;
    storage.take();
    for n in count..count + 2000 {
        assert!(catalog.find(Kind::Chunk, &digest(n)).await.expect("find").is_empty());
    }
    let requests = storage.take().len();
    assert!(requests < 100, "{requests}");
}

#[tokio::test]
async fn many_questions_at_once_read_each_block_once_and_neighbours_together() {
    let (storage, catalog, count) = covered().await;
    storage.take();
    let digests: Vec<Digest> = (0..count).step_by(16).map(digest).collect();
    catalog.fetch(&digests).await;
    let reads = storage.take();
    let blocks = (count as usize).div_ceil(crate::index::BLOCK_RECORDS);
    assert!(reads.len() < blocks / 2, "{} requests for {blocks} blocks", reads.len());
    let mut ranges: Vec<(u64, u64)> = reads
        .iter()
        .map(|operation| match operation {
            Operation::Load { range: ByteRange::Span { start, end }, .. } => (*start, *end),
            other => panic!("{other}"),
        })
        .collect();
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "nothing is read twice");
    assert!(digests.iter().all(|digest| catalog.knows(Kind::Chunk, digest) == Some(true)));
    assert_eq!(storage.take().len(), 0);
    let asked: Vec<Digest> = (0..2 * count).rev().map(digest).collect();
    let there = catalog.contains(&asked).await.expect("ask");
    assert!(there.into_iter().eq((0..2 * count).rev().map(|n| n < count)));
}

#[tokio::test]
async fn a_damaged_block_is_noticed_when_it_is_read_and_nothing_in_it_believed() {
    let (storage, catalog, count) = covered().await;
    let index = paths::index(&catalog.known().searched()[0].nonce).expect("a location");
    let mut bytes = storage.inner().load_bytes(&index, ByteRange::All).await.expect("load").to_vec();
    // The offset of every record.
    for row in bytes[8..8 + count as usize * 56].chunks_exact_mut(56) {
        row[33] ^= 1;
    }
    storage.inner().store_bytes(&index, bytes.into()).await.expect("damage");
    // The packs are not there, so nothing is known when the index file is passed over.
    assert!(catalog.find(Kind::Chunk, &digest(3)).await.expect("find").is_empty());
    assert!(catalog.known().searched().is_empty());
}

#[tokio::test]
async fn an_index_file_that_can_not_be_read_for_once_is_not_given_up() {
    let storage = FaultyStorage::new(Arc::new(MemoryStorage::new()));
    let catalog = Catalog::new(Arc::new(storage.clone()), Arc::new(TestHost::new(1)), &Cache::none());
    store_packs(&catalog, 0..65);
    catalog.cover(&*session().await).await.expect("cover");
    for (times, kind) in (1..).zip([ErrorKind::Denied, ErrorKind::Unavailable]) {
        storage.fail_nth(0, Fault::Refused(kind));
        let refused = catalog.find(Kind::Chunk, &digest(3)).await.expect_err("it is refused");
        assert_eq!((refused.kind(), storage.struck()), (kind, times));
        assert_eq!(catalog.known().searched().len(), 1);
    }
    assert_eq!(catalog.find(Kind::Chunk, &digest(3)).await.expect("find").len(), 1);
}

#[tokio::test]
async fn an_index_file_whose_packs_were_not_listed_yet_is_not_taken_for_superseded() {
    for n in 0.. {
        let memory: Arc<dyn ExternalStorage> = Arc::new(MemoryStorage::new());
        let other = Catalog::new(memory.clone(), Arc::new(TestHost::new(1)), &Cache::none());
        store_packs(&other, 100..165);
        for pack in 100..165 {
            let pack = paths::pack(&Nonce::from_bytes([pack; 16])).expect("a location");
            memory.store_bytes(&pack, "it is there".into()).await.expect("store");
        }
        other.cover(&*session().await).await.expect("cover");
        let index = paths::index(&other.known().searched()[0].nonce).expect("a location");

        let storage = FaultyStorage::new(memory.clone());
        let catalog = Catalog::new(Arc::new(storage.clone()), Arc::new(TestHost::new(2)), &Cache::none());
        store_packs(&catalog, 0..65);
        storage.fail_nth(n, Fault::Refused(ErrorKind::Unavailable));
        let learned = catalog.learn().await;
        let struck = storage.struck();
        storage.fail_nth(1 << 20, Fault::Refused(ErrorKind::Unavailable));
        catalog.cover(&*session().await).await.expect("cover");
        // What was learned may be merged into the new one, but nothing that it says is lost.
        let fresh = Catalog::new(memory.clone(), Arc::new(TestHost::new(3)), &Cache::none());
        fresh.learn().await.expect("learn");
        assert_eq!(fresh.find(Kind::Chunk, &digest(100 * RECORDS)).await.expect("find").len(), 1, "operation {n}");
        if struck == 0 {
            assert!(learned.is_ok() && n > 2, "after {n} operations");
            break;
        }
        assert!(memory.exists(&index).await.expect("exists") || learned.is_ok(), "operation {n}");
    }
}
