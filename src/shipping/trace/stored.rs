//! A trace as it lies on disk: exact to the nanosecond, and readable by later versions.
//!
//! Not pprof: that rounds to microseconds, and a custom adapter is given the tree itself.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prost::Message as _;

use super::{Origin, Trace, TraceParts, unix_nanos};
use crate::model::frame::Source;
use crate::model::ids::TraceId;
use crate::model::profile::{NO_PARENT, Profile, ProfileNode};
use crate::model::time::Nanos;

/// The columns of the nodes have equal lengths. Field numbers are never used again for something else.
#[derive(Clone, PartialEq, prost::Message)]
struct StoredTrace {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(string, tag = "2")]
    event_name: String,
    #[prost(string, tag = "3")]
    identifier: String,
    #[prost(int64, tag = "4")]
    captured_at_unix_ns: i64,
    #[prost(string, tag = "5")]
    service: String,
    #[prost(string, tag = "6")]
    environment: String,
    #[prost(string, tag = "7")]
    release: String,
    #[prost(bool, tag = "8")]
    truncated: bool,
    #[prost(bool, tag = "9")]
    thinned: bool,
    #[prost(string, repeated, tag = "10")]
    frames: Vec<String>,
    #[prost(uint32, repeated, tag = "11")]
    node_parents: Vec<u32>,
    #[prost(uint32, repeated, tag = "12")]
    node_frames: Vec<u32>,
    #[prost(uint64, repeated, tag = "13")]
    node_own_ns: Vec<u64>,
    /// Where each frame stands in the source; empty where that is not known.
    #[prost(string, repeated, tag = "14")]
    frame_files: Vec<String>,
    #[prost(uint32, repeated, tag = "15")]
    frame_lines: Vec<u32>,
}

pub(super) fn write(trace: &Trace) -> Vec<u8> {
    let parts = &trace.0.parts;
    let nodes = &parts.profile.nodes;
    let sources = || parts.profile.frames.iter().map(|frame| frame.source.as_ref());
    let stored = StoredTrace {
        id: parts.id.bits().to_be_bytes().to_vec(),
        event_name: parts.event_name.to_string(),
        identifier: parts.identifier.to_string(),
        captured_at_unix_ns: unix_nanos(parts.captured_at),
        service: parts.origin.service.to_string(),
        environment: parts.origin.environment.to_string(),
        release: parts.origin.release.to_string(),
        truncated: parts.truncated,
        thinned: parts.thinned,
        frames: parts.profile.frames.iter().map(|frame| frame.name.to_string()).collect(),
        frame_files: sources()
            .map(|source| source.map_or_else(String::new, |source| source.file.to_string()))
            .collect(),
        frame_lines: sources().map(|source| source.map_or(0, |source| source.line)).collect(),
        node_parents: nodes.iter().map(|node| node.parent).collect(),
        node_frames: nodes.iter().map(|node| node.frame).collect(),
        node_own_ns: nodes.iter().map(|node| node.own.0).collect(),
    };
    stored.encode_to_vec()
}

pub(super) fn read(bytes: &[u8]) -> Option<Trace> {
    let stored = StoredTrace::decode(bytes).ok()?;
    let id = u128::from_be_bytes(stored.id.try_into().ok()?);
    let mut profile = profile(&stored.frames, &stored.node_parents, &stored.node_frames, &stored.node_own_ns)?;
    let sources = stored.frame_files.into_iter().zip(stored.frame_lines);
    for (frame, (file, line)) in profile.frames.iter_mut().zip(sources).filter(|(_, (file, _))| !file.is_empty()) {
        frame.source = Some(Source { file: file.into(), line });
    }
    let nanos = u64::try_from(stored.captured_at_unix_ns).ok()?;
    Some(Trace::new(TraceParts {
        id: TraceId::from_random(id),
        event_name: stored.event_name.into(),
        identifier: stored.identifier.into(),
        captured_at: SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(nanos))?,
        profile,
        origin: Arc::new(Origin {
            service: stored.service.into(),
            environment: stored.environment.into(),
            release: stored.release.into(),
        }),
        truncated: stored.truncated,
        thinned: stored.thinned,
        reservation: None,
        on_given_up: None,
    }))
}

/// The tree, if it is one: whoever walks it relies on that.
fn profile(frames: &[String], parents: &[u32], names: &[u32], own: &[u64]) -> Option<Profile> {
    if parents.len() != names.len() || parents.len() != own.len() {
        return None;
    }
    let columns = parents.iter().zip(names).zip(own);
    let nodes: Vec<ProfileNode> =
        columns.map(|((&parent, &frame), &own)| ProfileNode { parent, frame, own: Nanos(own) }).collect();
    let is_sound = nodes.iter().enumerate().all(|(index, node)| {
        let has_parent = if index == 0 { node.parent == NO_PARENT } else { (node.parent as usize) < index };
        has_parent && (node.frame as usize) < frames.len()
    });
    let has_a_sum = own.iter().try_fold(0_u64, |sum, own| sum.checked_add(*own)).is_some();
    let frames = frames.iter().map(|name| name.as_str().into()).collect();
    (is_sound && has_a_sum).then_some(Profile { frames, nodes })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::shipping::trace::tests::{parts, trace};

    #[test]
    fn a_stored_trace_is_the_trace() {
        for trace in [trace(7), Trace::new(TraceParts { truncated: true, thinned: true, ..parts(u128::MAX) })] {
            let back = read(&write(&trace)).unwrap();
            assert_eq!((back.id(), back.event_name(), back.identifier()), (trace.id(), "axum.request", "GET /a;b"));
            assert_eq!((back.duration(), back.captured_at()), (trace.duration(), trace.captured_at()));
            assert_eq!(back.0.parts.profile, trace.0.parts.profile);
            assert_eq!(back.pprof(), trace.pprof());
            assert_eq!((back.is_truncated(), back.is_thinned()), (trace.is_truncated(), trace.is_thinned()));
        }
    }

    #[test]
    fn a_tree_that_is_none_is_refused() {
        let frames = ["a".to_owned()];
        assert!(profile(&frames, &[NO_PARENT, 0], &[0, 0], &[1, 2]).is_some());
        assert!(profile(&frames, &[NO_PARENT, 1], &[0, 0], &[1, 2]).is_none(), "its own parent");
        assert!(profile(&frames, &[0, 0], &[0, 0], &[1, 2]).is_none(), "no root");
        assert!(profile(&frames, &[NO_PARENT, NO_PARENT], &[0, 0], &[1, 2]).is_none(), "two roots");
        assert!(profile(&frames, &[NO_PARENT], &[1], &[1]).is_none(), "no such name");
        assert!(profile(&frames, &[NO_PARENT], &[0], &[1, 2]).is_none(), "a time without a node");
        assert!(profile(&frames, &[NO_PARENT, 0], &[0, 0], &[u64::MAX, 2]).is_none(), "longer than time");
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_no_trace_or_another_one_but_never_a_panic(at in any::<usize>(), value in any::<u8>()) {
            let mut bytes = write(&trace(7));
            let length = bytes.len();
            bytes[at % length] = value;
            if let Some(trace) = read(&bytes) {
                trace.pprof();
                trace.paths().count();
            }
            read(&bytes[..at % length]);
        }
    }
}
