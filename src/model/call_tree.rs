//! The calling-context tree that a trace is folded into while it runs.
//!
//! Nodes stand in one flat vector, a parent always before its children, so no walk recurses. The children of
//! a node are a ring in the order in which they first ran, entered at the one used last: a call of the same
//! function again, or of the one that came next before, is found at once. (In a list with the latest used in
//! front, each call of a loop over the same calls is the last one.) A ring that grows past [`RING_MAX`] is searched
//! through one map of the tree, or a fan-out of n would cost n² steps.

mod into_profile;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use super::frame::FrameId;
use super::frame_hash::IdMap;
use super::time::Nanos;

/// Children that are searched one by one; with more, they are found in [`CallTree::wide`]. A miss walks the whole
/// ring; 17 nodes of 32 bytes are 9 cache lines, about where a look-up in the map becomes the cheaper way.
const RING_MAX: u32 = 16;

/// Stands where there is no node.
const NONE: u32 = u32::MAX;

/// Indexes the nodes of one [`CallTree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(u32);

impl NodeId {
    /// The root, there from the start.
    pub(crate) const ROOT: Self = Self(0);
}

/// One path.
///
/// ```text
/// parent ── latest_child ──► a ── next_sibling ──► b ──► c ──► a
/// ```
#[derive(Debug, Clone, Copy)]
struct Node {
    own: Nanos,
    parent: u32,
    frame: FrameId,
    latest_child: u32,
    next_sibling: u32,
    children: u32,
    depth: u32,
}

const _: () = assert!(size_of::<Node>() == 32, "two nodes share a cache line");

impl Node {
    const ROOT: Self = Self {
        own: Nanos::ZERO,
        parent: NONE,
        frame: FrameId::OTHER,
        latest_child: NONE,
        next_sibling: NONE,
        children: 0,
        depth: 0,
    };
}

/// Own time by path, bounded in nodes.
#[derive(Debug)]
pub(crate) struct CallTree {
    nodes: Vec<Node>,
    /// The children of the nodes that have more than [`RING_MAX`], by parent and frame.
    wide: IdMap<(u32, FrameId), u32>,
    max_stacks: usize,
    folded_paths: u64,
}

impl CallTree {
    /// A tree of the root alone that grows to `max_stacks` nodes (at least the root).
    pub(crate) fn new(max_stacks: usize) -> Self {
        Self {
            nodes: vec![Node::ROOT],
            wide: IdMap::default(),
            max_stacks: max_stacks.clamp(1, to_index(NONE)),
            folded_paths: 0,
        }
    }

    /// Lets no new path in from now on.
    pub(crate) fn freeze(&mut self) {
        self.max_stacks = self.nodes.len();
    }

    /// How many nodes it has, the root included.
    pub(crate) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The memory that `more` further paths can make it hold: its tables double when they are full.
    pub(crate) fn bytes_with(&self, more: usize) -> usize {
        let doubles = self.nodes.len().saturating_add(more) > self.nodes.capacity()
            || self.wide.len().saturating_add(more) > self.wide.capacity();
        let room = more.saturating_mul(size_of::<Node>() + size_of::<(u32, FrameId, u32)>());
        self.approx_bytes().saturating_mul(1 + usize::from(doubles)).saturating_add(room)
    }

    /// The child of `parent` with `frame`, added if it is new. At the limit a new path folds into `parent`,
    /// which is then returned.
    #[inline]
    pub(crate) fn child(&mut self, parent: NodeId, frame: FrameId) -> NodeId {
        let latest = self.node(parent.0).latest_child;
        match self.nodes.get(to_index(latest)) {
            Some(child) if child.frame == frame => NodeId(latest),
            _ => self.find_or_add(parent.0, latest, frame),
        }
    }

    /// Adds to the own time of `node`.
    #[inline]
    pub(crate) fn add_own(&mut self, node: NodeId, time: Nanos) {
        if let Some(node) = self.nodes.get_mut(to_index(node.0)) {
            node.own.0 += time.0;
        }
    }

    /// Makes `time` of `from`'s own time the own time of `to`; no more than `from` has.
    pub(crate) fn move_own(&mut self, from: NodeId, to: NodeId, time: Nanos) {
        let moved = time.min(self.own(from));
        if let Some(node) = self.nodes.get_mut(to_index(from.0)) {
            node.own = node.own.saturating_sub(moved);
        }
        self.add_own(to, moved);
    }

    /// The own time of `node`.
    pub(crate) fn own(&self, node: NodeId) -> Nanos {
        self.node(node.0).own
    }

    /// The frame of `node`; the root's means nothing.
    pub(crate) fn frame(&self, node: NodeId) -> FrameId {
        self.node(node.0).frame
    }

