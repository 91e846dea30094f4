//! What the choices did, as tables.

use std::fmt::Write;

use super::candidate::{Candidate, Outcome};

/// What a list has for a chunk, and a pack's directory, in bytes.
const CHUNK_METADATA_BYTES: f64 = 65.0 + 56.0;
const GIBIBYTE: f64 = (1u64 << 30) as f64;

/// Two tables: what each choice costs over all data, and how it shares each.
pub fn markdown(candidates: &[Candidate], outcomes: &[Outcome]) -> String {
    let mut data: Vec<&str> = outcomes.iter().map(|outcome| outcome.data).collect();
    data.dedup();
    let mut text = String::from(
        "| minimum / average / maximum, KiB | mean, KiB | lists and indexes for a GiB | all versions | CPU s/GiB, first \
         | CPU s/GiB, edited | CPU s/GiB, read | 4 KiB somewhere |\n|---|---|---|---|---|---|---|---|\n",
    );
    for candidate in candidates {
        costs(&mut text, candidate, outcomes.iter().filter(|outcome| outcome.sizes == candidate.sizes).collect());
    }
    text.push_str(
        "\nThe first version stored, by its size + new bytes of an edit, by the size of what was edited, in %:\n\n",
    );
    let (names, rule) = (data.join(" | "), "---|".repeat(data.len() + 1));
    writeln!(text, "| KiB | {names} |\n|{rule}").expect("text grows");
    for candidate in candidates {
        let cell = |name: &&str| {
            let own = |outcome: &&Outcome| outcome.sizes == candidate.sizes && outcome.data == *name;
            outcomes.iter().find(own).map_or_else(String::new, |outcome| {
                format!("{:.1} + {:.2}", outcome.first() * 100.0, outcome.edit() * 100.0)
            })
        };
        let cells: Vec<String> = data.iter().map(cell).collect();
        writeln!(text, "| {} | {} |", candidate.name(), cells.join(" | ")).expect("text grows");
    }
    text
}

fn costs(text: &mut String, candidate: &Candidate, own: Vec<&Outcome>) {
    let sum = |of: &dyn Fn(&Outcome) -> f64| own.iter().map(|outcome| of(outcome)).sum::<f64>();
    let first_bytes = sum(&|outcome| outcome.version_bytes[0] as f64);
    let edited_bytes = sum(&|outcome| outcome.version_bytes[1..].iter().sum::<u64>() as f64);
    let last_bytes = sum(&|outcome| outcome.version_bytes.last().map_or(0.0, |bytes| *bytes as f64));
    let chunks = sum(&|outcome| outcome.chunks as f64);
    let row = [
        candidate.name(),
        format!("{:.0}", first_bytes / chunks / 1024.0),
        format!("{:.0} KiB", chunks * CHUNK_METADATA_BYTES / (first_bytes / GIBIBYTE) / 1024.0),
        format!("{:.1} MiB", sum(&|outcome| outcome.stored_bytes.iter().sum::<u64>() as f64) / f64::from(1 << 20)),
        format!("{:.2}", sum(&|outcome| outcome.cpu_seconds[0]) / (first_bytes / GIBIBYTE)),
        format!("{:.2}", sum(&|outcome| outcome.cpu_seconds[1..].iter().sum()) / (edited_bytes / GIBIBYTE)),
        format!("{:.2}", sum(&|outcome| outcome.read_cpu_seconds) / (last_bytes / GIBIBYTE)),
        format!("{:.0} us", sum(&|outcome| outcome.range_seconds) / own.len() as f64 * 1e6),
    ];
    writeln!(text, "| {} |", row.join(" | ")).expect("text grows");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk_sizes::candidate;

    #[test]
    fn a_choice_has_a_row_in_both_tables() {
        let choice = candidate::all()[0];
        let outcome = Outcome {
            data: "trajectory",
            sizes: choice.sizes,
            version_bytes: vec![1 << 20, 1 << 20],
            stored_bytes: vec![1 << 19, 1 << 18],
            cpu_seconds: vec![0.5, 0.25],
            chunks: 16,
            read_cpu_seconds: 0.125,
            range_seconds: 0.000_5,
        };
        let text = markdown(&[choice], &[outcome]);
        let costs = "| 16 / 64 / 256 | 64 | 1936 KiB | 0.8 MiB | 512.00 | 256.00 | 128.00 | 500 us |";
        assert!(text.contains(costs), "{text}");
        assert!(text.contains("| KiB | trajectory |\n|---|---|\n| 16 / 64 / 256 | 50.0 + 25.00 |"), "{text}");
    }
}
