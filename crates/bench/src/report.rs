//! What a figure found, as a table for people and as JSON for the record.

use serde::Serialize;

use crate::machine::Machine;

#[derive(Debug, Serialize)]
pub struct Report {
    pub name: &'static str,
    /// One sentence: what was done, how often, by whom.
    pub what: String,
    pub lines: Vec<Line>,
    pub verdicts: Vec<Verdict>,
    pub notes: Vec<String>,
}

/// One measured value of one side: the median of the rounds.
#[derive(Debug, Serialize)]
pub struct Line {
    pub side: &'static str,
    pub value: f64,
    pub unit: &'static str,
    /// Lowest and highest round.
    pub range: (f64, f64),
    pub peak_mib: f64,
}

/// A bar and whether it was reached. `None`: reported without a bar.
#[derive(Debug, Serialize)]
pub struct Verdict {
    pub what: String,
    pub value: f64,
    pub bar: Option<String>,
    pub reached: Option<bool>,
}

impl Verdict {
    pub fn at_least(what: &str, value: f64, bar: f64) -> Self {
        Self::new(what, value, format!("≥ {bar}"), value >= bar)
    }

    pub fn at_most(what: &str, value: f64, bar: f64) -> Self {
        Self::new(what, value, format!("≤ {bar}"), value <= bar)
    }

    pub fn reported(what: &str, value: f64) -> Self {
        Self { what: what.to_owned(), value, bar: None, reached: None }
    }

    fn new(what: &str, value: f64, bar: String, reached: bool) -> Self {
        Self { what: what.to_owned(), value, bar: Some(bar), reached: Some(reached) }
    }
}

#[derive(Serialize)]
struct Whole<'a> {
    machine: Machine,
    figures: &'a [Report],
}

pub fn print(reports: &[Report], json: bool) -> anyhow::Result<()> {
    let machine = Machine::this();
    if json {
        println!("{}", serde_json::to_string_pretty(&Whole { machine, figures: reports })?);
        return Ok(());
    }
    println!(
        "{}, {} cores, {} GiB, Linux {}; commit {}, {} profile\n",
        machine.cpu,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        machine.commit,
        machine.profile
    );
    for report in reports {
        print_one(report);
    }
    Ok(())
}

fn print_one(report: &Report) {
    println!("### {}\n\n{}\n", report.name, report.what);
    println!("| side | median | lowest – highest | peak memory |\n|---|---|---|---|");
    for line in &report.lines {
        let (low, high) = line.range;
        println!(
            "| {} | {} {} | {} – {} | {:.0} MiB |",
            line.side,
            digits(line.value),
            line.unit,
            digits(low),
            digits(high),
            line.peak_mib
        );
    }
    println!("\n| figure | value | bar | |\n|---|---|---|---|");
    for verdict in &report.verdicts {
        let bar = verdict.bar.as_deref().unwrap_or("reported");
        let reached = match verdict.reached {
            Some(true) => "reached",
            Some(false) => "**missed**",
            None => "",
        };
        println!("| {} | {} | {bar} | {reached} |", verdict.what, digits(verdict.value));
    }
    for note in &report.notes {
        println!("\n{note}");
    }
    println!();
}

/// Three significant digits are all that a run on a shared machine can tell.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