    /// The parent of `node`; none for the root.
    pub(crate) fn parent(&self, node: NodeId) -> Option<NodeId> {
        Some(self.node(node.0).parent).filter(|parent| *parent != NONE).map(NodeId)
    }

    /// How many ancestors `node` has: 0 for the root.
    pub(crate) fn depth(&self, node: NodeId) -> u32 {
        self.node(node.0).depth
    }

    /// Whether `node` is `below` or an ancestor of it.
    pub(crate) fn is_ancestor_or_equal(&self, node: NodeId, below: NodeId) -> bool {
        self.lift(below, self.depth(node)) == node
    }

    /// The deepest node that is an ancestor of, or equal to, both.
    pub(crate) fn common_ancestor(&self, one: NodeId, other: NodeId) -> NodeId {
        let depth = self.depth(one).min(self.depth(other));
        let (mut one, mut other) = (self.lift(one, depth), self.lift(other, depth));
        while one != other {
            one = self.parent(one).unwrap_or(NodeId::ROOT);
            other = self.parent(other).unwrap_or(NodeId::ROOT);
        }
        one
    }

    /// How often a new path found no room and folded into its parent.
    pub(crate) fn folded_paths(&self) -> u64 {
        self.folded_paths
    }

    /// Counts a path that was not even looked for, because a frame around it had found no room.
    pub(crate) fn count_folded(&mut self) {
        self.folded_paths += 1;
    }

    /// The memory held, without the allocator's own.
    pub(crate) fn approx_bytes(&self) -> usize {
        // A map slot takes its entry and one byte of control, and one in eight slots stays free.
        let slot = size_of::<((u32, FrameId), u32)>() + 1;
        self.nodes.capacity() * size_of::<Node>() + self.wide.capacity() * slot / 7 * 8
    }

    /// `node`, or its ancestor at `depth` if it is deeper.
    fn lift(&self, node: NodeId, depth: u32) -> NodeId {
        let mut node = node;
        while self.depth(node) > depth {
            node = self.parent(node).unwrap_or(NodeId::ROOT);
        }
        node
    }

    #[inline]
    fn node(&self, index: u32) -> &Node {
        self.nodes.get(to_index(index)).unwrap_or(&Node::ROOT)
    }

    fn find_or_add(&mut self, parent: u32, latest: u32, frame: FrameId) -> NodeId {
        let next = self.node(latest).next_sibling;
        let found = if self.node(next).frame == frame && next != NONE {
            Some(next)
        } else if self.node(parent).children > RING_MAX {
            self.wide.get(&(parent, frame)).copied()
        } else {
            self.find_in_ring(next, latest, frame)
        };
        let Some(child) = found else { return self.add(parent, latest, frame) };
        if let Some(node) = self.nodes.get_mut(to_index(parent)) {
            node.latest_child = child;
        }
        NodeId(child)
    }

    /// Searches behind `after`, as far as `end`.
    fn find_in_ring(&self, after: u32, end: u32, frame: FrameId) -> Option<u32> {
        let mut at = self.nodes.get(to_index(after))?.next_sibling;
        while at != end {
            let node = self.nodes.get(to_index(at))?;
            if node.frame == frame {
                return Some(at);
            }
            at = node.next_sibling;
        }
        None
    }

    /// Adds a child behind the one used last.
    fn add(&mut self, parent: u32, latest: u32, frame: FrameId) -> NodeId {
        let index = match u32::try_from(self.nodes.len()) {
            Ok(index) if self.nodes.len() < self.max_stacks => index,
            _ => {
                self.folded_paths += 1;
                return NodeId(parent);
            }
        };
        let Node { children, depth, .. } = *self.node(parent);
        let next = self.nodes.get_mut(to_index(latest)).map(|node| std::mem::replace(&mut node.next_sibling, index));
        let next_sibling = next.unwrap_or(index);
        self.nodes.push(Node { parent, frame, next_sibling, depth: depth + 1, ..Node::ROOT });
        if let Some(node) = self.nodes.get_mut(to_index(parent)) {
            node.children += 1;
            node.latest_child = index;
        }
        if children == RING_MAX {
            self.spread(index);
        } else if children > RING_MAX {
            self.wide.insert((parent, frame), index);
        }
        NodeId(index)
    }

    /// Enters the ring that `start` is in into the map.
    fn spread(&mut self, start: u32) {
        let mut at = start;
        while let Some(node) = self.nodes.get(to_index(at)) {
            self.wide.insert((node.parent, node.frame), at);
            at = node.next_sibling;
            if at == start {
                break;
            }
        }
    }
}

/// An index is 32 bits wide to keep nodes small; every target of this crate has at least as much to address.
#[inline]
const fn to_index(index: u32) -> usize {
    index as usize
}
