//! Writers and readers by chance, on a wire on which all that can happen does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::join_all;
use strongroom_cloud::ObjectStorage;
use strongroom_storage::{
    ByteRange, Error, ErrorKind, ExternalStorage, ListOptions, Location, Result, Source, StoreOptions,
};
use strongroom_testkit::Dice;

use crate::fault::{Fault, Weather};
use crate::history::{Begun, History, Outcome};
use crate::support::{Place, Seed, at, content, seeds};

const WRITERS: u32 = 4;
const STEPS: u32 = 60;
/// So many requests of a thousand meet with something.
const FAULTS: u64 = 200;
/// How many names a writer has for itself, and how many there are for all.
const NAMES: u64 = 5;

/// How long the content of a mark is: mostly little, sometimes more than one request takes.
fn length(mark: u32) -> usize {
    let mut dice = Dice::new(u64::from(mark));
    let longest = if dice.per_mille(40) { 18 << 20 } else { *dice.pick(&[1, 300, 4000, 200_000]) };
    usize::try_from(dice.below(longest)).expect("it fits") + 8
}

fn of_mark(mark: u32) -> Bytes {
    content(mark, length(mark))
}

struct Writer<'a> {
    number: u32,
    storage: ObjectStorage,
    dice: Dice,
    history: &'a History,
    step: u32,
    counts: BTreeMap<&'static str, u64>,
}

/// Whether it is known what came of something.
fn outcome_of(result: &Result<()>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(error) if error.may_have_happened() => Outcome::Unknown,
        Err(_) => Outcome::Failed,
    }
}

impl Writer<'_> {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// A name of its own, or one of those for all.
    fn name(&mut self) -> Location {
        let whose = if self.dice.per_mille(700) { format!("own/{}", self.number) } else { "shared".into() };
        at(&format!("{whose}/{}", self.dice.below(NAMES)))
    }

    /// A failure that is no answer to what was asked.
    fn gave_up(&mut self, error: &Error) {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "nothing else can come of it: {error:?}");
        self.count(if error.may_have_happened() { "unknown" } else { "failed" });
    }

    async fn go(&mut self) {
        for step in 0..STEPS {
            self.step = step;
            match self.dice.below(10) {
                0..=2 => self.overwrite().await,
                3 => self.create().await,
                4 => self.delete().await,
                5..=6 => self.load().await,
                7 => self.look().await,
                8 => self.list().await,
                _ => self.race().await,
            }
        }
    }

    fn mark(&self) -> u32 {
        1 + self.number + WRITERS * self.step
    }

    async fn overwrite(&mut self) {
        let (location, mark) = (self.name(), self.mark());
        let begun = self.history.begin(&location, Some(mark));
        let result = self.storage.store_bytes(&location, of_mark(mark)).await.map(drop);
        self.history.end(&location, begun, outcome_of(&result), false);
        match result {
            Ok(()) => self.count("overwritten"),
            Err(error) => self.gave_up(&error),
        }
    }

    async fn create(&mut self) {
        let location = self.name();
        self.create_at(&location, false).await;
    }

    /// All writers create the same objects, which nobody ever deletes.
    async fn race(&mut self) {
        self.create_at(&at(&format!("late/{}", self.step / 8)), true).await;
    }

    async fn create_at(&mut self, location: &Location, is_late: bool) {
        let mark = self.mark();
        let begun = self.history.begin(location, Some(mark));
        let result =
            self.storage.store(location, Source::bytes(of_mark(mark)), &StoreOptions::create()).await.map(drop);
        self.history.end(location, begun, outcome_of(&result), is_late);
        match result {
            Ok(()) => {
                self.check(location, begun, |value| value.is_none(), "it is new");
                self.count("created");
            }
            Err(error) if error.is_already_exists() => {
                self.check(location, begun, |value| value.is_some(), "somebody else has created it");
                self.count("there already");
            }
            Err(error) => self.gave_up(&error),
        }
    }

    #[track_caller]
    fn check(&self, location: &Location, begun: Begun, such: impl Fn(Option<u32>) -> bool, what: &str) {
        let may_be = self.history.may_be(location, begun.at(), Some(begun), such);
        assert!(may_be, "{location}: it can't be that {what}: {:#?}", self.history.all().get(location));
    }

    async fn delete(&mut self) {
        let location = self.name();
        let begun = self.history.begin(&location, None);
        let result = self.storage.delete(&location).await;
        self.history.end(&location, begun, outcome_of(&result), false);
        match result {
            Ok(()) => {
                self.check(&location, begun, |value| value.is_some(), "there was something");
                self.count("deleted");
            }
            Err(error) if error.is_missing() => {
                self.check(&location, begun, |value| value.is_none(), "there was nothing");
                self.count("missing");
            }
            Err(error) => self.gave_up(&error),
        }
    }

    async fn load(&mut self) {
        let location = self.name();
        let span = (self.dice.below(6000), self.dice.below(6000));
        let ranges =
            [ByteRange::All, ByteRange::From(span.0), ByteRange::Last(span.1), (span.0..span.0 + span.1).into()];
        let range = if self.dice.per_mille(500) { ByteRange::All } else { *self.dice.pick(&ranges) };
        let begun = self.history.now();
        let found = match self.storage.load(&location, range).await {
            Ok(loaded) => {
                let (size, range) = (loaded.size, loaded.range.clone());
                loaded.into_bytes().await.map(|bytes| (bytes, size, range))
            }
            Err(error) => Err(error),
        };
        match found {
            Ok((bytes, size, range)) => {
                let is = |mark: u32| {
                    length(mark) as u64 == size && bytes == of_mark(mark)[range.start as usize..range.end as usize]
                };
                let marks: BTreeSet<u32> = (1..=WRITERS * STEPS).filter(|mark| length(*mark) as u64 == size).collect();
                let found: Vec<u32> = marks.into_iter().filter(|mark| is(*mark)).collect();
                let may_be = match found[..] {
                    [mark] if range.end > range.start => self.history.found(&location, begun, Some(mark)),
                    _ => self
                        .history
                        .may_be(&location, begun, None, |value| value.is_some_and(|mark| found.contains(&mark))),
                };
                assert!(may_be, "{location}: {found:?} can't be there: {:#?}", self.history.all().get(&location));
                self.count("loaded");
            }
            Err(error) if error.is_missing() => {
                assert!(
                    self.history.found(&location, begun, None),
                    "{location}: {:#?}",
                    self.history.all().get(&location)
                );
                self.count("missing");
            }
            Err(error) if error.kind() == ErrorKind::Invalid => {
                let ends_before = |value: Option<u32>| value.is_some_and(|mark| (length(mark) as u64) < span.0);
                assert!(self.history.may_be(&location, begun, None, ends_before), "{location}: {error:?}");
            }
            Err(error) => self.gave_up(&error),
        }
    }

    async fn look(&mut self) {
        let location = self.name();
        let begun = self.history.now();
        let such = match self.storage.metadata(&location).await {
            Ok(metadata) => Some(metadata.size),
            Err(error) if error.is_missing() => None,
            Err(error) => return self.gave_up(&error),
        };
        let may_be = self.history.may_be(&location, begun, None, |value| value.map(|mark| length(mark) as u64) == such);
        assert!(may_be, "{location}: {such:?} bytes: {:#?}", self.history.all().get(&location));
        self.count("looked at");
    }

    async fn list(&mut self) {
        let prefix = if self.dice.per_mille(700) { format!("own/{}/", self.number) } else { "shared/".into() };
        let begun = self.history.now();
        let listed: Result<BTreeSet<Location>> = if self.dice.per_mille(500) {
            self.storage.iter_contents(&prefix).try_collect().await
        } else {
            let listed = self.storage.list(&ListOptions::prefix(prefix.clone())).await;
            listed.map(|listed| listed.objects.into_iter().map(|object| object.location).collect())
        };
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => return self.gave_up(&error),
        };
        let names: Vec<Location> = (0..NAMES).map(|name| at(&format!("{prefix}{name}"))).collect();
        assert!(listed.iter().all(|location| names.contains(location)), "{listed:?}");
        for location in names {
            let is_there = listed.contains(&location);
            let may_be = self.history.may_be(&location, begun, None, |value| value.is_some() == is_there);
            assert!(may_be, "{location} is listed: {is_there}: {:#?}", self.history.all().get(&location));
        }
        self.count("listed");
    }
}

