//! Promise 7: no location leaves the backend's root, and no name is taken for another.

use bytes::Bytes;
use strongroom_storage::{ErrorKind, ExternalStorage, Location};

use super::Place;
use super::failure::{Checked, Verdict, ensure};
use super::probe::{at, expect_names, expect_nothing, expect_object};

/// What people type, and what a backend that escapes, decodes, normalises or joins names could take for something else.
const NAMES: &[&str] = &[
    "names/a b",
    "names/a+b",
    "names/a%20b",
    "names/%2e%2e/x",
    "names/..%2fx",
    "names/.hidden",
    "names/.tmp/x",
    "names/~",
    "names/~root/x",
    "names/50%",
    "names/%",
    "names/@",
    "names/@at/1",
    "names/#1?x=y&z",
    "names/C:",
    "names/'quoted' \"twice\"",
    "names/(a) [b] {c} <d>",
    "names/*",
    "names/$HOME;`x`|!",
    "names/-rf",
    "names/trailing ",
    "names/ leading",
    "names/ä",
    "names/日本語/ファイル",
    "names/🗝",
    "names/dir.d/file.tmp",
    "names/x.partial",
    "names/x~",
    "@",
    "%",
    ".x",
];

pub(super) async fn promise_7_no_name_is_taken_for_another(place: &Place) -> Checked {
    let storage = place.open().await?;
    let locations: Vec<_> = NAMES.iter().map(|name| at(name)).collect();
    for location in &locations {
        storage.store_bytes(location, own(location)).await?;
    }
    for location in &locations {
        expect_object(&*storage, location, &own(location)).await?;
        expect_names(&*storage, location.as_str(), &begin_with(&locations, location)).await?;
    }
    expect_names(&*storage, "", &locations).await?;
    for location in &locations {
        storage.delete(location).await?;
        expect_nothing(&*storage, location).await?;
    }
    expect_names(&*storage, "", &[]).await?;
    Ok(Verdict::Kept)
}

/// A content that says whose it is.
fn own(location: &Location) -> Bytes {
    Bytes::copy_from_slice(location.as_str().as_bytes())
}

fn begin_with(locations: &[Location], prefix: &Location) -> Vec<Location> {
    locations.iter().filter(|location| location.as_str().starts_with(prefix.as_str())).cloned().collect()
}

pub(super) async fn promise_7_a_strange_name_is_kept_or_refused(place: &Place) -> Checked {
    let storage = place.open().await?;
    // Names that differ in what some file systems and protocols fold, and characters that some can't carry.
    let composed = ["folded/\u{e9}", "folded/e\u{301}", "folded/case", "folded/CASE", "folded/Case"];
    let control = ["control/a\nb", "control/a\tb", "control/a\u{1}b", "control/a\u{7f}b", "control/\u{fffe}"];
    let reserved = ["reserved/nul", "reserved/con.txt", "reserved/a:b"];
    // Some services take the one for a slash, and leave the other out.
    let backslashes_and_dots = ["slash/a\\b", "slash/..\\x", "dot/...", "dot/trailing.", "dot/within./x"];
    let mut kept = Vec::new();
    for name in composed.iter().chain(&control).chain(&reserved).chain(&backslashes_and_dots) {
        let location = at(name);
        if keeps(&*storage, &location, own(&location)).await? {
            kept.push(location);
        }
    }
    for location in &kept {
        expect_object(&*storage, location, &own(location)).await?;
    }
    expect_names(&*storage, "", &kept).await?;
    Ok(Verdict::Kept)
}

pub(super) async fn promise_7_the_longest_names_are_kept_or_refused(place: &Place) -> Checked {
    let storage = place.open().await?;
    let (ascii, wide) = ("x".repeat(255), "ä".repeat(127));
    let deep = ["d"; 512].join("/");
    let mut kept = Vec::new();
    for name in [ascii.clone(), wide, [ascii.as_str(); 4].join("/"), format!("{}/y", "x".repeat(100)), deep] {
        let location = at(&name);
        if keeps(&*storage, &location, own(&location)).await? {
            expect_object(&*storage, &location, &own(&location)).await?;
            kept.push(location);
        }
    }
    let short = at("short");
    ensure!(keeps(&*storage, &short, own(&short)).await?, "a short name is refused after long ones");
    kept.push(short);
    expect_names(&*storage, "", &kept).await?;
    Ok(Verdict::Kept)
}

/// Stores, or sees that the name is refused for what it is.
async fn keeps(storage: &dyn ExternalStorage, location: &Location, content: Bytes) -> Checked<bool> {
    match storage.store_bytes(location, content).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Conflict) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
