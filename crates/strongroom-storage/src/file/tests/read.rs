//! Reading: ranges, files that are cut meanwhile, and what is not a file.

use futures::StreamExt;

use super::*;

#[tokio::test]
async fn a_range_is_read_alone() {
    let bench = Bench::new();
    let content: Vec<u8> = (0..3 << 20).map(|position| (position % 251) as u8).collect();
    bench.storage.store(&at("a"), content.clone().into(), &StoreOptions::default()).await.expect("store");
    for (range, expected) in [
        (ByteRange::All, 0..3 << 20),
        ((5..5).into(), 5..5),
        ((0..1).into(), 0..1),
        (((1 << 20) - 1..(1 << 20) + 1).into(), (1 << 20) - 1..(1 << 20) + 1),
        ((7..1 << 40).into(), 7..3 << 20),
        ((3 << 20..).into(), 3 << 20..3 << 20),
        (ByteRange::Last(10), (3 << 20) - 10..3 << 20),
        (ByteRange::Last(1 << 40), 0..3 << 20),
    ] {
        let found = bench.storage.load_bytes(&at("a"), range).await.expect("load");
        assert!(found == content[expected], "{range}");
    }
    let beyond = ByteRange::From((3 << 20) + 1);
    check_kind(bench.storage.load(&at("a"), beyond).await, ErrorKind::Invalid, "not in the object");
}

#[tokio::test]
async fn a_file_that_is_cut_while_it_is_read_is_corrupt_not_short() {
    let bench = Bench::new();
    bench.storage.store(&at("a"), vec![7; 3 << 20].into(), &StoreOptions::default()).await.expect("store");
    let mut stream = bench.storage.load_stream(&at("a")).await.expect("load");
    let first = stream.next().await.expect("a piece").expect("the first piece");
    let file = std::fs::File::options().write(true).open(bench.storage.root().join("a")).expect("open");
    file.set_len(first.len() as u64 + 5).expect("cut");
    let mut read = first.len();
    let error = loop {
        match stream.next().await.expect("an error at the end") {
            Ok(bytes) => read += bytes.len(),
            Err(error) => break error,
        }
    };
    assert_eq!(read, first.len() + 5);
    check_kind::<()>(Err(error), ErrorKind::Corrupt, "ended");
    assert!(stream.next().await.is_none());
}

/// What a visitor of a range sees.
async fn visited(reader: &dyn ObjectReader, range: std::ops::Range<u64>) -> Result<Vec<u8>> {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sees = seen.clone();
    let visit = move |bytes: &[u8]| {
        sees.lock().expect("nobody panics").extend_from_slice(bytes);
        Ok(())
    };
    reader.visit(range, Box::new(visit)).await?;
    Ok(seen.lock().expect("nobody panics").clone())
}

#[tokio::test]
async fn a_visitor_of_an_open_object_sees_a_range_in_order_or_gets_an_error() {
    let bench = Bench::new();
    let content: Vec<u8> = (0..3 << 20).map(|position| (position % 251) as u8).collect();
    bench.storage.store(&at("below/a"), content.clone().into(), &StoreOptions::default()).await.expect("store");
    let below = crate::PrefixStorage::new(Arc::new(bench.storage.clone()), at("below"));
    let readers = [bench.storage.reader(&at("below/a")).await, below.reader(&at("a")).await];
    for reader in readers.map(|opened| opened.expect("opened").expect("a reader")) {
        for range in [0..3 << 20, 5..5, 7..(1 << 20) + 8, (3 << 20) - 1..3 << 20] {
            let seen = visited(&*reader, range.clone()).await.expect("readable");
            assert!(seen == content[range.start as usize..range.end as usize], "{range:?}");
        }
        check_kind(visited(&*reader, 0..(3 << 20) + 1).await, ErrorKind::Corrupt, "ends before");
        let refuse = |_: &[u8]| Err(Error::new(ErrorKind::Unavailable, "see", "it", "the visitor had enough"));
        check_kind(reader.visit(0..10, Box::new(refuse)).await, ErrorKind::Unavailable, "had enough");
    }
}

