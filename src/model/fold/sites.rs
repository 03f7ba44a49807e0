//! Where a task waits: the futures that were polled and are still pending.
//!
//! A future polled earlier but not in the latest poll (a `FuturesUnordered` polls only what was woken) is still
//! pending, so a site stays until its frame is entered again or its future is dropped. An outer future that
//! leaves after its inner one is an ancestor of the inner one's site and adds nothing. If an inner future
//! completes and its outer one goes on waiting, the outer one's own `Leave` makes it the site.
//!
//! Futures of one path are one site. Counting them was ruled out: a future polled twice in one poll (`select!` on a
//! borrowed future, in a loop) looks like two, and the second would stay pending for ever. So when one of several
//! equal futures completes, the sleep moves to the outer future until another of them is polled.

use crate::model::call_tree::{CallTree, NodeId};
use crate::model::frame::FrameId;

/// Sites at most. Each `Leave` and each `Call` compares with all of them;
/// past it they are replaced by their common ancestor, which is where a sleep would be shown anyway.
const MAX_SITES: usize = 64;

/// The pending sites of one trace, the latest last. None is an ancestor of another.
#[derive(Debug, Default)]
pub(super) struct PendingSites(Vec<Site>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Site {
    node: NodeId,
    /// What `node` was entered as: a path that found no room in the tree has its parent's node.
    frame: FrameId,
}

impl PendingSites {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// A future of this path is polled again: what it waits for is open until it leaves.
    pub(super) fn enter(&mut self, node: NodeId, frame: FrameId) {
        self.0.retain(|site| *site != Site { node, frame });
    }

    /// A future was dropped; of several sites with its frame, the latest.
    pub(super) fn abandon(&mut self, frame: FrameId) {
        if let Some(index) = self.0.iter().rposition(|site| site.frame == frame) {
            self.0.remove(index);
        }
    }

    /// A future of this path is pending.
    pub(super) fn leave(&mut self, tree: &CallTree, node: NodeId, frame: FrameId) {
        if self.0.iter().any(|site| tree.is_ancestor_or_equal(node, site.node)) {
            return;
        }
        self.0.retain(|site| !tree.is_ancestor_or_equal(site.node, node));
        if self.0.len() >= MAX_SITES {
            self.collapse(tree);
        }
        self.0.push(Site { node, frame });
    }

    /// Where the task waits: the one site, the common ancestor of several, else the root.
    pub(super) fn common_ancestor(&self, tree: &CallTree) -> NodeId {
        let nodes = self.0.iter().map(|site| site.node);
        nodes.reduce(|one, other| tree.common_ancestor(one, other)).unwrap_or(NodeId::ROOT)
    }

    pub(super) fn approx_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Site>()
    }

    fn collapse(&mut self, tree: &CallTree) {
        let node = self.common_ancestor(tree);
        self.0.clear();
        if node != NodeId::ROOT {
            self.0.push(Site { node, frame: tree.frame(node) });
        }
    }
}
