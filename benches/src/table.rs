//! The answers: a table to read, and everything that was measured.

use anyhow::Result;
use serde::Serialize;

use crate::options::Options;
use crate::race::{Amount, Figure};

/// What is to be reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Goal {
    /// So many times the rival's speed, or more.
    SpeedAtLeast(f64),
    /// So many times the rival's time, or less.
    TimeAtMost(f64),
    /// This, in the unit of what was measured, or less.
    ValueAtMost(f64),
    /// Nothing: to know it.
    None,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub enum Measured {
    Run(Figure),
    Value { value: f64, unit: &'static str },
}

/// One answer.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    question: &'static str,
    work: String,
    ours: Measured,
    rival: Option<(String, Figure)>,
    goal: Goal,
    ratio: Option<f64>,
    reached: Option<bool>,
}

/// All answers.
#[derive(Debug, Default)]
pub struct Table {
    /// Whether amounts are so small that goals mean nothing.
    smoke: bool,
    pub question: &'static str,
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Table {
    pub fn new(smoke: bool) -> Self {
        let warning = "A smoke run: so small that it says nothing about speed.".to_string();
        Self { smoke, notes: smoke.then_some(warning).into_iter().collect(), ..Self::default() }
    }

    fn push(&mut self, row: Row) {
        self.rows.push(if self.smoke { Row { reached: None, ..row } } else { row });
    }

    /// What we needed for `work`, and what a rival did.
    pub fn compare(&mut self, work: &str, ours: &Figure, rival: &str, theirs: &Figure, goal: Goal) {
        let speed = ours.rate() / theirs.rate();
        let (ratio, reached) = match goal {
            Goal::SpeedAtLeast(least) => (speed, Some(speed >= least)),
            Goal::TimeAtMost(most) => (1.0 / speed, Some(1.0 / speed <= most)),
            Goal::ValueAtMost(_) | Goal::None => (speed, None),
        };
        self.push(Row {
            question: self.question,
            work: work.into(),
            ours: Measured::Run(ours.clone()),
            rival: Some((rival.into(), theirs.clone())),
            goal,
            ratio: Some(ratio),
            reached,
        });
    }

    /// A value that has no rival.
    pub fn value(&mut self, work: &str, value: f64, unit: &'static str, goal: Goal) {
        let reached = match goal {
            Goal::ValueAtMost(most) => Some(value <= most),
            _ => None,
        };
        let ours = Measured::Value { value, unit };
        self.push(Row { question: self.question, work: work.into(), ours, rival: None, goal, ratio: None, reached });
    }

    /// Something that a reader should know.
    pub fn note(&mut self, text: String) {
        eprintln!("  {text}");
        self.notes.push(text);
    }

    pub fn markdown(&self) -> String {
        let mut text = String::from("| question | work | strongroom | against | ratio | goal | reached |\n");
        text.push_str("|---|---|---|---|---|---|---|\n");
        for row in &self.rows {
            let ours = match &row.ours {
                Measured::Run(figure) => shown(figure),
                Measured::Value { value, unit } => format!("{value:.3} {unit}"),
            };
            let rival = row.rival.as_ref().map(|(name, figure)| format!("{name}: {}", shown(figure)));
            let ratio = row.ratio.map(|ratio| format!("{ratio:.2}x"));
            let reached = row.reached.map(|reached| if reached { "yes" } else { "**no**" });
            let unit = match &row.ours {
                Measured::Value { unit, .. } => unit,
                Measured::Run(_) => "",
            };
            let goal = match row.goal {
                Goal::SpeedAtLeast(least) => format!(">= {least}x"),
                Goal::TimeAtMost(most) => format!("<= {most}x the time"),
                Goal::ValueAtMost(most) => format!("<= {most} {unit}"),
                Goal::None => String::new(),
            };
            let (rival, ratio) = (rival.unwrap_or_default(), ratio.unwrap_or_default());
            let reached = reached.unwrap_or_default();
            let (question, work) = (row.question, &row.work);
            text.push_str(&format!("| {question} | {work} | {ours} | {rival} | {ratio} | {goal} | {reached} |\n"));
        }
        for note in &self.notes {
            text.push_str(&format!("\n{note}\n"));
        }
        text
    }

    pub fn json(&self, options: &Options) -> Result<String> {
        let all = serde_json::json!({ "options": options, "rows": self.rows, "notes": self.notes });
        Ok(serde_json::to_string_pretty(&all)? + "\n")
    }
}

/// A rate, and the time behind it.
fn shown(figure: &Figure) -> String {
    let rate = match figure.amount {
        Amount::Bytes(_) => format!("{} MB/s", grouped(figure.rate() / 1e6)),
        Amount::Objects(_) => format!("{}/s", grouped(figure.rate())),
    };
    format!("{rate} ({:.2} s, CPU {:.2} s)", figure.seconds(), figure.cpu_seconds())
}

/// A whole number with commas.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Sample;

    fn figure(objects: usize, seconds: &[f64]) -> Figure {
        let samples = seconds.iter().map(|seconds| Sample { seconds: *seconds, cpu_seconds: 0.5 }).collect();
        Figure { amount: Amount::Objects(objects), samples }
    }

    fn row(goal: Goal) -> Row {
        let mut table = Table::default();
        // 100 a second, and 50 a second.
        table.compare("work", &figure(1000, &[11.0, 10.0, 1.0]), "rival", &figure(100, &[2.0]), goal);
        table.rows.remove(0)
    }

    #[test]
    fn speeds_are_compared_for_the_same_amount() {
        assert_eq!(row(Goal::SpeedAtLeast(2.0)).ratio, Some(2.0));
        assert_eq!(row(Goal::TimeAtMost(3.0)).ratio, Some(0.5));
    }

    #[test]
    fn a_goal_is_reached_or_missed() {
        assert_eq!(row(Goal::SpeedAtLeast(2.0)).reached, Some(true));
        assert_eq!(row(Goal::SpeedAtLeast(2.1)).reached, Some(false));
        assert_eq!(row(Goal::TimeAtMost(0.5)).reached, Some(true));
        assert_eq!(row(Goal::TimeAtMost(0.4)).reached, Some(false));
        assert_eq!(row(Goal::None).reached, None);
    }

    #[test]
    fn a_miss_is_seen_in_the_table() {
        let mut table = Table::default();
        table.value("open", 51.0, "ms", Goal::ValueAtMost(50.0));
        table.value("open", 49.0, "ms", Goal::ValueAtMost(50.0));
        let text = table.markdown();
        assert!(text.contains("| 51.000 ms |  |  | <= 50 ms | **no** |"), "{text}");
        assert!(text.contains("| 49.000 ms |  |  | <= 50 ms | yes |"), "{text}");
    }

    #[test]
    fn a_smoke_run_reaches_and_misses_nothing() {
        let mut table = Table::new(true);
        table.value("open", 51.0, "ms", Goal::ValueAtMost(50.0));
        assert_eq!(table.rows[0].reached, None);
    }

    #[test]
    fn numbers_have_commas_between_thousands() {
        assert_eq!([grouped(7.4), grouped(123.0), grouped(1234567.0)], ["7", "123", "1,234,567"]);
    }
}
