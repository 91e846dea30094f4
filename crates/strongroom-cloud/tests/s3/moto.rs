//! A real S3 server of this test's own: moto, in a process that ends with this one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::python;

/// It serves until its standard input ends, which it does with the process that has the other end.
const SERVE: &str = "\
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
from moto.server import main
main(['-H', '127.0.0.1', '-p', sys.argv[1]])
";
/// How often it is looked whether it answers, and how long it is waited between.
const LOOKS: usize = 1000;
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The bucket that it has.
pub const BUCKET: &str = "test";

/// A running server.
pub struct Moto {
    address: SocketAddr,
    _child: Child,
}

impl Moto {
    /// The one of this process; `None`, with a word on stderr, if there can't be one.
    pub fn get() -> Option<&'static Self> {
        static MOTO: OnceLock<Option<Moto>> = OnceLock::new();
        MOTO.get_or_init(Self::start).as_ref()
    }

    fn start() -> Option<Self> {
        let python = python::interpreter("moto", include_str!("requirements.txt"))?;
        // The port is free until somebody else takes it, which the kernel does not suggest to anybody so soon.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        drop(listener);
        let child = Command::new(python)
            .args(["-c", SERVE, &address.port().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start moto");
        let server = Self { address, _child: child };
        let answers = (0..LOOKS).any(|_| {
            std::thread::sleep(LOOK_EVERY);
            server.makes_bucket()
        });
        assert!(answers, "moto does not answer");
        Some(server)
    }

    /// Whether it answers a request to make the bucket.
    fn makes_bucket(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address) else { return false };
        let request = format!(
            "PUT /{BUCKET} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            self.address
        );
        let mut answer = String::new();
        let asked = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer));
        asked.is_ok() && answer.starts_with("HTTP/1.1 200")
    }

    pub fn at(address: &str) -> Self {
        Self { address: address.parse().expect("an address"), _child: Command::new("true").spawn().expect("x") }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client needs to know to reach it.
    pub fn settings(&self) -> [(String, String); 5] {
        [
            ("aws_access_key_id", "key".to_string()),
            ("aws_secret_access_key", "secret".to_string()),
            ("aws_region", "us-east-1".to_string()),
            ("aws_endpoint_url", format!("http://{}", self.address)),
            ("aws_allow_http", "true".to_string()),
        ]
        .map(|(key, value)| (key.to_string(), value))
    }
}
