//! Each target for some seconds, after what was kept of earlier runs, and how much memory it takes.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use arbtest::arbtest;
use peak_alloc::PeakAlloc;
use strongroom::Digest;
use strongroom_fuzz::{BOMBS, TARGETS, Tried};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What reading may take of memory: so many times what the input has, and so many bytes, which are a few of the largest chunks.
const FACTOR: u64 = 8;
const BASE_BYTES: u64 = 640 << 20;

/// For how long each target runs, in milliseconds, unless `STRONGROOM_FUZZ_MS` says otherwise.
const DEFAULT_MS: u64 = 1500;

/// One test at a time, so that the memory is its own.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tries one input, and looks at the memory that it takes: the most, in bytes.
fn measured(target: impl FnOnce() -> Result<Tried>) -> Result<(Tried, u64)> {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let tried = target()?;
    let peak = MEMORY.peak_usage().saturating_sub(before) as u64;
    assert!(peak <= FACTOR * tried.bytes + BASE_BYTES, "{peak} bytes of memory for {} bytes of input", tried.bytes);
    Ok((tried, peak))
}

#[track_caller]
fn fuzz(name: &str) {
    let _turn = alone();
    let (_, target) = *TARGETS.iter().find(|(known, _)| *known == name).expect("a target");
    let (mut kept, mut answers) = (0, BTreeSet::new());
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    for input in std::fs::read_dir(&corpus).into_iter().flatten() {
        let path = input.expect("the corpus").path();
        let bytes = std::fs::read(&path).expect("the corpus");
        let tried = std::panic::catch_unwind(|| measured(|| target(&mut Unstructured::new(&bytes))));
        assert!(matches!(tried, Ok(Ok(_))), "{} failed", path.display());
        answers.extend(tried.into_iter().flatten().flat_map(|(tried, _)| tried.answers));
        kept += 1;
    }
    let budget = std::env::var("STRONGROOM_FUZZ_MS").ok().and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_MS);
    let (mut count, mut sound, mut most) = (0, 0, 0);
    let keeps = std::env::var_os("STRONGROOM_FUZZ_KEEP").is_some();
    arbtest(|u| {
        let input = u.peek_bytes(u.len()).unwrap_or_default().to_vec();
        let (tried, peak) = measured(|| target(u))?;
        if keeps && !tried.answers.is_subset(&answers) {
            // Mostly what was left over is not needed.
            let used = &input[..input.len() - u.len()];
            let is_same = target(&mut Unstructured::new(used)).is_ok_and(|again| again.answers == tried.answers);
            let kept = if is_same { used } else { &input };
            std::fs::create_dir_all(&corpus).expect("the corpus");
            std::fs::write(corpus.join(&Digest::of(kept).to_string()[..16]), kept).expect("the corpus");
            answers.extend(tried.answers);
        }
        count += 1;
        sound += u64::from(tried.is_sound);
        most = peak.max(most);
        Ok(())
    })
    .size_max(4096)
    .budget(Duration::from_millis(budget))
    .run();
    println!(
        "{name}: {kept} inputs that were kept, {count} new ones, of which nothing was wrong with {sound}; {} KiB of memory at most",
        most >> 10
    );
    // Where all is sound, nothing was forged; where nothing is, all was refused at the first look.
    assert!(count < 300 || (1..count).contains(&sound), "{sound} of {count} are sound");
}

macro_rules! fuzz_tests {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            fuzz(stringify!($name));
        })*

        #[test]
        fn every_target_has_a_test() {
            assert_eq!(TARGETS.map(|(name, _)| name).as_slice(), [$(stringify!($name)),*]);
        }
    };
}

fuzz_tests!(damage, descriptors, index_files, lists, packs, places, runs, tags, texts);

macro_rules! bomb_tests {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            let _turn = alone();
            let (_, bomb) = BOMBS.iter().find(|(known, _)| *known == stringify!($name)).expect("a bomb");
            let (_, peak) = measured(|| Ok(bomb())).expect("it needs no input");
            println!("{}: {} KiB of memory", stringify!($name), peak >> 10);
        })*

        #[test]
        fn every_bomb_has_a_test() {
            assert_eq!(BOMBS.map(|(name, _)| name).as_slice(), [$(stringify!($name)),*]);
        }
    };
}

bomb_tests!(
    a_list_that_says_it_has_gigabytes,
    a_list_that_has_gigabytes,
    a_chunk_that_has_gigabytes,
    a_block_of_a_run_that_has_gigabytes,
    many_blocks_of_a_run_that_are_large,
    many_neighbouring_chunks_that_are_large,
    objects_that_say_they_have_more_bytes_than_can_be_counted
);
