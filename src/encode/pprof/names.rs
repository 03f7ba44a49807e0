//! The string table, and the one function and location of each name.

use std::sync::Arc;

use super::to_index;

/// The strings that come first in every file, whatever its frames are called.
const FIXED: [&str; 4] = ["", "self_us", "total_us", "microseconds"];

/// Numbers names in the order in which they are first asked for.
pub(super) struct Names<'a> {
    frames: &'a [Arc<str>],
    /// The location, and function, of each frame: counted from 1; 0 is none yet.
    locations: Vec<u32>,
    /// The string of each function, in the order of their ids.
    function_names: Vec<u64>,
    strings: Vec<&'a str>,
}

impl<'a> Names<'a> {
    pub(super) const SELF_US: u64 = 1;
    pub(super) const TOTAL_US: u64 = 2;
    pub(super) const MICROSECONDS: u64 = 3;

    pub(super) fn new(frames: &'a [Arc<str>]) -> Self {
        let mut strings = Vec::with_capacity(FIXED.len() + frames.len());
        strings.extend(FIXED);
        Self { frames, locations: vec![0; frames.len()], function_names: Vec::with_capacity(frames.len()), strings }
    }

    /// The location of a frame: an id from 1.
    #[inline]
    pub(super) fn location_of(&mut self, frame: u32) -> u32 {
        match self.locations.get(to_index(frame)) {
            Some(&location) if location != 0 => location,
            _ => self.add(frame),
        }
    }

    /// The function ids and the string indexes of their names. Locations have the same ids.
    pub(super) fn functions(&self) -> impl Iterator<Item = (u64, u64)> {
        (1..).zip(self.function_names.iter().copied())
    }

    /// The strings in the order of their indexes.
    pub(super) fn strings(&self) -> &[&'a str] {
        &self.strings
    }

    /// The string indexes of the comments; a comment that equals another string shares it.
    pub(super) fn add_comments(&mut self, comments: &'a [String]) -> Vec<u64> {
        let index_of = |comment: &'a String| match self.strings.iter().position(|string| string == comment) {
            Some(index) => index as u64,
            None => push(&mut self.strings, comment),
        };
        comments.iter().map(index_of).collect()
    }

    fn add(&mut self, frame: u32) -> u32 {
        let name = self.frames.get(to_index(frame)).map_or("", |name| name);
        let fixed = FIXED.iter().position(|string| *string == name);
        let string = fixed.map_or_else(|| push(&mut self.strings, name), |index| index as u64);
        self.function_names.push(string);
        let id = u32::try_from(self.function_names.len()).unwrap_or(u32::MAX);
        if let Some(location) = self.locations.get_mut(to_index(frame)) {
            *location = id;
        }
        id
    }
}

fn push<'a>(strings: &mut Vec<&'a str>, string: &'a str) -> u64 {
    strings.push(string);
    strings.len() as u64 - 1
}
