//! A finished trace as a pprof file, written straight from the tree.
//!
//! Building the messages first would take two allocations for each sample. Here a sample's stack is one copy out
//! of [`StackBytes`].

mod names;
mod stack_bytes;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use self::names::{Function, Names};
use self::stack_bytes::StackBytes;
use super::micros::own_micros;
use super::protobuf::{MAX_VARINT, bytes_len, number_len, put_bytes, put_header, put_number, put_varint, varint_len};
use crate::model::profile::Profile;
use crate::model::time::Nanos;

/// Field numbers of `perftools.profiles.Profile`.
mod field {
    pub(super) const SAMPLE_TYPE: u8 = 1;
    pub(super) const SAMPLE: u8 = 2;
    pub(super) const LOCATION: u8 = 4;
    pub(super) const FUNCTION: u8 = 5;
    pub(super) const STRING_TABLE: u8 = 6;
    pub(super) const TIME_NANOS: u8 = 9;
    pub(super) const DURATION_NANOS: u8 = 10;
    pub(super) const COMMENT: u8 = 13;

    /// `ValueType`.
    pub(super) const VALUE_TYPE_TYPE: u8 = 1;
    pub(super) const VALUE_TYPE_UNIT: u8 = 2;

    /// `Sample`.
    pub(super) const SAMPLE_LOCATION_ID: u8 = 1;
    pub(super) const SAMPLE_VALUE: u8 = 2;

    /// `Location`, and its `Line`.
    pub(super) const LOCATION_ID: u8 = 1;
    pub(super) const LOCATION_LINE: u8 = 4;
    pub(super) const LINE_FUNCTION_ID: u8 = 1;
    pub(super) const LINE_LINE: u8 = 2;

    /// `Function`.
    pub(super) const FUNCTION_ID: u8 = 1;
    pub(super) const FUNCTION_NAME: u8 = 2;
    pub(super) const FUNCTION_SYSTEM_NAME: u8 = 3;
    pub(super) const FUNCTION_FILENAME: u8 = 4;
    pub(super) const FUNCTION_START_LINE: u8 = 5;
}

/// What a profile says beside its samples.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProfileMeta<'a> {
    /// The start of the trace, in nanoseconds since 1970.
    pub(crate) time_unix_nanos: i64,
    /// The trace's duration.
    pub(crate) duration: Nanos,
    /// `key=value` lines and marks, in this order.
    pub(crate) comments: &'a [String],
}

/// The profile as an uncompressed pprof message. Times are in whole microseconds and sum to the total's; a path
/// with less than one is left out, and so is a name that no path is left of. Equal input gives equal bytes.
pub(crate) fn encode(profile: &Profile, meta: &ProfileMeta<'_>) -> Vec<u8> {
    let micros: Vec<u64> = own_micros(profile).collect();
    let mut names = Names::new(&profile.frames);
    let mut out = Vec::with_capacity(encoded_size_hint(profile, meta));
    put_sample_types(&mut out);
    put_samples(&mut out, profile, &micros, &mut names);
    names.add_sources();
    let comments = names.add_comments(meta.comments);
    put_locations(&mut out, &names);
    put_functions(&mut out, &names);
    for string in names.strings() {
        put_bytes(&mut out, field::STRING_TABLE, string.as_bytes());
    }
    put_number(&mut out, field::TIME_NANOS, meta.time_unix_nanos.cast_unsigned());
    put_number(&mut out, field::DURATION_NANOS, meta.duration.0);
    put_packed(&mut out, field::COMMENT, &comments);
    out
}

/// No less than the length of [`encode`]'s bytes, and not much more, at the cost of one pass over the tree.
pub(crate) fn encoded_size_hint(profile: &Profile, meta: &ProfileMeta<'_>) -> usize {
    // Tag and length of a message, and what is in each field of a location and a function.
    const FRAME: usize = 2 * (1 + MAX_VARINT_32) + 5 * (1 + MAX_VARINT_32) + 2;
    // The file's index, and the line in both.
    const SOURCE: usize = 3 * (1 + MAX_VARINT_32);
    const MAX_VARINT_32: usize = 5;
    const FIXED: usize = 128;
    let names = profile.frames.iter().map(|frame| &*frame.name);
    let strings = names.chain(profile.files()).chain(meta.comments.iter().map(String::as_str));
    let strings: usize = strings.map(|string| bytes_len(string.len()) + MAX_VARINT_32).sum();
    let sources = profile.frames.iter().filter(|frame| frame.source.is_some()).count();
    FIXED + strings + profile.frames.len() * FRAME + sources * SOURCE + samples_size_hint(profile)
}

