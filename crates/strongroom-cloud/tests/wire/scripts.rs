//! What happens in one order only: others who come between, answers that are about an earlier time, services that forget.

use bytes::Bytes;
use strongroom_cloud::ObjectStorage;
use strongroom_storage::{
    ByteRange, Error, ErrorKind, ExternalStorage, ListOptions, Location, Result, Source, StoreOptions,
};

use crate::fault::{Break, Fault};
use crate::http::{Answer, Head, Sort};
use crate::support::{Place, at, content};

const LOST: Fault = Fault::AnswerLost(Break::Reset);

fn of(sort: Sort) -> impl Fn(&Head) -> bool + Send + 'static {
    move |head| head.sort() == sort
}

/// Reads that begin at byte `start`.
fn from(start: u64) -> impl Fn(&Head) -> bool + Send + 'static {
    move |head| head.header("range").is_some_and(|range| range.starts_with(&format!("bytes={start}-")))
}

/// Somebody else puts `theirs` before a request reaches the server.
fn after_theirs(place: &Place, location: &Location, theirs: &Bytes) -> Fault {
    Fault::After(Head::put(&place.path(location.as_str()), theirs.len()), theirs.to_vec())
}

fn no_such_upload() -> Fault {
    Fault::Refused(Answer::refusal("404 Not Found", "NoSuchUpload"))
}

async fn create(storage: &ObjectStorage, location: &Location, content: &Bytes) -> Result<()> {
    storage.store(location, Source::bytes(content.clone()), &StoreOptions::create()).await.map(drop)
}

#[track_caller]
fn check_failed<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, may_have_happened: bool) {
    let error: Error = result.expect_err("it can't be done");
    assert_eq!((error.kind(), error.may_have_happened()), (kind, may_have_happened), "{error:?}");
}

async fn check_has(place: &Place, location: &Location, content: &Bytes) {
    let found = place.clean().load_bytes(location, ByteRange::All).await.expect("load");
    assert!(found == content, "{location} has something else");
}

#[tokio::test]
async fn what_was_never_sent_did_not_happen() {
    let Some(place) = Place::new() else { return };
    let location = at("a/b");
    place.clean().store_bytes(&location, content(1, 10)).await.expect("store");
    // Nobody listens there.
    let storage = place.storage_with(1, [("aws_endpoint_url", "http://127.0.0.1:1")]);
    check_failed(create(&storage, &at("a/c"), &content(2, 10)).await, ErrorKind::Unavailable, false);
    check_failed(storage.store_bytes(&location, content(2, 10)).await, ErrorKind::Unavailable, false);
    check_failed(storage.store_bytes(&location, content(2, 9 << 20)).await, ErrorKind::Unavailable, false);
    check_failed(storage.delete(&location).await, ErrorKind::Unavailable, false);
    check_failed(storage.load_bytes(&location, ByteRange::All).await, ErrorKind::Unavailable, false);
    check_has(&place, &location, &content(1, 10)).await;
}

#[tokio::test]
async fn who_finds_what_others_have_created_after_a_lost_request_has_not_created_it() {
    let Some(place) = Place::new() else { return };
    let (location, theirs) = (at("a/b"), content(1, 100));
    place.proxy.plan().befall(of(Sort::Create), 1, Fault::RequestLost(Break::Reset));
    place.proxy.plan().befall(of(Sort::Create), 1, after_theirs(&place, &location, &theirs));
    check_failed(create(&place.storage(4), &location, &content(2, 100)).await, ErrorKind::AlreadyExists, false);
    check_has(&place, &location, &theirs).await;
    // Two of our own are two.
    let storage = place.storage(4);
    place.proxy.plan().befall(of(Sort::Create), 1, LOST);
    create(&storage, &at("a/c"), &content(3, 100)).await.expect("create");
    place.proxy.plan().befall(of(Sort::Create), 1, LOST);
    check_failed(create(&storage, &at("a/c"), &content(3, 100)).await, ErrorKind::AlreadyExists, false);
}

#[tokio::test]
async fn of_what_was_created_and_is_gone_nobody_says_that_it_never_was() {
    let Some(place) = Place::new() else { return };
    place.proxy.plan().befall(of(Sort::Create), 1, LOST);
    let gone = Fault::Refused(Answer { body: Vec::new(), ..Answer::refusal("404 Not Found", "NoSuchKey") });
    let struck = place.proxy.plan().befall(of(Sort::Look), 1, gone);
    check_failed(create(&place.storage(4), &at("a/b"), &content(1, 100)).await, ErrorKind::Unavailable, true);
    assert_eq!(struck.count(), 1);
}

