//! What befalls requests on their way, and which.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use strongroom_testkit::Dice;

use crate::http::{Answer, Head, Sort};

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
    /// The connection breaks, and so much later the server gets it all the same.
    Late(Duration),
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

    /// One word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Delayed(_) => "delayed",
            Self::After(..) => "after another",
            Self::RequestLost(_) => "request lost",
            Self::RequestCut(_) => "request cut",
            Self::AnswerLost(_) => "answer lost",
            Self::AnswerCut(_) => "answer cut",
            Self::Shortened => "shortened",
            Self::Refused(_) => "refused",
            Self::Replaced(_) => "replaced",
            Self::Silence { .. } => "silence",
            Self::Twice(_) => "twice",
            Self::Late(_) => "late",
        }
    }
}

/// Faults by chance. What befalls a request follows from the seed, the request, and how often it has been made before.
#[derive(Debug)]
pub struct Weather {
    seed: u64,
    /// How many requests of a thousand something befalls.
    per_mille: u64,
    /// Whether all that writes may be late, and not only what has `/late/` in its name.
    late_writes: bool,
    made: HashMap<String, u64>,
}

impl Weather {
    pub fn new(seed: u64, per_mille: u64) -> Self {
        Self { seed, per_mille, late_writes: false, made: HashMap::new() }
    }

    /// The same where nobody minds what is late: no name is ever used again.
    pub fn with_late_writes(self) -> Self {
        Self { late_writes: true, ..self }
    }

    /// What changes an object that others change meanwhile would undo their work, which no client can help.
    fn may_be_late(&self, request: &Head) -> bool {
        let writes = matches!(request.sort(), Sort::Create | Sort::Overwrite | Sort::Delete);
        writes && (self.late_writes || request.path().contains("/late/"))
    }

    fn strike(&mut self, request: &Head) -> Option<Fault> {
        let kind = request.kind();
        let count = self.made.entry(kind.clone()).or_default();
        *count += 1;
        let mut dice = Dice::new(self.seed);
        for byte in kind.bytes().chain(count.to_le_bytes()) {
            dice = Dice::new(dice.roll() ^ u64::from(byte));
        }
        if !dice.per_mille(self.per_mille) {
            return None;
        }
        let breaks = *dice.pick(&[Break::Closed, Break::Reset]);
        let answer = dice.pick(&[Fault::error(), Fault::slow_down(), Fault::too_many()]).clone();
        let time = Duration::from_millis(dice.below(30));
        if self.may_be_late(request) && dice.per_mille(200) {
            return Some(Fault::Late(time * 40));
        }
        Some(match dice.below(11) {
            0 => Fault::Delayed(time),
            1 | 2 => Fault::RequestLost(breaks),
            3 => Fault::RequestCut(breaks),
            4 | 5 => Fault::AnswerLost(breaks),
            6 => Fault::AnswerCut(breaks),
            7 => Fault::Refused(answer),
            8 | 9 => Fault::Replaced(answer),
            _ => Fault::Twice(*dice.pick(&[Which::First, Which::Second])),
        })
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
    weather: Option<Weather>,
    counts: BTreeMap<(Sort, &'static str), u64>,
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
        self.weather = None;
    }

    pub fn set_weather(&mut self, weather: Weather) {
        self.weather = Some(weather);
    }

    pub fn strike(&mut self, request: &Head) -> Option<Fault> {
        let ruled = self.rules.iter_mut().find(|rule| rule.times > 0 && (rule.such)(request));
        let fault = match ruled {
            Some(rule) => {
                rule.times -= 1;
                rule.struck.0.fetch_add(1, Ordering::SeqCst);
                Some(rule.fault.clone())
            }
            None => self.weather.as_mut().and_then(|weather| weather.strike(request)),
        };
        if let Some(fault) = &fault {
            *self.counts.entry((request.sort(), fault.name())).or_default() += 1;
        }
        fault
    }

    /// How often what has befallen which sort of requests.
    pub fn counts(&self) -> &BTreeMap<(Sort, &'static str), u64> {
        &self.counts
    }
}
