//! What is to be new and too large for one request: it is sent in parts to another name, and copied.

use bytes::Bytes;
use futures::TryStreamExt;
use strongroom_storage::{ByteRange, ErrorKind, ExternalStorage, Location, Result, Source, StoreOptions};

use crate::fault::{Break, Fault};
use crate::http::{Answer, Sort};
use crate::support::{Place, at, content};

/// Larger than the largest that one request takes.
const LARGE: usize = (64 << 20) + 17;

async fn create(place: &Place, location: &Location, content: &Bytes) -> Result<()> {
    let stored = place.storage(4).store(location, Source::bytes(content.clone()), &StoreOptions::create()).await;
    place.proxy.plan().clear();
    stored.map(drop)
}

#[tokio::test]
async fn a_large_creation_outlasts_what_befalls_it_and_says_what_may_have_happened() {
    let Some(place) = Place::new() else { return };
    let large = content(1, LARGE);
    let befall = |sort, fault| place.proxy.plan().befall(move |head| head.sort() == sort, 1, fault);

    let struck = [
        befall(Sort::Begin, Fault::AnswerCut(Break::Reset)),
        befall(Sort::Part, Fault::RequestCut(Break::Reset)),
        befall(Sort::Part, Fault::Replaced(Fault::error())),
        befall(Sort::Complete, Fault::AnswerCut(Break::Closed)),
        befall(Sort::PartCopy, Fault::AnswerCut(Break::Reset)),
        befall(Sort::CompleteNew, Fault::AnswerLost(Break::Reset)),
    ];
    create(&place, &at("a/new"), &large).await.expect("create");
    assert_eq!(struck.map(|struck| struck.count()), [1; 6]);
    let found = place.clean().load_bytes(&at("a/new"), ByteRange::All).await.expect("load");
    assert!(found == large, "other bytes than were stored");

    // The answers to the second time are about the first.
    for (name, status, code, kind) in [
        ("a/forgotten", "404 Not Found", "NoSuchUpload", ErrorKind::Unavailable),
        ("a/there", "412 Precondition Failed", "PreconditionFailed", ErrorKind::AlreadyExists),
    ] {
        befall(Sort::CompleteNew, Fault::AnswerLost(Break::Reset));
        befall(Sort::CompleteNew, Fault::Refused(Answer::refusal(status, code)));
        let error = create(&place, &at(name), &large).await.expect_err("nobody knows whose it is");
        assert_eq!((error.kind(), error.may_have_happened()), (kind, true), "{error:?}");
        assert_eq!(place.clean().metadata(&at(name)).await.expect("it is there").size, LARGE as u64);
    }

    // Somebody else is about to create or delete it.
    befall(Sort::CompleteNew, Fault::Refused(Answer::refusal("409 Conflict", "ConditionalRequestConflict")));
    let error = create(&place, &at("a/none"), &large).await.expect_err("it was refused");
    assert_eq!((error.kind(), error.may_have_happened()), (ErrorKind::Unavailable, true), "{error:?}");

    let mut names: Vec<Location> = place.clean().iter_contents("").try_collect().await.expect("list");
    names.sort_unstable();
    assert_eq!(names, ["a/forgotten", "a/new", "a/there"].map(at), "nothing half is listed");
}
