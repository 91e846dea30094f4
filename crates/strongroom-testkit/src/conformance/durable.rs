//! Promise 2: what was stored survives. Crashes of the machine can't be made here: a backend tests them by itself.

use strongroom_storage::{Durability, Source, StoreOptions};
use tempfile::NamedTempFile;

use super::Place;
use super::failure::{Checked, Verdict};
use super::probe::{at, content, expect_names, expect_object, streamed};
use super::source::write_file;

pub(super) async fn promise_2_a_fresh_handle_finds_what_was_stored(place: &Place) -> Checked {
    let file = NamedTempFile::new().map_err(super::source::local)?;
    let mut kept = Vec::new();
    for (index, durability) in [Durability::Synced, Durability::Relaxed].into_iter().enumerate() {
        let storage = place.open().await?;
        for (number, options) in [StoreOptions::default(), StoreOptions::create()].into_iter().enumerate() {
            let options = options.with_durability(durability);
            for source in 0..3 {
                let location = at(&format!("durable/{index}/{number}/{source}"));
                let content = content(kept.len() as u64, 10_000);
                let source = match source {
                    0 => Source::bytes(content.clone()),
                    1 => streamed(&content),
                    _ => {
                        write_file(file.path(), &content)?;
                        Source::path(file.path())
                    }
                };
                storage.store(&location, source, &options).await?;
                kept.push((location, content));
            }
        }
    }
    let storage = place.open().await?;
    for (location, content) in &kept {
        expect_object(&*storage, location, content).await?;
    }
    let locations: Vec<_> = kept.into_iter().map(|(location, _)| location).collect();
    expect_names(&*storage, "", &locations).await?;
    Ok(Verdict::Kept)
}
