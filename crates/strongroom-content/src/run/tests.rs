//! Runs over each other are what a map is to which the same is done; and runs that are sound as files are not what they should be.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::executor::block_on;
use proptest::prelude::*;
use strongroom_storage::{ErrorKind, ExternalStorage, Location, MemoryStorage};
use strongroom_testkit::RecordingStorage;

use super::{Build, Cursor, Drafts, Header, MAGIC, Merge, Run, RunWriter, Runs};
use crate::codec::{Decoder, Encoder};
use crate::config::Compression;
use crate::content::Content;
use crate::entry::{Attributes, Entry, Object};
use crate::envelope;
use crate::names::{LogName, State};
use crate::namespace::Namespace;
use crate::nonce::Nonce;

fn entry(name: &str, version: u64) -> Entry {
    let content = Content::inline(Bytes::copy_from_slice(name.as_bytes()));
    let object = Some(Object { content, attributes: Attributes::default() });
    Entry { name: name.into(), version, time: 0, object }
}

fn header(version: u64, first: u64) -> Header {
    Header {
        log: LogName::Namespace(Namespace::parse("dag/unit").expect("valid")),
        version,
        first,
        commit: Nonce::from_bytes([7; 16]),
        parent: Nonce::from_bytes([6; 16]),
        time: 0,
        put: 0,
        removed: 0,
        author: "".into(),
        message: "".into(),
    }
}

fn location(version: u64) -> Location {
    Location::parse(&format!("run-{version}")).expect("valid")
}

/// Stores a run of versions 3 to 4 with these entries, however wrong, and reads all of it.
async fn read(entries: &[Entry]) -> Result<Vec<Entry>, ErrorKind> {
    let mut writer = RunWriter::new(Compression::None, entries.len() as u64);
    for entry in entries {
        let mut draft = Drafts::default();
        draft.push(entry);
        draft.finish().iter().for_each(|entries| writer.push(entries.get(0).expect("one")));
    }
    writer.finish(&header(4, 3));
    let file: Vec<Bytes> = std::iter::from_fn(|| writer.take()).collect();
    let backend = MemoryStorage::new();
    backend.store_bytes(&location(4), file.concat().into()).await.expect("memory takes it");
    let run = Arc::new(Runs::new(Arc::new(backend))).open(location(4)).await.map_err(|error| error.kind())?;
    all(Merge::new(vec![Cursor::seek(Arc::new(run), "").await.map_err(|error| error.kind())?])).await
}

async fn all(mut merge: Merge) -> Result<Vec<Entry>, ErrorKind> {
    let mut found = Vec::new();
    while let Some(entry) = merge.next().await.map_err(|error| error.kind())? {
        found.push(entry);
    }
    Ok(found)
}

#[tokio::test]
async fn what_was_written_in_order_reads_back() {
    let entries: Vec<Entry> = (0..2000).map(|n| entry(&format!("name-{n:05}"), 3 + n % 2)).collect();
    assert_eq!(read(&entries).await, Ok(entries));
}

#[tokio::test]
async fn entries_of_versions_that_the_run_does_not_hold_are_corrupt() {
    for version in [2, 5] {
        assert_eq!(read(&[entry("a", version)]).await, Err(ErrorKind::Corrupt));
    }
}

#[tokio::test]
async fn names_out_of_order_are_corrupt_within_a_block_and_across_blocks() {
    assert_eq!(read(&[entry("b", 3), entry("a", 3)]).await, Err(ErrorKind::Corrupt));
    let mut entries: Vec<Entry> = (0..2000).map(|n| entry(&format!("name-{n:05}"), 3)).collect();
    entries.swap(0, 1999);
    assert_eq!(read(&entries).await, Err(ErrorKind::Corrupt));
}

/// An entry of so many bytes, roughly: as large as other writers may make them.
fn large(name: &str, bytes: usize) -> Entry {
    let mut out = Encoder::default();
    out.short_bytes(name.as_bytes());
    out.u64(3);
    out.i64(0);
    Content::inline(Bytes::new()).encode(&mut out);
    let count = bytes / 65_000;
    out.u16(u16::try_from(count).expect("a few"));
    for n in 0..count {
        out.short_bytes(format!("lab.{n:05}").as_bytes());
        out.short_bytes(&[0; 65_000]);
    }
    Entry::decode(&mut Decoder::new(&out.finish())).expect("sound")
}

