//! Names the frames of a finished tree and puts its nodes in pre-order.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::{CallTree, NONE, to_index};
use crate::model::frame::{FrameId, NamedFrame};
use crate::model::frame_hash::IdMap;
use crate::model::profile::{NO_PARENT, Profile, ProfileNode};
use crate::model::time::Nanos;

impl CallTree {
    /// The tree with names. Siblings with equal names become one, and so do their equal descendants; what has no
    /// time in its whole subtree is left out, except the root. Siblings stand in the order they first ran in.
    /// `resolve` is asked once for each frame. Of frames with equal names, the first source that is known stays.
    pub(crate) fn into_profile<N: Into<NamedFrame>>(
        self,
        root_name: &str,
        mut resolve: impl FnMut(FrameId) -> N,
    ) -> Profile {
        let mut names = Names::new(root_name, self.nodes.len(), |frame| resolve(frame).into());
        let mut nodes: Vec<_> = self.nodes.iter().map(|node| Named::new(node.parent, node.own)).collect();
        for (named, node) in nodes.iter_mut().zip(&self.nodes).skip(1) {
            named.name = names.index_of(node.frame);
        }
        // Without two frames of one name there are no two equal siblings to look for.
        if names.has_synonyms {
            merge_siblings(&mut nodes);
        }
        link_what_has_time(&mut nodes);
        Profile { nodes: pre_order(&mut nodes), frames: names.distinct }
    }
}

/// The distinct names, and which frame has which.
struct Names<R> {
    resolve: R,
    distinct: Vec<NamedFrame>,
    by_name: HashMap<Arc<str>, u32>,
    by_frame: IdMap<FrameId, u32>,
    has_synonyms: bool,
}

impl<R: FnMut(FrameId) -> NamedFrame> Names<R> {
    /// For a tree of so many nodes.
    fn new(root_name: &str, nodes: usize, resolve: R) -> Self {
        /// Past it, the tables grow as names are found: of most large trees each name occurs many times.
        const AT_ONCE: usize = 64;
        let expected = nodes.min(AT_ONCE);
        let mut names = Self {
            resolve,
            distinct: Vec::with_capacity(expected),
            by_name: HashMap::with_capacity(expected),
            by_frame: IdMap::with_capacity_and_hasher(expected, Default::default()),
            has_synonyms: false,
        };
        names.index_of_name(Arc::<str>::from(root_name).into());
        names
    }

    fn index_of(&mut self, frame: FrameId) -> u32 {
        if let Some(index) = self.by_frame.get(&frame) {
            return *index;
        }
        let named = (self.resolve)(frame);
        let index = self.index_of_name(named);
        self.by_frame.insert(frame, index);
        index
    }

    fn index_of_name(&mut self, named: NamedFrame) -> u32 {
        match self.by_name.entry(named.name.clone()) {
            Entry::Occupied(known) => {
                self.has_synonyms = true;
                let index = *known.get();
                self.add_source(index, named);
                index
            }
            Entry::Vacant(new) => {
                // There are no more names than nodes, and those are counted in 32 bits.
                let index = *new.insert(u32::try_from(self.distinct.len()).unwrap_or(NONE));
                self.distinct.push(named);
                index
            }
        }
    }

    fn add_source(&mut self, index: u32, named: NamedFrame) {
        if let Some(known) = self.distinct.get_mut(to_index(index)) {
            known.source = known.source.take().or(named.source);
        }
    }
}

/// A node while it is put in order. A parent's index is below its children's.
struct Named {
    parent: u32,
    name: u32,
    own: Nanos,
    inclusive: Nanos,
    first_child: u32,
    next_sibling: u32,
    /// Where it stands in pre-order.
    place: u32,
}

impl Named {
    fn new(parent: u32, own: Nanos) -> Self {
        Self { parent, name: 0, own, inclusive: own, first_child: NONE, next_sibling: NONE, place: NO_PARENT }
    }
}

/// Gives each node's time and children to its first sibling of the same name.
fn merge_siblings(nodes: &mut [Named]) {
    let mut first_of = IdMap::with_capacity_and_hasher(nodes.len(), Default::default());
    // Where the children of a node belong now; parents are settled before their children.
    let mut heirs: Vec<u32> = Vec::with_capacity(nodes.len());
    for index in 0..nodes.len() {
        let Some(node) = nodes.get_mut(index) else { break };
        let own_index = u32::try_from(index).unwrap_or(NONE);
        node.parent = heirs.get(to_index(node.parent)).copied().unwrap_or(NONE);
        let heir = *first_of.entry((node.parent, node.name)).or_insert(own_index);
        heirs.push(heir);
        if heir != own_index {
            let moved = std::mem::take(&mut node.own);
            node.inclusive = Nanos::ZERO;
            if let Some(heir) = nodes.get_mut(to_index(heir)) {
                heir.own.0 += moved.0;
                heir.inclusive.0 += moved.0;
            }
        }
    }
}

/// Sums the inclusive times, and makes lists of the children that have any.
fn link_what_has_time(nodes: &mut [Named]) {
    // Backwards, so that children are summed before their parent and a list ends in the order of creation.
    for index in (1..nodes.len()).rev() {
        let Some((before, from)) = nodes.split_at_mut_checked(index) else { break };
        let Some(node) = from.first_mut().filter(|node| node.inclusive > Nanos::ZERO) else { continue };
        if let Some(parent) = before.get_mut(to_index(node.parent)) {
            parent.inclusive.0 += node.inclusive.0;
            node.next_sibling = std::mem::replace(&mut parent.first_child, u32::try_from(index).unwrap_or(NONE));
        }
    }
}

fn pre_order(nodes: &mut [Named]) -> Vec<ProfileNode> {
    let mut ordered = Vec::with_capacity(nodes.len());
    let mut next = Some(0);
    while let Some(index) = next {
        let place = u32::try_from(ordered.len()).unwrap_or(NONE);
        let Some(node) = nodes.get_mut(to_index(index)) else { break };
        node.place = place;
        let (parent, frame, own) = (node.parent, node.name, node.own);
        let parent = nodes.get(to_index(parent)).map_or(NO_PARENT, |parent| parent.place);
        ordered.push(ProfileNode { parent, frame, own });
        next = after(nodes, index);
    }
    ordered
}

/// The node behind `index` in pre-order: its first child, else the next sibling of the nearest one that has one.
fn after(nodes: &[Named], index: u32) -> Option<u32> {
    let mut node = nodes.get(to_index(index))?;
    if node.first_child != NONE {
        return Some(node.first_child);
    }
    while node.next_sibling == NONE {
        node = nodes.get(to_index(node.parent))?;
    }
    Some(node.next_sibling)
}
