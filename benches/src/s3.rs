//! An S3 server for measuring: what `object_store` sends is answered from memory.
//!
//! It is a server like any other as far as conditions, ranges, pages and parts go, but it checks no signature, has every bucket that
//! is named, and forgets everything when it ends. In the bucket [`DISCARDING`] it keeps of large objects only how large they were, and
//! gives a pattern when they are read, so that a process of its own costs as little as may be.

mod objects;
mod xml;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{
    CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, LAST_MODIFIED,
    RANGE,
};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};

pub use objects::{Content, Objects, Wanted};

/// The bucket that does not keep what is in large objects.
pub const DISCARDING: &str = "discarding";
/// What is larger is not kept there.
const KEPT_BYTES: u64 = 64 << 10;

type Body = StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;
/// An answer, or the status that says why there is none.
type Answer = Result<Response<Body>, StatusCode>;

/// A server, as long as the runtime is there.
#[derive(Clone)]
pub struct Server {
    address: SocketAddr,
    pub objects: Arc<Objects>,
    log: Arc<Log>,
}

/// What was asked for.
#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Server {
    /// Answers on a free port of this machine from now on.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let server = Self { address: listener.local_addr()?, objects: Arc::default(), log: Arc::default() };
        let (objects, log) = (Arc::clone(&server.objects), Arc::clone(&server.log));
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&objects), Arc::clone(&log)));
            }
        });
        Ok(server)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests since the last time, a line each.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.log.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn serve(connection: TcpStream, objects: Arc<Objects>, log: Arc<Log>) {
    connection.set_nodelay(true).unwrap_or_default();
    let service = service_fn(|request: Request<Incoming>| {
        let (objects, log) = (Arc::clone(&objects), Arc::clone(&log));
        async move {
            let line = format!("{} {}", request.method(), request.uri());
            log.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            Ok::<_, Infallible>(answer(&objects, request).await.unwrap_or_else(|status| {
                let mut refusal = response(Vec::new());
                *refusal.status_mut() = status;
                refusal
            }))
        }
    });
    // A connection that breaks is the client's matter.
    http1::Builder::new().serve_connection(TokioIo::new(connection), service).await.unwrap_or_default();
}

async fn answer(objects: &Objects, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let name = decoded(parts.uri.path().trim_start_matches('/'))?;
    let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let query: HashMap<String, String> = query.into_owned().collect();
    let upload = query.get("uploadId").map(String::as_str);
    match (&parts.method, name.contains('/')) {
        (&Method::GET, false) => list(objects, &name, &query),
        (&Method::POST, false) => delete_all(objects, &name, body).await,
        (&Method::GET, true) => read(objects, &name, &parts.headers, false),
        (&Method::HEAD, true) => read(objects, &name, &parts.headers, true),
        (&Method::PUT, true) => put(objects, &name, &parts, upload.map(|upload| (upload, &query)), body).await,
        (&Method::POST, true) => match upload {
            None => xml(&xml::Begun { upload_id: objects.begin(metadata(&parts.headers)) }),
            Some(upload) => {
                // Parts are complete in the order of their numbers, which is the one that is asked for.
                taken(body, false).await?;
                let (content, metadata) = objects.end(upload).ok_or(StatusCode::NOT_FOUND)?;
                let tag = objects.put(&name, content, metadata, parts.headers.contains_key(IF_NONE_MATCH));
                xml(&xml::Tagged { tag: tag.ok_or(StatusCode::PRECONDITION_FAILED)? })
            }
        },
        (&Method::DELETE, true) => {
            match upload {
                Some(upload) => drop(objects.end(upload)),
                None => drop(objects.remove(&name)),
            }
            let mut gone = response(Vec::new());
            *gone.status_mut() = StatusCode::NO_CONTENT;
            Ok(gone)
        }
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
}

fn decoded(text: &str) -> Result<String, StatusCode> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.map(String::from).map_err(|_| StatusCode::BAD_REQUEST)
}

fn response(pieces: Vec<Bytes>) -> Response<Body> {
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let frames: Vec<_> = pieces.into_iter().map(|piece| Ok(Frame::data(piece))).collect();
    let mut response = Response::new(StreamBody::new(stream::iter(frames)));
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}

fn xml(document: &impl Serialize) -> Answer {
    let text = quick_xml::se::to_string(document).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(response(vec![text.into()]))
}

fn list(objects: &Objects, bucket: &str, query: &HashMap<String, String>) -> Answer {
    let of = |key: &str| query.get(key).map(String::as_str);
    let below = |name: &str| format!("{bucket}/{name}");
    let after = of("continuation-token").or(of("start-after")).map(below).unwrap_or_default();
    let limit = of("max-keys").and_then(|limit| limit.parse().ok()).unwrap_or(objects::PAGE).min(objects::PAGE);
    let prefix = below(of("prefix").unwrap_or_default());
    let wanted = Wanted { prefix: &prefix, after: &after, delimited: of("delimiter").is_some(), limit };
    let page = objects.list(&wanted);
    let key = |name: &str| name[bucket.len() + 1..].to_string();
    xml(&xml::Listing {
        is_truncated: page.next.is_some(),
        next_continuation_token: page.next.as_deref().map(key),
        contents: page
            .objects
            .iter()
            .map(|(name, object)| xml::Listed {
                key: key(name),
                size: object.content.size,
                last_modified: object.modified.to_rfc3339(),
                tag: object.tag.clone(),
            })
            .collect(),
        common_prefixes: page.prefixes.iter().map(|prefix| xml::Prefix { prefix: key(prefix) }).collect(),
    })
}

