//! Tests of every entry of the table.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::env;
use crate::Settings;
use crate::config::env::Environment;
use crate::model::config::keys::{KEYS, key, with_keys};
use crate::model::config::kinds::{Description, Kind};
use crate::model::config::{Limits, Problem};

/// What the table says about a key.
pub(super) struct Entry {
    pub(super) key: &'static str,
    pub(super) expected: String,
    pub(super) description: Description,
}

macro_rules! entries {
    ($(
        $(#[doc = $doc:literal])+ $(#[serde($serde:ident)])?
        $key:ident => $name:ident: $kind:ident $spec:tt, $change:ident;
    )+) => {
        pub(super) fn entries() -> Vec<Entry> {
            vec![$(Entry {
                key: stringify!($key),
                expected: key::$key.expected(),
                description: key::$key.describe(),
            }),+]
        }
    };
}

with_keys!(entries);

/// The settings in which one key has a value.
fn settings(key: &str, value: &Value) -> Settings {
    serde_json::from_value(json!({ key: value })).unwrap_or_else(|error| panic!("{key} = {value}: {error}"))
}

fn problems(settings: &Settings) -> (Limits, Vec<Problem>) {
    let mut problems = Vec::new();
    let limits = Limits::check(settings, &mut problems);
    (limits, problems)
}

/// The value as an environment variable holds it.
fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(names) => names.iter().map(|name| name.as_str().unwrap_or("")).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn variable(key: &str) -> String {
    format!("FLAME_ON_{}", key.to_uppercase())
}

#[test]
fn no_key_is_in_the_table_twice() {
    let distinct: HashSet<_> = KEYS.iter().map(|key| key.name).collect();
    assert_eq!(distinct.len(), KEYS.len());
}

#[test]
fn the_defaults_are_a_valid_configuration() {
    let (_, problems) = problems(&Settings::default());
    assert_eq!(problems, []);
}

#[test]
fn a_written_default_is_the_same_as_an_unwritten_one() {
    let defaults = Limits::default();
    for Entry { key, description, .. } in entries() {
        if let Some(default) = description.default {
            let (limits, problems) = problems(&settings(key, &default));
            assert_eq!((problems, defaults.changed_keys(&limits)), (Vec::new(), Vec::new()), "{key}");
        }
    }
}

#[test]
fn every_key_is_refused_just_outside_of_its_range_and_allowed_at_its_ends() {
    for Entry { key, expected, description } in entries() {
        assert!(!description.edges.is_empty(), "{key} has no edges");
        for (value, is_allowed) in description.edges {
            let (_, problems) = problems(&settings(key, &value));
            let is_refused = problems.iter().any(|problem| problem.key == key && problem.expected == expected);
            assert_eq!(!is_refused, is_allowed, "{key} = {value}: {problems:?}");
        }
    }
}

#[test]
fn every_variable_says_the_same_as_its_key() {
    for Entry { key, expected, description } in entries() {
        for (value, is_allowed) in description.edges {
            let text = as_text(&value);
            if text != text.trim() {
                continue;
            }
            let mut problems = Vec::new();
            let read = env([(&variable(key), &text)]).settings(&mut problems);
            if is_allowed {
                assert_eq!((read, problems), (settings(key, &value), Vec::new()), "{key} = {value}");
            } else {
                assert_eq!(read, Settings::default(), "{key} = {value}");
                assert_eq!(problems.len(), 1, "{key} = {value}");
                assert_eq!((&problems[0].key, &problems[0].expected), (&variable(key), &expected));
            }
        }
    }
}

#[test]
fn every_variable_that_is_empty_counts_as_not_set() {
    for blank in ["", "  "] {
        let all: Environment = KEYS.iter().map(|key| (variable(key.name), blank)).collect();
        let mut problems = Vec::new();
        assert_eq!((all.settings(&mut problems), all.warnings()), (Settings::default(), Vec::new()));
        assert_eq!(problems, []);
    }
}

#[test]
fn every_variable_that_is_no_value_of_its_kind_is_a_problem() {
    for Entry { key, expected, description } in entries() {
        if matches!(description.kind, "text" | "path" | "secret" | "list") {
            continue;
        }
        let mut problems = Vec::new();
        env([(&variable(key), "seven of nine")]).settings(&mut problems);
        let expected = Problem { key: variable(key), value: "seven of nine".to_owned(), expected };
        assert_eq!(problems, [expected]);
    }
}
