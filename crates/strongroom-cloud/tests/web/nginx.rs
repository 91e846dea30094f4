//! A real web server of this test's own: nginx, in a process that ends with this one.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// It serves until its standard input ends, which it does with the process that has the other end.
const SERVE: &str = "nginx -e stderr -p \"$1\" -c nginx.conf & cat; kill $!";
/// How often it is looked whether it answers, and how long it is waited between.
const LOOKS: usize = 300;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A running server.
pub struct Nginx {
    pub url: String,
    _child: Child,
}

impl Nginx {
    /// One that serves `folder`; `None`, with a word on stderr, if there can't be one. In CI that is a failure.
    pub fn serve(folder: &Path, own: &Path) -> Option<Self> {
        if Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_err() {
            assert!(std::env::var_os("CI").is_none(), "nginx is missing");
            eprintln!("skipped: there is no nginx; install it (Debian: nginx-light)");
            return None;
        }
        // The port is free until somebody else takes it, which the kernel does not suggest to anybody so soon.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let [own_, folder] = [own, folder].map(|path| path.display());
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {own_}/{what};"))
            .join(" ");
        let config = format!(
            "daemon off; master_process off; pid {own_}/pid; error_log stderr crit; events {{}}\n\
             http {{ access_log off; {temporary} server {{ listen {address}; root {folder}; }} }}\n"
        );
        std::fs::write(own.join("nginx.conf"), config).expect("write the configuration");
        let child = Command::new("sh")
            .args(["-c", SERVE, "sh"])
            .arg(own)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("start nginx");
        let answers = (0..LOOKS).any(|_| {
            std::thread::sleep(LOOK_EVERY);
            TcpStream::connect(address).is_ok()
        });
        assert!(answers, "nginx does not answer");
        Some(Self { url: format!("http://{address}"), _child: child })
    }
}
