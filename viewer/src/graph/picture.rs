//! What the page draws: a bounded part of a tree, as JSON.

use serde::Serialize;

use super::kind::Kind;
use super::tree::{FrameId, Node, Tree};
use crate::text;

/// Nodes of a picture at most: more would be narrower than a pixel each, and the page has to stay small.
const MAX_NODES: usize = 3_000;
/// A node narrower than this share of the whole is left out: a tenth of a pixel of a wide window.
const MIN_SHARE: f64 = 1.0 / 20_000.0;
/// Characters of a name.
const MAX_NAME: usize = 200;
/// Bytes of all names. A picture and its page stay below 300 KB in all.
const MAX_NAME_BYTES: usize = 96 << 10;

/// A picture. What is left out stays in its caller's total.
#[derive(Debug, Serialize)]
pub(crate) struct Picture {
    /// µs of the whole: of this side, and of the other.
    total: [i64; 2],
    /// How many traces each side has.
    traces: [u64; 2],
    /// How many nodes were too small to draw.
    hidden: usize,
    names: Vec<String>,
    kinds: [&'static str; 8],
    /// The index of each node's parent; -1 for a root.
    parent: Vec<i64>,
    /// The index of each node's name.
    name: Vec<u32>,
    /// The index of each node's kind.
    kind: Vec<u8>,
    own: Vec<i64>,
    #[serde(rename = "sum")]
    total_of: Vec<i64>,
    /// The other side's totals; empty when nothing is compared.
    other: Vec<i64>,
}

impl Picture {
    /// Draws a finished tree of so many traces on each side.
    pub(crate) fn of(tree: &Tree, traces: [u64; 2]) -> Self {
        let is_kept = kept(tree);
        let mut picture = Self::empty(tree, traces);
        let is_compared = traces[1] > 0;
        let mut names = Names::new(tree.frame_count());
        // Where each node of the tree stands in the picture.
        let mut places: Vec<i64> = Vec::with_capacity(is_kept.len());
        for (node, is_kept) in tree.nodes().iter().zip(is_kept) {
            if !is_kept {
                places.push(-1);
                picture.hidden += 1;
                continue;
            }
            places.push(i64::try_from(picture.parent.len()).unwrap_or(-1));
            let parent = node.parent.and_then(|parent| places.get(parent.0 as usize)).copied();
            let name = names.index(tree, node.frame, &mut picture.names);
            picture.push(node, parent.unwrap_or(-1), name, is_compared);
        }
        picture
    }

    fn empty(tree: &Tree, traces: [u64; 2]) -> Self {
        Self {
            total: tree.total(),
            traces,
            hidden: 0,
            names: Vec::new(),
            kinds: Kind::ALL.map(Kind::css),
            parent: Vec::new(),
            name: Vec::new(),
            kind: Vec::new(),
            own: Vec::new(),
            total_of: Vec::new(),
            other: Vec::new(),
        }
    }

    fn push(&mut self, node: &Node, parent: i64, name: u32, is_compared: bool) {
        let kind = Kind::ALL.iter().position(|kind| *kind == node.kind).unwrap_or_default();
        self.parent.push(parent);
        self.name.push(name);
        self.kind.push(u8::try_from(kind).unwrap_or_default());
        self.own.push(node.own[0]);
        self.total_of.push(node.total[0]);
        if is_compared {
            self.other.push(node.total[1]);
        }
    }

    /// As JSON text.
    pub(crate) fn to_json(&self) -> String {
        // Numbers and strings cannot fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Which nodes are drawn: the largest ones. A parent is at least as large as its child and stands before it, so that
/// no kept node lacks its parent.
fn kept(tree: &Tree) -> Vec<bool> {
    let size = |node: &Node| node.total[0].max(node.total[1]);
    let whole = tree.total();
    let smallest = (whole[0].max(whole[1]) as f64 * MIN_SHARE) as i64;
    let mut sizes: Vec<i64> = tree.nodes().iter().map(size).collect();
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    let limit = sizes.get(MAX_NODES).copied().unwrap_or_default().max(smallest);
    let mut left_at_limit = MAX_NODES.saturating_sub(sizes.iter().take_while(|size| **size > limit).count());
    let mut keep = |size: i64| {
        if size > limit {
            return true;
        }
        let fits = size == limit && size > 0 && left_at_limit > 0;
        left_at_limit -= usize::from(fits);
        fits
    };
    tree.nodes().iter().map(|node| node.parent.is_none() && whole[0] == 0 || keep(size(node))).collect()
}

/// The names of a picture, each once.
struct Names {
    places: Vec<Option<u32>>,
    bytes: usize,
}

impl Names {
    fn new(frames: usize) -> Self {
        Self { places: vec![None; frames], bytes: 0 }
    }

    fn index(&mut self, tree: &Tree, frame: FrameId, names: &mut Vec<String>) -> u32 {
        let Some(place) = self.places.get_mut(frame.0 as usize) else { return 0 };
        *place.get_or_insert_with(|| {
            let room = MAX_NAME_BYTES.saturating_sub(self.bytes);
            // Past the budget a name is cut harder, never left out: its width is real.
            let name = text::shown(tree.name(frame), if room > 0 { MAX_NAME } else { 16 });
            self.bytes += name.len();
            names.push(name);
            u32::try_from(names.len() - 1).unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::graph::testing::stacks;

    #[test]
    fn a_small_tree_is_drawn_whole() {
        let tree = Tree::of(&stacks(&[("r;a@/src/a.rs", 1), ("r;SLEEP", 2)]));
        let json: serde_json::Value = serde_json::from_str(&Picture::of(&tree, [1, 0]).to_json()).unwrap();
        assert_eq!(json["names"], serde_json::json!(["r", "a", "SLEEP"]));
        assert_eq!(json["parent"], serde_json::json!([-1, 0, 0]));
        assert_eq!(json["sum"], serde_json::json!([3, 1, 2]));
        assert_eq!(json["own"], serde_json::json!([0, 1, 2]));
        assert_eq!((json["hidden"].as_u64(), json["other"].as_array().unwrap().len()), (Some(0), 0));
    }

    #[test]
    fn a_large_tree_is_cut_to_its_largest_nodes_and_stays_connected() {
        let paths: Vec<(String, i64)> = (0..20_000).map(|n| (format!("r;a{};b{n}", n % 100), 1 + n % 7)).collect();
        let paths: Vec<_> = paths.iter().map(|(path, micros)| (path.as_str(), *micros)).collect();
        let tree = Tree::of(&stacks(&paths));
        let picture = Picture::of(&tree, [1, 0]);
        assert!(picture.parent.len() <= MAX_NODES && picture.parent.len() > 100);
        assert_eq!(picture.hidden + picture.parent.len(), tree.nodes().len());
        assert!(picture.parent.iter().enumerate().skip(1).all(|(at, parent)| *parent >= 0 && *parent < at as i64));
        assert_eq!(picture.total_of[0], tree.total()[0]);
        assert!(picture.to_json().len() < 160 << 10, "{}", picture.to_json().len());
    }

    #[test]
    fn huge_names_do_not_make_it_large() {
        let paths: Vec<(String, i64)> = (0..2_000).map(|n| (format!("r;{n}{}", "<é>".repeat(10_000)), 1)).collect();
        let paths: Vec<_> = paths.iter().map(|(path, micros)| (path.as_str(), *micros)).collect();
        let picture = Picture::of(&Tree::of(&stacks(&paths)), [1, 0]);
        assert!(picture.to_json().len() < 256 << 10, "{}", picture.to_json().len());
    }
}
