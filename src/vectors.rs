//! What `tests/golden.rs` runs: the parts that have no public face, on plain types. Not a part of the API.
//!
//! Times are plain numbers in one unit, whichever the caller uses, except where a name says otherwise.

#[path = "vectors/preemption.rs"]
mod preemption;

pub use crate::encode::proto::perftools::profiles::{Profile as PprofProfile, Sample as PprofSample};

use std::collections::HashMap;

use crate::encode::pprof::{ProfileMeta, encode};
use crate::encode::profile_filter;
use crate::model::call_tree::{CallTree, NodeId};
use crate::model::frame::FrameId;
use crate::model::profile::{Profile, ProfileNode};
use crate::model::time::Nanos;

/// One event of a source that preempts: a function is suspended where it stands and goes on there.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A function is entered.
    Call(&'a str),
    /// Functions return until this one runs; `None` is one that is not traced.
    ReturnTo(Option<&'a str>),
    /// The process is suspended.
    Out,
    /// The process goes on.
    In,
    /// The target took a call.
    Receive {
        /// Names the call within the trace.
        id: u32,
        /// The frame to show.
        label: &'a str,
    },
    /// The target answered a call.
    Send {
        /// As in `Receive`.
        id: u32,
    },
}

/// A path joined with `;`, and the time spent in exactly it.
pub type Sample = (String, u64);

/// Own time by path, of the trace that begins at the first event and ends at the last. A name stands in a path as
/// it is.
#[must_use]
pub fn fold(root_label: &str, events: &[(Event<'_>, u64)]) -> Vec<Sample> {
    let mut names = Names::new();
    let finished = preemption::fold(events, &mut names);
    let profile = finished.tree.into_profile(root_label, |frame| names.name(frame));
    assert_eq!(profile.total(), finished.duration, "own times sum to the duration");
    samples_of(&profile, 0)
}

/// What the profile filter leaves of samples, in any number of trees.
#[must_use]
pub fn filter(samples: &[Sample], threshold: Option<f64>) -> Vec<Sample> {
    // All trees stand under one root, which is never small: each is judged by its share of the whole.
    let paths = samples.iter().map(|(path, time)| (path.split(';'), Nanos(*time)));
    samples_of(&profile_filter::filter(&profile_of("", paths), threshold), 1)
}

/// The pprof file of each tree among samples in microseconds: a trace has one root, so several roots make several
/// files.
#[must_use]
pub fn pprof(samples: &[Sample]) -> Vec<Vec<u8>> {
    let mut roots: Vec<&str> = samples.iter().filter_map(|(path, _)| path.split(';').next()).collect();
    roots.sort_unstable();
    roots.dedup();
    let file_of = |root: &str| {
        let paths = samples.iter().filter_map(|(path, micros)| {
            let mut frames = path.split(';');
            (frames.next() == Some(root)).then_some((frames, Nanos(micros * 1_000)))
        });
        let profile = profile_of(root, paths);
        let meta = ProfileMeta { time_unix_nanos: 0, duration: profile.total(), comments: &[] };
        encode(&profile, &meta)
    };
    roots.into_iter().map(file_of).collect()
}

/// Samples, by the frames below the root, as a profile.
fn profile_of<'a, F: Iterator<Item = &'a str>>(root: &str, samples: impl Iterator<Item = (F, Nanos)>) -> Profile {
    let mut names = Names::new();
    let mut tree = CallTree::new(usize::MAX);
    for (frames, time) in samples {
        let node = frames.fold(NodeId::ROOT, |node, frame| tree.child(node, names.id(frame)));
        tree.add_own(node, time);
    }
    tree.into_profile(root, |frame| names.name(frame))
}

/// The paths with time of their own, without their first `roots` frames.
fn samples_of(profile: &Profile, roots: usize) -> Vec<Sample> {
    let with_time = profile.nodes.iter().filter(|node| node.own > Nanos::ZERO);
    with_time.map(|node| (path_of(profile, node, roots), node.own.0)).collect()
}

fn path_of(profile: &Profile, node: &ProfileNode, roots: usize) -> String {
    let nodes = std::iter::successors(Some(node), |node| profile.nodes.get(to_index(node.parent)));
    let mut names: Vec<&str> =
        nodes.filter_map(|node| profile.frames.get(to_index(node.frame))).map(|frame| &*frame.name).collect();
    names.reverse();
    names.get(roots..).unwrap_or_default().join(";")
}

/// Frame ids for the names of one case, without the limits that the process-wide table has.
struct Names<'a> {
    ids: HashMap<&'a str, FrameId>,
    names: Vec<&'a str>,
}

impl<'a> Names<'a> {
    fn new() -> Self {
        let mut names = Self { ids: HashMap::new(), names: Vec::new() };
        for reserved in ["(other)", "SLEEP", "QUEUE", "PEER"] {
            names.id(reserved);
        }
        names
    }

    fn id(&mut self, name: &'a str) -> FrameId {
        let next = FrameId(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        let id = *self.ids.entry(name).or_insert(next);
        if id == next {
            self.names.push(name);
        }
        id
    }

    fn name(&self, id: FrameId) -> &'a str {
        self.names.get(to_index(id.0)).copied().unwrap_or_default()
    }
}

fn to_index(index: u32) -> usize {
    index as usize
}
