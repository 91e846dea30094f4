//! A server in a process that ends with this one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How often it is looked whether it answers, and how long it is waited between.
const LOOKS: usize = 1000;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A running server.
pub struct Server {
    address: SocketAddr,
    child: Child,
}

impl Server {
    /// Starts what `command` says for a port, which must end when its standard input does, and asks it for the bucket
    /// at `target`, a path and what follows it.
    pub fn start(command: impl FnOnce(u16) -> Command, target: &str) -> Self {
        // The port is free until somebody else takes it, which the kernel does not suggest to anybody so soon.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        drop(listener);
        let mut command = command(address.port());
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = Self { address, child: child.expect("start a server") };
        let answers = (0..LOOKS).any(|_| {
            std::thread::sleep(LOOK_EVERY);
            server.makes_bucket(target)
        });
        assert!(answers, "{command:?} does not answer");
        server
    }

    /// Whether it answers a request to make the bucket.
    fn makes_bucket(&self, target: &str) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address) else { return false };
        let request = format!(
            "PUT {target} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            self.address
        );
        let mut answer = String::new();
        let asked = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer));
        asked.is_ok() && answer.starts_with("HTTP/1.1 20")
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().expect("its end");
    }
}
