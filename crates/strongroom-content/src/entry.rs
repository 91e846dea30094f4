//! What a run says of one name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use strongroom_storage::{Digests, Error, ErrorKind, Md5Digest, Result, Sha256Digest};

use crate::codec::{Decoded, Decoder, Encoder, Malformed};
use crate::content::Content;

/// A name's latest state in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The location without its namespace.
    pub name: Arc<str>,
    /// The version that set or removed it.
    pub version: u64,
    /// When that was, in microseconds since 1970.
    pub time: i64,
    /// `None` if the name was removed.
    pub object: Option<Object>,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub content: Content,
    pub attributes: Attributes,
}

impl Object {
    /// The same with the digests that are on record already, if the content is the same.
    pub(crate) fn with_digests_of(mut self, known: &Self) -> Self {
        if self.content.digest == known.content.digest {
            self.attributes = self.attributes.with_digests(&known.attributes.digests());
        }
        self
    }
}

impl Entry {
    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.short_bytes(self.name.as_bytes());
        out.u64(self.version);
        out.i64(self.time);
        match &self.object {
            None => out.u8(0),
            Some(object) => {
                object.content.encode(out);
                object.attributes.encode(out);
            }
        }
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Decoded<Self> {
        let name = input.short_text()?.into();
        let (version, time) = (input.u64()?, input.i64()?);
        let object = match input.u8()? {
            0 => None,
            kind => {
                let content = Content::decode(kind, input)?;
                Some(Object { content, attributes: Attributes::decode(input)? })
            }
        };
        Ok(Self { name, version, time, object })
    }

    /// Passes over what follows name and version, looking at no more than needed to know where it ends.
    pub(crate) fn skip_rest(input: &mut Decoder<'_>) -> Decoded<()> {
        input.i64()?;
        match input.u8()? {
            0 => Ok(()),
            kind => {
                Content::skip(kind, input)?;
                Attributes::skip(input)
            }
        }
    }
}

/// Facts about an object beside its bytes: small values under short keys.
///
/// The keys without a `.` belong to strongroom: `executable`, `md5`, `modified`, `sha256`, `symlink`. Others are the user's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(BTreeMap<String, Bytes>);

const MD5: &str = "md5";
const SHA256: &str = "sha256";
const MODIFIED: &str = "modified";
const EXECUTABLE: &str = "executable";
const SYMLINK: &str = "symlink";

impl Attributes {
    /// The longest key, in bytes.
    pub const KEY_MAX_BYTES: usize = 255;
    /// The longest value, in bytes.
    pub const VALUE_MAX_BYTES: usize = 4096;
    /// How many an object can have.
    pub const MAX_COUNT: usize = 64;

    /// The value under `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key).map(|value| &value[..])
    }

    /// All keys and values, in order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(key, value)| (key.as_str(), &value[..]))
    }

    /// Sets an attribute of the user's.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the key has no `.` (as in `mylab.temperature`), or if key, value or their number are too large.
    pub fn set(&mut self, key: &str, value: impl Into<Bytes>) -> Result<()> {
        let value = value.into();
        let refuse = |detail: String| Err(Error::new(ErrorKind::Invalid, "set attribute", format!("{key:?}"), detail));
        if !key.contains('.') {
            return refuse("a user's key contains a '.', as in `mylab.temperature`".into());
        }
        if key.len() > Self::KEY_MAX_BYTES || value.len() > Self::VALUE_MAX_BYTES {
            return refuse(format!(
                "at most {} bytes of key and {} of value are allowed",
                Self::KEY_MAX_BYTES,
                Self::VALUE_MAX_BYTES
            ));
        }
        if self.0.len() >= Self::MAX_COUNT && !self.0.contains_key(key) {
            return refuse(format!("an object has at most {} attributes", Self::MAX_COUNT));
        }
        self.0.insert(key.into(), value);
        Ok(())
    }

    /// The same with the modification time of the source file.
    #[must_use]
    pub fn with_modified(mut self, modified: Option<SystemTime>) -> Self {
        if let Some(nanoseconds) = modified.and_then(nanoseconds_since_1970) {
            self.0.insert(MODIFIED.into(), Bytes::copy_from_slice(&nanoseconds.to_le_bytes()));
        }
        self
    }

    /// The modification time of the source file, where it is on record.
    #[must_use]
    pub fn modified(&self) -> Option<SystemTime> {
        let nanoseconds = i64::from_le_bytes(self.get(MODIFIED)?.try_into().ok()?);
        let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
        if nanoseconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) }
    }

    /// The same for a file that may be executed.
    #[must_use]
    pub fn with_executable(mut self, executable: bool) -> Self {
        if executable {
            self.0.insert(EXECUTABLE.into(), Bytes::new());
        } else {
            self.0.remove(EXECUTABLE);
        }
        self
    }

    /// Whether the source file was executable by its owner.
    #[must_use]
    pub fn executable(&self) -> bool {
        self.0.contains_key(EXECUTABLE)
    }

    /// The same for a symbolic link, whose content is the path that it points to.
    #[must_use]
    pub fn with_symlink(mut self, symlink: bool) -> Self {
        if symlink {
            self.0.insert(SYMLINK.into(), Bytes::new());
        } else {
            self.0.remove(SYMLINK);
        }
        self
    }

    /// Whether the object is a symbolic link, and its content the path that it points to.
    #[must_use]
    pub fn symlink(&self) -> bool {
        self.0.contains_key(SYMLINK)
    }

    /// The digests on record, besides BLAKE3.
    #[must_use]
    pub fn digests(&self) -> Digests {
        let mut digests = Digests::default();
        digests.md5 = self.get(MD5).and_then(|bytes| bytes.try_into().ok()).map(Md5Digest::from_bytes);
        digests.sha256 = self.get(SHA256).and_then(|bytes| bytes.try_into().ok()).map(Sha256Digest::from_bytes);
        digests
    }

    /// The same with MD5 and SHA-256 where `digests` has them.
    pub(crate) fn with_digests(mut self, digests: &Digests) -> Self {
        if let Some(md5) = digests.md5 {
            self.0.insert(MD5.into(), Bytes::copy_from_slice(md5.as_bytes()));
        }
        if let Some(sha256) = digests.sha256 {
            self.0.insert(SHA256.into(), Bytes::copy_from_slice(sha256.as_bytes()));
        }
        self
    }

    fn encode(&self, out: &mut Encoder) {
        out.u16(u16::try_from(self.0.len()).expect("the number of attributes has a bound"));
        for (key, value) in &self.0 {
            out.short_bytes(key.as_bytes());
            out.short_bytes(value);
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Decoded<Self> {
        let count = input.u16()?;
        let mut attributes = BTreeMap::new();
        for _ in 0..count {
            let key = input.short_text()?;
            attributes.insert(key.to_string(), Bytes::copy_from_slice(input.short_bytes()?));
        }
        if attributes.len() == usize::from(count) {
            Ok(Self(attributes))
        } else {
            Err(Malformed("an attribute in it stands twice"))
        }
    }

    fn skip(input: &mut Decoder<'_>) -> Decoded<()> {
        for _ in 0..input.u16()? {
            input.short_bytes()?;
            input.short_bytes()?;
        }
        Ok(())
    }
}

fn nanoseconds_since_1970(time: SystemTime) -> Option<i64> {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(|nanoseconds| -nanoseconds),
    }
}

