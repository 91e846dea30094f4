//! What depends on the client's answers: large objects, answers that get lost, objects that change while they are read.

use std::io::{Read, Seek};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use strongroom_cloud::ObjectStorage;
use strongroom_storage::{
    ByteRange, Digest, DigestSet, ErrorKind, ExternalStorage, Location, Source, StoreOptions, TargetFile,
};

/// A client whose first answers to requests that put something get lost, after the request or before it was done.
#[derive(Debug, Default)]
struct Lossy {
    inner: InMemory,
    answers: AtomicUsize,
    requests: AtomicUsize,
    puts: AtomicUsize,
}

fn loses_one(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn lost() -> Error {
    Error::Generic { store: "lossy", source: "the connection was reset".into() }
}

impl std::fmt::Display for Lossy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("lossy")
    }
}

#[async_trait]
impl ObjectStore for Lossy {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.puts.fetch_add(1, Ordering::SeqCst);
        if loses_one(&self.requests) {
            return Err(lost());
        }
        let put = self.inner.put_opts(location, payload, opts).await?;
        if loses_one(&self.answers) { Err(lost()) } else { Ok(put) }
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn storage(client: &Arc<Lossy>) -> ObjectStorage {
    ObjectStorage::of_plain_client(client.clone(), "p/", "lossy")
}

fn at(text: &str) -> Location {
    Location::parse(text).expect("a location")
}

/// So many bytes, no two pieces of which are alike.
fn content(length: usize) -> Bytes {
    (0u32..).flat_map(u32::to_le_bytes).take(length).collect()
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_was_made_once_and_is_acknowledged() {
    let client = Arc::new(Lossy::default());
    for (answers, requests) in [(1, 0), (0, 1), (1, 1), (2, 0)] {
        let location = at(&format!("a/{answers}-{requests}"));
        client.answers.store(answers, Ordering::SeqCst);
        client.requests.store(requests, Ordering::SeqCst);
        let options = StoreOptions::create();
        storage(&client).store(&location, "mine".into(), &options).await.expect("it was made");
        client.answers.store(0, Ordering::SeqCst);
        let error = storage(&client).store(&location, "other".into(), &options).await.expect_err("it is there");
        assert_eq!((error.kind(), error.may_have_happened()), (ErrorKind::AlreadyExists, false));
        assert_eq!(storage(&client).load_bytes(&location, ByteRange::All).await.expect("load"), "mine");
    }
}

#[tokio::test]
async fn who_finds_another_object_after_a_lost_answer_has_not_created_it() {
    let client = Arc::new(Lossy::default());
    let (location, options) = (at("a/b"), StoreOptions::create());
    storage(&client).store(&location, "theirs".into(), &options).await.expect("store");
    client.requests.store(1, Ordering::SeqCst);
    let error = storage(&client).store(&location, "mine".into(), &options).await.expect_err("it is theirs");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(storage(&client).load_bytes(&location, ByteRange::All).await.expect("load"), "theirs");
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_is_never_answered_may_have_happened() {
    let client = Arc::new(Lossy::default());
    client.requests.store(usize::MAX, Ordering::SeqCst);
    let error = storage(&client).store(&at("a/b"), "x".into(), &StoreOptions::create()).await.expect_err("no answer");
    assert_eq!((error.kind(), error.may_have_happened()), (ErrorKind::Unavailable, true), "{error:?}");
    assert!(client.puts.load(Ordering::SeqCst) < 10, "it is given up");
}

#[tokio::test]
async fn large_objects_are_sent_in_parts_and_read_in_pieces() {
    let client = Arc::new(Lossy::default());
    let storage = storage(&client);
    let large = content((65 << 20) + 17);
    for (name, options) in [("a/new", StoreOptions::create()), ("a/replaced", StoreOptions::default())] {
        let location = at(name);
        let pieces =
            futures::stream::iter(large.chunks(1 << 20).map(|piece| Ok(large.slice_ref(piece))).collect::<Vec<_>>());
        let options = options.with_digests(DigestSet::MD5);
        let stored = storage.store(&location, Source::stream(pieces), &options).await.expect("store");
        assert_eq!((stored.size, stored.digests.md5.is_some()), (large.len() as u64, true));
        assert!(storage.load_bytes(&location, ByteRange::All).await.expect("load") == large);
        for range in [ByteRange::Last(9 << 20), (5..(20 << 20)).into(), ((60 << 20)..).into()] {
            let expected = range.resolve(large.len() as u64, &location).expect("in it");
            let found = storage.load_bytes(&location, range).await.expect("load");
            assert!(found == large[expected.start as usize..expected.end as usize], "{range}");
        }
    }
    assert_eq!(client.puts.load(Ordering::SeqCst), 0, "all of it went in parts");
    let again = storage.store(&at("a/new"), Source::bytes(large.clone()), &StoreOptions::create()).await;
    assert_eq!(again.expect_err("it is there").kind(), ErrorKind::AlreadyExists);
    let left: Vec<_> = client.inner.list(None).try_collect::<Vec<_>>().await.expect("list");
    assert_eq!(left.len(), 2, "nothing unfinished is left: {left:?}");
    let name = Digest::of(&large).to_string();
    assert_eq!(storage.hexdigest(&at("a/new")).await.expect("hexdigest").len(), name.len() / 2);
}

#[tokio::test]
async fn objects_of_any_size_are_loaded_into_a_file_with_and_without_digests() {
    let storage = storage(&Arc::default());
    for length in [0, 1, 8 << 20, (8 << 20) + 1, (33 << 20) + 5] {
        let (location, whole) = (at(&format!("a/{length}")), content(length));
        storage.store_bytes(&location, whole.clone()).await.expect("store");
        for digests in [DigestSet::NONE, DigestSet::BLAKE3] {
            let target = TargetFile::new(tempfile::tempfile().expect("a file"), "target");
            let copied = storage.load_into(&location, &target, digests).await.expect("load");
            assert_eq!((copied.size, copied.digests.blake3.is_some()), (length as u64, !digests.is_empty()));
            let mut found = Vec::new();
            let mut file = target.file();
            file.rewind().and_then(|()| file.read_to_end(&mut found)).expect("read");
            assert!(found == whole, "{length} bytes");
        }
    }
    let target = TargetFile::new(tempfile::tempfile().expect("a file"), "target");
    let error = storage.load_into(&at("a/none"), &target, DigestSet::NONE).await.expect_err("there is none");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Missing, "load"));
}

#[tokio::test]
async fn a_file_that_can_not_be_written_ends_the_loading() {
    let storage = storage(&Arc::default());
    storage.store_bytes(&at("a/b"), content(20 << 20)).await.expect("store");
    let read_only = std::fs::File::open("/dev/null").expect("open");
    let loaded = storage.load_into(&at("a/b"), &TargetFile::new(read_only, "target"), DigestSet::NONE).await;
    assert_eq!(loaded.expect_err("it is not writable").operation(), "write");
}

#[tokio::test]
async fn a_source_that_fails_leaves_nothing_of_a_large_object() {
    let client = Arc::new(Lossy::default());
    let piece = content(1 << 20);
    for options in [StoreOptions::create(), StoreOptions::default()] {
        let failed = strongroom_storage::Error::new(ErrorKind::Changed, "read", "source", "it changed");
        let pieces = futures::stream::iter(std::iter::repeat_n(Ok(piece.clone()), 70).chain([Err(failed)])).boxed();
        let stored = storage(&client).store(&at("a/b"), Source::stream(pieces), &options).await;
        assert_eq!(stored.expect_err("its source fails").kind(), ErrorKind::Changed);
        assert!(client.inner.list(None).next().await.is_none());
    }
}

#[tokio::test]
async fn an_object_that_is_replaced_while_it_is_read_is_never_read_mixed() {
    let client = Arc::new(Lossy::default());
    let (storage, location) = (storage(&client), at("a/b"));
    storage.store_bytes(&location, content(30 << 20)).await.expect("store");
    let mut stream = storage.load_stream(&location).await.expect("load");
    let first = stream.try_next().await.expect("the first bytes").expect("some");
    assert!(content(30 << 20).starts_with(&first));
    storage.store_bytes(&location, vec![7; 30 << 20].into()).await.expect("replace");
    let rest: std::result::Result<Vec<Bytes>, _> = stream.try_collect().await;
    assert_eq!(rest.expect_err("it is another now").kind(), ErrorKind::Unavailable);
}

fn opened(url: &str) -> strongroom_storage::Result<ObjectStorage> {
    let settings =
        [("aws_region", "eu-1"), ("azure_storage_account_name", "own"), ("azure_storage_account_key", "c2VjcmV0")];
    let settings = settings.into_iter().filter(|(key, _)| key.starts_with("aws") == url.starts_with("s3"));
    ObjectStorage::builder(url).with_settings(settings.filter(|_| !url.starts_with("http"))).open()
}

#[test]
fn urls_name_buckets() {
    for url in [
        "s3://bucket/some/prefix",
        "s3a://bucket",
        "az://container/x",
        "abfs://container@account/x",
        "https://host/a%20b",
    ] {
        assert_eq!(opened(&format!("{url}/")).expect(url).to_string(), url);
    }
}

#[test]
fn what_names_no_bucket_is_refused_and_nothing_secret_is_said() {
    for (url, says) in [
        ("s3://key:secret@bucket/x", "credentials"),
        ("s3://secret@bucket/x", "credentials"),
        ("abfs://container:secret@account/x", "credentials"),
        ("s3://bucket/x?token=secret", "environment"),
        ("https://host/x#secret", "environment"),
        ("s3:///x", "bucket"),
        ("ftp://bucket/x", "ftp"),
        ("no url", "URL"),
    ] {
        let error = opened(url).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{url}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}

#[test]
fn a_setting_that_a_service_does_not_have_is_named_and_its_value_is_not() {
    let builder = ObjectStorage::builder("s3://bucket").with_settings([("aws_colour", "secret")]);
    assert!(!format!("{builder:?}").contains("secret"));
    let error = builder.open().expect_err("there is no such setting");
    assert!(error.to_string().contains("aws_colour") && !format!("{error:?}").contains("\"secret\""), "{error:?}");
}