#[tokio::test]
async fn a_service_that_forgets_finished_uploads_is_asked_whose_object_it_is() {
    let Some(place) = Place::new() else { return };
    let (location, large) = (at("a/b"), content(1, 9 << 20));
    let befall = |fault| place.proxy.plan().befall(of(Sort::Complete), 1, fault);
    befall(LOST);
    befall(no_such_upload());
    place.storage(4).store_bytes(&location, large.clone()).await.expect("it is there");
    check_has(&place, &location, &large).await;
    // Not all of them come to be.
    befall(no_such_upload());
    check_failed(place.storage(4).store_bytes(&location, content(2, 9 << 20)).await, ErrorKind::Unavailable, true);
    check_has(&place, &location, &large).await;
    // Or they have come to be, and were replaced.
    let theirs = content(3, 100);
    befall(LOST);
    befall(no_such_upload());
    place.proxy.plan().befall(of(Sort::Look), 1, after_theirs(&place, &location, &theirs));
    check_failed(place.storage(4).store_bytes(&location, content(4, 9 << 20)).await, ErrorKind::Unavailable, true);
    check_has(&place, &location, &theirs).await;
}

#[tokio::test]
async fn what_is_replaced_while_it_is_read_is_never_read_mixed() {
    let Some(place) = Place::new() else { return };
    let (location, old, new) = (at("a/b"), content(1, 20 << 20), content(2, 20 << 20));
    // Before its second piece; and before its first is read on that broke off.
    let cut = Fault::AnswerCut(Break::Closed);
    for (start, first) in [(8 << 20, None), (0, Some(cut))] {
        place.clean().store_bytes(&location, old.clone()).await.expect("store");
        let is_cut = first.is_some();
        first.map(|fault| place.proxy.plan().befall(from(start), 1, fault));
        let such =
            move |head: &Head| if is_cut { !from(0)(head) && head.sort() == Sort::Load } else { from(start)(head) };
        let struck = place.proxy.plan().befall(such, 1, after_theirs(&place, &location, &new));
        check_failed(place.storage(4).load_bytes(&location, ByteRange::All).await, ErrorKind::Unavailable, false);
        assert_eq!(struck.count(), 1);
        place.proxy.plan().clear();
        check_has(&place, &location, &new).await;
    }
}

#[tokio::test]
async fn a_large_object_is_read_whole_though_each_of_its_pieces_breaks_off() {
    let Some(place) = Place::new() else { return };
    let (location, large) = (at("a/b"), content(1, (20 << 20) + 5));
    place.clean().store_bytes(&location, large.clone()).await.expect("store");
    let starts = [0, 8 << 20, 16 << 20];
    let struck = starts.map(|start| place.proxy.plan().befall(from(start), 1, Fault::AnswerCut(Break::Reset)));
    let found = place.storage(4).load_bytes(&location, ByteRange::All).await.expect("load");
    assert!(found == large, "other bytes than were stored");
    assert_eq!(struck.map(|struck| struck.count()), [1; 3]);
}

#[tokio::test]
async fn an_answer_that_is_short_and_does_not_say_so_is_no_success() {
    let Some(place) = Place::new() else { return };
    let (location, small) = (at("a/b"), content(1, 1000));
    place.clean().store_bytes(&location, small).await.expect("store");
    let storage = place.storage(4);
    for range in [ByteRange::All, (100..900).into()] {
        place.proxy.plan().befall(of(Sort::Load), 1, Fault::Shortened);
        check_failed(storage.load_bytes(&location, range).await, ErrorKind::Unavailable, false);
    }
    // Not every server knows the last bytes of an object, so they are asked for again, by its size.
    place.proxy.plan().befall(of(Sort::Load), 1, Fault::Shortened);
    let found = storage.load_bytes(&location, ByteRange::Last(500)).await.expect("the last bytes");
    assert!(found == content(1, 1000)[500..]);
    place.proxy.plan().befall(of(Sort::List), 1, Fault::Shortened);
    check_failed(storage.list(&ListOptions::default()).await, ErrorKind::Unavailable, false);
}

#[tokio::test]
async fn what_is_denied_in_the_middle_of_an_answer_is_denied_and_a_bucket_that_is_not_there_is_missing() {
    let Some(place) = Place::new() else { return };
    let (location, storage) = (at("a/b"), place.storage(4));
    storage.store_bytes(&location, content(1, 10)).await.expect("store");
    let mut answer = Answer::refusal("200 OK", "");
    let key = place.path("a/b").replace("/test/", "");
    answer.body = format!(
        "<DeleteResult><Error><Key>{key}</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>"
    )
    .into_bytes();
    for all in [false, true] {
        let struck = place.proxy.plan().befall(of(Sort::Delete), 1, Fault::Refused(answer.clone()));
        let deleted = if all { storage.delete_all(&[at("a/b")]).await } else { storage.delete(&location).await };
        check_failed(deleted, ErrorKind::Denied, true);
        assert_eq!(struck.count(), 1, "it is not asked again");
    }
    place.proxy.plan().befall(of(Sort::List), 1, Fault::Refused(Answer::refusal("404 Not Found", "NoSuchBucket")));
    let listed = storage.list(&ListOptions::default()).await;
    assert!(listed.is_err_and(|error| error.is_missing() && error.detail().contains("bucket")));
}
