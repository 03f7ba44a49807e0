//! A profile as stacks: each path, root first, and its own time.

use std::collections::HashMap;

use crate::proto::perftools::profiles::{Location, Profile, Sample};

/// Stacks of a profile at most. The agent's own bound is 50,000.
const MAX_PATHS: usize = 1_000_000;
/// Frames of a stack at most. The agent's own bound is 512.
const MAX_DEPTH: usize = 4_096;
/// Frames of all stacks together at most: 16 MiB of them.
const MAX_FRAMES: usize = 4 << 20;

/// What makes a profile useless.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BadProfile {
    #[error("there is no value in microseconds or nanoseconds")]
    NoTime,
    #[error("a sample has fewer values than there are sample types")]
    MissingValue,
    #[error("a sample's time is negative, or the sum is too large")]
    BadTime,
    #[error("an id or an index of {0} points nowhere")]
    Dangling(&'static str),
    #[error("a sample has no frames")]
    EmptyStack,
    #[error("there are no samples")]
    NoSamples,
    #[error(
        "a stack is deeper than {MAX_DEPTH} frames, or there are more than {MAX_PATHS} stacks or {MAX_FRAMES} frames"
    )]
    TooMuch,
}

/// A function, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Its source file; empty where it is not known.
    pub(crate) file: String,
}

/// The index of a function of these [`Stacks`].
pub(crate) type FunctionIndex = u32;

/// A profile's paths and their own times.
#[derive(Debug)]
pub(crate) struct Stacks {
    functions: Vec<Function>,
    /// All paths, one behind the other, each root first.
    frames: Vec<FunctionIndex>,
    /// Where each path ends in `frames`, and its own time in µs.
    paths: Vec<(usize, i64)>,
    total: i64,
}

impl Stacks {
    /// Reads a profile: ours, or any other that counts time.
    pub(crate) fn from_profile(profile: &Profile) -> Result<Self, BadProfile> {
        if profile.sample.len() > MAX_PATHS {
            return Err(BadProfile::TooMuch);
        }
        let time = TimeColumn::of(profile)?;
        let reader = Reader::new(profile)?;
        let mut stacks = Self { functions: Vec::new(), frames: Vec::new(), paths: Vec::new(), total: 0 };
        for sample in &profile.sample {
            let micros = time.micros(sample)?;
            stacks.total = stacks.total.checked_add(micros).ok_or(BadProfile::BadTime)?;
            reader.push_path(sample, &mut stacks.frames)?;
            stacks.paths.push((stacks.frames.len(), micros));
        }
        stacks.functions = reader.functions;
        if stacks.paths.is_empty() { Err(BadProfile::NoSamples) } else { Ok(stacks) }
    }

    /// Each path, root first, and its own time in µs.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (&[FunctionIndex], i64)> {
        let starts = std::iter::once(0).chain(self.paths.iter().map(|(end, _)| *end));
        starts.zip(&self.paths).filter_map(|(start, (end, micros))| Some((self.frames.get(start..*end)?, *micros)))
    }

    pub(crate) fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// The name of a function; empty for an index of other stacks.
    pub(crate) fn name(&self, function: FunctionIndex) -> &str {
        self.functions.get(function as usize).map_or("", |function| &function.name)
    }

    /// All paths' own times together, in µs.
    pub(crate) fn total(&self) -> i64 {
        self.total
    }

    /// The name of the first path's root.
    pub(crate) fn root(&self) -> &str {
        self.frames.first().map_or("", |root| self.name(*root))
    }
}

/// Which of a sample's values is its time, and what it has to be divided by.
struct TimeColumn {
    index: usize,
    per_micro: i64,
    columns: usize,
}

impl TimeColumn {
    fn of(profile: &Profile) -> Result<Self, BadProfile> {
        let columns = profile.sample_type.len();
        let described: Vec<_> = profile
            .sample_type
            .iter()
            .map(|column| (text(profile, column.r#type), text(profile, column.unit)))
            .collect();
        let ours = described.iter().position(|column| *column == ("self_us", "microseconds"));
        let in_unit = |unit| described.iter().position(|(_, other)| *other == unit);
        ours.or_else(|| in_unit("microseconds"))
            .map(|index| Self { index, per_micro: 1, columns })
            .or_else(|| in_unit("nanoseconds").map(|index| Self { index, per_micro: 1_000, columns }))
            .ok_or(BadProfile::NoTime)
    }

    fn micros(&self, sample: &Sample) -> Result<i64, BadProfile> {
        if sample.value.len() != self.columns {
            return Err(BadProfile::MissingValue);
        }
        match sample.value.get(self.index) {
            Some(value) if *value >= 0 => Ok(value / self.per_micro),
            _ => Err(BadProfile::BadTime),
        }
    }
}

/// A profile's tables, with ids resolved.
struct Reader {
    functions: Vec<Function>,
    /// Each location's functions, root first.
    locations: HashMap<u64, Vec<FunctionIndex>>,
}

impl Reader {
    fn new(profile: &Profile) -> Result<Self, BadProfile> {
        let mut by_id = HashMap::new();
        let mut functions = Vec::with_capacity(profile.function.len());
        for function in &profile.function {
            by_id.insert(function.id, u32::try_from(functions.len()).map_err(|_| BadProfile::TooMuch)?);
            let known = |index, of| string(profile, index).ok_or(BadProfile::Dangling(of)).map(str::to_owned);
            functions
                .push(Function { name: known(function.name, "a name")?, file: known(function.filename, "a file")? });
        }
        let locations = profile.location.iter().map(|location| Ok((location.id, functions_of(location, &by_id)?)));
        Ok(Self { functions, locations: locations.collect::<Result<_, BadProfile>>()? })
    }

    fn push_path(&self, sample: &Sample, frames: &mut Vec<FunctionIndex>) -> Result<(), BadProfile> {
        let start = frames.len();
        for location in sample.location_id.iter().rev() {
            frames.extend(self.locations.get(location).ok_or(BadProfile::Dangling("a location"))?);
            if frames.len() - start > MAX_DEPTH || frames.len() > MAX_FRAMES {
                return Err(BadProfile::TooMuch);
            }
        }
        if frames.len() == start { Err(BadProfile::EmptyStack) } else { Ok(()) }
    }
}

/// pprof lists a location's inlined functions innermost first.
fn functions_of(location: &Location, by_id: &HashMap<u64, FunctionIndex>) -> Result<Vec<FunctionIndex>, BadProfile> {
    let functions = location.line.iter().rev().map(|line| by_id.get(&line.function_id).copied());
    functions.collect::<Option<_>>().ok_or(BadProfile::Dangling("a function"))
}

fn string(profile: &Profile, index: i64) -> Option<&str> {
    profile.string_table.get(usize::try_from(index).ok()?).map(String::as_str)
}

fn text(profile: &Profile, index: i64) -> &str {
    string(profile, index).unwrap_or_default()
}

/// The value of the comment `key=value`; empty when there is none.
pub(crate) fn comment<'p>(profile: &'p Profile, key: &str) -> &'p str {
    let comments = profile.comment.iter().filter_map(|index| string(profile, *index));
    comments.filter_map(|comment| comment.strip_prefix(key)?.strip_prefix('=')).next().unwrap_or_default()
}

/// Whether a mark stands among the comments.
pub(crate) fn is_marked(profile: &Profile, mark: &str) -> bool {
    profile.comment.iter().any(|index| string(profile, *index) == Some(mark))
}

#[cfg(test)]
mod tests;
