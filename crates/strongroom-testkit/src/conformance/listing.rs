//! Pages of the listing.

use std::sync::Arc;

use strongroom_storage::{Durability, ExternalStorage, ListOptions, Listing, StoreItem, StoreOptions};
use tokio::task::JoinSet;

use super::failure::{Checked, Verdict, ensure};
use super::probe::{at, content, expect_names, names};
use super::{Place, finished};

/// In byte order; `-` and `.` come before `/`, and `0` after it.
const NAMES: &[&str] =
    &["Z", "a-", "a-b/c", "a.b", "a/b", "a/c/d", "a/c/e", "a/d", "a0", "b", "dir/sub/x", "é/x", "é/y/z", "日"];

async fn filled(place: &Place) -> Checked<Arc<dyn ExternalStorage>> {
    let storage = place.open().await?;
    for name in NAMES.iter().rev() {
        storage.store_bytes(&at(name), content(0, name.len())).await?;
    }
    Ok(storage)
}

pub(super) async fn list_gives_pages_in_byte_order(place: &Place) -> Checked {
    let storage = filled(place).await?;
    for prefix in ["", "a", "a/", "a/c/", "a/c/d", "a-b", "é", "zz", "/", "../"] {
        for after in [None, Some("0"), Some("a.b"), Some("a/c"), Some("a/c/d"), Some("a/zz"), Some("a0"), Some("日")] {
            for limit in [None, Some(0), Some(1), Some(2), Some(5), Some(5000)] {
                let expected: Vec<_> = NAMES
                    .iter()
                    .filter(|name| name.starts_with(prefix) && after.is_none_or(|after| **name > after))
                    .take(limit.unwrap_or(usize::MAX))
                    .copied()
                    .collect();
                let options = options(ListOptions::prefix(prefix), after, limit);
                let page = storage.list(&options).await?;
                expect_sizes(&page)?;
                let found: Vec<_> = page.objects.iter().map(|object| object.location.as_str()).collect();
                ensure!(found == expected, "{options:?} gives {found:?}, not {expected:?}");
                ensure!(page.prefixes.is_empty(), "{options:?} gives prefixes and was not asked to");
            }
        }
    }
    Ok(Verdict::Kept)
}

pub(super) async fn list_folds_what_is_below_the_next_slash(place: &Place) -> Checked {
    let storage = filled(place).await?;
    for prefix in ["", "a", "a/", "a/c/", "a/c", "dir/", "é/", "zz/", "/"] {
        let everything = folded(prefix);
        for after in [None, Some("0"), Some("a.b"), Some("a0"), Some("é"), Some("日")] {
            for limit in [None, Some(0), Some(1), Some(2), Some(3), Some(5000)] {
                let mut expected = everything.clone();
                expected.retain(|name| after.is_none_or(|after| name.as_str() > after));
                expected.truncate(limit.unwrap_or(usize::MAX));
                let options = options(ListOptions::directory(prefix), after, limit);
                let page = storage.list(&options).await?;
                expect_sizes(&page)?;
                let found = merged(&page)?;
                ensure!(found == expected, "{options:?} gives {found:?}, not {expected:?}");
            }
        }
        let walked = walk(&*storage, prefix).await?;
        ensure!(walked == everything, "the pages of directory {prefix:?} are {walked:?}, not {everything:?}");
    }
    Ok(Verdict::Kept)
}

fn options(options: ListOptions, after: Option<&str>, limit: Option<usize>) -> ListOptions {
    let mut options = options;
    options.start_after = after.map(str::to_string);
    options.limit = limit;
    options
}

/// What a delimited listing gives, in byte order.
fn folded(prefix: &str) -> Vec<String> {
    let mut folded: Vec<_> = NAMES
        .iter()
        .filter_map(|name| {
            let rest = name.strip_prefix(prefix)?;
            Some(rest.find('/').map_or(*name, |end| &name[..prefix.len() + end + 1]).to_string())
        })
        .collect();
    folded.sort();
    folded.dedup();
    folded
}

/// Objects and prefixes of a page together. Fails if either are not in byte order.
fn merged(page: &Listing) -> Checked<Vec<String>> {
    let objects: Vec<_> = page.objects.iter().map(|object| object.location.to_string()).collect();
    ensure!(objects.is_sorted(), "the objects {objects:?} are not in byte order");
    ensure!(page.prefixes.is_sorted(), "the prefixes {:?} are not in byte order", page.prefixes);
    let mut merged = [objects, page.prefixes.clone()].concat();
    merged.sort();
    Ok(merged)
}

/// All pages of a directory, two entries each.
async fn walk(storage: &dyn ExternalStorage, prefix: &str) -> Checked<Vec<String>> {
    let mut all: Vec<String> = Vec::new();
    let mut options = ListOptions::directory(prefix).with_limit(2);
    loop {
        let page = merged(&storage.list(&options).await?)?;
        let Some(last) = page.last() else { return Ok(all) };
        ensure!(all.last() < page.first(), "a page begins with {:?}, which is not new", page.first());
        // After a folded prefix comes what comes after everything below it.
        let after = last.strip_suffix('/').map_or_else(|| last.clone(), |folder| format!("{folder}/\u{10ffff}"));
        options = ListOptions::directory(prefix).with_limit(2).with_start_after(after);
        all.extend(page);
    }
}

fn expect_sizes(page: &Listing) -> Checked<()> {
    for object in &page.objects {
        let size = object.location.as_str().len() as u64;
        let right = object.size.is_none_or(|listed| listed == size);
        ensure!(right, "{} is listed with {:?} bytes and has {size}", object.location, object.size);
    }
    Ok(())
}

pub(super) async fn a_long_listing_is_complete(place: &Place) -> Checked {
    let storage = place.open().await?;
    // More than the thousand that a server gives at a time.
    let locations: Vec<_> = (0..1050).map(|index| at(&format!("many/{index:04}"))).collect();
    let mut stores = JoinSet::new();
    for part in locations.chunks(75) {
        let (storage, part) = (Arc::clone(&storage), part.to_vec());
        stores.spawn(async move {
            let items = part.into_iter().map(|location| StoreItem::new(location, "x")).collect();
            storage.store_all(items, &StoreOptions::default().with_durability(Durability::Relaxed)).await?;
            Ok(())
        });
    }
    finished(stores).await?;
    expect_names(&*storage, "many/", &locations).await?;
    let listed = storage.list(&ListOptions::prefix("many/")).await?.objects;
    ensure!(
        listed.iter().map(|object| &object.location).eq(&locations),
        "list gives {} objects, not {} in byte order",
        listed.len(),
        locations.len()
    );
    let folded = storage.list(&ListOptions::directory("")).await?;
    ensure!(folded.prefixes == ["many/"], "a folder of many objects is folded into {:?}", folded.prefixes);
    storage.delete_all(&locations).await?;
    ensure!(names(&*storage, "").await?.is_empty(), "delete_all of many objects leaves some");
    Ok(Verdict::Kept)
}
