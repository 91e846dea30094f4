//! Runs drawn as SVG: a panel for each thing that was measured, both axes logarithmic, a line for each run.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::record::{Column, Record};

const PANEL_WIDTH: f64 = 380.0;
const PANEL_HEIGHT: f64 = 250.0;
const PANELS_A_ROW: usize = 2;
/// Room for the title and what the lines are.
const HEAD: f64 = 62.0;
/// Around a panel's axes: left, right, above, below.
const MARGINS: [f64; 4] = [58.0, 18.0, 34.0, 44.0];

/// Legible on light and on dark ground.
const STYLE: &str = "<style>
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-size: 17px; font-weight: 600 } .panel { font-weight: 600 } .end { text-anchor: end } .middle { text-anchor: middle }
.grid { stroke: #d0d7de; stroke-width: 1 } polyline { fill: none; stroke-width: 2 }
.run0 { stroke: #0969da } .run1 { stroke: #bc4c00 } .run2 { stroke: #1a7f37 } circle { stroke: none }
.dot0 { fill: #0969da } .dot1 { fill: #bc4c00 } .dot2 { fill: #1a7f37 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .grid { stroke: #30363d }
.run0 { stroke: #58a6ff } .run1 { stroke: #f0883e } .run2 { stroke: #3fb950 }
.dot0 { fill: #58a6ff } .dot1 { fill: #f0883e } .dot2 { fill: #3fb950 }
}
</style>
";
/// How many runs have a colour of their own.
const COLOURS: usize = 3;

#[derive(Debug, Args)]
pub struct Plot {
    /// What `objects` or `volume` wrote; several files are several lines
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where the picture goes
    #[arg(long, value_name = "FILE")]
    svg: PathBuf,
}

impl Plot {
    pub fn draw(&self) -> Result<()> {
        let runs: Vec<Record> = self.files.iter().map(|file| Record::read(file)).collect::<Result<_>>()?;
        fs::write(&self.svg, picture(&runs)?).with_context(|| self.svg.display().to_string())
    }
}

fn picture(runs: &[Record]) -> Result<String> {
    let first = runs.first().context("nothing to draw")?;
    ensure!(runs.len() <= COLOURS, "no more than {COLOURS} runs can be told apart");
    ensure!(runs.iter().all(|run| run.columns == first.columns), "the runs did not measure the same");
    let (x_column, columns) = first.columns.split_first().context("nothing was measured")?;
    let rows = columns.len().div_ceil(PANELS_A_ROW);
    let (width, height) = (PANEL_WIDTH * PANELS_A_ROW as f64, HEAD + PANEL_HEIGHT * rows as f64);
    let mut svg = format!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\">\n{STYLE}");
    svg += &text("title", 12.0, 24.0, &format!("What it costs when there is much already: {}", first.work));
    for (index, run) in runs.iter().enumerate() {
        let x = 18.0 + 240.0 * index as f64;
        svg += &format!("<circle class=\"dot{index}\" cx=\"{x}\" cy=\"44\" r=\"5\"/>\n");
        svg += &text("", x + 12.0, 48.0, &run.label);
    }
    for (index, column) in columns.iter().enumerate() {
        let x = PANEL_WIDTH * (index % PANELS_A_ROW) as f64;
        let y = HEAD + PANEL_HEIGHT * (index / PANELS_A_ROW) as f64;
        svg += &format!("<g transform=\"translate({x} {y})\">\n{}</g>\n", panel(runs, index + 1, x_column, column));
    }
    Ok(svg + "</svg>\n")
}

fn panel(runs: &[Record], column: usize, x_column: &Column, y_column: &Column) -> String {
    let lines: Vec<Vec<(f64, f64)>> = runs
        .iter()
        .map(|run| run.rows.iter().map(|row| (row[0], row[column])).filter(|(x, y)| *x > 0.0 && *y > 0.0).collect())
        .collect();
    let [left, right, above, below] = MARGINS;
    let x_axis = Axis::over(lines.iter().flatten().map(|point| point.0), left, PANEL_WIDTH - right);
    let y_axis = Axis::over(lines.iter().flatten().map(|point| point.1), PANEL_HEIGHT - below, above);
    let mut svg = text("panel", 12.0, 20.0, &titled(y_column));
    for (value, place) in x_axis.ticks() {
        svg += &format!("<path class=\"grid\" d=\"M{place:.1} {above}V{}\"/>\n", PANEL_HEIGHT - below);
        svg += &text("middle", place, PANEL_HEIGHT - below + 16.0, &short(value));
    }
    for (value, place) in y_axis.ticks() {
        svg += &format!("<path class=\"grid\" d=\"M{left} {place:.1}H{}\"/>\n", PANEL_WIDTH - right);
        svg += &text("end", left - 6.0, place + 4.0, &short(value));
    }
    svg += &text("middle", (left + PANEL_WIDTH - right) / 2.0, PANEL_HEIGHT - 10.0, &titled(x_column));
    for (index, line) in lines.iter().enumerate() {
        let places = line.iter().map(|(x, y)| (x_axis.place(*x), y_axis.place(*y)));
        let points: Vec<String> = places.clone().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        svg += &format!("<polyline class=\"run{index}\" points=\"{}\"/>\n", points.join(" "));
        for (x, y) in places {
            svg += &format!("<circle class=\"dot{index}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>\n");
        }
    }
    svg
}

fn titled(column: &Column) -> String {
    if column.unit.is_empty() { column.title.clone() } else { format!("{}, {}", column.title, column.unit) }
}

fn text(class: &str, x: f64, y: f64, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>\n")
}

/// A number as short as can be.
fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e3 => format!("{}k", value / 1e3),
        value => format!("{}", (value * 1e6).round() / 1e6),
    }
}

/// Whole powers of ten, from before the least value to after the greatest.
struct Axis {
    low: i32,
    high: i32,
    start: f64,
    end: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, start: f64, end: f64) -> Self {
        let (least, most) = values
            .map(f64::log10)
            .fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)));
        if least > most {
            return Self { low: 0, high: 1, start, end };
        }
        let low = least.floor() as i32;
        Self { low, high: (most.ceil() as i32).max(low + 1), start, end }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        self.start + (self.end - self.start) * share
    }

    /// The powers of ten; what is between them too if there are few.
    fn ticks(&self) -> Vec<(f64, f64)> {
        let between: &[f64] = if self.high - self.low <= 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let all = (self.low..=self.high).flat_map(|power| between.iter().map(move |times| times * 10f64.powi(power)));
        all.filter(|value| *value <= 10f64.powi(self.high) * 1.001).map(|value| (value, self.place(value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::record::Value;

    fn run(label: &str, rows: &[[f64; 2]]) -> Record {
        let folder = tempfile::tempdir().unwrap();
        let mut record = Record::new("objects", label, folder.path().join("run.json"));
        for [objects, seconds] in rows {
            record.add(&[Value("objects", "", *objects), Value("a commit", "ms", *seconds)]).unwrap();
        }
        Record::read(&folder.path().join("run.json")).unwrap()
    }

    #[test]
    fn ten_times_as_much_is_as_far_everywhere() {
        let axis = Axis::over([3.0, 700.0].into_iter(), 100.0, 400.0);
        assert_eq!([1.0, 10.0, 100.0, 1000.0].map(|value| axis.place(value).round()), [100.0, 200.0, 300.0, 400.0]);
        assert_eq!(axis.ticks().len(), 4);
        assert_eq!(Axis::over([5.0, 5.0].into_iter(), 0.0, 1.0).ticks().len(), 4, "1, 2, 5 and 10");
    }

    #[test]
    fn runs_are_lines_and_what_was_measured_is_a_panel() {
        let runs = [run("few & many", &[[1e3, 2.0], [1e6, 4.0]]), run("one", &[[1e3, 3.0], [1e6, 0.0]])];
        let svg = picture(&runs).unwrap();
        assert_eq!(svg.matches("<polyline").count(), 2);
        for expected in ["few &amp; many", "a commit, ms", ">objects</text>", ">1M</text>"] {
            assert!(svg.contains(expected), "{expected}: {svg}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn runs_that_measured_something_else_are_not_drawn_together() {
        let mut other = run("two", &[[1e3, 3.0]]);
        other.columns[1].unit = "s".into();
        assert!(picture(&[run("one", &[[1e3, 3.0]]), other]).is_err());
    }
}
