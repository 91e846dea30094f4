//! How the command ends: the one place that knows the exit codes.

use strongroom::{Error, ErrorKind};

use crate::output::Output;

/// What the shell sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All was done.
    Done = 0,
    /// It failed, and none of the others says why.
    Failed = 1,
    /// It was called wrongly.
    Usage = 2,
    /// Some of it was done and some failed.
    Partly = 3,
    /// There is nothing under that name.
    NotFound = 4,
    /// Stored content is damaged or lost.
    Integrity = 5,
    /// There is something already, two names can't be side by side, or something is not what it was when it was looked at.
    Conflict = 6,
    /// Ctrl-C, as shells count it.
    Interrupted = 130,
    /// Asked to end, as shells count it.
    Terminated = 143,
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Missing => Self::NotFound,
            ErrorKind::AlreadyExists | ErrorKind::Changed | ErrorKind::Conflict => Self::Conflict,
            ErrorKind::Corrupt => Self::Integrity,
            ErrorKind::Invalid => Self::Usage,
            _ => Self::Failed,
        }
    }
}

/// What became of a number of things of which each can fail by itself.
#[derive(Debug, Default)]
pub struct Tally {
    succeeded: u64,
    failed: Option<Exit>,
}

impl Tally {
    /// Counts a success.
    pub fn success(&mut self) {
        self.succeeded += 1;
    }

    /// Counts a failure and says it.
    pub fn failure(&mut self, output: &Output, error: &Error) {
        output.error(error);
        let exit = Exit::from(error);
        self.failed = Some(match self.failed {
            Some(other) if other != exit => Exit::Failed,
            _ => exit,
        });
    }

    /// How many succeeded.
    pub fn succeeded(&self) -> u64 {
        self.succeeded
    }

    /// Done; partly, if some failed; if all did, what they have in common.
    pub fn exit(&self) -> Exit {
        match self.failed {
            None => Exit::Done,
            Some(_) if self.succeeded > 0 => Exit::Partly,
            Some(exit) => exit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(succeeded: usize, failures: &[ErrorKind]) -> Exit {
        let (mut tally, output) = (Tally::default(), Output::new(false, true));
        (0..succeeded).for_each(|_| tally.success());
        for kind in failures {
            tally.failure(&output, &Error::new(*kind, "load", "a", "for a test"));
        }
        tally.exit()
    }

    #[test]
    fn failures_beside_successes_are_a_part() {
        assert_eq!(tally(2, &[]), Exit::Done);
        assert_eq!(tally(1, &[ErrorKind::Corrupt]), Exit::Partly);
    }

    #[test]
    fn failures_alone_say_what_they_have_in_common() {
        assert_eq!(tally(0, &[ErrorKind::Corrupt, ErrorKind::Corrupt]), Exit::Integrity);
        assert_eq!(tally(0, &[ErrorKind::Corrupt, ErrorKind::Missing]), Exit::Failed);
        assert_eq!(tally(0, &[ErrorKind::AlreadyExists, ErrorKind::Conflict]), Exit::Conflict);
        assert_eq!(tally(0, &[ErrorKind::Changed]), Exit::Conflict);
    }
}
