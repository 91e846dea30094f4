use std::sync::Arc;

use bytes::Bytes;
use strongroom_storage::{ByteRange, Digest, ExternalStorage, Location, MemoryStorage, StoreMode};

use super::checks::Checks;
use super::pack::{self, Found};
use super::*;
use crate::batch::PutOptions;
use crate::cache::Cache;
use crate::chunk::{List, Method};
use crate::config::{ChunkSizes, ContentConfig, Layout, OpenOptions};
use crate::content::{Body, Content};
use crate::paths;
use crate::record::{Kind, Record, Records};

fn at(text: &str) -> Location {
    Location::parse(text).expect("a location")
}

fn noise(seed: u8, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes.into()
}

async fn create() -> (Arc<dyn ExternalStorage>, ContentStorage) {
    let backend: Arc<dyn ExternalStorage> = Arc::new(MemoryStorage::new());
    let mut sizes = ChunkSizes::default();
    (sizes.minimum, sizes.average, sizes.maximum) = (1 << 10, 4 << 10, 16 << 10);
    let config = ContentConfig::default().with_chunk_sizes(sizes);
    let cache: Arc<dyn ExternalStorage> = Arc::new(MemoryStorage::new());
    let options = OpenOptions::default().with_cache(cache);
    (backend.clone(), ContentStorage::create(backend, config, options).await.expect("create"))
}

#[tokio::test]
async fn an_object_whose_chunks_are_all_sound_and_make_up_another_is_damaged() {
    for size in [20_000, 300_000] {
        let (_, store) = create().await;
        let mut batch = store.batch();
        batch.put(at("a/true"), noise(1, size), PutOptions::default().with_layout(Layout::Chunked));
        batch.commit().await.expect("commit");
        let object = store.find(&at("a/true")).await.expect("find");
        let chunks = store.inner.chunks_of(&object.object.content).await.expect("its chunks");
        assert!(chunks.len() > 2);
        let mut forged = object.clone();
        let body = Body::Chunked(List::Inline(chunks));
        forged.object.content = Content { digest: Digest::of(b"another"), size: size as u64, body };
        let mut batch = store.batch();
        batch.link(at("b/forged"), forged, StoreMode::Overwrite);
        batch.commit().await.expect("nobody hashes it");

        let whole = store.load_bytes(&at("b/forged"), ByteRange::All).await.expect("reading verifies chunks");
        assert_eq!(whole, noise(1, size));
        for round in 0..2 {
            let report = store.verify(VerifyOptions::default().with_data(true)).await.expect("verify");
            let [problem] = &report.problems[..] else { unreachable!("{round}: {report:#?}") };
            assert_eq!((problem.kind, &problem.affected[..]), (ErrorKind::Corrupt, &[at("b/forged")][..]));
            assert!(problem.detail.contains(&Digest::of(&noise(1, size)).to_string()), "{problem:?}");
            // What was once found to be so is not hashed again; what was not is.
            let expected = if round == 0 { 3 } else { 2 };
            assert_eq!((report.bytes_read + 2000) / size as u64, expected, "{round}: {report:?}");
        }
        store.delete(&at("b/forged")).await.expect("delete");
        let report = store.verify(VerifyOptions::default().with_data(true)).await.expect("verify");
        assert!(report.is_sound() && report.bytes_read < size as u64 * 3 / 2, "{report:?}");
        let report = store.verify(VerifyOptions::default()).await.expect("verify");
        assert!(report.is_sound() && report.bytes_read == 0, "{report:?}");
    }
}

#[tokio::test]
async fn each_byte_of_a_pack_is_read_once_whatever_its_records_say() {
    let (backend, store) = create().await;
    let mut batch = store.batch();
    for n in 0..50 {
        batch.put(at(&format!("a/{n}")), noise(n, 3000), PutOptions::default());
    }
    batch.commit().await.expect("commit");
    let location = store.inner.backend.list(&Default::default()).await.expect("list").objects;
    let location =
        location.into_iter().find(|object| paths::pack_of(&object.location).is_some()).expect("a pack").location;
    let nonce = paths::pack_of(&location).expect("a pack");
    let sound: Vec<Record> =
        crate::pack::read_index(&*backend, &nonce, &Cache::none()).await.expect("sound").iter().collect();
    let read = async |records: &[Record]| -> Found {
        let mut sorted = records.to_vec();
        sorted.sort_unstable_by_key(|record| record.digest);
        let options = VerifyOptions::default().with_data(true);
        let checks = Checks::new(&store.inner, &options).await.expect("checks");
        pack::read(&checks, &location, &Records::of(&sorted)).await.expect("read")
    };
    let all = read(&sound).await;
    assert_eq!((all.sound.len(), all.damaged.len(), all.bytes_read), (50, 0, 8 + 50 * 3000));
    assert!(all.has_beginning);

    // Many names for one chunk: one is right.
    let alias = |n: u8, record: &Record| Record { digest: Digest::of(&[n]), ..*record };
    let mut forged = sound.clone();
    forged.extend((0..200).map(|n| alias(n, &sound[7])));
    let found = read(&forged).await;
    assert_eq!((found.sound.len(), found.damaged.len(), found.bytes_read), (50, 200, all.bytes_read));
    // The same as something else.
    for other in [
        Record { kind: Kind::ChunkList, ..sound[7] },
        Record { kind: Kind::CellList, ..sound[7] },
        Record { method: Method::Zstd, ..sound[7] },
    ] {
        let mut forged = sound.clone();
        forged.push(other);
        let found = read(&forged).await;
        assert!(found.sound.len() >= 49, "{other:?}");
        assert!(found.damaged.contains(&other.digest) && found.bytes_read <= all.bytes_read, "{other:?}");
    }
    // Nearly all of the pack, again and again.
    let mut forged = sound.clone();
    forged.extend((1..200).map(|n| Record { offset: 8 + n, stored: 140_000, size: 140_000, ..alias(1, &sound[0]) }));
    let found = read(&forged).await;
    assert_eq!((found.sound.len(), found.damaged.len(), found.bytes_read), (50, 199, all.bytes_read));
}
