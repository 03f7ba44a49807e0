//! Measures the agent next to its peers and prints markdown tables.
//!
//! ```text
//! cargo run --release --manifest-path benches/compare/Cargo.toml            every group, a process each
//! cargo run --release --manifest-path benches/compare/Cargo.toml -- GROUP   one group
//! ```

mod agents;
mod allocations;
mod clocks;
mod harness;
mod instructions;
mod rows;
mod stats;
mod table;

use std::process::Command;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// The groups in the order of the table.
const GROUPS: [(&str, fn()); 13] = [
    ("admission", rows::admission::print),
    ("http", rows::http::print),
    ("frame", rows::frame::print),
    ("fold", rows::fold::print),
    ("encode", rows::encode::print),
    ("trace", rows::trace::print),
    ("native", rows::native::print),
    ("select", rows::select::print),
    ("service", rows::service::print),
    ("events", rows::events::print),
    ("spans", rows::spans::print),
    ("errors", rows::errors::print),
    ("idle", rows::idle::print),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => print_all(),
        ["instructions"] => instructions::print(),
        ["instructions", case, count] => instructions::run(case, count.parse().expect("a number")),
        ["events", mode] => rows::events::child(mode),
        ["select", mode] => rows::select::child(mode),
        ["idle", mode, seconds] => rows::idle::child(mode, seconds.parse().expect("a number")),
        [group] => match GROUPS.iter().find(|(name, _)| *name == group) {
            Some((_, print)) => print(),
            None => panic!("no group {group:?}"),
        },
        _ => panic!("arguments: nothing, `instructions`, or the name of a group"),
    }
}

/// Each group has a process of its own, so that none meets what another has left behind.
fn print_all() {
    println!("| what | goal | ours | peer | peer / ours |\n|---|---|---|---|---|");
    for (group, _) in GROUPS {
        print!("{}", output_of(&[group]));
    }
}

/// What this program prints with these arguments.
fn output_of(arguments: &[&str]) -> String {
    let program = std::env::current_exe().expect("the path of this program");
    let output = Command::new(program).args(arguments).output().expect("a child process");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}
