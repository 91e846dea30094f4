//! What the server has: objects by name, and parts of those that are not complete.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, Range};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use hyper::HeaderMap;

use crate::data::Noise;

/// How many names a listing gives at most, as in S3.
pub const PAGE: usize = 1000;
/// Smaller content is kept in one piece: those that came by the network would keep the memory of larger ones.
const SMALL_BYTES: u64 = 64 << 10;
/// What stands for content that was thrown away, again and again.
static PATTERN: LazyLock<Bytes> = LazyLock::new(|| {
    let mut pattern = vec![0; 1 << 20];
    Noise::new(11).fill(&mut pattern);
    pattern.into()
});

/// The bytes of an object, or only how many there were.
#[derive(Clone)]
pub struct Content {
    pub size: u64,
    /// None where only the size is kept.
    pieces: Option<Arc<[Bytes]>>,
}

impl Content {
    pub fn of(pieces: Vec<Bytes>) -> Self {
        let size = pieces.iter().map(|piece| piece.len() as u64).sum();
        let pieces = if size < SMALL_BYTES { vec![pieces.concat().into()] } else { pieces };
        Self { size, pieces: Some(pieces.into()) }
    }

    /// Content that is not kept.
    pub fn discarded(size: u64) -> Self {
        Self { size, pieces: None }
    }

    fn join(parts: impl Iterator<Item = Self>) -> Self {
        let (mut size, mut pieces) = (0, Some(Vec::new()));
        for part in parts {
            size += part.size;
            pieces = pieces.zip(part.pieces).map(|(mut pieces, more)| {
                pieces.extend_from_slice(&more);
                pieces
            });
        }
        Self { size, pieces: pieces.map(Arc::from) }
    }

    /// Some of the bytes. Those that were thrown away come out of a pattern.
    pub fn slice(&self, range: Range<u64>) -> Vec<Bytes> {
        let Some(pieces) = &self.pieces else {
            let length = PATTERN.len() as u64;
            let pieces = range.start / length..range.end.div_ceil(length);
            return pieces.filter_map(|piece| part(&PATTERN, piece * length, &range)).collect();
        };
        let mut start = 0;
        let with_starts = pieces.iter().map(|piece| {
            start += piece.len() as u64;
            (piece, start - piece.len() as u64)
        });
        with_starts.filter_map(|(piece, start)| part(piece, start, &range)).collect()
    }
}

/// Those of a piece's bytes that are in `range`, the piece beginning at `start`.
fn part(piece: &Bytes, start: u64, range: &Range<u64>) -> Option<Bytes> {
    let end = range.end.min(start + piece.len() as u64).saturating_sub(start) as usize;
    let start = range.start.saturating_sub(start) as usize;
    (start < end).then(|| piece.slice(start..end))
}

/// An object.
#[derive(Clone)]
pub struct Object {
    pub content: Content,
    pub tag: String,
    pub modified: DateTime<Utc>,
    /// What the writer said of it, to be said to readers.
    pub metadata: HeaderMap,
}

/// An object in parts that is not complete.
struct Upload {
    parts: BTreeMap<u32, Content>,
    metadata: HeaderMap,
}

/// Some of the names, in order.
#[derive(Default)]
pub struct Page {
    pub objects: Vec<(String, Object)>,
    pub prefixes: Vec<String>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// Which names to list.
pub struct Wanted<'a> {
    pub prefix: &'a str,
    pub after: &'a str,
    pub delimited: bool,
    pub limit: usize,
}

/// All buckets; the first segment of a name says which.
#[derive(Default)]
pub struct Objects(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    objects: BTreeMap<String, Object>,
    uploads: HashMap<String, Upload>,
    /// For tags and uploads that no other has.
    count: u64,
}

