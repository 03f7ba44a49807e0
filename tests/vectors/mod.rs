//! One module for each file of vectors: its case as a type, and a check that says how a case differs.

pub(crate) mod errors;
pub(crate) mod handler;
pub(crate) mod labels;
pub(crate) mod pprof;
pub(crate) mod profile_filter;
mod terms;
pub(crate) mod traces;

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Runs `check` on every case of `file`, and fails with all differences. A missing file is a failure.
pub(crate) fn run<C: DeserializeOwned>(file: &str, check: impl Fn(&C) -> Result<(), String>) {
    let cases = load(file);
    assert!(!cases.is_empty(), "{file}: no cases");
    let failures: Vec<String> = cases.iter().filter_map(|case| failure(case, &check)).collect();
    let summary = format!("{file}: {} of {} cases fail", failures.len(), cases.len());
    assert!(failures.is_empty(), "{summary}\n{}\n{summary}", failures.join("\n"));
}

/// The first few differences between two sorted lists, one a line.
pub(crate) fn difference<T: Debug + PartialEq>(expected: &[T], got: &[T]) -> Result<(), String> {
    const SHOWN: usize = 10;
    if expected == got {
        return Ok(());
    }
    let missing = expected.iter().filter(|entry| !got.contains(entry)).map(|entry| format!("    missing    {entry:?}"));
    let surplus = got.iter().filter(|entry| !expected.contains(entry)).map(|entry| format!("    unexpected {entry:?}"));
    let mut lines: Vec<String> = missing.chain(surplus).collect();
    if lines.is_empty() {
        lines.push(format!("    order or number of entries: expected {expected:?}, got {got:?}"));
    }
    let more = lines.len().saturating_sub(SHOWN);
    lines.truncate(SHOWN);
    if more > 0 {
        lines.push(format!("    … and {more} more"));
    }
    Err(lines.join("\n"))
}

fn failure<C: DeserializeOwned>(case: &Value, check: impl Fn(&C) -> Result<(), String>) -> Option<String> {
    let outcome =
        C::deserialize(case).map_err(|error| format!("    cannot be read: {error}")).and_then(|case| check(&case));
    outcome.err().map(|difference| format!("  case {} {}\n{difference}", case["id"], case["name"]))
}

#[expect(clippy::panic, reason = "a file that is missing or cannot be read fails the test")]
fn load(file: &str) -> Vec<Value> {
    #[derive(Deserialize)]
    struct File {
        cases: Vec<Value>,
    }
    let path = folder().join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: File = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.cases
}

/// Fails with all of `failures`, one a line.
pub(crate) fn assert_none(failures: &[String]) {
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

/// Where the vectors are.
pub(crate) fn folder() -> PathBuf {
    match std::env::var_os("FLAME_ON_VECTORS") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"),
    }
}
