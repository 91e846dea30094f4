//! Promise 8: the prefix of a listing is a string prefix, and each object appears once.

use super::Place;
use super::failure::{Checked, Verdict};
use super::probe::{at, content, expect_names};

pub(super) async fn promise_8_a_prefix_is_a_string(place: &Place) -> Checked {
    let storage = place.open().await?;
    let names = [
        "bar/foo",
        "fo",
        "foo",
        "foo-bar/a",
        "foo.txt",
        "foo_dir/a",
        "foo_dir/b/c",
        "foo_dir/b/d",
        "foobar",
        "übung/ä",
    ];
    for (index, name) in names.iter().enumerate() {
        storage.store_bytes(&at(name), content(index as u64, index)).await?;
    }
    let long = "x".repeat(3000);
    let prefixes = [
        "",
        "f",
        "foo",
        "foo.",
        "foo_",
        "foo_dir",
        "foo_dir/",
        "foo_dir/b",
        "foo_dir/b/",
        "foo_dir/b/c",
        "foo-",
        "foob",
        "b",
        "bar/f",
        "ü",
        "übung/", // these match
        "/",
        "foo/",
        "foo//",
        "./foo",
        "../",
        "..",
        ".",
        "foo_dir//b",
        "foo_dir/./b",
        "foo_dir/../fo",
        "foo\0",
        "zzz",
        "foo.txt/",
        "*",
        "fo?",
        "%66oo",
        long.as_str(),
    ];
    for prefix in prefixes {
        let expected: Vec<_> = names.iter().filter(|name| name.starts_with(prefix)).map(|name| at(name)).collect();
        expect_names(&*storage, prefix, &expected).await?;
    }
    Ok(Verdict::Kept)
}
