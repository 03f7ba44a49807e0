//! `pprof.json`: samples, and what a decoder finds in the file made of them.

use std::collections::HashSet;

use flame_on::__vectors::{self, PprofProfile, PprofSample, Sample};
use prost::Message as _;
use serde::Deserialize;

use super::difference;

#[derive(Deserialize)]
pub(crate) struct Case {
    samples: Vec<Sample>,
    expected: Vec<Stack>,
    sample_types: Vec<(String, String)>,
}

#[derive(Deserialize, Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Stack {
    /// Leaf first.
    frames: Vec<String>,
    value: Vec<i64>,
}

pub(crate) fn check(case: &Case) -> Result<(), String> {
    let mut got = Vec::new();
    for file in __vectors::pprof(&case.samples) {
        let profile =
            PprofProfile::decode(file.as_slice()).map_err(|error| format!("    cannot be decoded: {error}"))?;
        check_tables(&profile)?;
        difference(&case.sample_types, &sample_types(&profile)?)?;
        got.append(&mut stacks(&profile)?);
    }
    got.sort();
    difference(&case.expected, &got)
}

/// What holds for every file: one string, one function and one location for each name.
fn check_tables(profile: &PprofProfile) -> Result<(), String> {
    is_distinct("string", &profile.string_table)?;
    is_distinct("function name", profile.function.iter().map(|function| function.name))?;
    is_distinct("function id", profile.function.iter().map(|function| function.id))?;
    is_distinct("location id", profile.location.iter().map(|location| location.id))?;
    is_distinct(
        "location's function",
        profile.location.iter().flat_map(|location| &location.line).map(|line| line.function_id),
    )?;
    match profile.string_table.first().map(String::as_str) {
        Some("") => Ok(()),
        first => Err(format!("    the first string is {first:?}")),
    }
}

fn is_distinct<T: std::hash::Hash + Eq + std::fmt::Debug>(
    what: &str,
    items: impl IntoIterator<Item = T>,
) -> Result<(), String> {
    let mut seen = HashSet::new();
    for item in items {
        if let Some(twice) = seen.replace(item) {
            return Err(format!("    {what} {twice:?} occurs twice"));
        }
    }
    Ok(())
}

fn sample_types(profile: &PprofProfile) -> Result<Vec<(String, String)>, String> {
    let types = profile.sample_type.iter();
    types.map(|value| Ok((string(profile, value.r#type)?, string(profile, value.unit)?))).collect()
}

fn stacks(profile: &PprofProfile) -> Result<Vec<Stack>, String> {
    let stack = |sample: &PprofSample| {
        let frames = sample.location_id.iter().map(|id| frame(profile, *id)).collect::<Result<_, _>>()?;
        Ok(Stack { frames, value: sample.value.clone() })
    };
    profile.sample.iter().map(stack).collect()
}

fn frame(profile: &PprofProfile, location: u64) -> Result<String, String> {
    let location = profile.location.iter().find(|candidate| candidate.id == location).ok_or("    no such location")?;
    let [line] = location.line.as_slice() else {
        return Err(format!("    {} lines in a location", location.line.len()));
    };
    let function =
        profile.function.iter().find(|candidate| candidate.id == line.function_id).ok_or("    no such function")?;
    if function.name != function.system_name {
        return Err("    name and system name differ".to_owned());
    }
    string(profile, function.name)
}

fn string(profile: &PprofProfile, index: i64) -> Result<String, String> {
    let string = usize::try_from(index).ok().and_then(|index| profile.string_table.get(index));
    string.cloned().ok_or_else(|| format!("    no string {index}"))
}
