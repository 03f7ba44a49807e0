//! Prints markdown.

use crate::stats::Estimate;

/// One row of the table.
pub struct Row {
    pub what: String,
    pub goal: &'static str,
    pub ours: String,
    pub peer: String,
    pub ratio: String,
}

impl Row {
    pub fn new(what: impl Into<String>, goal: &'static str, ours: String) -> Self {
        Self { what: what.into(), goal, ours, peer: "–".into(), ratio: "–".into() }
    }

    pub fn peer(mut self, name: &str, peer: Estimate, unit: Unit, ratio: Estimate) -> Self {
        self.peer = format!("{name} {}", unit.show(peer));
        self.ratio = format!("{:.2} [{:.2}, {:.2}]", ratio.median, ratio.low, ratio.high);
        self
    }

    pub fn print(&self) {
        let Self { what, goal, ours, peer, ratio } = self;
        println!("| {what} | {goal} | {ours} | {peer} | {ratio} |");
    }
}

/// The unit in which nanoseconds, or bytes, are shown.
#[derive(Debug, Clone, Copy)]
pub enum Unit {
    Nanos,
    Micros,
    Millis,
    Mebibytes,
}

impl Unit {
    pub fn show(self, estimate: Estimate) -> String {
        let (scale, name) = match self {
            Self::Nanos => (1.0, "ns"),
            Self::Micros => (1e3, "µs"),
            Self::Millis => (1e6, "ms"),
            Self::Mebibytes => (1024.0 * 1024.0, "MiB"),
        };
        let Estimate { median, low, high } = estimate;
        let digits = if median / scale < 10.0 { 2 } else { 1 };
        format!("{:.digits$} {name} [{:.digits$}, {:.digits$}]", median / scale, low / scale, high / scale)
    }
}
