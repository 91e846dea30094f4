use strongroom::{ByteRange, ContentConfig, ErrorKind, ExternalStorage};

use super::*;

fn at(text: &str) -> Location {
    Location::parse(text).expect("a location")
}

/// A store of its own, in which each of `names` stands for itself.
async fn store(url: &str, names: &[&str]) -> ContentStorage {
    let store = strongroom::create(url, ContentConfig::default()).await.expect("create");
    for name in names {
        store.store_bytes(&at(name), (*name).to_string().into()).await.expect("store");
    }
    store
}

/// What each name stands for.
async fn picture(url: &str) -> Vec<String> {
    let store = strongroom::open(url).await.expect("open");
    let mut names: Vec<Location> = store.iter_contents("").try_collect().await.expect("list");
    names.sort();
    let mut picture = Vec::new();
    for name in names {
        let bytes = store.load_bytes(&name, ByteRange::All).await.expect("load");
        picture.push(format!("{name}: {}", String::from_utf8_lossy(&bytes)));
    }
    picture
}

/// Moves all below `source`, while another process stores another object at `meanwhile`.
async fn move_beside(url: &str, names: &[&str], [source, dest, meanwhile]: [&str; 3]) -> Error {
    let store = store(url, names).await;
    let transfers = plan(&store, source, dest, true, None).await.expect("plan");
    let other = strongroom::open(url).await.expect("another handle");
    other.store_bytes(&at(meanwhile), "newer".into()).await.expect("store");
    let options = TransferOptions { mode: StoreMode::Overwrite, remove: true, message: String::new() };
    let error = transfer(&store, transfers, &options, &Output::new(false, true)).await.expect_err("it changed");
    assert_eq!((error.kind(), error.subject()), (ErrorKind::Changed, meanwhile));
    error
}

#[tokio::test]
async fn a_move_in_a_namespace_does_nothing_if_an_old_name_stands_for_something_newer() {
    let url = "memory://moved-in-a-namespace";
    let error = move_beside(url, &["run/unit/a/x", "run/unit/a/y"], ["run/unit/a", "run/unit/b", "run/unit/a/y"]).await;
    assert!(!error.may_have_happened());
    assert_eq!(picture(url).await, ["run/unit/a/x: run/unit/a/x", "run/unit/a/y: newer"]);
}

#[tokio::test]
async fn a_move_between_namespaces_does_not_remove_what_it_did_not_copy() {
    let url = "memory://moved-between-namespaces";
    let error = move_beside(url, &["run/a/x", "run/a/y"], ["run/a", "run/b", "run/a/y"]).await;
    assert!(error.may_have_happened(), "the new names came");
    let expected = ["run/a/x: run/a/x", "run/a/y: newer", "run/b/x: run/a/x", "run/b/y: run/a/y"];
    assert_eq!(picture(url).await, expected);
}

#[tokio::test]
async fn a_move_into_itself_does_not_replace_what_it_did_not_move() {
    let url = "memory://moved-into-itself";
    // What is at r/u/s/x makes room for what was at r/u/x.
    let error = move_beside(url, &["r/u/x", "r/u/s/x"], ["r/u", "r/u/s", "r/u/s/x"]).await;
    assert!(!error.may_have_happened());
    assert_eq!(picture(url).await, ["r/u/s/x: newer", "r/u/x: r/u/x"]);
}
