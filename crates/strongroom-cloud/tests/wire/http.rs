//! As much of HTTP/1.1 as a proxy needs that wants to know where requests and answers begin and end.

use std::io::{self, BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// What a request asks for, as far as a fault may be about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sort {
    /// An object that must be new.
    Create,
    Overwrite,
    Load,
    /// What is known of an object.
    Look,
    List,
    Delete,
    /// Of an object in parts: that it begins, one of its parts, a part that is copied.
    Begin,
    Part,
    PartCopy,
    /// That it is there, whatever was there before; that it is there if nothing was; that it never will be.
    Complete,
    CompleteNew,
    Abort,
}

type Headers = Vec<(String, String)>;

/// A request without its body.
#[derive(Clone, Debug)]
pub struct Head {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: Headers,
}

impl Head {
    /// One to put an object of so many bytes.
    pub fn put(path: &str, length: usize) -> Self {
        let headers = vec![("Content-Length".to_string(), length.to_string())];
        Self { method: "PUT".into(), target: path.into(), headers }
    }

    /// The next one; nothing when the connection ends before it.
    pub fn read(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some((line, headers)) = read_lines(stream)? else { return Ok(None) };
        let mut words = line.split(' ').map(str::to_string);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(odd("a request line", &line));
        };
        Ok(Some(Self { method, target, headers }))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// How long its body is, in bytes.
    pub fn length(&self) -> usize {
        self.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// What is asked of an object, by the names in the query.
    fn asks(&self, name: &str) -> bool {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        query.split('&').any(|pair| pair.split('=').next() == Some(name))
    }

    pub fn sort(&self) -> Sort {
        let is_new = self.header("if-none-match").is_some();
        match self.method.as_str() {
            "HEAD" => Sort::Look,
            "GET" if self.asks("list-type") => Sort::List,
            "GET" => Sort::Load,
            "DELETE" if self.asks("uploadId") => Sort::Abort,
            "POST" if self.asks("uploads") => Sort::Begin,
            "POST" if self.asks("uploadId") && is_new => Sort::CompleteNew,
            "POST" if self.asks("uploadId") => Sort::Complete,
            "DELETE" | "POST" => Sort::Delete,
            _ if self.asks("partNumber") && self.header("x-amz-copy-source").is_some() => Sort::PartCopy,
            _ if self.asks("partNumber") => Sort::Part,
            _ if is_new => Sort::Create,
            _ => Sort::Overwrite,
        }
    }

    /// What is the same in each run, and not drawn by chance: such names are long.
    pub fn kind(&self) -> String {
        let words = self.target.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
        let target: String = words.filter(|word| word.len() < 16).collect();
        let range = self.header("range").unwrap_or_default();
        format!("{} {target} {range}", self.method)
    }

    /// Asks `server`, with `body` or the beginning of it, and reads the whole answer.
    pub fn forward(&self, server: SocketAddr, body: &[u8]) -> io::Result<Answer> {
        let mut stream = TcpStream::connect(server)?;
        let kept = self.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("connection"));
        // A server that knows no more than this one says where an answer ends by closing the connection.
        let mut head = format!("{} {} HTTP/1.0\r\nConnection: close\r\n", self.method, self.target);
        kept.for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        stream.write_all(body)?;
        if body.len() < self.length() {
            stream.shutdown(std::net::Shutdown::Write)?;
        }
        Answer::read(&mut io::BufReader::new(stream))
    }
}

/// An answer, all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Such as `404 NOT FOUND`.
    pub status: String,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Answer {
    /// One as services give when they do not do something.
    pub fn refusal(status: &str, code: &str) -> Self {
        let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code></Error>");
        let headers = vec![("Content-Type".to_string(), "application/xml".to_string())];
        Self { status: status.into(), headers, body: body.into_bytes() }
    }

    fn read(stream: &mut impl BufRead) -> io::Result<Self> {
        let (line, headers) = read_lines(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let (_, status) = line.split_once(' ').ok_or_else(|| odd("a status line", &line))?;
        let mut body = Vec::new();
        stream.read_to_end(&mut body)?;
        Ok(Self { status: status.into(), headers, body })
    }

    /// As it goes to the client: what stands before the body, and the body.
    pub fn encoded(&self, asked: &Head) -> (Vec<u8>, &[u8]) {
        let is_look = asked.method == "HEAD";
        let of_connection = |name: &str| {
            ["connection", "transfer-encoding", "content-length"].iter().any(|known| name.eq_ignore_ascii_case(known))
        };
        let mut head = format!("HTTP/1.1 {}\r\n", self.status);
        let kept = self.headers.iter().filter(|(name, _)| !of_connection(name));
        kept.for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        let known = find(&self.headers, "content-length").filter(|_| is_look);
        if !self.status.starts_with("204") {
            head.push_str(&format!("Content-Length: {}\r\n", known.unwrap_or(&self.body.len().to_string())));
        }
        head.push_str("\r\n");
        (head.into_bytes(), if is_look { &[] } else { &self.body })
    }
}

/// The lines of a head.
fn read_lines(stream: &mut impl BufRead) -> io::Result<Option<(String, Headers)>> {
    let mut next = || -> io::Result<String> {
        let mut line = String::new();
        stream.by_ref().take(64 << 10).read_line(&mut line)?;
        Ok(line)
    };
    let first = next()?;
    if first.is_empty() {
        return Ok(None);
    }
    let mut headers = Vec::new();
    loop {
        let line = next()?;
        let text = line.strip_suffix("\r\n").ok_or_else(|| odd("a header", &line))?;
        if text.is_empty() {
            return Ok(Some((first.trim_end().to_string(), headers)));
        }
        let (name, value) = text.split_once(':').ok_or_else(|| odd("a header", text))?;
        headers.push((name.to_string(), value.trim().to_string()));
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn odd(what: &str, line: &str) -> io::Error {
    io::Error::other(format!("this is not {what}: {line:?}"))
}
