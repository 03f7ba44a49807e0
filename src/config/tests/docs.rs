//! `docs/configuration.md` is written from the table. `UPDATE_DOCS=1 cargo test --lib config::tests::docs` writes it
//! again.

use serde_json::Value;

use super::table::{Entry, entries};
use crate::model::config::keys::KEYS;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
const INTRODUCTION: &str = include_str!("configuration_introduction.md");

/// `32 MiB` for bytes that are a whole number of them.
fn in_binary_units(bytes: u64) -> Option<String> {
    let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    units
        .iter()
        .find(|(size, _)| bytes >= *size && bytes.is_multiple_of(*size))
        .map(|(size, unit)| format!("{} {unit}", bytes / size))
}

fn default_text(entry: &Entry) -> String {
    match &entry.description.default {
        None => "–".to_owned(),
        Some(Value::String(text)) => format!("`{text}`"),
        Some(value) => {
            let binary = (entry.description.kind == "bytes").then(|| in_binary_units(value.as_u64()?)).flatten();
            format!("`{value}`{}", binary.map_or(String::new(), |text| format!(" ({text})")))
        }
    }
}

fn line(entry: &Entry) -> String {
    let key = KEYS.iter().find(|key| key.name == entry.key).expect("every entry is a key");
    let meaning: String = key.docs.concat();
    let reload = if key.is_live { "applied" } else { "restart" };
    let (kind, default, allowed) = (entry.description.kind, default_text(entry), &entry.expected);
    format!("| `{}` | {kind} | {default} | {allowed} | {reload} | {} |\n", entry.key, meaning.trim())
}

fn written() -> String {
    INTRODUCTION.lines().map(|line| format!("{line}\n")).chain(entries().iter().map(line)).collect()
}

#[test]
fn the_documentation_says_what_the_table_says() {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PATH, written()).expect("the documentation can be written");
    }
    let present = std::fs::read_to_string(PATH).expect("the documentation exists");
    assert!(present == written(), "docs/configuration.md is stale: run this test with UPDATE_DOCS=1");
}

#[test]
fn every_key_says_what_it_means_in_a_sentence() {
    for key in KEYS {
        let text = key.docs.concat();
        assert!(text.trim().ends_with('.') && !text.contains('|'), "{}", key.name);
    }
}

#[test]
fn a_key_that_takes_names_says_which() {
    for (entry, key) in entries().iter().zip(KEYS).filter(|(entry, _)| entry.description.kind == "name") {
        for (name, _) in entry.description.edges.iter().filter(|(_, is_allowed)| *is_allowed) {
            let name = name.as_str().expect("a name");
            assert!(key.docs.concat().contains(&format!("`{name}`")), "{} does not say {name}", key.name);
        }
    }
}
