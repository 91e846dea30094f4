//! Each fault on each sort of request, once and without end.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use strongroom_cloud::ObjectStorage;
use strongroom_storage::{
    ByteRange, Error, ErrorKind, ExternalStorage, ListOptions, Location, Result, Source, StoreOptions,
};

use crate::fault::{Break, Fault, Struck, Which};
use crate::http::{Head, Sort};
use crate::support::{Place, at, content};

/// What is done, and which of its requests something befalls.
const CASES: [(Work, Sort); 11] = [
    (Work::Create, Sort::Create),
    (Work::CreateAgain, Sort::Create),
    (Work::Overwrite, Sort::Overwrite),
    (Work::Load, Sort::Load),
    (Work::Look, Sort::Look),
    (Work::List, Sort::List),
    (Work::Delete, Sort::Delete),
    (Work::DeleteAll, Sort::Delete),
    (Work::OverwriteInParts, Sort::Begin),
    (Work::OverwriteInParts, Sort::Part),
    (Work::OverwriteInParts, Sort::Complete),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Create,
    /// Of what is there.
    CreateAgain,
    Overwrite,
    OverwriteInParts,
    Load,
    Look,
    List,
    Delete,
    DeleteAll,
}

impl Work {
    /// What is there before.
    fn before(self) -> Option<Bytes> {
        (self != Self::Create).then(|| content(1, 50_000))
    }

    /// What is there after it was done.
    fn after(self) -> Option<Bytes> {
        match self {
            Self::Create | Self::Overwrite => Some(content(2, 1000)),
            Self::OverwriteInParts => Some(content(2, (8 << 20) + 17)),
            Self::CreateAgain | Self::Load | Self::Look | Self::List => self.before(),
            Self::Delete | Self::DeleteAll => None,
        }
    }

    async fn go(self, storage: &ObjectStorage, location: &Location) -> Result<()> {
        match self {
            Self::Create | Self::CreateAgain => {
                let source = Source::bytes(content(2, 1000));
                storage.store(location, source, &StoreOptions::create()).await.map(drop)
            }
            Self::Overwrite | Self::OverwriteInParts => {
                storage.store_bytes(location, self.after().expect("some")).await.map(drop)
            }
            Self::Load => {
                let loaded = storage.load_bytes(location, ByteRange::All).await?;
                assert!(Some(loaded) == self.before(), "{location} has other bytes");
                Ok(())
            }
            Self::Look => {
                assert_eq!(storage.metadata(location).await?.size, 50_000, "{location}");
                Ok(())
            }
            Self::List => {
                let listed = storage.list(&ListOptions::prefix(location.as_str())).await?;
                assert_eq!(listed.objects.len(), 1, "{location} is not listed");
                Ok(())
            }
            Self::Delete => storage.delete(location).await,
            Self::DeleteAll => storage.delete_all(&[at("not/there"), location.clone()]).await,
        }
    }
}

/// Who does it, and where something befalls it.
struct Stage {
    place: Place,
    through: ObjectStorage,
    clean: ObjectStorage,
    case: (Work, Sort),
}

impl Stage {
    /// `None` if there can't be a server.
    fn new(case: (Work, Sort), open: &dyn Fn(&Place) -> ObjectStorage) -> Option<Self> {
        let place = Place::new()?;
        Some(Self { through: open(&place), clean: place.clean(), place, case })
    }

    /// Does the work on an object called `name` while each fault in turn befalls the next so many of its requests, and checks that
    /// what is there afterwards is old or new. Returns what came of it, and whether it is new.
    async fn play(&self, name: &str, faults: &[(u64, &Fault)]) -> (Result<()>, bool) {
        let ((work, sort), location) = (self.case, at(name));
        if let Some(old) = work.before() {
            self.clean.store_bytes(&location, old).await.expect("store");
        }
        let rule = |(times, fault): &(u64, &Fault)| {
            let such = move |head: &Head| head.sort() == sort;
            (*times, self.place.proxy.plan().befall(such, *times, (*fault).clone()))
        };
        let rules: Vec<(u64, Struck)> = faults.iter().map(rule).collect();
        let result = work.go(&self.through, &location).await;
        self.place.proxy.plan().clear();
        for (times, struck) in rules {
            assert!(struck.count() >= times.min(2), "{self}, {faults:?}: it struck {} times", struck.count());
        }
        let found = match self.clean.load_bytes(&location, ByteRange::All).await {
            Ok(found) => Some(found),
            Err(error) => {
                assert!(error.is_missing(), "{self}, {faults:?}: {error:?}");
                None
            }
        };
        let is_new = found == work.after();
        assert!(is_new || found == work.before(), "{self}, {faults:?}: what is there is neither old nor new");
        (result, is_new)
    }

    /// Whether the request is the one by which something else is there.
    fn makes_it_happen(&self) -> bool {
        !matches!(self.case.1, Sort::Load | Sort::Look | Sort::List | Sort::Begin | Sort::Part)
    }

