//! Contenders that take turns, so that what the machine does meanwhile meets all of them.

use std::ops::Index;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::bench::Bench;
use crate::measure::{Sample, median};
use crate::options::Options;
use crate::place::Place;

/// How much is done in one run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Amount {
    Bytes(u64),
    Objects(usize),
}

/// What a contender needed.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    pub amount: Amount,
    pub samples: Vec<Sample>,
}

impl Figure {
    /// The median of the seconds of a run.
    pub fn seconds(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.seconds))
    }

    /// The median of the processor seconds of a run.
    pub fn cpu_seconds(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.cpu_seconds))
    }

    /// Bytes or objects a second.
    pub fn rate(&self) -> f64 {
        let amount = match self.amount {
            Amount::Bytes(bytes) => bytes as f64,
            Amount::Objects(objects) => objects as f64,
        };
        amount / self.seconds()
    }
}

/// How often contenders run.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    pub repeats: usize,
    /// Whether no round is for warming up.
    pub smoke: bool,
    /// How much memory is used before each run that is to be settled, in bytes.
    pub warm: u64,
}

type Run<'a> = Box<dyn FnMut() -> Result<Sample> + 'a>;

/// Contenders that take turns: in each round all of them, each round beginning with another.
///
/// The first round warms up and does not count.
pub struct Race<'a> {
    place: &'a Place,
    rounds: Rounds,
    settle: bool,
    contenders: Vec<(String, Amount, Run<'a>)>,
}

/// A contender, to find its figure by.
#[derive(Clone, Copy, Debug)]
pub struct Entry(usize);

/// What the contenders needed.
pub struct Figures(Vec<Figure>);

impl<'a> Race<'a> {
    pub fn new(bench: &'a Bench) -> Self {
        let Options { repeats, smoke, warm, .. } = bench.options;
        Self::at(bench, Rounds { repeats, smoke, warm })
    }

    pub fn at(place: &'a Place, rounds: Rounds) -> Self {
        Self { place, rounds, settle: false, contenders: Vec::new() }
    }

    /// The same with the machine brought into one state before each run; for runs that write or need much memory.
    pub fn settled(self) -> Self {
        Self { settle: true, ..self }
    }

    /// One more contender. `run` does what it needs, and says what the part of it took that counts.
    pub fn enter(&mut self, name: &str, amount: Amount, run: impl FnMut() -> Result<Sample> + 'a) -> Entry {
        self.contenders.push((name.to_string(), amount, Box::new(run)));
        Entry(self.contenders.len() - 1)
    }

    pub fn run(mut self) -> Result<Figures> {
        let rounds = self.rounds.repeats + usize::from(!self.rounds.smoke);
        let count = self.contenders.len();
        let mut figures: Vec<Figure> =
            self.contenders.iter().map(|(_, amount, _)| Figure { amount: *amount, samples: Vec::new() }).collect();
        for round in 0..rounds {
            for turn in 0..count {
                let index = (round + turn) % count;
                let (name, _, run) = &mut self.contenders[index];
                if self.settle {
                    self.place.settle(self.rounds.warm)?;
                }
                let sample = run().with_context(|| name.clone())?;
                eprintln!("  {name}: {:.4} s, CPU {:.4} s", sample.seconds, sample.cpu_seconds);
                figures[index].samples.push(sample);
            }
        }
        for figure in &mut figures {
            figure.samples.drain(..rounds - self.rounds.repeats);
        }
        Ok(Figures(figures))
    }
}

impl Index<Entry> for Figures {
    type Output = Figure;

    fn index(&self, entry: Entry) -> &Figure {
        &self.0[entry.0]
    }
}
