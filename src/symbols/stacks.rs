//! Stacks of real programs, and what a user is to see of each.
//!
//! `testdata/stacks/` has a file for each: what was recorded (root to leaf, a function a line: the linker's name, and
//! the source as the debug information has it), and above that, after `# shown`, what is left of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::fold::{Step, answering_actor, keep};
use super::name;
use super::symbol::Symbol;
use crate::model::native::StackKind;

struct Recorded {
    path: PathBuf,
    kind: StackKind,
    /// Of the thread that woke a task; shown as where it waits.
    is_wake: bool,
    shown: Vec<String>,
    actor: Option<String>,
    symbols: Vec<Symbol>,
}

fn all() -> Vec<Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/symbols/testdata/stacks");
    let mut paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    paths.sort();
    paths.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> Recorded {
    let text = std::fs::read_to_string(&path).unwrap();
    let heads = |key: &str| {
        let prefix = format!("# {key} ");
        text.lines().filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned)).collect::<Vec<_>>()
    };
    let (kind, is_wake) = match heads("kind").first().unwrap().as_str() {
        "await" => (StackKind::Await, false),
        "cpu" => (StackKind::Cpu, false),
        "wake" => (StackKind::Await, true),
        other => panic!("{}: {other}", path.display()),
    };
    let symbols = text.lines().filter(|line| !line.starts_with('#')).map(symbol).collect();
    Recorded { kind, is_wake, shown: heads("shown"), actor: heads("actor").pop(), symbols, path }
}

/// As the symboliser makes it of what the debug information says.
fn symbol(line: &str) -> Symbol {
    let (raw, file) = line.split_once('\t').unwrap();
    let file = Some(file).filter(|file| !file.is_empty());
    let named = name::read(raw);
    let class = name::class_of(&named, file);
    let role = named.role();
    Symbol { name: named.text.as_str().into(), file: file.map(Into::into), line: 0, class, role, task: None }
}

fn shown(recorded: &Recorded, is_raw: bool) -> Vec<String> {
    let steps = recorded.symbols.iter().map(Step::Native).collect::<Vec<_>>();
    let kept = keep(&steps, recorded.kind, is_raw);
    recorded.symbols.iter().zip(kept).filter(|(_, kept)| *kept).map(|(symbol, _)| symbol.name.to_string()).collect()
}

#[test]
fn of_real_stacks_the_own_chain_and_what_it_waits_in_are_left() {
    let mut report = String::new();
    let all = all();
    for recorded in &all {
        let shown = shown(recorded, false);
        if shown != recorded.shown {
            writeln!(report, "{}\n  shown    {shown:#?}\n  expected {:#?}", recorded.path.display(), recorded.shown)
                .unwrap();
            let classes = recorded.symbols.iter().map(|symbol| format!("    {:?} {}\n", symbol.class, symbol.name));
            report.extend(classes);
        }
    }
    assert!(all.len() > 50, "only {} stacks", all.len());
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn the_actor_that_answers_is_known_by_the_stack_of_its_wake() {
    let wakes = all().into_iter().filter(|recorded| recorded.is_wake).collect::<Vec<_>>();
    assert!(wakes.iter().any(|recorded| recorded.actor.is_some()), "no actor answers in any of them");
    for recorded in wakes {
        assert_eq!(
            answering_actor(&recorded.symbols).as_deref(),
            recorded.actor.as_deref(),
            "{}",
            recorded.path.display()
        );
    }
}

#[test]
fn raw_stacks_keep_every_function() {
    for recorded in all() {
        assert_eq!(shown(&recorded, true).len(), recorded.symbols.len(), "{}", recorded.path.display());
    }
}
