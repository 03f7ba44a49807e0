//! Reads a file of vectors.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde_json::Value;

/// The file's whole content, or the line that says why it cannot be read.
pub(crate) fn read(dir: &Path, file: &str) -> Result<Value, String> {
    let opened = File::open(dir.join(file)).map_err(|error| format!("{file}: {error}"))?;
    serde_json::from_reader(BufReader::new(opened)).map_err(|error| format!("{file}: {error}"))
}

/// The file's `cases`, of which there is at least one.
pub(crate) fn read_cases(dir: &Path, file: &str) -> Result<Vec<Value>, String> {
    match read(dir, file)?["cases"].as_array() {
        Some(cases) if !cases.is_empty() => Ok(cases.clone()),
        _ => Err(format!("{file}: no cases")),
    }
}
