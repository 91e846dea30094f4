//! A process of its own that works with a store: this test's own program, told by a socket what to do.
//!
//! It answers by `sendto`, which nothing else here calls: so answers are found in a trace of its system calls, and no fault that
//! is meant for a file hits one.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use strongroom_storage::ErrorKind;

use crate::action::Actor;

const FOLDER: &str = "STRONGROOM_TEST_WORKER_FOLDER";
const PORT: &str = "STRONGROOM_TEST_WORKER_PORT";

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done(String),
    Failed {
        kind: String,
        may_have_happened: bool,
        text: String,
    },
    /// It is dead.
    None,
}

impl Answer {
    fn to_line(&self) -> String {
        match self {
            Self::Done(what) => format!("done\t{what}\n"),
            Self::Failed { kind, may_have_happened, text } => {
                format!("failed\t{kind}\t{may_have_happened}\t{}\n", text.replace(['\n', '\t'], " "))
            }
            Self::None => String::new(),
        }
    }

    /// Reads a line; `None` for what is none.
    pub fn parse(line: &str) -> Self {
        let parts: Vec<&str> = line.trim_end_matches('\n').split('\t').collect();
        match parts[..] {
            ["done", what] => Self::Done(what.into()),
            ["failed", kind, unknown, text] => {
                Self::Failed { kind: kind.into(), may_have_happened: unknown == "true", text: text.into() }
            }
            _ => Self::None,
        }
    }
}

/// A running worker; killed when this is dropped.
pub struct Worker {
    child: Child,
    stream: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Worker {
    /// Starts one on `folder`.
    pub fn start(folder: &Path) -> Self {
        Self::start_by(&[], folder)
    }

    /// Starts one by a program that takes another's as its last arguments.
    pub fn start_by(program: &[&str], folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let port = listener.local_addr().expect("its address").port();
        let this = std::env::current_exe().expect("this program");
        let mut words: Vec<&OsStr> = program.iter().map(OsStr::new).collect();
        words.push(this.as_os_str());
        let child = Command::new(words[0])
            .args(&words[1..])
            .args(["worker::serve", "--exact", "--ignored", "--test-threads=1"])
            .env(FOLDER, folder)
            .env(PORT, port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start a worker");
        let (stream, _) = listener.accept().expect("the worker comes");
        stream.set_nodelay(true).expect("no delay");
        let answers = BufReader::new(stream.try_clone().expect("a second handle"));
        Self { child, stream, answers }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to do what `line` says, and does not wait.
    pub fn tell(&mut self, line: &str) {
        // Who is dead does not hear it.
        let _ = self.stream.write_all(format!("{line}\n").as_bytes());
    }

    pub fn answer(&mut self) -> Answer {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(_) => Answer::parse(&line),
            Err(_) => Answer::None,
        }
    }

    pub fn ask(&mut self, line: &str) -> Answer {
        self.tell(line);
        self.answer()
    }

    /// SIGKILL, as it stands. Answers that were given before can still be read.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill the worker");
        self.child.wait().expect("the worker ends");
    }

    /// Sends it a signal, by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.id().to_string()]).status();
        assert!(sent.expect("kill(1)").success(), "it is running");
    }

    /// Lets it end by itself.
    pub fn finish(mut self) {
        self.stream.shutdown(std::net::Shutdown::Both).unwrap_or_default();
        self.child.wait().expect("the worker ends");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The worker itself.
#[test]
#[ignore = "other tests start it as a process of its own"]
fn serve() {
    let (Ok(folder), Ok(port)) = (std::env::var(FOLDER), std::env::var(PORT)) else { return };
    // One thread for all that blocks: so the nth call of a kind is the same one each time.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().max_blocking_threads(1).build().expect("a runtime");
    let mut stream = TcpStream::connect(("127.0.0.1", port.parse().expect("a port"))).expect("connect");
    stream.set_nodelay(true).expect("no delay");
    let lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
    let mut actor = Actor::new(Path::new(&folder));
    for line in lines.map_while(Result::ok) {
        let answer = match runtime.block_on(actor.act(&line)) {
            Ok(what) => Answer::Done(what),
            Err(error) => Answer::Failed {
                kind: error.kind().as_str().into(),
                may_have_happened: error.may_have_happened(),
                text: error.to_string(),
            },
        };
        stream.write_all(answer.to_line().as_bytes()).expect("answer");
    }
}

#[test]
fn answers_are_read_as_they_were_said() {
    let failed = Answer::Failed {
        kind: ErrorKind::Unavailable.as_str().into(),
        may_have_happened: true,
        text: "store a: no space".into(),
    };
    for answer in [Answer::Done("a=1 b=2".into()), Answer::Done(String::new()), failed, Answer::None] {
        assert_eq!(Answer::parse(&answer.to_line()), answer);
    }
}
