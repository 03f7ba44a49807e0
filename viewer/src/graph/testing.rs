//! Profiles for tests, written as collapsed text.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use super::stacks::Stacks;
use crate::proto::perftools::profiles::{Function, Line, Location, Profile, Sample, ValueType};

/// A profile as the agent lays it out. A frame `name@file` has a source file.
pub(crate) fn profile(paths: &[(&str, i64)]) -> Profile {
    let mut strings: Vec<String> = ["", "self_us", "total_us", "microseconds"].map(String::from).into();
    let mut ids = BTreeMap::new();
    let mut made = Profile::default();
    for column in [1, 2] {
        made.sample_type.push(ValueType { r#type: column, unit: 3 });
    }
    for (path, micros) in paths {
        let frames: Vec<u64> = path.split(';').map(|frame| id_of(frame, &mut ids, &mut strings, &mut made)).collect();
        made.sample.push(Sample {
            location_id: frames.into_iter().rev().collect(),
            value: vec![*micros, *micros],
            label: vec![],
        });
    }
    made.string_table = strings;
    made.duration_nanos = paths.iter().map(|(_, micros)| micros * 1_000).sum();
    made
}

fn id_of(frame: &str, ids: &mut BTreeMap<String, u64>, strings: &mut Vec<String>, made: &mut Profile) -> u64 {
    if let Some(id) = ids.get(frame) {
        return *id;
    }
    let id = ids.len() as u64 + 1;
    ids.insert(frame.to_owned(), id);
    let (name, file) = frame.split_once('@').unwrap_or((frame, ""));
    let mut string = |text: &str| {
        strings.push(text.to_owned());
        strings.len() as i64 - 1
    };
    let (name, filename) = (string(name), if file.is_empty() { 0 } else { string(file) });
    made.function.push(Function { id, name, system_name: name, filename, start_line: 0 });
    let line = vec![Line { function_id: id, line: 0 }];
    made.location.push(Location { id, line, ..Location::default() });
    id
}

/// Adds a comment.
pub(crate) fn with_comment(mut profile: Profile, comment: &str) -> Profile {
    profile.comment.push(profile.string_table.len() as i64);
    profile.string_table.push(comment.to_owned());
    profile
}

/// The stacks of [`profile`].
pub(crate) fn stacks(paths: &[(&str, i64)]) -> Stacks {
    Stacks::from_profile(&profile(paths)).unwrap()
}
