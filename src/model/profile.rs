//! A finished trace's tree, ready to be filtered and encoded.

use std::sync::Arc;

use super::frame::NamedFrame;
use super::frame_hash::IdMap;
use super::time::Nanos;

/// Where [`ProfileNode::parent`] of the root points.
pub(crate) const NO_PARENT: u32 = u32::MAX;

/// A calling-context tree with names. Node 0 is the root; parents come before their children, and a
/// node's subtree is contiguous (pre-order), so every pass over it is a plain loop.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Profile {
    /// Frames of distinct names; [`ProfileNode::frame`] indexes it.
    pub(crate) frames: Vec<NamedFrame>,
    /// The nodes in pre-order. No two siblings have the same frame.
    pub(crate) nodes: Vec<ProfileNode>,
}

/// One path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProfileNode {
    /// Index into [`Profile::nodes`], or [`NO_PARENT`].
    pub(crate) parent: u32,
    /// Index into [`Profile::frames`].
    pub(crate) frame: u32,
    /// The time spent in exactly this path.
    pub(crate) own: Nanos,
}

impl Profile {
    /// The memory that it takes. Names may be shared with other profiles; counting them here keeps the sum on
    /// the safe side.
    pub(crate) fn bytes(&self) -> usize {
        /// The two counters before an `Arc`'s content.
        const ARC_HEADER: usize = 2 * size_of::<usize>();
        let names = self.frames.iter().map(|frame| &*frame.name);
        let texts: usize = names.chain(self.files().iter().copied()).map(|text| text.len() + ARC_HEADER).sum();
        texts + self.frames.capacity() * size_of::<NamedFrame>() + self.nodes.capacity() * size_of::<ProfileNode>()
    }

    /// The files that the frames are from; a text that frames share occurs once.
    pub(crate) fn files(&self) -> Vec<&str> {
        let files = self.frames.iter().filter_map(|frame| frame.source.as_ref()).map(|source| &source.file);
        let mut seen = IdMap::with_capacity_and_hasher(self.frames.len().min(64), Default::default());
        files.filter(|file| seen.insert(Arc::as_ptr(file).addr(), ()).is_none()).map(|file| &**file).collect()
    }

    /// The sum of all own times: the trace's duration.
    pub(crate) fn total(&self) -> Nanos {
        Nanos(self.nodes.iter().map(|node| node.own.0).sum())
    }
}