#[tokio::test]
async fn a_run_with_more_entries_than_its_blocks_can_have_is_corrupt() {
    let opens = |entries: u64| {
        let mut writer = RunWriter::new(Compression::None, 1);
        let mut draft = Drafts::default();
        draft.push(&Entry { object: None, ..entry("a", 3) });
        draft.finish().iter().for_each(|entries| writer.push(entries.get(0).expect("one")));
        writer.finish(&header(4, 3));
        let file = std::iter::from_fn(|| writer.take()).collect::<Vec<Bytes>>().concat();
        let opened = envelope::parse(file.clone().into(), MAGIC).expect("sound");
        // The number stands behind the header, of which all but the texts has 65 bytes.
        let at = 65 + 2 + "dag/unit".len() + 2 + 2;
        let mut directory = opened.directory.to_vec();
        assert_eq!(directory[at..at + 8], 1u64.to_le_bytes());
        directory[at..at + 8].copy_from_slice(&entries.to_le_bytes());
        let body_end = usize::try_from(opened.body_end).expect("small");
        let forged = [&file[..body_end], &envelope::seal(MAGIC, opened.body_end, &directory)].concat();
        let runs = Arc::new(Runs::new(Arc::new(MemoryStorage::new())));
        runs.opened(location(4), forged.into()).map(drop).map_err(|error| error.kind())
    };
    assert_eq!(opens(1), Ok(()));
    for entries in [0, 2, u64::MAX] {
        assert_eq!(opens(entries), Err(ErrorKind::Corrupt), "{entries}");
    }
}

#[tokio::test]
async fn a_block_has_no_more_than_it_may_have() {
    // What is before the large one would fit a block, and what is large as well, but not both.
    let mut entries: Vec<Entry> = (0..150).map(|n| entry(&format!("a{n:03}"), 3)).collect();
    entries.push(large("b", 1_040_000));
    assert_eq!(read(&entries).await, Ok(entries));
    assert_eq!(read(&[large("b", 1 << 21)]).await, Err(ErrorKind::Corrupt));
}

#[tokio::test]
async fn names_that_there_can_not_be_are_corrupt() {
    for name in ["", ".", "../up", "a//b", "/a", "a/", "a\0b", &"x".repeat(256)] {
        assert_eq!(read(&[entry(name, 3)]).await, Err(ErrorKind::Corrupt), "{name:?}");
    }
}

/// Builds the run of `version` from `drafts` and the runs that it replaces, and opens it.
async fn build(runs: &Arc<Runs>, version: u64, first: u64, drafts: Drafts, replaced: &[Arc<Run>]) -> Arc<Run> {
    let mut cursors: Vec<Cursor> = drafts.finish().into_iter().map(Cursor::over).collect();
    for run in replaced {
        cursors.push(Cursor::seek(run.clone(), "").await.expect("sound"));
    }
    let build = Build::new(Merge::new(cursors), header(version, first), Compression::Auto);
    let (source, _) = build.into_source().await.expect("sound");
    let bytes = source.into_bytes().await.expect("sound");
    runs.backend.store_bytes(&location(version), bytes).await.expect("memory takes it");
    Arc::new(runs.open(location(version)).await.expect("sound"))
}

/// The longest value that is kept inline, so that few names are several blocks.
fn long_entry(name: &str, version: u64, seed: u8) -> Entry {
    let content = Content::inline(vec![seed; 256].into());
    let object = Some(Object { content, attributes: Attributes::default() });
    Entry { name: name.into(), version, time: 0, object }
}

