//! A real S3 server: moto, which keeps everything that S3 promises.

use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::python;
use crate::server::Server;

/// It serves until its standard input ends.
const SERVE: &str = "\
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
from moto.server import main
main(['-H', '127.0.0.1', '-p', sys.argv[1]])
";

/// The bucket that each has.
pub const BUCKET: &str = "test";
/// One keeps a core busy, and two of these tests run at a time on the smallest machines.
const SERVERS: usize = 2;

/// The address of one of the servers of this process; `None`, with a word on stderr, if there can't be any.
pub fn url() -> Option<String> {
    static MOTOS: [OnceLock<Option<Server>>; SERVERS] = [const { OnceLock::new() }; SERVERS];
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let server = MOTOS[NEXT.fetch_add(1, Ordering::Relaxed) % SERVERS].get_or_init(|| {
        let python = python::interpreter("moto", include_str!("requirements.txt"))?;
        let command = |port: u16| {
            let mut command = Command::new(python);
            command.args(["-c", SERVE, &port.to_string()]);
            command
        };
        Some(Server::start(command, &format!("/{BUCKET}")))
    });
    server.as_ref().map(Server::url)
}

/// What a client needs to know to reach the server at `url`.
pub fn settings(url: &str) -> Vec<(String, String)> {
    [
        ("aws_access_key_id", "key"),
        ("aws_secret_access_key", "secret"),
        ("aws_region", "us-east-1"),
        ("aws_endpoint_url", url),
        ("aws_allow_http", "true"),
    ]
    .map(|(key, value)| (key.into(), value.into()))
    .into()
}
