//! Objects that nobody is meant to write to.

use super::*;
use crate::StoreMode;

#[tokio::test]
async fn a_read_only_object_has_the_permissions_of_another_but_to_write() {
    for (way, config) in ways() {
        for shared in [None, Some(Sharing::Group), Some(Sharing::All)] {
            for mode_ in [StoreMode::Create, StoreMode::Overwrite, StoreMode::Overwrite] {
                let bench = Bench::with(config.clone());
                if let Some(shared) = shared {
                    bench.storage.share(shared).await.expect("ours");
                }
                bench.store("other", "other").await;
                let consumed = bench.outside("consumed", "content");
                let copied = bench.outside("copied", "content");
                let sources = [Source::bytes("content"), Source::path(&copied), Source::consumed_path(&consumed)];
                for (index, source) in sources.into_iter().enumerate() {
                    let options = StoreOptions::default().with_mode(mode_).with_read_only(true);
                    let location = format!("a{index}");
                    bench.storage.store(&at(&location), source, &options).await.expect(way);
                    let expected = mode(bench.storage.root().join("other")) & !0o222;
                    assert_eq!(mode(bench.storage.root().join(&location)), expected, "{way} {shared:?} {index}");
                    assert_eq!(bench.load(&location).await, "content", "{way}");
                }
                assert_eq!(mode(&copied), mode(bench.outside("new", "")), "{way}");
            }
        }
    }
}

#[tokio::test]
async fn a_consumed_source_that_was_not_stored_can_be_written_to_as_before() {
    for (way, config) in ways() {
        let bench = Bench::with(config);
        bench.store("a", "before").await;
        let path = bench.outside("source", "content");
        set_mode(&path, 0o640);
        let options = StoreOptions::create().with_read_only(true);
        let stored = bench.storage.store(&at("a"), Source::consumed_path(&path), &options).await;
        check_kind(stored, ErrorKind::AlreadyExists, "a");
        assert_eq!(mode(&path), 0o640, "{way}");
    }
}
