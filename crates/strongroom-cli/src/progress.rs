//! Progress bars, on a terminal only.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use strongroom::TargetFile;
use strongroom::content::{CollectProgress, CollectStep, Progress};

use crate::format::{count, size};
use crate::output::Output;

const BAR: &str = "{msg} [{bar:30}] {bytes}/{total_bytes} ({bytes_per_sec}, {eta})";
const SPINNER: &str = "{msg} {spinner} {bytes} ({bytes_per_sec})";
const STEPS: &str = "{spinner} {msg}";
const REDRAW: Duration = Duration::from_millis(200);

/// A bar that shows how many bytes were dealt with; nothing where nobody would see it. It goes away with this value.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// Begins a bar for `total_bytes`, or a spinner if their number is not known.
    pub fn new(output: &Output, what: &'static str, total_bytes: Option<u64>) -> Self {
        if !output.shows_progress() {
            return Self(ProgressBar::hidden());
        }
        match total_bytes {
            Some(total) => Self::drawn(ProgressBar::new(total), BAR, what),
            None => Self::drawn(ProgressBar::new_spinner(), SPINNER, what),
        }
    }

    /// Begins a line that says what is being done.
    pub fn steps(output: &Output, what: &'static str) -> Self {
        if !output.shows_progress() {
            return Self(ProgressBar::hidden());
        }
        Self::drawn(ProgressBar::new_spinner(), STEPS, what)
    }

    fn drawn(bar: ProgressBar, template: &str, what: &'static str) -> Self {
        // A template that does not parse shows another bar, which is no reason to fail.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar.enable_steady_tick(REDRAW);
        Self(bar)
    }

    /// Counts more bytes.
    pub fn add(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// Counts the bytes of `file` while `writing` writes them.
    pub async fn follow<T>(&self, file: &TargetFile, writing: impl Future<Output = T>) -> T {
        let mut writing = pin!(writing);
        let mut counted = 0;
        loop {
            let done = tokio::time::timeout(REDRAW, &mut writing).await;
            let written = file.file().metadata().map_or(counted, |found| found.len());
            self.add(written.saturating_sub(counted));
            counted = written;
            if let Ok(done) = done {
                return done;
            }
        }
    }

    /// What a collection reports to.
    pub fn collecting(&self) -> CollectProgress {
        let bar = self.0.clone();
        Arc::new(move |step| {
            bar.set_message(match step {
                CollectStep::Marking { namespaces } => {
                    format!("reading names, {} so far", count(namespaces, "namespace", "namespaces"))
                }
                CollectStep::Waiting { sessions } => {
                    format!("waiting for {} to finish", count(sessions, "writer", "writers"))
                }
                CollectStep::Copying { bytes } => format!("copying what is needed, {} so far", size(bytes)),
                CollectStep::Deleting { files } => format!("deleting, {} so far", count(files, "file", "files")),
                _ => String::new(),
            });
        })
    }

    /// What calls of the library report to.
    pub fn progress(&self) -> Progress {
        let bar = self.0.clone();
        Arc::new(move |_, bytes| bar.set_position(bytes))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