fn samples_size_hint(profile: &Profile) -> usize {
    let id_len = varint_len(profile.frames.len() as u64);
    let value_len = 2 * varint_len(profile.total().whole_micros() + 1);
    let mut size = 0;
    let mut depths: Vec<u32> = Vec::with_capacity(profile.nodes.len());
    for node in &profile.nodes {
        let depth = depths.get(to_index(node.parent)).map_or(1, |depth| depth + 1);
        depths.push(depth);
        if node.own > Nanos::ZERO {
            size += bytes_len(bytes_len(to_index(depth) * id_len) + bytes_len(value_len));
        }
    }
    size
}

fn put_sample_types(out: &mut Vec<u8>) {
    for name in [Names::SELF_US, Names::TOTAL_US] {
        put_header(out, field::SAMPLE_TYPE, number_len(name) + number_len(Names::MICROSECONDS));
        put_number(out, field::VALUE_TYPE_TYPE, name);
        put_number(out, field::VALUE_TYPE_UNIT, Names::MICROSECONDS);
    }
}

/// One sample for each node with time of its own, both values being that time.
fn put_samples<'a>(out: &mut Vec<u8>, profile: &'a Profile, micros: &[u64], names: &mut Names<'a>) {
    let has_samples = mark_ancestors(profile, micros);
    let mut stacks = StackBytes::new(profile.nodes.len());
    for ((node, &micros), &has_samples) in profile.nodes.iter().zip(micros).zip(&has_samples) {
        if !has_samples {
            stacks.skip();
            continue;
        }
        let stack = stacks.enter(node.parent, names.location_of(node.frame));
        if micros > 0 {
            put_sample(out, stack, micros);
        }
    }
}

#[inline]
fn put_sample(out: &mut Vec<u8>, stack: &[u8], micros: u64) {
    let values_len = 2 * varint_len(micros);
    put_header(out, field::SAMPLE, bytes_len(stack.len()) + bytes_len(values_len));
    put_bytes(out, field::SAMPLE_LOCATION_ID, stack);
    put_header(out, field::SAMPLE_VALUE, values_len);
    put_varint(out, micros);
    put_varint(out, micros);
}

/// Whether each node or a descendant of it has a sample.
fn mark_ancestors(profile: &Profile, micros: &[u64]) -> Vec<bool> {
    let mut marked: Vec<bool> = micros.iter().map(|micros| *micros > 0).collect();
    for (index, node) in profile.nodes.iter().enumerate().rev() {
        let is_marked = marked.get(index).copied().unwrap_or(false);
        if let Some(parent) = marked.get_mut(to_index(node.parent)) {
            *parent |= is_marked;
        }
    }
    marked
}

fn put_locations(out: &mut Vec<u8>, names: &Names<'_>) {
    for (id, function) in names.functions() {
        let line = u64::from(function.line);
        let line_len = number_len(id) + number_len(line);
        put_header(out, field::LOCATION, number_len(id) + bytes_len(line_len));
        put_number(out, field::LOCATION_ID, id);
        put_header(out, field::LOCATION_LINE, line_len);
        put_number(out, field::LINE_FUNCTION_ID, id);
        put_number(out, field::LINE_LINE, line);
    }
}

fn put_functions(out: &mut Vec<u8>, names: &Names<'_>) {
    for (id, Function { name, file, line, .. }) in names.functions() {
        let line = u64::from(line);
        let source_len = number_len(file) + number_len(line);
        put_header(out, field::FUNCTION, number_len(id) + 2 * number_len(name) + source_len);
        put_number(out, field::FUNCTION_ID, id);
        put_number(out, field::FUNCTION_NAME, name);
        put_number(out, field::FUNCTION_SYSTEM_NAME, name);
        put_number(out, field::FUNCTION_FILENAME, file);
        put_number(out, field::FUNCTION_START_LINE, line);
    }
}

fn put_packed(out: &mut Vec<u8>, field: u8, numbers: &[u64]) {
    if !numbers.is_empty() {
        put_header(out, field, numbers.iter().map(|number| varint_len(*number)).sum());
        numbers.iter().for_each(|number| put_varint(out, *number));
    }
}

fn to_index(index: u32) -> usize {
    index as usize
}

const _: () = assert!(MAX_VARINT == 10, "the fixed part of the size hint counts on it");
