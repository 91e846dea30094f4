//! The requests to a service: counted, so many at once, and given up when nothing comes of them.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt, stream};
use http_body_util::{BodyExt, StreamBody};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    ReqwestConnector,
};
use reqwest::StatusCode;
use reqwest::header::CONTENT_RANGE;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::checksum::{Checksum, Garbled};

/// How long it is waited for an answer, beside the time for what is sent; and between two pieces of one.
const SILENCE: Duration = Duration::from_secs(30);
/// Services copy by themselves, and may be silent for so long.
const SILENCE_OF_A_COPY: Duration = Duration::from_secs(300);
/// A request that sends more slowly is given up, in bytes a second.
const SLOWEST: u64 = 128 << 10;
/// Where the clouds' machines ask for the credentials of their roles.
pub(crate) const OF_THE_MACHINE: [&str; 2] = ["169.254.169.254", "metadata.google.internal"];

/// How many requests were sent, by what services charge for. What was sent again counts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestCounts {
    /// Of objects and what is known of them: `GET` and `HEAD`.
    pub reads: u64,
    /// Of names.
    pub lists: u64,
    /// `PUT` and `POST`: objects, parts of them, copies.
    pub writes: u64,
    /// Of one object or of many.
    pub deletes: u64,
}

impl RequestCounts {
    /// All of them.
    pub fn total(self) -> u64 {
        self.reads + self.lists + self.writes + self.deletes
    }

    /// Those since another count of the same storage.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            reads: self.reads - earlier.reads,
            lists: self.lists - earlier.lists,
            writes: self.writes - earlier.writes,
            deletes: self.deletes - earlier.deletes,
        }
    }
}

/// What whoever makes a request learns of it beside the client's answer; it goes along with the request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch(Arc<Watched>);

#[derive(Debug, Default)]
struct Watched {
    once: bool,
    sent: AtomicUsize,
    status: AtomicU16,
}

impl Watch {
    /// The client does not send it again by itself: the second answer would be about the first.
    pub(crate) fn once() -> Self {
        Self(Arc::new(Watched { once: true, ..Watched::default() }))
    }

    /// Whether the service may have seen it.
    pub(crate) fn was_sent(&self) -> bool {
        self.sent() > 0
    }

    /// How often the service may have seen it.
    pub(crate) fn sent(&self) -> usize {
        self.0.sent.load(Ordering::SeqCst)
    }

    /// Whether the last answer, of which the client has made an error, was that the object has no such bytes; or other bytes, as some
    /// servers give where there are none, or where they don't know how to count from the end.
    pub(crate) fn is_about_ranges(&self) -> bool {
        matches!(self.0.status.load(Ordering::SeqCst), 200..300 | 416)
    }

    fn note(&self, answer: &Result<HttpResponse, HttpError>) {
        match answer {
            Ok(answer) => self.0.status.store(answer.status().as_u16(), Ordering::SeqCst),
            Err(error) if error.kind() == HttpErrorKind::Connect => return,
            Err(_) => {}
        }
        self.0.sent.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Debug)]
pub(crate) struct Requests {
    reads: AtomicU64,
    lists: AtomicU64,
    writes: AtomicU64,
    deletes: AtomicU64,
    permits: Semaphore,
}

impl Requests {
    pub(crate) fn new(at_once: usize) -> Arc<Self> {
        let [reads, lists, writes, deletes] = std::array::from_fn(|_| AtomicU64::new(0));
        Arc::new(Self { reads, lists, writes, deletes, permits: Semaphore::new(at_once) })
    }

    pub(crate) fn counts(&self) -> RequestCounts {
        let [reads, lists, writes, deletes] =
            [&self.reads, &self.lists, &self.writes, &self.deletes].map(|count| count.load(Ordering::Relaxed));
        RequestCounts { reads, lists, writes, deletes }
    }

