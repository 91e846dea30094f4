//! What befalls requests on their way, and which.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::http::{Answer, Head};

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// As if nothing more were to come.
    Closed,
    /// As if the machine knew nothing of it.
    Reset,
}

/// Which of two answers is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    First,
    Second,
}

/// What befalls a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It waits so long on its way.
    Delayed(Duration),
    /// Somebody else's request, with this body, comes to the server just before it.
    After(Head, Vec<u8>),
    /// The connection breaks before the server has seen anything of it.
    RequestLost(Break),
    /// The connection breaks in the middle of its body, half of which the server has seen.
    RequestCut(Break),
    /// The server does it; the connection breaks before its answer.
    AnswerLost(Break),
    /// The server does it; the connection breaks in the middle of its answer.
    AnswerCut(Break),
    /// The server's answer lacks its second half and its length, and its end is no error.
    Shortened,
    /// Somebody on the way gives this answer, and the server sees nothing of it.
    Refused(Answer),
    /// The server does it, and somebody on the way gives this answer.
    Replaced(Answer),
    /// Nothing answers and nothing breaks; the server has done it or has seen nothing of it.
    Silence { done: bool },
    /// The server gets it twice.
    Twice(Which),
}

impl Fault {
    pub fn error() -> Answer {
        Answer::refusal("500 Internal Server Error", "InternalError")
    }

    pub fn slow_down() -> Answer {
        Answer::refusal("503 Slow Down", "SlowDown")
    }

    pub fn too_many() -> Answer {
        Answer::refusal("429 Too Many Requests", "TooManyRequests")
    }

    pub fn denied() -> Answer {
        Answer::refusal("403 Forbidden", "AccessDenied")
    }
}

struct Rule {
    such: Box<dyn Fn(&Head) -> bool + Send>,
    /// How many more of them it befalls.
    times: u64,
    fault: Fault,
    struck: Struck,
}

/// How often a rule has struck.
#[derive(Clone, Debug, Default)]
pub struct Struck(Arc<AtomicU64>);

impl Struck {
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// What befalls which requests.
#[derive(Default)]
pub struct Plan {
    rules: Vec<Rule>,
}

impl Plan {
    /// Has `fault` befall the next so many requests of a sort, after what earlier rules have for them.
    pub fn befall(&mut self, such: impl Fn(&Head) -> bool + Send + 'static, times: u64, fault: Fault) -> Struck {
        let struck = Struck::default();
        self.rules.push(Rule { such: Box::new(such), times, fault, struck: struck.clone() });
        struck
    }

    /// From now on nothing befalls anything.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    pub fn strike(&mut self, request: &Head) -> Option<Fault> {
        let ruled = self.rules.iter_mut().find(|rule| rule.times > 0 && (rule.such)(request));
        let rule = ruled?;
        rule.times -= 1;
        rule.struck.0.fetch_add(1, Ordering::SeqCst);
        Some(rule.fault.clone())
    }
}
