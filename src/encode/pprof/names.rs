//! The string table, and the one function and location of each name.

use std::collections::HashMap;

use super::to_index;
use crate::model::frame::NamedFrame;

/// The strings that come first in every file, whatever its frames are called.
const FIXED: [&str; 4] = ["", "self_us", "total_us", "microseconds"];

/// Numbers names in the order in which they are first asked for.
pub(super) struct Names<'a> {
    frames: &'a [NamedFrame],
    /// The location, and function, of each frame: counted from 1; 0 is none yet.
    locations: Vec<u32>,
    /// In the order of their ids, which count from 1.
    functions: Vec<Function>,
    strings: Vec<&'a str>,
}

/// Names are indexes of strings; 0 stands for what is not known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Function {
    pub(super) name: u64,
    pub(super) file: u64,
    pub(super) line: u32,
    /// Index into the profile's frames.
    frame: u32,
}

impl<'a> Names<'a> {
    pub(super) const SELF_US: u64 = 1;
    pub(super) const TOTAL_US: u64 = 2;
    pub(super) const MICROSECONDS: u64 = 3;

    pub(super) fn new(frames: &'a [NamedFrame]) -> Self {
        let mut strings = Vec::with_capacity(FIXED.len() + frames.len());
        strings.extend(FIXED);
        Self { frames, locations: vec![0; frames.len()], functions: Vec::with_capacity(frames.len()), strings }
    }

    /// The location of a frame: an id from 1.
    #[inline]
    pub(super) fn location_of(&mut self, frame: u32) -> u32 {
        match self.locations.get(to_index(frame)) {
            Some(&location) if location != 0 => location,
            _ => self.add(frame),
        }
    }

    /// The functions and their ids. Locations have the same ids.
    pub(super) fn functions(&self) -> impl Iterator<Item = (u64, Function)> {
        (1..).zip(self.functions.iter().copied())
    }

    /// The strings in the order of their indexes.
    pub(super) fn strings(&self) -> &[&'a str] {
        &self.strings
    }

    /// Says where the functions asked for so far are from. Behind all names, so that a file that is called like one
    /// of them shares its string.
    pub(super) fn add_sources(&mut self) {
        // Filled at the first source: a profile without any does without it.
        let mut indexes: HashMap<&str, u64> = HashMap::new();
        for function in &mut self.functions {
            let frame = self.frames.get(to_index(function.frame));
            let Some(source) = frame.and_then(|frame| frame.source.as_ref()) else { continue };
            if indexes.is_empty() {
                indexes.extend(self.strings.iter().copied().zip(0..));
            }
            function.file = *indexes.entry(&source.file).or_insert_with(|| push(&mut self.strings, &source.file));
            function.line = source.line;
        }
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
        let text = self.frames.get(to_index(frame)).map_or("", |frame| &frame.name);
        let fixed = FIXED.iter().position(|string| *string == text);
        let name = fixed.map_or_else(|| push(&mut self.strings, text), |index| index as u64);
        self.functions.push(Function { name, file: 0, line: 0, frame });
        let id = u32::try_from(self.functions.len()).unwrap_or(u32::MAX);
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
