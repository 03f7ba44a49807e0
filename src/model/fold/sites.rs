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
//!
//! Spans are exited whether they are done or wait, so what they say holds for one poll: a span that is exited in it
//! and neither entered again nor closed is where the task waits. A span that another handle keeps from closing is
//! then wrong once at most, not for the rest of the trace. The price: of instrumented futures that are not polled in
//! the latest poll nothing is known.

use crate::model::call_tree::{CallTree, NodeId};
use crate::model::frame::FrameId;

/// Sites at most. Each `Leave` and each `Call` compares with all of them;
/// past it they are replaced by their common ancestor, which is where a sleep would be shown anyway.
const MAX_SITES: usize = 64;

/// The pending sites of one trace. In each list the latest is the last, and none is an ancestor of another.
#[derive(Debug, Default)]
pub(super) struct PendingSites {
    /// Futures that are known to be pending.
    pending: Vec<Site>,
    /// Spans exited in this poll.
    paused: Vec<Site>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Site {
    node: NodeId,
    /// What `node` was entered as: a path that found no room in the tree has its parent's node.
    frame: FrameId,
}

impl PendingSites {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.paused.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.pending.clear();
        self.paused.clear();
    }

    /// What the spans of the poll before said is over.
    pub(super) fn begin_poll(&mut self) {
        self.paused.clear();
    }

    /// A future or a span of this path is entered again: what it waits for is open until it leaves.
    pub(super) fn enter(&mut self, node: NodeId, frame: FrameId) {
        for sites in [&mut self.pending, &mut self.paused] {
            sites.retain(|site| *site != Site { node, frame });
        }
    }

    /// A future was dropped or a span closed; of several sites with its frame, the latest.
    pub(super) fn abandon(&mut self, frame: FrameId) {
        for sites in [&mut self.paused, &mut self.pending] {
            if let Some(index) = sites.iter().rposition(|site| site.frame == frame) {
                sites.remove(index);
                return;
            }
        }
    }

    /// A future of this path is pending.
    pub(super) fn leave(&mut self, tree: &CallTree, node: NodeId, frame: FrameId) {
        add(&mut self.pending, tree, Site { node, frame });
    }

    /// A span of this path is exited.
    pub(super) fn pause(&mut self, tree: &CallTree, node: NodeId, frame: FrameId) {
        add(&mut self.paused, tree, Site { node, frame });
    }

    /// Where the task waits: the one site, the common ancestor of several, else the root.
    pub(super) fn common_ancestor(&self, tree: &CallTree) -> NodeId {
        if self.paused.is_empty() {
            return common_ancestor(&self.pending, tree);
        }
        // A span may stand inside a pending future, or one inside it: then the inner one says where.
        let mut all = self.pending.clone();
        self.paused.iter().for_each(|site| add(&mut all, tree, *site));
        common_ancestor(&all, tree)
    }

    pub(super) fn approx_bytes(&self) -> usize {
        (self.pending.capacity() + self.paused.capacity()) * size_of::<Site>()
    }
}

/// Adds `site`, unless one inside it says more, and in place of those that say less.
fn add(sites: &mut Vec<Site>, tree: &CallTree, site: Site) {
    if sites.iter().any(|inner| tree.is_ancestor_or_equal(site.node, inner.node)) {
        return;
    }
    sites.retain(|outer| !tree.is_ancestor_or_equal(outer.node, site.node));
    if sites.len() >= MAX_SITES {
        collapse(sites, tree);
    }
    sites.push(site);
}

fn common_ancestor(sites: &[Site], tree: &CallTree) -> NodeId {
    let nodes = sites.iter().map(|site| site.node);
    nodes.reduce(|one, other| tree.common_ancestor(one, other)).unwrap_or(NodeId::ROOT)
}

fn collapse(sites: &mut Vec<Site>, tree: &CallTree) {
    let node = common_ancestor(sites, tree);
    sites.clear();
    if node != NodeId::ROOT {
        sites.push(Site { node, frame: tree.frame(node) });
    }
}