impl Inner {
    fn unique(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

impl Objects {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tag of the new object; `None` if it was to be new and is not.
    pub fn put(&self, name: &str, content: Content, metadata: HeaderMap, is_new: bool) -> Option<String> {
        let mut inner = self.inner();
        if is_new && inner.objects.contains_key(name) {
            return None;
        }
        let tag = format!("\"{:x}\"", inner.unique());
        let object = Object { content, tag: tag.clone(), modified: Utc::now(), metadata };
        inner.objects.insert(name.into(), object);
        Some(tag)
    }

    pub fn get(&self, name: &str) -> Option<Object> {
        self.inner().objects.get(name).cloned()
    }

    /// Whether it was there.
    pub fn remove(&self, name: &str) -> bool {
        self.inner().objects.remove(name).is_some()
    }

    pub fn list(&self, wanted: &Wanted<'_>) -> Page {
        let inner = self.inner();
        let mut page = Page::default();
        let mut from = Bound::Included(wanted.prefix.to_string());
        if wanted.after >= wanted.prefix {
            from = Bound::Excluded(wanted.after.to_string());
        }
        let mut last = None;
        loop {
            let next = inner.objects.range((from, Bound::Unbounded)).next();
            let Some((name, object)) = next.filter(|(name, _)| name.starts_with(wanted.prefix)) else { return page };
            if page.objects.len() + page.prefixes.len() >= wanted.limit {
                page.next = last;
                return page;
            }
            let end = name[wanted.prefix.len()..].find('/').filter(|_| wanted.delimited);
            let passed = match end {
                Some(end) => {
                    let common = &name[..=wanted.prefix.len() + end];
                    page.prefixes.push(common.into());
                    // Behind all that begin so.
                    format!("{common}{}", char::MAX)
                }
                None => {
                    page.objects.push((name.clone(), object.clone()));
                    name.clone()
                }
            };
            last = Some(passed.clone());
            from = Bound::Excluded(passed);
        }
    }

    /// The name of an upload that has no parts yet.
    pub fn begin(&self, metadata: HeaderMap) -> String {
        let mut inner = self.inner();
        let upload = format!("upload-{}", inner.unique());
        inner.uploads.insert(upload.clone(), Upload { parts: BTreeMap::new(), metadata });
        upload
    }

    /// The tag of the part; `None` without such an upload.
    pub fn put_part(&self, upload: &str, number: u32, content: Content) -> Option<String> {
        self.inner().uploads.get_mut(upload)?.parts.insert(number, content);
        Some(format!("\"part-{number}\""))
    }

    /// What was uploaded, which is not there any more then; `None` without such an upload.
    pub fn end(&self, upload: &str) -> Option<(Content, HeaderMap)> {
        let Upload { parts, metadata } = self.inner().uploads.remove(upload)?;
        Some((Content::join(parts.into_values()), metadata))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(names: &[&str]) -> Objects {
        let objects = Objects::default();
        for name in names {
            objects.put(name, Content::of(vec![Bytes::from_static(b"x")]), HeaderMap::new(), true).unwrap();
        }
        objects
    }

    fn names(page: &Page) -> Vec<&str> {
        let objects = page.objects.iter().map(|(name, _)| name.as_str());
        page.prefixes.iter().map(String::as_str).chain(objects).collect()
    }

    #[test]
    fn pages_follow_each_other_and_fold_what_is_deeper() {
        let objects = objects(&["b/a/1", "b/a/2", "b/b", "b/c/1", "c/a"]);
        let page = |after: &str, delimited, limit| objects.list(&Wanted { prefix: "b/", after, delimited, limit });
        let first = page("", true, 2);
        assert_eq!(names(&first), ["b/a/", "b/b"]);
        let second = page(&first.next.unwrap(), true, 2);
        assert_eq!((names(&second), second.next.is_none()), (vec!["b/c/"], true));
        assert_eq!(names(&page("b/a/1", false, 9)), ["b/a/2", "b/b", "b/c/1"]);
    }

    #[test]
    fn a_range_goes_over_pieces() {
        let whole: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
        let pieces: Vec<Bytes> = whole.chunks(70_000).map(Bytes::copy_from_slice).collect();
        let content = Content::of(pieces);
        assert_eq!(content.slice(69_990..140_010).concat(), whole[69_990..140_010]);
        assert_eq!(Content::discarded(5 << 20).slice((1 << 20) - 3..(3 << 20) + 1).concat().len(), (2 << 20) + 4);
    }

    #[test]
    fn what_must_be_new_replaces_nothing() {
        let objects = objects(&["b/a"]);
        assert!(objects.put("b/a", Content::discarded(1), HeaderMap::new(), true).is_none());
        assert!(objects.put("b/a", Content::discarded(1), HeaderMap::new(), false).is_some());
    }
}
