//! The files of a store that are text: its description, and collectors' lists.

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use serde_json::{Value, json};
use strongroom::Digest;

use crate::draft::{edge, rarely, spoil};

/// The description of a store with one or two fields forged, and the checksum that belongs to it.
pub(crate) fn descriptor(u: &mut Unstructured<'_>, valid: &Bytes) -> Result<Bytes> {
    let mut value: Value = serde_json::from_slice(valid).expect("the template has a description");
    for _ in 0..u.int_in_range(1..=2)? {
        let forged = match u.int_in_range(0..=8)? {
            0 => Value::Null,
            1 => json!(edge(u, 64)?),
            2 => json!(u.arbitrary::<i64>()?),
            3 => json!(u.arbitrary::<String>()?),
            4 => json!([u.arbitrary::<String>()?, edge(u, 1)?]),
            5 => json!(["md5", "md5", "sha256"]),
            6 => json!({"minimum": edge(u, 64)?, "average": edge(u, 256)?, "maximum": edge(u, 1024)?}),
            7 => json!(u.arbitrary::<bool>()?),
            _ => json!(["auto", "whole", "chunked", "none", "zstd", "0-unstable", "2"][u.int_in_range(0..=6)?]),
        };
        let fields = value.as_object_mut().expect("it is an object");
        let keys: Vec<String> =
            fields.keys().filter(|key| *key != "checksum").cloned().chain(["more".into()]).collect();
        let key = u.choose(&keys)?.clone();
        if rarely(u, 8)? {
            fields.remove(&key);
        } else {
            fields.insert(key, forged);
        }
    }
    let fields = value.as_object_mut().expect("it is an object");
    fields.remove("checksum");
    value.sort_all_objects();
    let checksum = Digest::of(value.to_string().as_bytes()).to_string();
    value["checksum"] = json!(checksum);
    let mut text = value.to_string().into_bytes();
    if rarely(u, 8)? {
        spoil(u, &mut text)?;
    }
    if rarely(u, 32)? {
        text = b"[".repeat(u.int_in_range(1..=5000)?);
    }
    Ok(text.into())
}

/// A collector's list of some of `locations`, forged before its digest is made.
pub(crate) fn list(u: &mut Unstructured<'_>, locations: &[String]) -> Result<Bytes> {
    const OTHERS: [&str; 9] = ["", "end ", "packs/x\r", "../up", "/abs", "a//b", "end abc", "\0", "packs/"];
    let mut lines = String::new();
    for _ in 0..u.int_in_range(0..=6)? {
        let line = if rarely(u, 4)? { *u.choose(&OTHERS)? } else { u.choose(locations)?.as_str() };
        lines.push_str(line);
        if !rarely(u, 12)? {
            lines.push('\n');
        }
    }
    let digest = Digest::of(lines.as_bytes()).to_string();
    let digest = if rarely(u, 12)? { digest.to_uppercase() } else { digest };
    let mut text = format!("{lines}end {digest}\n").into_bytes();
    if rarely(u, 6)? {
        spoil(u, &mut text)?;
    }
    Ok(text.into())
}
