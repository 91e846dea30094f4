//! Things as text and as JSON.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use strongroom::{Attributes, Digests, ObjectRef};

/// A line that ends with a name, as `b3sum` and `sha256sum` write it: where the name has a newline or a backslash, these are
/// escaped and the line begins with a backslash.
pub fn line(before: &str, name: &str) -> String {
    match escape(name) {
        Cow::Borrowed(name) => format!("{before}{name}"),
        Cow::Owned(name) => format!("\\{before}{name}"),
    }
}

fn escape(name: &str) -> Cow<'_, str> {
    if !name.contains(['\\', '\n', '\r']) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r"))
}

/// The first second that has no four-digit year.
const YEAR_10000: u64 = 253_402_300_800;

/// A time in UTC, to the second.
pub fn seconds(time: SystemTime) -> String {
    timestamp(time, |time| humantime::format_rfc3339_seconds(time).to_string())
}

/// A time in UTC, to the nanosecond if it is known so exactly.
pub fn exactly(time: SystemTime) -> String {
    timestamp(time, |time| humantime::format_rfc3339(time).to_string())
}

/// Times that RFC 3339 has no text for (before 1970, after 9999) are seconds since 1970.
fn timestamp(time: SystemTime, format: impl Fn(SystemTime) -> String) -> String {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) if after.as_secs() < YEAR_10000 => format(time),
        Ok(after) => format!("@{}", after.as_secs()),
        Err(before) => format!("@-{}", before.duration().as_secs()),
    }
}

/// A number of bytes for people.
pub fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

/// A number of things for people.
pub fn count(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// What a listing says of an object.
pub fn object_json(object: &ObjectRef) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("location".into(), json!(object.location().as_str()));
    map.insert("size".into(), json!(object.size()));
    map.extend(digests_json(&object.digests()));
    if object.is_named() {
        map.insert("version".into(), json!(object.version().get()));
        map.insert("stored_at".into(), json!(object.stored_at().map(exactly)));
        map.extend(attributes_json(object.attributes()));
    }
    map
}

/// The digests that are known.
pub fn digests_json(digests: &Digests) -> Map<String, Value> {
    let mut map = Map::new();
    if let Some(digest) = digests.blake3 {
        map.insert("digest".into(), json!(format!("b3:{digest}")));
    }
    if let Some(md5) = digests.md5 {
        map.insert("md5".into(), json!(md5.to_string()));
    }
    if let Some(sha256) = digests.sha256 {
        map.insert("sha256".into(), json!(sha256.to_string()));
    }
    map
}

fn attributes_json(attributes: &Attributes) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("modified".into(), json!(attributes.modified().map(exactly)));
    map.insert("executable".into(), json!(attributes.executable()));
    map.insert("symlink".into(), json!(attributes.symlink()));
    let own: Map<String, Value> = user_attributes(attributes).map(|(key, value)| (key.into(), json!(value))).collect();
    if !own.is_empty() {
        map.insert("attributes".into(), own.into());
    }
    map
}

/// The user's attributes; a value that is no text in hexadecimal.
pub fn user_attributes(attributes: &Attributes) -> impl Iterator<Item = (&str, String)> {
    attributes.iter().filter(|(key, _)| key.contains('.')).map(|(key, value)| {
        let text = match std::str::from_utf8(value) {
            Ok(text) => text.to_string(),
            Err(_) => value.iter().fold("hex:".to_string(), |text, byte| text + &format!("{byte:02x}")),
        };
        (key, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn names_that_would_break_a_line_are_escaped_as_b3sum_does() {
        assert_eq!(line("00  ", "plain name"), "00  plain name");
        assert_eq!(line("00  ", "a\nb\\c\r"), "\\00  a\\nb\\\\c\\r");
    }

    #[test]
    fn every_time_has_a_text() {
        assert_eq!(seconds(UNIX_EPOCH + Duration::from_secs(86_400)), "1970-01-02T00:00:00Z");
        assert_eq!(exactly(UNIX_EPOCH + Duration::new(1, 5)), "1970-01-01T00:00:01.000000005Z");
        assert_eq!(seconds(UNIX_EPOCH - Duration::from_secs(7)), "@-7");
        assert_eq!(exactly(UNIX_EPOCH + Duration::from_secs(1 << 40)), format!("@{}", 1u64 << 40));
    }
}
