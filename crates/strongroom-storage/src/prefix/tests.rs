use super::*;
use crate::memory::MemoryStorage;

fn at(text: &str) -> Location {
    Location::parse(text).expect("a location")
}

fn part_of(whole: &MemoryStorage) -> PrefixStorage {
    PrefixStorage::new(Arc::new(whole.clone()), at("campaign/7"))
}

struct Named(Location);

impl ContentNamer for Named {
    fn update(&mut self, _: &[u8]) {}

    fn location(&mut self) -> Result<Location> {
        Ok(self.0.clone())
    }
}

#[tokio::test]
async fn objects_lie_below_the_prefix_and_are_called_by_the_rest() {
    let whole = MemoryStorage::new();
    let part = part_of(&whole);
    let options = StoreOptions::default();
    let stored = [
        part.store(&at("a"), "1".into(), &options).await.expect("store"),
        part.store_bytes(&at("b/c"), "2".into()).await.expect("store"),
        part.store_all(vec![StoreItem::new(at("d"), "3")], &options).await.expect("store").remove(0),
        part.store_named("4".into(), Box::new(Named(at("e"))), &options).await.expect("store"),
    ];
    for (stored, name) in stored.iter().zip(["a", "b/c", "d", "e"]) {
        assert_eq!(stored.location, at(name));
        assert!(whole.exists(&at("campaign/7").join(name).expect("short")).await.expect("exists"));
        assert!(part.exists(&at(name)).await.expect("exists"));
    }
    assert_eq!(part.to_string(), "memory://campaign/7");
}

#[tokio::test]
async fn neighbours_whose_names_begin_alike_are_not_seen() {
    let whole = MemoryStorage::new();
    let part = part_of(&whole);
    for name in ["campaign/7", "campaign/70/a", "campaign/7.txt", "campaign/7/in/side"] {
        whole.store_bytes(&at(name), "1".into()).await.expect("store");
    }
    for prefix in ["", "i", "in/"] {
        let found: Vec<_> = part.iter_contents(prefix).try_collect().await.expect("list");
        assert_eq!(found, [at("in/side")]);
    }
    for prefix in ["../", "/", "../70", "campaign"] {
        assert!(part.list(&ListOptions::prefix(prefix)).await.expect("list").objects.is_empty(), "{prefix}");
    }
    let listing = part.list(&ListOptions::directory("")).await.expect("list");
    assert_eq!((listing.objects.len(), listing.prefixes), (0, vec!["in/".to_string()]));
}

#[tokio::test]
async fn errors_speak_of_the_location_as_the_caller_knows_it() {
    let part = part_of(&MemoryStorage::new());
    let error = part.load(&at("a/b"), ByteRange::All).await.expect_err("nothing there");
    assert_eq!(error.to_string(), "load a/b: there is nothing at this location");
    let error = part.store_path(&at("a"), Path::new("/campaign/7/none")).await.expect_err("no such file");
    assert_eq!(error.subject(), "/campaign/7/none");
}

#[tokio::test]
async fn a_location_that_is_too_long_below_the_prefix_is_invalid() {
    let part = part_of(&MemoryStorage::new());
    let long = at(&vec!["x".repeat(255); 4].join("/"));
    let options = StoreOptions::default();
    let errors = [
        part.store_bytes(&long, "1".into()).await.err(),
        part.store_named("1".into(), Box::new(Named(long.clone())), &options).await.err(),
        part.load(&long, ByteRange::All).await.err(),
        part.exists(&long).await.err(),
        part.delete(&long).await.err(),
    ];
    for error in errors {
        let error = error.expect("too long");
        assert_eq!((error.kind(), error.subject()), (ErrorKind::Invalid, long.as_str()));
    }
}