async fn delete_all(objects: &Objects, bucket: &str, body: Incoming) -> Answer {
    let content = taken(body, false).await?;
    let text = content.slice(0..content.size).concat();
    let wanted: xml::Delete = quick_xml::de::from_reader(text.as_slice()).map_err(|_| StatusCode::BAD_REQUEST)?;
    for object in &wanted.objects {
        objects.remove(&format!("{bucket}/{}", object.key));
    }
    xml(&xml::Deleted { objects: wanted.objects })
}

fn read(objects: &Objects, name: &str, headers: &HeaderMap, only_head: bool) -> Answer {
    let object = objects.get(name).ok_or(StatusCode::NOT_FOUND)?;
    if headers.get(IF_MATCH).is_some_and(|tag| tag.as_bytes() != object.tag.as_bytes()) {
        return Err(StatusCode::PRECONDITION_FAILED);
    }
    let size = object.content.size;
    let range = headers.get(RANGE).map(|range| ranged(range, size).ok_or(StatusCode::RANGE_NOT_SATISFIABLE));
    let range = range.transpose()?;
    let wanted = range.clone().unwrap_or(0..size);
    let mut found = response(if only_head { Vec::new() } else { object.content.slice(wanted.clone()) });
    let value = |text: String| HeaderValue::from_str(&text).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR);
    let said = found.headers_mut();
    said.extend(object.metadata);
    said.insert(CONTENT_LENGTH, (wanted.end - wanted.start).into());
    said.insert(ETAG, value(object.tag)?);
    said.insert(LAST_MODIFIED, value(object.modified.format("%a, %d %b %Y %T GMT").to_string())?);
    if let Some(range) = range {
        said.insert(CONTENT_RANGE, value(format!("bytes {}-{}/{size}", range.start, range.end - 1))?);
        *found.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(found)
}

/// The bytes that a header asks for, if there are any.
fn ranged(header: &HeaderValue, size: u64) -> Option<Range<u64>> {
    let (start, last) = header.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (start, last) {
        ("", length) => size.saturating_sub(length.parse().ok()?)..size,
        (start, "") => start.parse().ok()?..size,
        (start, last) => start.parse().ok()?..last.parse::<u64>().ok()?.saturating_add(1).min(size),
    };
    (!range.is_empty()).then_some(range)
}

/// Stores an object, or a part of one; from the request's body or, where it names one, from an object that is there.
async fn put(
    objects: &Objects,
    name: &str,
    parts: &Parts,
    part: Option<(&str, &HashMap<String, String>)>,
    body: Incoming,
) -> Answer {
    let copied = match parts.headers.get("x-amz-copy-source") {
        None => None,
        Some(source) => {
            let source = decoded(source.to_str().map_err(|_| StatusCode::BAD_REQUEST)?.trim_start_matches('/'))?;
            Some(objects.get(&source).ok_or(StatusCode::NOT_FOUND)?.content)
        }
    };
    let is_copy = copied.is_some();
    let content = match copied {
        Some(content) => content,
        None => taken(body, name.split('/').next() == Some(DISCARDING)).await?,
    };
    let tag = match part {
        Some((upload, query)) => {
            let number = query.get("partNumber").and_then(|number| number.parse().ok());
            let number = number.ok_or(StatusCode::BAD_REQUEST)?;
            objects.put_part(upload, number, content).ok_or(StatusCode::NOT_FOUND)?
        }
        None => {
            let tag = objects.put(name, content, metadata(&parts.headers), parts.headers.contains_key(IF_NONE_MATCH));
            tag.ok_or(StatusCode::PRECONDITION_FAILED)?
        }
    };
    if is_copy {
        return xml(&xml::Tagged { tag });
    }
    let mut stored = response(Vec::new());
    let tag = HeaderValue::from_str(&tag).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    stored.headers_mut().insert(ETAG, tag);
    Ok(stored)
}

/// What a writer says of an object, to be said to readers.
fn metadata(headers: &HeaderMap) -> HeaderMap {
    let is_own = |name: &HeaderName| name.as_str().starts_with("x-amz-meta-");
    let own = headers.iter().filter(|(name, _)| is_own(name));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What a request brings.
async fn taken(mut body: Incoming, discards: bool) -> Result<Content, StatusCode> {
    let (mut pieces, mut size) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        let Ok(piece) = frame.into_data() else { continue };
        size += piece.len() as u64;
        if discards && size > KEPT_BYTES {
            pieces.clear();
        } else {
            pieces.push(piece);
        }
    }
    Ok(if discards && size > KEPT_BYTES { Content::discarded(size) } else { Content::of(pieces) })
}