/// By name what a commit does: put something, or remove what is there.
fn commit() -> impl Strategy<Value = BTreeMap<String, Option<u8>>> {
    prop::collection::btree_map("[ab]?x/[a-f]{1,3}", prop::option::weighted(0.8, any::<u8>()), 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn runs_over_each_other_are_what_a_map_is_to_which_the_same_is_done(
        commits in prop::collection::vec(commit(), 1..6),
        asked in prop::collection::vec("[ab]?x/[a-f]{1,3}", 0..50),
    ) {
        block_on(async {
            let runs = Arc::new(Runs::keeping(Arc::new(MemoryStorage::new()), 40 << 10));
            let mut state = State { version: 0, runs: Vec::new() };
            let mut model: BTreeMap<String, Entry> = BTreeMap::new();
            for (version, commit) in (1..).zip(&commits) {
                let mut drafts = Drafts::default();
                // In an order of its own, and one too many, which is taken back.
                for (name, seed) in commit.iter().rev() {
                    let mut entry = long_entry(name, version, seed.unwrap_or_default());
                    if seed.is_none() {
                        entry.object = None;
                    }
                    drafts.push(&entry);
                    model.insert(name.clone(), entry);
                }
                let count = drafts.len();
                drafts.push(&entry("never", version));
                drafts.truncate(count);
                let kept = version - (version & version.wrapping_neg());
                let replaced = state.runs.iter().take_while(|run| run.header.version > kept).count();
                let run = build(&runs, version, kept + 1, drafts, &state.runs[..replaced]).await;
                state.version = version;
                state.runs.splice(..replaced, [run]);
                if kept == 0 {
                    model.retain(|_, entry| entry.object.is_some());
                }
                let expected: Vec<Entry> = model.values().cloned().collect();
                prop_assert_eq!(all(state.entries("").await.expect("sound")).await, Ok(expected));
            }
            let names: Vec<&str> = asked.iter().chain(model.keys()).map(String::as_str).collect();
            let present = |name: &str| model.get(name).filter(|entry| entry.object.is_some()).cloned();
            for name in &names {
                prop_assert_eq!(state.get(name).await.expect("sound"), present(name));
                prop_assert_eq!(state.contains(name).await.expect("sound"), present(name).is_some());
                let after: Vec<Entry> = model.range(name.to_string()..).map(|(_, entry)| entry.clone()).collect();
                prop_assert_eq!(all(state.entries(name).await.expect("sound")).await, Ok(after));
            }
            let mut found = vec![Vec::new(); names.len()];
            let bytes: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
            let wanted = (0..names.len()).filter(|at| at % 3 > 0).collect();
            let mut each = |at: usize, entry: Option<super::EntryRef<'_>>| {
                found[at].push(entry.map(super::EntryRef::decode).transpose()?);
                Ok(())
            };
            state.get_all(&bytes, wanted, &mut each).await.expect("sound");
            for (at, name) in names.iter().enumerate() {
                let expected = if at % 3 > 0 { vec![present(name)] } else { Vec::new() };
                prop_assert_eq!(&found[at], &expected);
            }
            prop_assert!(runs.blocks.weight() <= 40 << 10);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn names_that_the_filter_rules_out_are_not_looked_for() {
    let backend = RecordingStorage::new(Arc::new(MemoryStorage::new()));
    let runs = Arc::new(Runs::keeping(Arc::new(backend.clone()), 1 << 20));
    let mut drafts = Drafts::default();
    (0..1000).for_each(|n| drafts.push(&long_entry(&format!("name-{n:05}"), 1, n as u8)));
    let run = build(&runs, 1, 1, drafts, &[]).await;
    backend.take();
    let absent: Vec<String> = (0..500).map(|n| format!("name-{n:05}-not")).collect();
    for name in &absent[..50] {
        assert_eq!(run.get(name.as_bytes(), |entry| entry.decode()).await.expect("sound"), None);
    }
    let single = backend.take().len();
    assert!(single <= 4, "{single}");
    let names: Vec<&[u8]> = absent.iter().map(|name| name.as_bytes()).collect();
    let mut wanted = (50..500).collect();
    run.get_all(&names, &mut wanted, &mut |at, _| panic!("{at} was found")).await.expect("sound");
    assert_eq!(wanted.len(), 450);
    let together = backend.take().len();
    assert!(together <= 12, "{together}");
    // What is there is found all the same, though nothing was kept of it.
    for n in 0..1000 {
        let name = format!("name-{n:05}");
        let found = run.get(name.as_bytes(), |entry| entry.decode()).await.expect("sound");
        assert_eq!(found, Some(long_entry(&name, 1, n as u8)));
    }
}

#[tokio::test]
async fn no_more_of_all_runs_is_kept_than_was_said() {
    const KEPT_BYTES: u64 = 100 << 10;
    let runs = Arc::new(Runs::keeping(Arc::new(MemoryStorage::new()), KEPT_BYTES));
    let name = |n: u64| format!("name-{n:05}");
    for version in 1..=3 {
        let mut drafts = Drafts::default();
        (0..1000).for_each(|n| drafts.push(&long_entry(&name(n), version, 0)));
        let run = build(&runs, version, version, drafts, &[]).await;
        for n in 0..1000 {
            let found = run.get(name(n).as_bytes(), |entry| entry.decode()).await.expect("sound");
            assert_eq!(found, Some(long_entry(&name(n), version, 0)));
        }
    }
    let weight = runs.blocks.weight();
    assert!(weight > KEPT_BYTES / 2 && weight <= KEPT_BYTES, "{weight}");
}
