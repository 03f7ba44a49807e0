//! Counts instructions: what a busy machine cannot disturb.
//!
//! Each case runs under callgrind twice, with different numbers of operations; the difference is that of the
//! operations alone.

use std::hint::black_box;
use std::process::Command;

use tower::Layer as _;

use crate::agents;
use crate::rows::admission::seen;
use crate::rows::{encode, fold, frame, http, spans, trace};

const CASES: [&str; 12] = [
    "rate 1e-9",
    "traced",
    "service",
    "layered service",
    "bare",
    "framed",
    "fastrace",
    "puffin",
    "fold",
    "encode",
    "discarded",
    "shipped",
];

/// Operations between the two counts.
fn operations(case: &str) -> u64 {
    match case {
        "encode" => 20,
        "discarded" | "shipped" => 2_000,
        case if spans::CASES.contains(&case) => 200_000,
        "fold" => 40 * fold::in_order().events(),
        _ => 3_000_000,
    }
}

/// Runs one case; valgrind does the counting.
pub fn run(case: &str, count: u64) {
    if let Some((_, call)) = frame::UNTRACED.iter().find(|(name, _)| *name == case) {
        let call = black_box(*call);
        return (0..count).for_each(|number| seen(&call(number)));
    }
    if spans::CASES.contains(&case) {
        return spans::run(case, count);
    }
    match case {
        "rate 1e-9" => {
            let agent = agents::start(1e-9);
            let collector = agent.collector();
            (0..count).for_each(|_| seen(&collector.unit("shop.batch", || "nightly")));
        }
        "traced" => frame::traced(&agents::start(1.0), count),
        "service" => (0..count).for_each(|_| seen(&http::request(&http::bare_service()))),
        "layered service" => {
            let agent = agents::start(1e-9);
            let service = agent.layer().layer(http::bare_service());
            (0..count).for_each(|_| seen(&http::request(&service)));
        }
        "fold" => {
            let mut run = fold::in_order();
            (0..count / run.events()).for_each(|_| run.run());
        }
        "encode" => {
            let tree = encode::tree(10_000);
            (0..count).for_each(|_| drop(black_box(tree.filter_and_encode())));
        }
        "discarded" => drop(trace::run_discarded(count)),
        "shipped" => drop(trace::run_shipped(count)),
        _ => panic!("no case {case:?}"),
    }
}

pub fn print() {
    println!("| what | instructions an operation |\n|---|---|");
    for case in CASES.into_iter().chain(spans::CASES) {
        let operations = operations(case);
        let (some, more) = (collected(case, operations), collected(case, 2 * operations));
        println!("| {case} | {:.1} |", (more - some) / operations as f64);
    }
}

fn collected(case: &str, count: u64) -> f64 {
    let program = std::env::current_exe().expect("the path of this program");
    let arguments = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
    let mut command = Command::new("valgrind");
    command.args(arguments).arg(program).args(["instructions", case, &count.to_string()]);
    let output = command.output().expect("valgrind");
    let report = String::from_utf8_lossy(&output.stderr);
    let count = report.lines().find_map(|line| line.split("Collected : ").nth(1));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or_else(|| panic!("no count in {report}"))
}
