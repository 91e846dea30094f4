//! What `strace -f -y -xx` wrote, as calls.

use std::collections::HashMap;

/// Whether a call stands in one line, or others came in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Whole,
    /// What it returns is not known yet; that of its end is the same call again.
    Begun,
    Ended,
}

/// One system call.
#[derive(Clone, Debug)]
pub struct Call {
    pub thread: u32,
    pub name: String,
    pub arguments: Vec<Vec<u8>>,
    /// Negative if it failed; 0 if it has only begun.
    pub result: i64,
    /// `strace` has answered in the kernel's place.
    pub injected: bool,
    pub phase: Phase,
}

impl Call {
    fn parse(thread: u32, text: &[u8], phase: Phase) -> Option<Self> {
        let open = text.iter().position(|byte| *byte == b'(')?;
        let name = String::from_utf8(text[..open].to_vec()).ok()?;
        let (arguments, result) = match phase {
            Phase::Begun => (&text[open + 1..], &b"0"[..]),
            _ => {
                let end = rfind(text, b") = ").or_else(|| rfind(text, b")"))?;
                let result = text.get(end..)?.iter().position(|byte| *byte == b'=').map(|at| end + at + 2)?;
                (&text[open + 1..end], text.get(result..)?)
            }
        };
        let injected = rfind(result, b"(INJECTED)").is_some();
        let digits: String =
            result.iter().take_while(|byte| matches!(byte, b'-' | b'0'..=b'9')).map(|b| *b as char).collect();
        Some(Self { thread, name, arguments: split(arguments), result: digits.parse().ok()?, injected, phase })
    }

    /// The descriptor that argument number `at` is; `None` for `AT_FDCWD`.
    pub fn descriptor(&self, at: usize) -> Option<i64> {
        let argument = self.arguments.get(at)?;
        let digits: String =
            argument.iter().take_while(|byte| byte.is_ascii_digit()).map(|byte| *byte as char).collect();
        digits.parse().ok()
    }

    /// The path of the descriptor that argument number `at` is.
    pub fn descriptor_path(&self, at: usize) -> Option<String> {
        let argument = self.arguments.get(at)?;
        let begin = argument.iter().position(|byte| *byte == b'<')?;
        let end = argument.iter().rposition(|byte| *byte == b'>')?;
        String::from_utf8(unhex(argument.get(begin + 1..end)?)).ok()
    }

    /// Argument number `at` as a number.
    pub fn number(&self, at: usize) -> Option<u64> {
        std::str::from_utf8(self.arguments.get(at)?).ok()?.parse().ok()
    }

    /// Argument number `at` as text: a path.
    pub fn text(&self, at: usize) -> Option<String> {
        String::from_utf8(self.bytes(at)).ok()
    }

    /// Everything in quotes in argument number `at`: the bytes that are written.
    pub fn bytes(&self, at: usize) -> Vec<u8> {
        let Some(argument) = self.arguments.get(at) else { return Vec::new() };
        let mut bytes = Vec::with_capacity(argument.len() / 4);
        for quoted in argument.split(|byte| *byte == b'"').skip(1).step_by(2) {
            bytes.extend(unhex(quoted));
        }
        bytes
    }

    /// Whether argument number `at` has the flag.
    pub fn has_flag(&self, at: usize, flag: &str) -> bool {
        self.arguments.get(at).is_some_and(|argument| rfind(argument, flag.as_bytes()).is_some())
    }
}

/// The calls of a trace, in order.
pub fn parse(trace: &[u8]) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut begun: HashMap<u32, Vec<u8>> = HashMap::new();
    for line in trace.split(|byte| *byte == b'\n') {
        let Some(space) = line.iter().position(|byte| *byte == b' ') else { continue };
        let Ok(Ok(thread)) = std::str::from_utf8(&line[..space]).map(str::parse) else { continue };
        let text = line[space..].trim_ascii();
        if let Some(beginning) = text.strip_suffix(b" <unfinished ...>") {
            calls.extend(Call::parse(thread, beginning, Phase::Begun));
            begun.insert(thread, beginning.to_vec());
        } else if let Some(resumed) = text.strip_prefix(b"<... ") {
            let (Some(mut whole), Some(end)) = (begun.remove(&thread), resumed.iter().position(|byte| *byte == b'>'))
            else {
                continue;
            };
            whole.extend_from_slice(&resumed[end + 1..]);
            calls.extend(Call::parse(thread, &whole, Phase::Ended));
        } else {
            calls.extend(Call::parse(thread, text, Phase::Whole));
        }
    }
    calls
}

fn rfind(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).rposition(|window| window == what)
}

/// Splits arguments at the commas that are in no brackets. What is in quotes has none, as all of it is hexadecimal.
fn split(text: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut depth = 0;
    for byte in text {
        match byte {
            b'[' | b'{' | b'(' => depth += 1,
            b']' | b'}' | b')' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(Vec::new());
                continue;
            }
            b' ' if depth == 0 => continue,
            _ => {}
        }
        parts.last_mut().expect("there is one from the beginning").push(*byte);
    }
    parts
}

/// The bytes of `\x61\x62`.
fn unhex(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or_default() as u8;
    text.chunks_exact(4).map(|four| digit(four[2]) << 4 | digit(four[3])).collect()
}

#[test]
fn calls_are_read_with_their_arguments_and_across_lines() {
    let trace = br#"7 openat(AT_FDCWD<\x2f>, "\x2e", O_RDWR|O_TMPFILE, 0666) = 4<\x2f\x23\x31>(deleted)
7  writev(4<\x2f\x23\x31>(deleted), [{iov_base="\x61\x62", iov_len=2}, {iov_base="\x63", iov_len=1}], 2) = 3
7 fsync(4<\x2f\x23\x31>(deleted) <unfinished ...>
8 unlink("\x61") = -1 EIO (Input/output error) (INJECTED)
7 <... fsync resumed>) = 0
7 +++ exited with 0 +++
"#;
    let calls = parse(trace);
    let names: Vec<(&str, Phase)> = calls.iter().map(|call| (call.name.as_str(), call.phase)).collect();
    let expected = [
        ("openat", Phase::Whole),
        ("writev", Phase::Whole),
        ("fsync", Phase::Begun),
        ("unlink", Phase::Whole),
        ("fsync", Phase::Ended),
    ];
    assert_eq!(names, expected);
    assert!(calls[0].has_flag(2, "O_TMPFILE") && calls[0].result == 4 && calls[0].descriptor(0).is_none());
    assert_eq!((calls[1].bytes(1), calls[1].descriptor(0)), (b"abc".to_vec(), Some(4)));
    assert_eq!(calls[1].descriptor_path(0).as_deref(), Some("/#1"));
    assert!(calls[3].injected && calls[3].result == -1 && !calls[4].injected);
    assert_eq!(calls[4].descriptor(0), Some(4));
}
