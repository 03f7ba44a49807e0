//! What `benches/compare` drives: the parts that have no public face. Not a part of the API.

use crate::capture::clock::Clock;
use crate::encode::pprof::{ProfileMeta, encode};
use crate::encode::profile_filter::filter;
use crate::model::call_tree::{CallTree, NodeId};
use crate::model::fold::{Fold, FoldLimits};
use crate::model::frame::FrameId;
use crate::model::profile::Profile;
use crate::model::time::Nanos;
use crate::model::trace_event::TraceEvent;

/// The clock of the recorder, by itself.
#[derive(Debug)]
pub struct RawClock(Clock);

impl RawClock {
    /// Calibrates, if nobody in the process has.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it takes its time")]
    pub fn new() -> Self {
        Self(Clock::new())
    }

    /// One reading.
    #[inline]
    #[must_use]
    pub fn raw(&self) -> u64 {
        self.0.raw()
    }
}

/// Recorded words, and a fold to put them into.
#[derive(Debug)]
pub struct FoldRun {
    fold: Fold,
    words: Vec<u64>,
    at: u64,
}

impl FoldRun {
    /// A run over `paths` of equal depth, each entered from the root and left to it, in the order of `paths`.
    #[must_use]
    pub fn new(paths: &[Vec<u32>]) -> Self {
        let words = paths.iter().flat_map(|path| {
            let calls = path.iter().map(|frame| TraceEvent::Call(FrameId(*frame)));
            let returns =
                (0..path.len()).rev().map(|depth| TraceEvent::Return { depth: depth.try_into().unwrap_or(0) });
            calls.chain(returns).map(TraceEvent::to_word)
        });
        Self { words: words.collect(), fold: Fold::new(FoldLimits { max_stacks: 50_000, max_depth: 512 }), at: 0 }
    }

    /// Events of one run.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.words.len() as u64
    }

    /// Folds all events once more.
    pub fn run(&mut self) {
        for word in &self.words {
            self.at += 10;
            if let Some(event) = TraceEvent::from_word(*word) {
                self.fold.apply(event, Nanos(self.at));
            }
        }
    }
}

/// A finished trace's tree.
#[derive(Debug)]
pub struct FinishedTree(Profile);

impl FinishedTree {
    /// `chains` chains of `depth - 2` frames below the root, each with `leaves` leaves of `own_nanos`.
    #[must_use]
    pub fn new(chains: u32, depth: u32, leaves: u32, own_nanos: u64) -> Self {
        let mut tree = CallTree::new(usize::MAX);
        for chain in 0..chains {
            let end =
                (0..depth - 2).fold(NodeId::ROOT, |node, level| tree.child(node, FrameId(4 + level * chains + chain)));
            for leaf in 0..leaves {
                let leaf = tree.child(end, FrameId(4 + depth * chains + leaf));
                tree.add_own(leaf, Nanos(own_nanos + u64::from(chain % 7)));
            }
        }
        Self(tree.into_profile("shop.batch nightly", |frame| format!("shop::stock::Warehouse::step_{}", frame.0)))
    }

    /// The uncompressed pprof bytes of what the filter leaves at its lowest threshold.
    #[must_use]
    pub fn filter_and_encode(&self) -> Vec<u8> {
        let kept = filter(&self.0, Some(0.005));
        encode(&kept, &ProfileMeta { time_unix_nanos: 1, duration: kept.total(), comments: &[] })
    }
}