    fn count(&self, sort: Sort) {
        let counter = match sort {
            Sort::Read => &self.reads,
            Sort::List => &self.lists,
            Sort::Write => &self.writes,
            Sort::Delete => &self.deletes,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Read,
    List,
    Write,
    Delete,
}

impl Sort {
    fn of(request: &HttpRequest) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let has = |key: &str| query.split('&').any(|pair| pair == key || pair.split('=').next() == Some(key));
        match request.method().as_str() {
            "GET" if has("list-type") || has("comp") => Self::List,
            "GET" | "HEAD" => Self::Read,
            "DELETE" => Self::Delete,
            "POST" if has("delete") || query.contains("comp=batch") => Self::Delete,
            _ => Self::Write,
        }
    }
}

/// Makes the clients whose requests are counted and limited together.
#[derive(Debug)]
pub(crate) struct Connector {
    pub requests: Arc<Requests>,
    pub checksum: Checksum,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        let (requests, checksum) = (Arc::clone(&self.requests), self.checksum.clone());
        Ok(HttpClient::new(Limited { requests, checksum, client }))
    }
}

#[derive(Debug)]
struct Limited {
    requests: Arc<Requests>,
    checksum: Checksum,
    client: HttpClient,
}

#[async_trait]
impl HttpService for Limited {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if request.uri().host().is_some_and(|host| OF_THE_MACHINE.contains(&host)) {
            let answer = self.client.execute(request).await;
            // Where nothing answers at that address, this is no machine of a cloud; asking again would not help.
            return answer.map_err(|error| HttpError::new(HttpErrorKind::Unknown, NoCredentials(error)));
        }
        // The permit is for the answer's beginning: whoever does not read on must not hold up others.
        let _permit =
            self.requests.permits.acquire().await.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let sort = Sort::of(&request);
        self.checksum.add(&mut request).await?;
        self.requests.count(sort);
        let watch = request.extensions().get::<Watch>().cloned().unwrap_or_default();
        let answer = match within_time(request, &self.client).await {
            // An object's content is read on by whoever has asked for it.
            Ok(answer) if sort != Sort::Read || !answer.status().is_success() => whole(answer, sort).await,
            answer => answer,
        }
        .map(with_a_range_that_ends);
        watch.note(&answer);
        match answer {
            Ok(answer) if watch.0.once && is_tried_again(&answer) => {
                let error = std::io::Error::other(format!("the service answered {}", answer.status()));
                Err(HttpError::new(HttpErrorKind::Unknown, error))
            }
            Err(error) if watch.0.once && error.kind() != HttpErrorKind::Connect => {
                Err(HttpError::new(HttpErrorKind::Unknown, error))
            }
            // What is deleted twice is gone; the client does not know that of a `POST`.
            Err(error)
                if sort == Sort::Delete
                    && matches!(error.kind(), HttpErrorKind::Interrupted | HttpErrorKind::Timeout) =>
            {
                Err(HttpError::new(HttpErrorKind::Request, error))
            }
            answer => answer,
        }
    }
}

/// The client adds one to the end of a range. Garage says of the last bytes of an empty object that they are all that can be counted.
fn with_a_range_that_ends(mut answer: HttpResponse) -> HttpResponse {
    let range = answer.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    if range.is_some_and(|range| range.contains(&format!("-{}/", u64::MAX))) {
        *answer.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    }
    answer
}

/// Whether the client would send it again after such an answer. By a conflict S3 means that somebody was writing at the same time, and
/// Azure, which names it, that there is an object.
fn is_tried_again(answer: &HttpResponse) -> bool {
    match answer.status().as_u16() {
        409 => !answer.headers().contains_key("x-ms-error-code"),
        408 | 429 | 500.. => true,
        _ => false,
    }
}

/// No credentials are in the environment, and no service of this machine has any.
#[derive(Debug)]
pub(crate) struct NoCredentials(HttpError);

impl fmt::Display for NoCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing answers where machines of a cloud ask for credentials")
    }
}

impl StdError for NoCredentials {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

/// An answer that has arrived to its end, so that the client makes the request again if it breaks off.
async fn whole(answer: HttpResponse, sort: Sort) -> Result<HttpResponse, HttpError> {
    let (parts, body) = answer.into_parts();
    let body = body.bytes().await.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error))?;
    let status = parts.status.as_u16();
    if let Some(garbled) = Garbled::of(&body).filter(|_| sort == Sort::Write && status == 400) {
        return Err(HttpError::new(HttpErrorKind::Interrupted, garbled));
    }
    let is_refused = match sort {
        Sort::List => matches!(status, 401 | 403 | 404),
        // The answer is that each of them was done or not.
        Sort::Delete => {
            parts.status.is_success() && String::from_utf8_lossy(&body).contains("<Code>AccessDenied</Code>")
        }
        Sort::Read | Sort::Write => false,
    };
    if is_refused {
        let body = String::from_utf8_lossy(&body).into_owned();
        return Err(HttpError::new(HttpErrorKind::Unknown, Refused { is_missing: status == 404, body }));
    }
    Ok(HttpResponse::from_parts(parts, body.into()))
}