    /// Whether there is nothing that could happen.
    fn changes_nothing(&self) -> bool {
        self.case.0.before() == self.case.0.after()
    }

    /// What comes of it when nothing goes wrong in the end.
    #[track_caller]
    fn check_done(&self, fault: &Fault, (result, is_new): (Result<()>, bool)) {
        let expected = (self.case.0 == Work::CreateAgain).then_some((ErrorKind::AlreadyExists, false));
        assert_eq!(outcome(&result), expected, "{self}, {fault:?}: {result:?}");
        assert!(is_new, "{self}, {fault:?}: it was not done");
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.case)
    }
}

fn outcome(result: &Result<()>) -> Option<(ErrorKind, bool)> {
    result.as_ref().err().map(|error: &Error| (error.kind(), error.may_have_happened()))
}

/// Plays all cases beside each other.
async fn all(open: impl Fn(&Place) -> ObjectStorage, play: impl AsyncFn(&Stage)) {
    let stages: Option<Vec<Stage>> = CASES.iter().map(|case| Stage::new(*case, &open)).collect();
    join_all(stages.iter().flatten().map(|stage| play(stage))).await;
}

#[tokio::test]
async fn what_befalls_a_request_once_nobody_notices() {
    let breaks = [Break::Closed, Break::Reset];
    let mut faults = vec![Fault::Delayed(Duration::from_millis(20))];
    faults.extend(breaks.map(Fault::RequestLost));
    faults.extend(breaks.map(Fault::RequestCut));
    faults.extend(breaks.map(Fault::AnswerLost));
    faults.extend(breaks.map(Fault::AnswerCut));
    for answer in [Fault::error(), Fault::slow_down(), Fault::too_many()] {
        faults.extend([Fault::Refused(answer.clone()), Fault::Replaced(answer)]);
    }
    faults.extend([Which::First, Which::Second].map(Fault::Twice));
    all(
        |place| place.storage(4),
        async |stage| {
            for (number, fault) in faults.iter().enumerate() {
                let played = stage.play(&format!("a/{number}"), &[(1, fault)]).await;
                stage.check_done(fault, played);
            }
        },
    )
    .await;
}

#[tokio::test]
async fn who_never_gets_an_answer_asks_again() {
    all(
        |place| place.storage_with(4, [("timeout", "4 s")]),
        async |stage| {
            for done in [false, true] {
                let fault = Fault::Silence { done };
                let played = stage.play(&format!("a/{done}"), &[(1, &fault)]).await;
                stage.check_done(&fault, played);
            }
        },
    )
    .await;
}

#[tokio::test]
async fn what_goes_on_without_end_is_given_up_and_what_may_have_happened_says_so() {
    let faults = [
        (Fault::RequestLost(Break::Closed), false),
        (Fault::RequestLost(Break::Reset), false),
        (Fault::RequestCut(Break::Closed), false),
        (Fault::Refused(Fault::slow_down()), false),
        (Fault::Refused(Fault::too_many()), false),
        (Fault::AnswerLost(Break::Closed), true),
        (Fault::AnswerLost(Break::Reset), true),
        (Fault::AnswerCut(Break::Closed), true),
        (Fault::AnswerCut(Break::Reset), true),
        (Fault::Replaced(Fault::error()), true),
    ];
    all(
        |place| place.storage(1),
        async |stage| {
            for (number, (fault, reaches_server)) in faults.iter().enumerate() {
                let (result, is_new) = stage.play(&format!("a/{number}"), &[(u64::MAX, fault)]).await;
                let expected = Some((ErrorKind::Unavailable, stage.makes_it_happen()));
                assert_eq!(outcome(&result), expected, "{stage}, {fault:?}: {result:?}");
                let happened = stage.makes_it_happen() && *reaches_server;
                assert_eq!(is_new, happened || stage.changes_nothing(), "{stage}, {fault:?}: what is there");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn what_is_denied_is_not_asked_again_and_may_have_happened_only_if_it_was_asked_before() {
    let (lost, denied) = (Fault::AnswerLost(Break::Reset), Fault::Refused(Fault::denied()));
    all(
        |place| place.storage(4),
        async |stage| {
            let (result, is_new) = stage.play("a/first", &[(1, &denied)]).await;
            // Of these it is not known how often they were sent.
            let nobody_counts = matches!(stage.case.1, Sort::Delete | Sort::Complete);
            assert_eq!(outcome(&result), Some((ErrorKind::Denied, nobody_counts)), "{stage}: {result:?}");
            assert_eq!(is_new, stage.changes_nothing(), "{stage}");
            let (result, is_new) = stage.play("a/later", &[(1, &lost), (1, &denied)]).await;
            let expected = Some((ErrorKind::Denied, stage.makes_it_happen()));
            assert_eq!(outcome(&result), expected, "{stage}: {result:?}");
            assert_eq!(is_new, stage.changes_nothing() || stage.makes_it_happen(), "{stage}");
        },
    )
    .await;
}
