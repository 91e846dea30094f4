//! A small store with a file of every kind, which forged files are put into.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures::TryStreamExt;
use strongroom::content::{ChunkSizes, Compression};
use strongroom::{
    ByteRange, Capabilities, ContentConfig, ContentStorage, Digest, ExternalStorage, Layout, Location, MemoryStorage,
    Namespace, OpenOptions, PutOptions, Result, StoreMode, Version,
};
use strongroom_testkit::{Intercept, Intercepted, TestHost};

use crate::craft::{CHUNK, Contents, Pack, Place, Record, noise};

/// All files of a store, by their locations.
pub(crate) type Files = BTreeMap<Location, Bytes>;

/// The store, and what is known of it.
#[derive(Debug)]
pub(crate) struct Template {
    pub files: Files,
    pub packs: Vec<Pack>,
    /// Whole files: digest, nonce, size.
    pub whole: Vec<(Digest, [u8; 16], u64)>,
    /// The newest version of the namespace `a`, and of the tags.
    pub head: u64,
    pub tags: u64,
}

#[derive(Debug)]
struct Far;

impl Intercept for Far {
    fn capabilities(&self, mut inner: Capabilities) -> Capabilities {
        inner.local = false;
        inner
    }
}

/// The template, which is made once.
pub(crate) fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let files = crate::block_on(make()).expect("a store in memory can be made");
        Template::of(files)
    })
}

async fn make() -> Result<Files> {
    let backend = MemoryStorage::with_host(Arc::new(TestHost::new(1)));
    // Far away, an index file comes after eight packs.
    let far = Arc::new(Intercepted::with_interceptor(Arc::new(backend.clone()), Far));
    let mut sizes = ChunkSizes::default();
    (sizes.minimum, sizes.average, sizes.maximum) = (64, 256, 1024);
    let config = ContentConfig::default().with_chunk_sizes(sizes).with_compression(Compression::Zstd);
    let options = OpenOptions::default().with_author("Ada").with_host(Arc::new(TestHost::new(2)));
    let store = ContentStorage::create(far, config, options).await?;
    let put = async |name: &str, bytes: Bytes, layout| {
        let mut batch = store.batch();
        batch.put(Location::parse(name)?, bytes, PutOptions::default().with_layout(layout));
        batch.commit().await.map(drop)
    };
    put("a/packed", "step,energy\n".repeat(60).into(), Layout::Auto).await?;
    put("a/noise", noise(1, 300), Layout::Auto).await?;
    put("a/inline", "inline".into(), Layout::Auto).await?;
    put("a/chunks", noise(2, 1500), Layout::Chunked).await?;
    put("a/many", noise(3, 12_000), Layout::Chunked).await?;
    put("a/gone", noise(4, 300), Layout::Auto).await?;
    store.delete(&Location::parse("a/gone")?).await?;
    put("b/c/whole", noise(5, 3000), Layout::Whole).await?;
    put("b/c/cells", noise(6, (1 << 20) + 7), Layout::Whole).await?;
    put("top", "in the root namespace".into(), Layout::Auto).await?;
    for n in 0..6 {
        put(&format!("p/{n}"), noise(10 + n, 280), Layout::Auto).await?;
    }
    store.tag(&Namespace::parse("a")?, Version::new(2), "two", StoreMode::Create).await?;
    let mut files = Files::new();
    let listed: Vec<Location> = backend.iter_contents("").try_collect().await?;
    for location in listed {
        let bytes = backend.load_bytes(&location, ByteRange::All).await?;
        files.insert(location, bytes);
    }
    Ok(files)
}

impl Template {
    fn of(files: Files) -> Self {
        let below =
            |prefix: &'static str| files.iter().filter(move |(location, _)| location.as_str().starts_with(prefix));
        assert!(below("index/").next().is_some(), "there is an index file");
        let packs: Vec<Pack> = below("packs/").map(|(location, file)| read_pack(nonce_of(location), file)).collect();
        let whole = below("files/").map(|(location, file)| (Digest::of(file), nonce_of(location), file.len() as u64));
        let (whole, head) = (whole.collect(), below("names/a/@/").count() as u64);
        let tags = below("names/@tags/@/").count() as u64;
        Self { packs, whole, head, tags, files }
    }

    /// What entries can name.
    pub(crate) fn contents(&self) -> Contents {
        let mut contents = Contents::default();
        self.packs.iter().for_each(|pack| contents.add_pack(pack));
        self.whole.iter().for_each(|(digest, nonce, size)| contents.add_file(*digest, *nonce, *size));
        contents
    }
}

/// The nonce at the end of a location.
fn nonce_of(location: &Location) -> [u8; 16] {
    let text = location.as_str();
    let hex = &text[text.len() - 32..];
    std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("a nonce is hexadecimal"))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The records of a sound pack, as `FORMAT.md` has them.
fn read_pack(nonce: [u8; 16], file: &Bytes) -> Pack {
    let footer = &file[file.len() - 56..];
    let (start, length) = (number(&footer[..8]) as usize, number(&footer[8..12]) as usize);
    let (mut records, mut contents) = (Vec::new(), Vec::new());
    for row in file[start + 16..start + length].chunks_exact(56) {
        let place =
            Place { pack: nonce, offset: number(&row[32..40]), stored: number(&row[40..44]) as u32, method: row[53] };
        let digest = Digest::from_bytes(*row.first_chunk().expect("a row has 56 bytes"));
        let size = number(&row[44..48]) as u32;
        let item = file.slice(place.offset as usize..place.offset as usize + place.stored as usize);
        let content = match place.method {
            0 => item,
            _ => zstd::bulk::decompress(&item, size as usize).expect("the template is sound").into(),
        };
        records.push(Record { digest, size, kind: row[52], place });
        contents.push(content);
    }
    assert!(records.iter().any(|record| record.kind == CHUNK), "a pack has chunks");
    Pack { nonce, file: file.clone(), records, bytes: contents }
}