/// A time as the format has it: microseconds since 1970.
pub(crate) fn to_microseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |microseconds| -microseconds),
    }
}

/// The time that the format's microseconds mean.
pub(crate) fn from_microseconds(microseconds: i64) -> SystemTime {
    let distance = Duration::from_micros(microseconds.unsigned_abs());
    let time = if microseconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    time.unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::{Chunk, List, Method, Place};
    use crate::content::Body;
    use crate::nonce::Nonce;
    use strongroom_storage::{Digest, DigestSet};

    #[test]
    fn an_entry_reads_back() {
        let mut attributes = Attributes::default()
            .with_modified(Some(UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789)))
            .with_executable(true)
            .with_digests(&Digests::of(b"x", DigestSet::ALL));
        attributes.set("lab.kelvin", &b"300"[..]).expect("a user's key");
        let content = Content::inline(Bytes::from_static(b"x"));
        let entry =
            Entry { name: "sub/ä.txt".into(), version: 7, time: -5, object: Some(Object { content, attributes }) };
        let mut out = Encoder::default();
        entry.encode(&mut out);
        let bytes = out.finish();
        let mut input = Decoder::new(&bytes);
        let read = Entry::decode(&mut input).expect("sound");
        assert_eq!(read, entry);
        assert!(input.is_empty());
        let read = read.object.expect("an object").attributes;
        assert_eq!(read.modified(), Some(UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789)));
        assert!(read.executable() && !read.symlink());
        assert!(read.digests().md5.is_some() && read.digests().sha256.is_some());
        for end in 0..bytes.len() {
            assert!(Entry::decode(&mut Decoder::new(&bytes[..end])).is_err());
        }
    }

    #[test]
    fn an_entry_of_any_kind_is_passed_over_to_where_it_ends() {
        let place = Place { pack: Nonce::from_bytes([1; 16]), offset: 8, stored: 5, method: Method::Plain };
        let chunk = Chunk { digest: Digest::of(b"x"), size: 5, place };
        let bodies = [
            Body::Inline(Bytes::from_static(b"12345")),
            Body::Packed(place),
            Body::Chunked(List::Inline(vec![chunk; 3])),
            Body::Chunked(List::Packed(place, 5)),
            Body::Whole(place.pack, List::Inline(vec![[0; 32]; 2])),
            Body::Whole(place.pack, List::Packed(place, 5)),
        ];
        let objects = bodies.into_iter().map(|body| {
            let size = match body {
                Body::Chunked(_) => 15,
                Body::Whole(..) => 2 << 20,
                _ => 5,
            };
            let attributes = Attributes::default().with_executable(true).with_modified(Some(UNIX_EPOCH));
            Some(Object { content: Content { digest: Digest::of(b"x"), size, body }, attributes })
        });
        for object in objects.chain([None]) {
            let mut out = Encoder::default();
            Entry { name: "a".into(), version: 1, time: 2, object }.encode(&mut out);
            let bytes = out.finish();
            let mut input = Decoder::new(&bytes);
            Entry::decode(&mut input).expect("sound");
            assert!(input.is_empty());
            let rest = &bytes[2 + 1 + 8..];
            let mut input = Decoder::new(rest);
            Entry::skip_rest(&mut input).expect("sound");
            assert!(input.is_empty());
            for end in 0..rest.len() {
                assert!(Entry::skip_rest(&mut Decoder::new(&rest[..end])).is_err());
            }
        }
    }

    #[test]
    fn the_house_keeps_its_keys() {
        let mut attributes = Attributes::default();
        assert!(attributes.set("md5", &b"forged"[..]).is_err());
        assert!(attributes.set("a.b", vec![0; 5000]).is_err());
    }

    #[test]
    fn times_before_1970_are_times() {
        let time = UNIX_EPOCH - Duration::new(3, 500_000_000);
        assert_eq!(from_microseconds(to_microseconds(time)), time);
        assert_eq!(Attributes::default().with_modified(Some(time)).modified(), Some(time));
    }
}
