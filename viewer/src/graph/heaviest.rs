//! The functions that took most of the time.

use super::kind::Kind;
use super::tree::{FrameId, NodeId, Tree};

/// One function, over all the places where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heavy {
    pub(crate) frame: FrameId,
    pub(crate) kind: Kind,
    /// µs of its own, on both sides.
    pub(crate) own: [i64; 2],
    /// µs with all that it called, on both sides; within a recursion counted once.
    pub(crate) total: [i64; 2],
}

/// Every function, the heaviest own time first.
pub(crate) fn heaviest(tree: &Tree) -> Vec<Heavy> {
    let mut all = sums(tree);
    all.sort_by_key(|heavy| (std::cmp::Reverse(heavy.own[0]), std::cmp::Reverse(heavy.total[0])));
    all
}

/// Every function, the largest difference of own times first. Times are of the mean trace of each side.
pub(crate) fn most_changed(tree: &Tree, traces: [u64; 2]) -> Vec<Heavy> {
    let mean = |time: [i64; 2]| {
        let of = |side: usize| time[side] / i64::try_from(traces[side].max(1)).unwrap_or(i64::MAX);
        [of(0), of(1)]
    };
    let means = sums(tree).into_iter().map(|heavy| Heavy { own: mean(heavy.own), total: mean(heavy.total), ..heavy });
    let mut all: Vec<Heavy> = means.collect();
    all.sort_by_key(|heavy| std::cmp::Reverse(heavy.own[0].abs_diff(heavy.own[1])));
    all
}

fn sums(tree: &Tree) -> Vec<Heavy> {
    let mut by_frame: Vec<Option<Heavy>> = vec![None; tree.frame_count()];
    for (at, node) in tree.nodes().iter().enumerate() {
        let Some(slot) = by_frame.get_mut(node.frame.0 as usize) else { continue };
        let fresh = Heavy { frame: node.frame, kind: node.kind, own: [0; 2], total: [0; 2] };
        let heavy = slot.get_or_insert(fresh);
        let is_outermost = !is_below_itself(tree, at);
        for side in 0..2 {
            heavy.own[side] += node.own[side];
            heavy.total[side] += if is_outermost { node.total[side] } else { 0 };
        }
    }
    by_frame.into_iter().flatten().collect()
}

fn is_below_itself(tree: &Tree, at: usize) -> bool {
    let Some(node) = tree.nodes().get(at) else { return false };
    let parent = |id: &NodeId| tree.node(*id).and_then(|node| node.parent);
    let mut above = std::iter::successors(node.parent, parent);
    above.any(|id| tree.node(id).is_some_and(|above| above.frame == node.frame))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::stacks;
    use crate::graph::tree::Side;

    fn named(tree: &Tree, heavies: &[Heavy]) -> Vec<(String, i64, i64)> {
        heavies.iter().map(|heavy| (tree.name(heavy.frame).to_owned(), heavy.own[0], heavy.total[0])).collect()
    }

    #[test]
    fn a_recursion_is_counted_once() {
        let tree = Tree::of(&stacks(&[("r;a", 1), ("r;a;b;a", 2), ("r;b", 8)]));
        let expected = [("b", 8, 10), ("a", 3, 3), ("r", 0, 11)];
        assert_eq!(named(&tree, &heaviest(&tree)), expected.map(|(name, own, total)| (name.to_owned(), own, total)));
    }

    #[test]
    fn a_comparison_is_of_the_mean_traces() {
        let mut tree = Tree::default();
        tree.add(&stacks(&[("r;a", 100), ("r;b", 50)]), Side::This);
        tree.add(&stacks(&[("r;a", 100), ("r;b", 10)]), Side::This);
        tree.add(&stacks(&[("r;a", 100), ("r;c", 70)]), Side::Other);
        tree.finish();
        let changed = most_changed(&tree, [2, 1]);
        let expected = [("c", 0, 0), ("b", 30, 30), ("a", 100, 100), ("r", 0, 130)];
        assert_eq!(named(&tree, &changed)[..2], expected.map(|(n, o, t)| (n.to_owned(), o, t))[..2]);
        assert_eq!(changed[0].own, [0, 70]);
    }
}
