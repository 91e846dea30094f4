//! `strace`, attached to a worker: it records what the kernel is asked, or answers in the kernel's place.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::worker::Worker;

/// Whether `strace` is there. With `CI` set it must be.
pub fn is_there() -> bool {
    let there = Command::new("strace").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    assert!(there || std::env::var_os("CI").is_none(), "strace is missing: apt-get install strace");
    if !there {
        eprintln!("skipped: strace is missing (apt-get install strace)");
    }
    there
}

/// One that is attached; it ends when the worker does.
pub struct Strace {
    child: Child,
    output: PathBuf,
}

impl Strace {
    /// Attaches to all threads of `worker`, with `options`; what it sees goes to the file `output`.
    pub fn attach(worker: &Worker, options: &[&str], output: &Path) -> Self {
        let mut child = Command::new("strace")
            .args(["-f", "-y", "-xx", "-s", "268435456"])
            .args(options)
            .arg("-o")
            .arg(output)
            .args(["-p", &worker.id().to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace starts");
        let mut said = String::new();
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped"));
        while !said.contains(" attached") {
            let read = lines.read_line(&mut said).expect("strace speaks");
            assert!(read > 0, "strace can't attach; is ptrace permitted here? {said}");
        }
        // It says nothing more of use, but must be able to.
        std::thread::spawn(move || lines.lines().map_while(Result::ok).for_each(drop));
        Self { child, output: output.to_path_buf() }
    }

    /// What it saw, when the worker has ended.
    pub fn finish(mut self) -> Vec<u8> {
        self.child.wait().expect("strace ends");
        std::fs::read(&self.output).expect("its output")
    }
}