/// What the service has refused, where the client would not say that it was.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Because there is no such bucket.
    pub is_missing: bool,
    body: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the service refused: {}", self.body)
    }
}

impl StdError for Refused {}

async fn within_time(request: HttpRequest, client: &HttpClient) -> Result<HttpResponse, HttpError> {
    let is_copy = request.headers().keys().any(|name| name.as_str().ends_with("-copy-source"));
    let silence = if is_copy { SILENCE_OF_A_COPY } else { SILENCE };
    let sending = Duration::from_secs(request.body().content_length() as u64 / SLOWEST);
    let answer = tokio::time::timeout(silence + sending, client.execute(request)).await;
    let (parts, body) = answer.map_err(|error| HttpError::new(HttpErrorKind::Timeout, error))??.into_parts();
    Ok(HttpResponse::from_parts(parts, until_silent(body, SILENCE)))
}

/// A body that is given up when nothing more of it comes for so long, or up to twice as long: that costs less than to look at the clock
/// for each part of it.
fn until_silent(mut body: HttpResponseBody, silence: Duration) -> HttpResponseBody {
    let (mut over, mut has_come) = (Box::pin(tokio::time::sleep(silence)), false);
    let frames = stream::poll_fn(move |context| {
        if let Poll::Ready(frame) = body.frame().poll_unpin(context) {
            has_come = true;
            return Poll::Ready(frame);
        }
        while over.poll_unpin(context).is_ready() {
            if !std::mem::take(&mut has_come) {
                let error = std::io::Error::other(format!("nothing more came for {} s", silence.as_secs()));
                return Poll::Ready(Some(Err(HttpError::new(HttpErrorKind::Timeout, error))));
            }
            over.as_mut().reset(Instant::now() + silence);
        }
        Poll::Pending
    });
    HttpResponseBody::new(StreamBody::new(frames))
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use hyper::body::Frame;

    use super::*;

    /// A body of which a part comes every `pause`, `count` times, and then nothing.
    fn slow(pause: Duration, count: usize) -> HttpResponseBody {
        let parts = stream::iter(0..count).then(move |_| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, HttpError>(Frame::data(bytes::Bytes::from_static(b"part")))
        });
        HttpResponseBody::new(StreamBody::new(parts.chain(stream::pending())))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_given_up_when_nothing_more_comes_and_not_because_it_takes_long() {
        let begun = Instant::now();
        let mut body = until_silent(slow(SILENCE - Duration::from_secs(1), 100), SILENCE);
        for _ in 0..100 {
            assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
        }
        let last = begun.elapsed();
        assert!(last > 90 * SILENCE);
        let error = body.frame().await.expect("an end").expect_err("it is none that is good");
        assert_eq!(error.kind(), HttpErrorKind::Timeout);
        let silent = begun.elapsed() - last;
        assert!(silent >= SILENCE && silent <= 2 * SILENCE, "{silent:?}");
        // Who reads slowly himself has what came meanwhile.
        let mut body = until_silent(slow(Duration::ZERO, 3), SILENCE);
        for _ in 0..3 {
            tokio::time::sleep(10 * SILENCE).await;
            assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
        }
    }

    #[test]
    fn a_range_without_end_is_none() {
        for (range, status) in
            [("bytes 0-18446744073709551615/0", 416), ("bytes 0-18446744073709551614/5", 206), ("", 206)]
        {
            let mut answer = HttpResponse::new(bytes::Bytes::new().into());
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            answer.headers_mut().insert(CONTENT_RANGE, range.parse().expect("a header"));
            assert_eq!(with_a_range_that_ends(answer).status().as_u16(), status, "{range}");
        }
    }
}
