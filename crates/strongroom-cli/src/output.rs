//! What is printed: data on stdout, talk on stderr, either as text or as JSON.

use std::borrow::Cow;
use std::cell::RefCell;
use std::error::Error as _;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use serde_json::{Value, json};
use strongroom::{Error, ErrorKind, Result};

/// What errors about stdout call it.
const STDOUT: &str = "standard output";

/// Where results and talk go.
#[derive(Debug)]
pub struct Output {
    json: bool,
    quiet: bool,
    is_terminal: bool,
    out: RefCell<BufWriter<Stdout>>,
}

impl Output {
    /// Text, or with `json` an object a line; with `quiet` errors are the only talk.
    pub fn new(json: bool, quiet: bool) -> Self {
        let out = io::stdout();
        Self { json, quiet, is_terminal: out.is_terminal(), out: RefCell::new(BufWriter::with_capacity(64 << 10, out)) }
    }

    /// Whether results are JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether progress bars make sense.
    pub fn shows_progress(&self) -> bool {
        !self.json && !self.quiet && io::stderr().is_terminal()
    }

    /// Prints one result.
    ///
    /// # Errors
    /// That of writing to stdout.
    pub fn result(&self, text: impl FnOnce() -> String, value: impl FnOnce() -> Value) -> Result<()> {
        let line = if self.json { value().to_string() } else { text() };
        if line.is_empty() {
            return Ok(());
        }
        let mut out = self.out.borrow_mut();
        // What reads a pipe wants names as they are.
        let line = if self.is_terminal { visible(&line) } else { line.into() };
        out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).map_err(failed)
    }

    /// Prints one result that is of interest as JSON only.
    ///
    /// # Errors
    /// That of writing to stdout.
    pub fn json_result(&self, value: impl FnOnce() -> Value) -> Result<()> {
        self.result(String::new, value)
    }

    /// Writes content.
    ///
    /// # Errors
    /// That of writing to stdout.
    pub fn content(&self, bytes: &[u8]) -> Result<()> {
        self.out.borrow_mut().write_all(bytes).map_err(failed)
    }

    /// Hands everything to stdout that waits for it.
    ///
    /// # Errors
    /// That of writing to stdout.
    pub fn flush(&self) -> Result<()> {
        self.out.borrow_mut().flush().map_err(failed)
    }

    /// Says something that is not an error.
    pub fn note(&self, text: &str) {
        match (self.quiet, self.json) {
            (true, _) => {}
            (false, true) => say(&json!({ "note": text }).to_string()),
            (false, false) => say(&format!("strongroom: {text}")),
        }
    }

    /// Says an error with its causes.
    pub fn error(&self, error: &Error) {
        if self.json {
            return say(&error_json(error).to_string());
        }
        let mut text = format!("strongroom: {error}");
        for cause in causes(error) {
            text.push_str("\n  because: ");
            text.push_str(&cause);
        }
        if error.may_have_happened() {
            text.push_str("\n  it may have taken effect all the same; look before you try again");
        }
        if error.kind() == ErrorKind::Corrupt {
            text.push_str("\n  `strongroom verify --data` lists all that is damaged");
        }
        say(&text);
    }
}

/// Talk that nobody can hear is no reason to fail.
fn say(line: &str) {
    let _unheard = writeln!(io::stderr().lock(), "{}", visible(line));
}

/// The same without control characters, by which a name could move the cursor, change the window's title or hide what stands there:
/// as JSON escapes them. Newlines and tabs are our own; names with a newline are escaped where they are put into a line.
fn visible(text: &str) -> Cow<'_, str> {
    let is_hidden = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    if !text.contains(is_hidden) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_hidden(character) {
            shown.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            shown.push(character);
        }
    }
    shown.into()
}

fn failed(error: io::Error) -> Error {
    Error::from_io("write", STDOUT, error)
}

/// Whether the error is that stdout's reader has gone, as in `strongroom ls | head`.
pub fn is_closed_pipe(error: &Error) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    error.subject() == STDOUT && io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
}

fn causes(error: &Error) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        // Some errors say their causes themselves.
        if !causes.last().is_some_and(|before| before.contains(&text)) {
            causes.push(text);
        }
        next = cause.source();
    }
    causes
}

/// An error as it stands on stderr with `--json`.
pub fn error_json(error: &Error) -> Value {
    json!({
        "error": {
            "kind": error.kind().as_str(),
            "operation": error.operation(),
            "subject": error.subject(),
            "message": error.detail(),
            "may_have_happened": error.may_have_happened(),
            "causes": causes(error),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_do_nothing() {
        assert_eq!(visible("plain \u{e4}\t\n"), "plain \u{e4}\t\n");
        assert_eq!(visible("\u{1b}]0;title\u{7}\r\u{9b}2J\u{7f}"), "\\u001b]0;title\\u0007\\u000d\\u009b2J\\u007f");
    }
}