#[tokio::test]
async fn what_is_not_a_file_is_no_object() {
    let bench = Bench::new();
    bench.store("a", "object").await;
    let root = bench.storage.root();
    run("mkfifo", &[root.join("fifo").to_str().expect("UTF-8")]);
    let _listener = std::os::unix::net::UnixListener::bind(root.join("socket")).expect("bind");
    std::os::unix::fs::symlink("nowhere", root.join("dangling")).expect("symlink");
    std::os::unix::fs::symlink("circle", root.join("circle")).expect("symlink");
    for name in ["fifo", "socket", "dangling", "circle"] {
        assert!(!bench.storage.exists(&at(name)).await.expect(name));
        check_kind(bench.storage.load(&at(name), ByteRange::All).await, ErrorKind::Missing, name);
        check_kind(bench.storage.delete(&at(name)).await, ErrorKind::Missing, name);
    }
    let listing = bench.storage.list(&ListOptions::default()).await.expect("list");
    assert_eq!(listing.objects.len(), 1, "{listing:?}");
}

#[tokio::test]
async fn a_file_that_somebody_else_put_there_is_an_object() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.storage.root().join("dag")).expect("a folder");
    std::fs::write(bench.storage.root().join("dag/by hand.txt"), "by hand").expect("write");
    std::os::unix::fs::symlink("by hand.txt", bench.storage.root().join("dag/link")).expect("symlink");
    for name in ["dag/by hand.txt", "dag/link"] {
        assert_eq!(bench.load(name).await, "by hand");
        assert_eq!(bench.storage.metadata(&at(name)).await.expect("metadata").size, 7);
    }
    bench.storage.delete(&at("dag/link")).await.expect("delete");
    assert_eq!(bench.tree(), names(&["dag", "dag/by hand.txt"]));
}

#[tokio::test]
async fn an_open_object_stays_what_it_was_when_it_was_opened() {
    let bench = Bench::new();
    bench.store("a", "the first version").await;
    let reader = bench.storage.reader(&at("a")).await.expect("open").expect("plain files can be kept open");
    bench.store("a", "another").await;
    bench.storage.delete(&at("a")).await.expect("delete");
    assert_eq!(reader.size(), 17);
    assert_eq!(reader.read(4..9).await.expect("read"), "first");
    assert_eq!(reader.read(0..17).await.expect("read"), "the first version");
    assert_eq!(reader.read(3..3).await.expect("read"), "");
    check_kind(reader.read(10..18).await, ErrorKind::Corrupt, "ends before");
    check_kind(bench.storage.reader(&at("a")).await.map(drop), ErrorKind::Missing, "a");
}

#[tokio::test]
async fn what_is_in_memory_and_what_is_not_reads_the_same() {
    let bench = Bench::new();
    let content: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    bench.storage.store(&at("a/b"), content.clone().into(), &StoreOptions::default()).await.expect("store");
    let file = std::fs::File::open(bench.storage.root().join("a/b")).expect("open");
    for advice in [rustix::fs::Advice::Normal, rustix::fs::Advice::DontNeed] {
        rustix::fs::fadvise(&file, 0, None, advice).expect("advise");
        for range in [0..10u64, 4090..4100, 0..200_000, 199_990..200_000] {
            let found = bench.storage.load_bytes(&at("a/b"), range.clone().into()).await.expect("load");
            assert!(found == content[range.start as usize..range.end as usize], "{range:?}");
        }
        assert!(bench.storage.exists(&at("a/b")).await.expect("exists"));
        assert!(!bench.storage.exists(&at("a")).await.expect("a folder is no object"));
        assert_eq!(bench.storage.metadata(&at("a/b")).await.expect("metadata").size, 200_000);
    }
}