/// What is there in the end is what was done last, and of those who raced for an object one has created it.
async fn check_all(storage: &ObjectStorage, history: &History) {
    for (location, events) in history.all() {
        let found = match storage.load_bytes(&location, ByteRange::All).await {
            Ok(bytes) => {
                let mark = bytes.first_chunk().map(|mark| u32::from_le_bytes(*mark)).expect("a mark");
                assert!(bytes == of_mark(mark), "{location} has bytes that nobody has stored");
                Some(mark)
            }
            Err(error) => {
                assert!(error.is_missing(), "{location}: {error:?}");
                None
            }
        };
        let begun = history.now();
        assert!(history.found(&location, begun, found), "{location}: {found:?} can't be there: {events:#?}");
        if location.as_str().starts_with("late/") {
            let created =
                |outcome| events.iter().filter(|event| event.value.is_some() && event.outcome == outcome).count();
            let (done, unknown) = (created(Outcome::Done), created(Outcome::Unknown));
            assert!(done == 1 || done == 0 && unknown > 0, "{location}: {events:#?}");
        }
    }
}

#[tokio::test]
async fn what_is_acknowledged_is_there_and_what_surely_did_not_happen_did_not() {
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut faults: BTreeMap<&'static str, u64> = BTreeMap::new();
    for seed in seeds(1) {
        let Some(place) = Place::new() else { return };
        let _told = Seed(seed);
        place.proxy.plan().befall(|head| head.path().contains("/late/"), 1, Fault::Late(Duration::from_millis(100)));
        place.proxy.plan().set_weather(Weather::new(seed, FAULTS));
        let history = History::default();
        let mut writers: Vec<Writer<'_>> = (0..WRITERS)
            .map(|number| Writer {
                number,
                // Some give up soon.
                storage: place.storage(if number % 2 == 0 { 8 } else { 1 }),
                dice: Dice::new(seed ^ u64::from(number) << 32),
                history: &history,
                step: 0,
                counts: BTreeMap::new(),
            })
            .collect();
        join_all(writers.iter_mut().map(Writer::go)).await;
        place.proxy.wait_for_late_ones();
        check_all(&place.clean(), &history).await;
        for (what, count) in writers.iter().flat_map(|writer| &writer.counts) {
            *counts.entry(what).or_default() += count;
        }
        place.proxy.plan().counts().iter().for_each(|((_, fault), count)| *faults.entry(fault).or_default() += count);
    }
    println!("{counts:?}; {faults:?}");
    for what in ["overwritten", "created", "there already", "deleted", "missing", "loaded", "looked at", "listed"] {
        assert!(counts.contains_key(what), "{what} never came to pass: {counts:?}");
    }
    for what in
        ["delayed", "request lost", "request cut", "answer lost", "answer cut", "refused", "replaced", "twice", "late"]
    {
        assert!(faults.contains_key(what), "{what} never came to pass: {faults:?}");
    }
}
