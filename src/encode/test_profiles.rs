//! Profiles for property tests.

use proptest::prelude::*;

use crate::model::call_tree::{CallTree, NodeId};
use crate::model::frame::{FrameId, NamedFrame, Source};
use crate::model::profile::Profile;
use crate::model::time::Nanos;

const NAMES: [&str; 12] =
    ["", "self_us", "total_us", "microseconds", "a", "b;c", "d\ne", "SLEEP", "CALL X {:a}", "ü", "service=shop", "z"];

/// Trees of up to 200 paths of up to 8 frames, most with time of their own.
pub(super) fn profiles() -> impl Strategy<Value = Profile> {
    let frame = prop_oneof![12 => 0..12_u32, 1 => 12..400_u32];
    let time = prop_oneof![Just(0), 1..2_000_u64, 1..5_000_000_u64, Just(1_000), Just(1_u64 << 40)];
    let sample = (prop::collection::vec(frame, 0..8), time);
    (0..12_u32, prop::collection::vec(sample, 0..200)).prop_map(|(root, samples)| {
        let mut tree = CallTree::new(usize::MAX);
        for (frames, time) in samples {
            let node = frames.into_iter().fold(NodeId::ROOT, |node, frame| tree.child(node, FrameId(frame)));
            tree.add_own(node, Nanos(time));
        }
        tree.into_profile(&name(root), |frame| named(frame.0))
    })
}

/// Every third frame knows its source; some files are called like a frame, a string of the format, or a comment.
fn named(frame: u32) -> NamedFrame {
    let file = if frame < 100 { name(frame % 12) } else { format!("src/file_{}.rs", frame % 7) };
    let source = (frame.is_multiple_of(3) && !file.is_empty()).then(|| Source { file: file.into(), line: frame * 10 });
    NamedFrame { source, ..name(frame).into() }
}

fn name(frame: u32) -> String {
    NAMES.get(frame as usize).map_or_else(|| format!("frame {frame}"), |name| (*name).to_owned())
}
