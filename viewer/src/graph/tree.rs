//! Many profiles as one tree, on one or two sides.

use std::collections::HashMap;

use super::kind::Kind;
use super::stacks::{Function, FunctionIndex, Stacks};

/// The index of a node of one [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(pub(crate) u32);

/// The index of a function of one [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FrameId(pub(crate) u32);

/// Which side of a comparison; a graph that compares nothing has the first one alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// What is shown, or what is compared with the other.
    This,
    /// What it is compared with.
    Other,
}

/// A place in the tree. Parents stand before their children.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) frame: FrameId,
    /// `None`: a root.
    pub(crate) parent: Option<NodeId>,
    pub(crate) kind: Kind,
    /// µs of its own, on both sides.
    pub(crate) own: [i64; 2],
    /// µs with all below it, on both sides. Right after [`Tree::finish`].
    pub(crate) total: [i64; 2],
}

/// The merged call tree.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    functions: Vec<Function>,
    ids: HashMap<Function, FrameId>,
    nodes: Vec<Node>,
    children: HashMap<(Option<NodeId>, FrameId), NodeId>,
}

/// How a frame is entered: where the previous path left off.
struct Descent {
    frame: FrameId,
    node: NodeId,
}

impl Tree {
    /// A tree of one profile.
    pub(crate) fn of(stacks: &Stacks) -> Self {
        let mut tree = Self::default();
        tree.add(stacks, Side::This);
        tree.finish();
        tree
    }

    /// Adds the paths of a profile to one side.
    pub(crate) fn add(&mut self, stacks: &Stacks, side: Side) {
        let frames: Vec<FrameId> = stacks.functions().iter().map(|function| self.intern(function)).collect();
        // Neighbours share most of their path: only what differs is looked up.
        let mut previous: Vec<Descent> = Vec::new();
        for (path, micros) in stacks.paths() {
            let frame = |index: &FunctionIndex| frames.get(*index as usize).copied();
            let shared =
                previous.iter().zip(path).take_while(|(there, index)| frame(index) == Some(there.frame)).count();
            previous.truncate(shared);
            for frame in path.iter().skip(shared).filter_map(frame) {
                let node = self.child(previous.last().map(|there| there.node), frame);
                previous.push(Descent { frame, node });
            }
            if let Some(node) = previous.last().and_then(|there| self.nodes.get_mut(there.node.0 as usize)) {
                node.own[side as usize] += micros;
            }
        }
    }

    fn intern(&mut self, function: &Function) -> FrameId {
        if let Some(id) = self.ids.get(function) {
            return *id;
        }
        let id = FrameId(u32::try_from(self.functions.len()).unwrap_or(u32::MAX));
        self.functions.push(function.clone());
        self.ids.insert(function.clone(), id);
        id
    }

    fn child(&mut self, parent: Option<NodeId>, frame: FrameId) -> NodeId {
        if let Some(node) = self.children.get(&(parent, frame)) {
            return *node;
        }
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        let kind = self.kind_of(parent, frame);
        self.nodes.push(Node { frame, parent, kind, own: [0; 2], total: [0; 2] });
        self.children.insert((parent, frame), id);
        id
    }

    fn kind_of(&self, parent: Option<NodeId>, frame: FrameId) -> Kind {
        match (parent, self.functions.get(frame.0 as usize)) {
            (Some(_), Some(function)) => Kind::of(function),
            _ => Kind::Root,
        }
    }

    /// Computes the totals.
    pub(crate) fn finish(&mut self) {
        for node in &mut self.nodes {
            node.total = node.own;
        }
        for index in (0..self.nodes.len()).rev() {
            let Some((parent, total)) = self.nodes.get(index).and_then(|node| Some((node.parent?, node.total))) else {
                continue;
            };
            if let Some(parent) = self.nodes.get_mut(parent.0 as usize) {
                parent.total = sum(parent.total, total);
            }
        }
    }

    /// All nodes, parents before their children; a node's place is its id.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node `id`.
    pub(crate) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0 as usize)
    }

    /// How many functions there are.
    pub(crate) fn frame_count(&self) -> usize {
        self.functions.len()
    }

    /// A function's name; empty for an id of another tree.
    pub(crate) fn name(&self, frame: FrameId) -> &str {
        self.functions.get(frame.0 as usize).map_or("", |function| &function.name)
    }

    /// The time of all roots, on both sides.
    pub(crate) fn total(&self) -> [i64; 2] {
        let roots = self.nodes.iter().filter(|node| node.parent.is_none());
        roots.fold([0; 2], |total, root| sum(total, root.total))
    }
}

/// Sums of durations that were checked one by one: all that a machine can measure stays far below the limit.
fn sum(one: [i64; 2], other: [i64; 2]) -> [i64; 2] {
    [one[0].saturating_add(other[0]), one[1].saturating_add(other[1])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::stacks;

    fn described(tree: &Tree) -> Vec<(String, [i64; 2], [i64; 2])> {
        tree.nodes().iter().map(|node| (tree.name(node.frame).to_owned(), node.own, node.total)).collect()
    }

    #[test]
    fn equal_paths_of_different_profiles_are_one() {
        let mut tree = Tree::default();
        tree.add(&stacks(&[("r;a", 1), ("r;a;b", 2), ("r", 4)]), Side::This);
        tree.add(&stacks(&[("r;c", 8), ("r;a;b", 16)]), Side::This);
        tree.finish();
        let expected = [("r", 4, 31), ("a", 1, 19), ("b", 18, 18), ("c", 8, 8)];
        assert_eq!(described(&tree), expected.map(|(name, own, total)| (name.to_owned(), [own, 0], [total, 0])));
        assert_eq!(tree.total(), [31, 0]);
    }

    #[test]
    fn the_sides_of_a_comparison_stay_apart() {
        let mut tree = Tree::default();
        tree.add(&stacks(&[("r;a", 3)]), Side::This);
        tree.add(&stacks(&[("r;a", 5), ("r;b", 7)]), Side::Other);
        tree.finish();
        assert_eq!(tree.total(), [3, 12]);
        assert_eq!(tree.nodes()[1].own, [3, 5]);
    }

    #[test]
    fn functions_of_one_name_and_two_files_stay_apart() {
        let tree = Tree::of(&stacks(&[("r;f@/a.rs", 1), ("r;f@/b.rs", 2)]));
        assert_eq!(tree.nodes().len(), 3);
    }

    proptest::proptest! {
        #[test]
        fn the_merged_total_is_the_sum_of_all(profiles in proptest::collection::vec(
            proptest::collection::vec(("r(;[abc]){0,6}", 0_i64..1_000), 1..20), 1..8)
        ) {
            let mut tree = Tree::default();
            let mut sum = 0;
            for paths in &profiles {
                let paths: Vec<_> = paths.iter().map(|(path, micros)| (path.as_str(), *micros)).collect();
                let stacks = stacks(&paths);
                sum += stacks.total();
                tree.add(&stacks, Side::This);
            }
            tree.finish();
            assert_eq!(tree.total(), [sum, 0]);
            assert_eq!(tree.nodes().iter().map(|node| node.own[0]).sum::<i64>(), sum);
        }
    }
}
