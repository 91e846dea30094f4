//! Stores that are made to take all memory: small files that say, or have, gigabytes.

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use strongroom::Digest;

use crate::Tried;
use crate::craft::{self, CHUNK, CHUNK_LIST, Header, LARGEST_CHUNK, Place, Record, digest_of_largest, frame_of_zeros};
use crate::draft::Draft;
use crate::stores::{at, tried, version_of};
use crate::template::template;

/// Tries a store that has a bomb.
pub type Bomb = fn() -> Tried;

/// All bombs, by name.
pub const BOMBS: [(&str, Bomb); 7] = [
    ("a_list_that_says_it_has_gigabytes", list_that_lies),
    ("a_list_that_has_gigabytes", list_of_gigabytes),
    ("a_chunk_that_has_gigabytes", chunk_of_gigabytes),
    ("a_block_of_a_run_that_has_gigabytes", block_of_gigabytes),
    ("many_blocks_of_a_run_that_are_large", large_blocks),
    ("many_neighbouring_chunks_that_are_large", large_neighbours),
    ("objects_that_say_they_have_more_bytes_than_can_be_counted", huge_objects),
];

const NONCE: [u8; 16] = [9; 16];

/// A pack of these items: digest, kind, size, and as it is stored.
fn pack(items: &[(Digest, u8, u32, Vec<u8>)]) -> Result<(Bytes, Vec<Record>)> {
    let (mut body, mut records) = (b"SRPACK1\n".to_vec(), Vec::new());
    for (digest, kind, size, item) in items {
        let place = Place { pack: NONCE, offset: body.len() as u64, stored: item.len() as u32, method: 1 };
        records.push(Record { digest: *digest, size: *size, kind: *kind, place });
        body.extend_from_slice(item);
    }
    let mut directory = Draft::default();
    directory.raw(&NONCE);
    let mut sorted = records.clone();
    sorted.sort_by_key(|record| record.digest);
    sorted.iter().for_each(|record| record.encode(&mut directory, 0));
    Ok((craft::seal(&mut Unstructured::new(&[]), b"SRPACK1\n", body, directory)?, records))
}

/// Tries a store with this pack, if any, and this newest run of `a`.
fn try_with(pack: Option<Bytes>, run: Bytes) -> Tried {
    let mut files = template().files.clone();
    if let Some(pack) = pack {
        files.insert(at(&craft::pack_location(&NONCE)), pack);
    }
    files.insert(version_of("a", template().head + 1), run);
    tried(&files, false)
}

fn header() -> Header<'static> {
    Header { version: template().head + 1, first: 1, log: Some("a") }
}

/// The run that has one object, whose content is `content`.
fn run_of_one(content: &Draft) -> Result<Bytes> {
    let mut rest = Draft::default();
    rest.u64(1).u64(0).append(content).u16(0);
    craft::run_of(&mut Unstructured::new(&[]), &header(), vec![(b"bomb".to_vec(), rest)])
}

/// An object in chunks whose list is `item`, `size` bytes after decompression.
fn with_list(item: Vec<u8>, size: u32) -> Tried {
    let object = Digest::of(b"bomb");
    let made = pack(&[(object, CHUNK_LIST, size, item)]).and_then(|(pack, records)| {
        let mut content = Draft::default();
        content.u8(3).raw(object.as_bytes()).u64(1 << 40).u8(1);
        records[0].place.encode(&mut content);
        content.u32(size);
        Ok((pack, run_of_one(&content)?))
    });
    let (pack, run) = made.expect("it needs no input");
    try_with(Some(pack), run)
}

fn list_that_lies() -> Tried {
    with_list(craft::false_frame(u64::from(u32::MAX)), u32::MAX)
}

fn list_of_gigabytes() -> Tried {
    with_list(frame_of_zeros(u32::MAX), u32::MAX)
}

fn chunk_of_gigabytes() -> Tried {
    let (pack, _) =
        pack(&[(Digest::of(b"false"), CHUNK, u32::MAX, frame_of_zeros(u32::MAX))]).expect("it needs no input");
    let run = craft::run_of(&mut Unstructured::new(&[]), &header(), Vec::new()).expect("it needs no input");
    try_with(Some(pack), run)
}

fn block_of_gigabytes() -> Tried {
    let mut entry = Draft::default();
    entry.short(b"bomb").u64(1).u64(0).u8(0);
    let entry = entry.forge(&mut Unstructured::new(&[])).expect("it needs no input");
    try_with(None, run_of_blocks(vec![("bomb".into(), u32::MAX, craft::frame_with_zeros(&entry, u32::MAX))], 1))
}

fn large_blocks() -> Tried {
    // As large as they may be, and each with entries that there can be.
    let zeros = [0; 60_000];
    let digest = Digest::of(&zeros);
    let blocks = (0..200).map(|block| {
        let mut encoded = Draft::default();
        for entry in 0..17 {
            encoded.short(format!("n{block:03}.{entry:02}").as_bytes()).u64(1).u64(0);
            encoded.u8(1).raw(digest.as_bytes()).u64(zeros.len() as u64).short(&zeros).u16(0);
        }
        let encoded = encoded.forge(&mut Unstructured::new(&[])).expect("it needs no input");
        (format!("n{block:03}.00"), encoded.len() as u32, craft::compressed(&encoded))
    });
    try_with(None, run_of_blocks(blocks.collect(), 17))
}

/// A run of these blocks: the first name, the size, and as it is stored; with so many entries each.
fn run_of_blocks(blocks: Vec<(String, u32, Vec<u8>)>, entries: u64) -> Bytes {
    let (mut body, mut rows) = (b"SRRUN01\n".to_vec(), Draft::default());
    for (name, size, item) in &blocks {
        rows.short(name.as_bytes()).u64(body.len() as u64).u32(item.len() as u32).u32(*size).u8(1);
        rows.raw(&Digest::of(item).as_bytes()[..16]);
        body.extend_from_slice(item);
    }
    let count = blocks.len() as u32;
    craft::seal_run(&mut Unstructured::new(&[]), &header(), body, entries * u64::from(count), count, &rows, &[])
        .expect("it needs no input")
}

fn large_neighbours() -> Tried {
    const COUNT: u32 = 16;
    let items: Vec<_> =
        (0..COUNT).map(|_| (digest_of_largest(), CHUNK, LARGEST_CHUNK, frame_of_zeros(LARGEST_CHUNK))).collect();
    let made = pack(&items).and_then(|(pack, records)| {
        let mut content = Draft::default();
        content.u8(3).raw(Digest::of(b"bomb").as_bytes()).u64(u64::from(LARGEST_CHUNK) * u64::from(COUNT));
        content.u8(0).u32(COUNT);
        records.iter().for_each(|record| record.encode_chunk(&mut content));
        Ok((pack, run_of_one(&content)?))
    });
    let (pack, run) = made.expect("it needs no input");
    try_with(Some(pack), run)
}

fn huge_objects() -> Tried {
    let entry = |name: &[u8]| {
        let mut rest = Draft::default();
        rest.u64(1).u64(0).u8(3).raw(Digest::of(name).as_bytes()).u64(u64::MAX).u8(1);
        Place { pack: NONCE, offset: 8, stored: 100, method: 0 }.encode(&mut rest);
        rest.u32(100).u16(0);
        (name.to_vec(), rest)
    };
    let entries = vec![entry(b"one"), entry(b"two")];
    try_with(None, craft::run_of(&mut Unstructured::new(&[]), &header(), entries).expect("it needs no input"))
}
