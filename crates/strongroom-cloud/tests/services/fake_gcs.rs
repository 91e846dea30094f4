//! A fake of Google Cloud Storage's XML API, in this process.
//!
//! There is no server of that service to be had for tests. This one does what we have read that the service does, so it shows that the
//! client and what we believe agree, and nothing of the service itself.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::Mutex;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use crc_fast::CrcAlgorithm::Crc32Iscsi;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, RANGE,
};
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use strongroom_storage::{Host, SystemHost};

/// The bucket that it has.
pub const BUCKET: &str = "test";
/// The token that it wants to see.
pub const TOKEN: &str = "token";

const GENERATION: &str = "x-goog-generation";
const IF_GENERATION: &str = "x-goog-if-generation-match";
const COPY_SOURCE: &str = "x-goog-copy-source";
const METADATA: &str = "x-goog-meta-";
const HASH: &str = "x-goog-hash";
/// Parts but the last have at least so many bytes.
const PART_MIN_BYTES: usize = 5 << 20;
const PAGE_MAX: usize = 1000;

type Refusal = (StatusCode, &'static str);
type Answer = Result<Response<Full<Bytes>>, Refusal>;
type Query = HashMap<String, String>;

const ABSENT: Refusal = (StatusCode::NOT_FOUND, "NoSuchKey");
const NO_UPLOAD: Refusal = (StatusCode::NOT_FOUND, "NoSuchUpload");
const NOT_SO: Refusal = (StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
const BAD: Refusal = (StatusCode::BAD_REQUEST, "InvalidArgument");

/// What it has.
#[derive(Default)]
pub struct FakeGcs(Mutex<State>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    /// Uploads in parts that are not complete, by their ids.
    uploads: HashMap<String, Upload>,
    /// Of whatever was made last.
    number: u64,
}

#[derive(Clone)]
struct Object {
    content: Bytes,
    metadata: HeaderMap,
    generation: u64,
    modified: DateTime<Utc>,
}

struct Upload {
    name: String,
    metadata: HeaderMap,
    parts: BTreeMap<usize, Bytes>,
}

impl FakeGcs {
    /// Answers a request.
    pub async fn answer(&self, request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let query = parts.uri.query().unwrap_or_default();
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let is_known = parts.headers.get(AUTHORIZATION).is_some_and(|given| given == &*format!("Bearer {TOKEN}"));
        let answer = if is_known {
            self.0.lock().expect("nobody panics").answer(&parts.method, parts.uri.path(), &query, &parts.headers, body)
        } else {
            Err((StatusCode::UNAUTHORIZED, "AuthenticationRequired"))
        };
        Ok(answer.unwrap_or_else(|(status, code)| {
            let mut response = xml(&format!("<Error><Code>{code}</Code></Error>"));
            *response.status_mut() = status;
            response
        }))
    }
}

impl State {
    fn answer(&mut self, method: &Method, path: &str, query: &Query, headers: &HeaderMap, body: Bytes) -> Answer {
        let name = object_of(path.trim_start_matches('/'))?;
        let upload = query.get("uploadId");
        if headers.get(HASH).is_some_and(|told| told != &*hash(&body)) {
            return Err((StatusCode::BAD_REQUEST, "BadDigest"));
        }
        match (method.as_str(), name) {
            ("GET", None) => self.list(query),
            ("GET" | "HEAD", Some(name)) => self.objects.get(&name).ok_or(ABSENT)?.give(headers),
            ("PUT", Some(_)) if upload.is_some() => {
                let number = query.get("partNumber").and_then(|number| number.parse().ok()).ok_or(BAD)?;
                let upload = upload.and_then(|id| self.uploads.get_mut(id)).ok_or(NO_UPLOAD)?;
                upload.parts.insert(number, body);
                Ok(with([("etag", format!("\"{number}\""))]))
            }
            ("PUT", Some(name)) => match headers.get(COPY_SOURCE) {
                Some(source) => {
                    let source = object_of(source.to_str().map_err(|_| BAD)?)?.ok_or(BAD)?;
                    let Object { content, metadata, .. } = self.objects.get(&source).ok_or(ABSENT)?.clone();
                    self.put(name, content, &metadata, headers)
                }
                None => self.put(name, body, headers, headers),
            },
            ("POST", Some(name)) if query.contains_key("uploads") => {
                self.number += 1;
                let (id, upload) = (self.number, Upload { name, metadata: headers.clone(), parts: BTreeMap::new() });
                self.uploads.insert(id.to_string(), upload);
                let result = "InitiateMultipartUploadResult";
                Ok(xml(&format!("<{result}><UploadId>{id}</UploadId></{result}>")))
            }
            ("POST", Some(_)) => self.complete(upload.ok_or(BAD)?, &body, headers),
            ("DELETE", Some(_)) if upload.is_some() => {
                upload.and_then(|id| self.uploads.remove(id)).map(|_| with([])).ok_or(NO_UPLOAD)
            }
            ("DELETE", Some(name)) => self.objects.remove(&name).map(|_| with([])).ok_or(ABSENT),
            _ => Err(BAD),
        }
    }

    fn put(&mut self, name: String, content: Bytes, metadata: &HeaderMap, headers: &HeaderMap) -> Answer {
        let present = self.objects.get(&name).map_or(0, |object| object.generation);
        if headers.get(IF_GENERATION).is_some_and(|wanted| wanted != &*present.to_string()) {
            return Err(NOT_SO);
        }
        self.number += 1;
        let own = metadata.iter().filter(|(key, _)| key.as_str().starts_with(METADATA));
        let metadata = own.map(|(key, value)| (key.clone(), value.clone())).collect();
        let modified = SystemHost::new().now().into();
        let object = Object { content, metadata, generation: self.number, modified };
        let answer = with([("etag", object.tag()), (GENERATION, object.generation.to_string())]);
        self.objects.insert(name, object);
        Ok(answer)
    }

    fn complete(&mut self, id: &str, body: &[u8], headers: &HeaderMap) -> Answer {
        let body = std::str::from_utf8(body).map_err(|_| BAD)?;
        let numbers = body.split("<PartNumber>").skip(1).map(|rest| rest.split('<').next()?.parse::<usize>().ok());
        let upload = self.uploads.remove(id).ok_or(NO_UPLOAD)?;
        let parts: Option<Vec<Bytes>> = numbers.map(|number| upload.parts.get(&number?).cloned()).collect();
        let parts = parts.ok_or((StatusCode::BAD_REQUEST, "InvalidPart"))?;
        if parts.iter().rev().skip(1).any(|part| part.len() < PART_MIN_BYTES) {
            return Err((StatusCode::BAD_REQUEST, "EntityTooSmall"));
        }
        let mut answer = self.put(upload.name, parts.concat().into(), &upload.metadata, headers)?;
        let tag = answer.headers()[ETAG].to_str().map_err(|_| BAD)?;
        let text = format!("<CompleteMultipartUploadResult><ETag>{tag}</ETag></CompleteMultipartUploadResult>");
        *answer.body_mut() = Full::from(text);
        Ok(answer)
    }

    fn list(&self, query: &Query) -> Answer {
        let get = |key: &str| query.get(key).map(String::as_str);
        let (prefix, token) = (get("prefix").unwrap_or_default(), get("continuation-token"));
        let max = get("max-keys").map_or(Ok(PAGE_MAX), |max| max.parse().map_err(|_| BAD))?.min(PAGE_MAX);
        if get("start-after").is_some_and(|after| after < prefix) {
            // Not what the service does but Garage, with which clients of this protocol have to live too.
            return Ok(xml("<ListBucketResult></ListBucketResult>"));
        }
        let (mut text, mut count, mut last) = (String::new(), 0, None);
        for (name, object) in self.objects.range(prefix.to_string()..) {
            let Some(rest) = name.strip_prefix(prefix) else { break };
            let folded = get("delimiter").and_then(|delimiter| Some(rest.find(delimiter)? + delimiter.len()));
            let entry = folded.map_or(&**name, |length| &name[..prefix.len() + length]);
            let is_before = get("start-after").is_some_and(|after| **name <= *after);
            if is_before || token.is_some_and(|last| entry <= last) || last == Some(entry) {
                continue;
            }
            if count == max {
                let token = escaped(last.unwrap_or_default());
                write!(text, "<NextContinuationToken>{token}</NextContinuationToken>").expect("memory");
                break;
            }
            (count, last) = (count + 1, Some(entry));
            let (entry, tag, size) = (escaped(entry), object.tag(), object.content.len());
            let modified = object.modified.to_rfc3339_opts(SecondsFormat::Millis, true);
            match folded {
                Some(_) => write!(text, "<CommonPrefixes><Prefix>{entry}</Prefix></CommonPrefixes>"),
                None => write!(
                    text,
                    "<Contents><Key>{entry}</Key><LastModified>{modified}</LastModified><ETag>{tag}</ETag>\
                     <Size>{size}</Size></Contents>"
                ),
            }
            .expect("memory");
        }
        Ok(xml(&format!("<ListBucketResult>{text}</ListBucketResult>")))
    }
}

impl Object {
    fn tag(&self) -> String {
        format!("\"{}\"", self.generation)
    }

    fn give(&self, headers: &HeaderMap) -> Answer {
        if headers.get(IF_MATCH).is_some_and(|wanted| wanted != &*self.tag()) {
            return Err(NOT_SO);
        }
        let modified = self.modified.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let generation = self.generation.to_string();
        let mut answer = with([("etag", self.tag()), ("last-modified", modified), (GENERATION, generation)]);
        answer.headers_mut().extend(self.metadata.clone());
        let size = self.content.len();
        let Some(range) = headers.get(RANGE) else {
            // Left to itself, the server says it only of what is not empty.
            answer.headers_mut().insert(CONTENT_LENGTH, size.into());
            *answer.body_mut() = Full::from(self.content.clone());
            return Ok(answer);
        };
        let range = range.to_str().ok().and_then(|range| range.strip_prefix("bytes=")?.split_once('-')).ok_or(BAD)?;
        let wanted = match (range.0.parse(), range.1.parse()) {
            (Ok(first), Ok(last)) => first..usize::saturating_add(last, 1).min(size),
            (Ok(first), Err(_)) => first..size,
            (Err(_), Ok(length)) => size.saturating_sub(length)..size,
            (Err(_), Err(_)) => return Err(BAD),
        };
        if wanted.is_empty() {
            return Err((StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"));
        }
        let shown = format!("bytes {}-{}/{size}", wanted.start, wanted.end - 1);
        answer.headers_mut().insert(CONTENT_RANGE, value(&shown));
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        *answer.body_mut() = Full::from(self.content.slice(wanted));
        Ok(answer)
    }
}

/// The object that a path names behind the bucket, if it names one.
fn object_of(path: &str) -> Result<Option<String>, Refusal> {
    let rest = path.strip_prefix(BUCKET).ok_or((StatusCode::NOT_FOUND, "NoSuchBucket"))?;
    let name = percent_decode_str(rest.trim_start_matches('/')).decode_utf8().map_err(|_| BAD)?;
    Ok((!name.is_empty()).then(|| name.into()))
}

/// What a client says that knows what it sends.
fn hash(content: &[u8]) -> String {
    let sum = u32::try_from(crc_fast::checksum(Crc32Iscsi, content)).expect("32 bits");
    format!("crc32c={}", BASE64_STANDARD.encode(sum.to_be_bytes()))
}

fn with<const N: usize>(headers: [(&'static str, String); N]) -> Response<Full<Bytes>> {
    let mut response = Response::default();
    response.headers_mut().extend(headers.map(|(key, text)| (HeaderName::from_static(key), value(&text))));
    response
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("no control characters")
}

fn xml(text: &str) -> Response<Full<Bytes>> {
    Response::new(Full::from(format!("<?xml version='1.0' encoding='UTF-8'?>{text}")))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
