//! Texts that people and other programs give: locations, namespaces, digests, versions, handles, URLs.

use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::str::FromStr;

use arbitrary::{Result, Unstructured};
use strongroom::content::Nonce;
use strongroom::workflow::{Handle, Receipt, StorageName};
use strongroom::{Digest, Error, ErrorKind, Location, Namespace, Version};

use crate::Tried;
use crate::draft::rarely;

/// A text of parts that mean something somewhere.
fn text(u: &mut Unstructured<'_>) -> Result<String> {
    const PARTS: [&str; 45] = [
        "",
        "/",
        "//",
        ".",
        "..",
        "a",
        "b/c",
        "\0",
        "\r\n",
        " ",
        "\u{e4}",
        "\u{fffd}",
        "%41",
        "%",
        "%2F",
        "@",
        "~",
        "\\",
        ":",
        "://",
        "file://",
        "memory://",
        "s3://",
        "s3a://",
        "gs://",
        "az://",
        "abfss://",
        "http://",
        "https://",
        "localhost",
        "[::1]",
        "?q",
        "#f",
        "b3:",
        "0",
        "18446744073709551616",
        "-1",
        "+1",
        "{",
        "\"",
        ":label:",
        ":container:",
        "\u{1f600}",
        "e\u{301}",
        "COM1",
    ];
    let mut text = String::new();
    for _ in 0..u.int_in_range(1..=6)? {
        match u.int_in_range(0..=11)? {
            0 => text.push_str(&u.arbitrary::<String>()?),
            1 => text.push_str(&"x".repeat(u.int_in_range(250..=260)?)),
            2 => text.push_str(&"/y".repeat(u.int_in_range(505..=515)?)),
            3 => text.push_str(&Digest::of(&[u.arbitrary()?]).to_string()),
            _ => text.push_str(u.choose(&PARTS)?),
        }
    }
    Ok(text)
}

/// What a text is read as, if it is one: then what is written is read as the same.
#[track_caller]
fn reads_back<T: FromStr<Err = Error> + Display + Debug + PartialEq>(text: &str) -> Option<T> {
    match text.parse::<T>() {
        Ok(value) => {
            let again = value.to_string().parse::<T>().expect("what was written can be read");
            assert_eq!(again, value, "{text:?}");
            Some(value)
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text:?}: {error:?}");
            assert!(error.subject().len() < 8 * text.len().max(60), "the name in an error has a bound");
            None
        }
    }
}

/// Any text as everything that is read from texts.
pub(crate) fn texts(u: &mut Unstructured<'_>) -> Result<Tried> {
    let text = text(u)?;
    let location = reads_back::<Location>(&text);
    let is_sound = location.is_some();
    if let Some(location) = location {
        let namespace = Namespace::of(&location);
        assert!(location.as_str().starts_with(namespace.as_str()));
        assert!(location.segments().all(|part| !["", ".", ".."].contains(&part) && part.len() <= 255));
        assert!(location.as_str().len() <= 1024 && !location.as_str().contains('\0'));
        let handle = Handle::new(StorageName::shared(), location);
        let json = serde_json::to_string(&handle).expect("a handle is JSON");
        assert_eq!(serde_json::from_str::<Handle>(&json).expect("a handle"), handle);
    }
    reads_back::<Digest>(&text);
    reads_back::<Nonce>(&text);
    reads_back::<Version>(&text);
    if let Ok(namespace) = Namespace::parse(&text) {
        assert_eq!(Namespace::parse(namespace.as_str()).expect("a namespace"), namespace);
    }
    urls(&text);
    handles(u, &text)?;
    Ok(Tried { bytes: text.len() as u64, is_sound, answers: BTreeSet::new() })
}

/// A text as the name of a storage.
#[track_caller]
fn urls(text: &str) {
    let refuses = |error: Error| assert_eq!(error.kind(), ErrorKind::Invalid, "{text:?}: {error:?}");
    match strongroom::local_root(text) {
        Ok(Some(path)) => assert!(text.starts_with("file://") || path == std::path::Path::new(text)),
        Ok(None) => assert!(!text.starts_with("file://") && text.contains("://"), "{text:?}"),
        Err(error) => refuses(error),
    }
    // A storage in memory stays as long as the process.
    if !text.starts_with("memory://")
        && let Err(error) = strongroom::open_storage(text)
    {
        refuses(error);
    }
}

/// Handles and receipts, which come from other programs.
fn handles(u: &mut Unstructured<'_>, label: &str) -> Result<()> {
    let container = if rarely(u, 2)? { text(u)? } else { "shared".into() };
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut json = format!(r#"{{":container:":{},":label:":{}}}"#, quoted(&container), quoted(label));
    if rarely(u, 3)? {
        let mut bytes = json.into_bytes();
        crate::draft::spoil(u, &mut bytes)?;
        json = String::from_utf8_lossy(&bytes).into_owned();
    }
    if let Ok(handle) = serde_json::from_str::<Handle>(&json) {
        let again = serde_json::to_string(&handle).expect("a handle is JSON");
        assert_eq!(serde_json::from_str::<Handle>(&again).expect("a handle"), handle);
        assert!(handle.location().segments().all(|part| part != ".."), "no handle leaves its storage");
    }
    let size = crate::draft::edge(u, 1)?;
    let entry = format!(r#"{{"name":{},"handle":{json},"size":{size},"blake3":"{}"}}"#, quoted(label), Digest::of(b""));
    if let Ok(receipt) = serde_json::from_str::<Receipt>(&format!(r#"{{"entries":[{entry}]}}"#)) {
        let again = serde_json::to_string(&receipt).expect("a receipt is JSON");
        assert_eq!(serde_json::from_str::<Receipt>(&again).expect("a receipt"), receipt);
    }
    Ok(())
}
